"""Which columns of a table say when, and what they say together: epochs, text, or a date beside a time."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tradewind.data.file_import.instants import Clock, read_text_times, to_utc
from tradewind.data.file_import.raw_table import RawTable
from tradewind.data.file_import.tables import is_text, number_cells
from tradewind.data.files.cells import EARLIEST_MS, LATEST_MS, MS_PER_UNIT, FloatArray, epoch_units
from tradewind.data.files.dialect import ALIASES, TIME_NAMES, ImportSettings, plain_name
from tradewind.data.files.findings import ImportNotes, share
from tradewind.errors import BadData

_HALF_DAY_MS = 43_200_000
_SECOND_MS = 1_000
_CLOCK_ONLY = r"^\s*\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?(\s*[AaPp][Mm])?\s*$"
_COMPACT_CLOCK = r"^\s*\d{1,6}\s*$"
_MANTISSA = r"^\s*[+-]?\d(?:\.(?P<digits>\d*))?[eE]\+?(?P<power>\d+)\s*$"
_EXACT_DIGITS = 9
_NAMELESS = ("column_1", "unnamed_0", "index", "level_0")
_STATES_UTC = ("gmt", "utc")
RejectedTimes = dict[str, npt.NDArray[np.bool_]]


@dataclass
class Times:
    """Instants in epoch milliseconds (NaN: unreadable), the other instant of times that a clock shows twice, and the
    rows that are rejected, by reason."""

    ms: FloatArray
    again: FloatArray
    rejected: RejectedTimes = field(default_factory=dict)


@dataclass(frozen=True)
class _Epochs:
    """Epoch milliseconds, NaN where unreadable; `slack_ms` is what rounding may have taken, 0 where exact."""

    name: str
    ms: FloatArray
    slack_ms: FloatArray

    @property
    def exact(self) -> FloatArray:
        return np.where(self.slack_ms == 0, self.ms, np.nan)


def read_times(
    table: RawTable, settings: ImportSettings, notes: ImportNotes, also: frozenset[str] = frozenset()
) -> Times | None:
    """The instants of a table's rows; None where no column says when, or where a setting is needed.

    Columns that say the same are compared, and rows in which they disagree are rejected.

    Args:
        table: the cells.
        settings: may name the column, its unit, format, order or zone.
        notes: receives what was found and is needed.
        also: more names, in plain form, that a time column of this kind of file has.
    """
    epochs, texts = None, None
    columns = _time_columns(table, settings, also)
    if not columns:
        closes = [name for name in table.columns if plain_name(name) in ALIASES["close_time"]]
        if closes:
            notes.add_missing("time_is=close", f"column {closes[0]!r} says when bars close, and none when they open")
        else:
            notes.add_missing(
                "columns.open_time=NAME", f"no column is called as times are; there are {list(table.columns)[:12]}"
            )
        return None
    for name, cells in columns.items():
        numbers = _numbers(cells, name, settings, notes)
        if numbers is not None and epochs is None:
            epochs = _read_epochs(numbers, cells, name, settings, notes)
    for name, cells in columns.items():
        if texts is None and (epochs is None or name != epochs.name):
            clock = _read_clock(cells, name, settings, epochs.exact if epochs else None, notes)
            texts = (name, clock) if clock is not None else None
    if epochs is not None and texts is not None:
        return _bounded(_together(epochs, texts[0], texts[1], settings, notes), notes)
    if epochs is not None:
        notes.add_finding("time", epochs.name, "epoch: UTC by definition")
        return Times(epochs.exact, np.full(len(epochs.ms), np.nan), _rounded(epochs))
    if texts is None:
        if not notes.missing_settings:
            first = next(iter(columns))
            notes.add_missing(
                "time_format=STRPTIME", f"column {first!r} holds {columns[first][0].as_py()!r}, no time in a known form"
            )
        return None
    return _text_alone(texts[0], texts[1], table.zone, settings, notes)


def _bounded(times: Times, notes: ImportNotes) -> Times:
    """Instants before 1990 or after 2100 are rejected; that cannot be all."""
    outside = (times.ms < EARLIEST_MS) | (times.ms >= LATEST_MS)
    if outside.any():
        if outside.sum() == np.isfinite(times.ms).sum():
            first = np.datetime64(int(np.clip(times.ms[outside][0], -(2**52), 2**52)), "ms")
            raise BadData(
                f"{notes.where}: no time lies between 1990 and 2100, the first is {first}: older rows are "
                "not taken; where they are in another unit than the file says, convert them, or name another column in "
                "columns.open_time"
            )
        times.rejected["the time is not between 1990 and 2100"] = outside
        times.ms = np.where(outside, np.nan, times.ms)
    return times


def _time_columns(table: RawTable, settings: ImportSettings, also: frozenset[str]) -> dict[str, pa.Array]:
    """The cells of each column that may say when, by name; a date and a time of day count as one column."""
    named = settings.columns.get("open_time")
    if named:
        return {named: table.columns[named]} if named in table.columns else {}
    if not table.has_names and not settings.column_names:
        return dict(list(table.columns.items())[:1])
    role = ALIASES["close_time" if settings.time_is == "close" else "open_time"]
    found = {name: cells for name, cells in table.columns.items() if plain_name(name) in role | TIME_NAMES | also}
    if not found:
        # An index that was written without its name, by pandas for one; numbers of rows are no times.
        first = next(iter(table.columns))
        found = {first: table.columns[first]} if plain_name(first) in _NAMELESS else {}
    clocks = {name: clock for name, cells in found.items() if plain_name(name) == "time" and (clock := _clock(cells))}
    dates = [name for name in found if plain_name(name) == "date" and is_text(found[name])]
    if clocks and dates:
        name, clock = next(iter(clocks.items()))
        del found[name]
        found[f"{dates[0]} {name}"] = pc.binary_join_element_wise(found.pop(dates[0]), clock, " ")
    return found


def _clock(cells: pa.Array) -> pa.Array | None:
    """The cells as times of a day (9:30, or 93000 without marks, as Stooq writes them); None where they are none."""
    if _is_clock_only(cells):
        return cells
    if not is_text(cells) or not _all_match(cells, _COMPACT_CLOCK):
        return None
    digits = pc.utf8_trim_whitespace(cells)
    width = 4 if (pc.max(pc.utf8_length(digits)).as_py() or 0) <= 4 else 6
    padded = pc.utf8_lpad(digits, width, "0")
    parts = [pc.utf8_slice_codeunits(padded, at, at + 2) for at in range(0, width, 2)]
    if any(
        (pc.max(pc.cast(part, pa.int64())).as_py() or 0) > most for part, most in zip(parts, (23, 59, 59), strict=False)
    ):
        return None
    return pc.binary_join_element_wise(*parts, ":")


def _is_clock_only(cells: pa.Array) -> bool:
    return is_text(cells) and _all_match(cells.slice(0, 100), _CLOCK_ONLY)


def _all_match(cells: pa.Array, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(cells, pattern)).as_py())


def _numbers(cells: pa.Array, name: str, settings: ImportSettings, notes: ImportNotes) -> FloatArray | None:
    """The cells as numbers where most of them are."""
    if pa.types.is_temporal(cells.type) or settings.time_format or settings.time_unit == "iso":
        return None
    numbers = number_cells(cells, name, notes.where)
    return numbers if np.isfinite(numbers).sum() * 2 > len(numbers) else None


def _read_epochs(
    numbers: FloatArray, cells: pa.Array, name: str, settings: ImportSettings, notes: ImportNotes
) -> _Epochs | None:
    fits = epoch_units(numbers)
    if settings.time_unit != "auto":
        fits = {settings.time_unit: fits[settings.time_unit]}
    counts = {unit: int(rows.sum()) for unit, rows in fits.items() if rows.any()}
    if not counts or sum(counts.values()) * 2 < len(numbers):
        return None
    ms = np.full(len(numbers), np.nan)
    slack = np.zeros(len(numbers))
    digits_lost = _rounding(cells)
    for unit, rows in fits.items():
        # Nanoseconds exceed 2**53: rounding takes back what float64 lost.
        ms[rows] = np.rint(numbers[rows] * MS_PER_UNIT[unit])
        slack[rows] = digits_lost[rows] * MS_PER_UNIT[unit]
    if settings.time_unit != "auto":
        evidence = "given"
    elif len(counts) == 1:
        evidence = (
            f"in no other unit does a value lie between 1990 and 2100 ({share(sum(counts.values()), len(numbers))})"
        )
    else:
        mixed = ", ".join(f"{unit} in {count:,} rows" for unit, count in counts.items())
        evidence = f"{mixed}; each value lies between 1990 and 2100 in one unit only"
    notes.add_finding(f"unit of {name}", " and ".join(counts), evidence)
    return _Epochs(name, ms, slack)


def _rounding(cells: pa.Array) -> FloatArray:
    """A unit of the last digit that scientific notation left of each cell, 0 where nothing was lost."""
    if not is_text(cells):
        return np.zeros(len(cells))
    groups = pc.extract_regex(cells, _MANTISSA)
    digits = pc.utf8_length(pc.struct_field(groups, "digits")).fill_null(_EXACT_DIGITS).to_numpy(zero_copy_only=False)
    power = pc.cast(pc.struct_field(groups, "power"), pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False)
    lost = power - digits
    return np.where((digits < _EXACT_DIGITS) & (lost > 0) & (power < 30), 10.0 ** np.minimum(lost, 30), 0.0)


def _read_clock(
    cells: pa.Array, name: str, settings: ImportSettings, epochs: FloatArray | None, notes: ImportNotes
) -> Clock | None:
    nothing = np.full(len(cells), np.nan)
    if pa.types.is_timestamp(cells.type) or pa.types.is_date(cells.type):
        zoned = getattr(cells.type, "tz", None) is not None
        ms = pc.cast(cells, pa.timestamp("us", "UTC" if zoned else None), safe=False).cast(pa.int64())
        values = ms.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False) / 1_000
        offset = np.zeros(len(cells)) if zoned else nothing
        return Clock(values, offset, nothing, np.zeros(len(cells), dtype=bool))
    if not is_text(cells):
        return None
    if settings.time_format is None:
        return read_text_times(cells, name, settings.date_order, epochs, notes)
    parsed = pd.to_datetime(cells.to_pandas().str.strip(), format=settings.time_format, errors="coerce", utc=True)
    naive = parsed.dt.tz_localize(None).to_numpy("datetime64[ms]")
    values = np.where(np.isnat(naive), np.nan, naive.astype(np.int64).astype(np.float64))
    if not np.isfinite(values).any():
        return None
    notes.add_finding(f"format of {name}", settings.time_format, "given")
    offset = np.zeros(len(cells)) if "%z" in settings.time_format else nothing
    return Clock(values, offset, nothing, np.zeros(len(cells), dtype=bool))


def _rounded(epochs: _Epochs) -> RejectedTimes:
    lost = epochs.slack_ms > 0
    return {f"{epochs.name} is rounded and no other column says when": lost} if lost.any() else {}


def _text_alone(
    name: str, clock: Clock, stated: tuple[str, str] | None, settings: ImportSettings, notes: ImportNotes
) -> Times | None:
    zone = settings.timezone
    if clock.is_utc_known:
        notes.add_finding("time zone", "UTC", f"column {name!r} says how far each time is from UTC")
    elif zone is not None:
        notes.add_finding("time zone", zone, "given")
    elif any(word in plain_name(name).split("_") for word in _STATES_UTC):
        zone = "UTC"
        notes.add_finding("time zone", "UTC", f"the name of the column {name!r} says it")
    elif stated is not None:
        zone = stated[0]
        notes.add_finding("time zone", zone, f"a line before the header says {stated[1]!r}")
    else:
        notes.add_missing("timezone=ZONE", f"column {name!r} says no time zone, such as UTC or Europe/London")
        return None
    notes.add_finding("time", name, "the only column that says when")
    ms, again = to_utc(clock, zone)
    rejected: RejectedTimes = {}
    never = np.isfinite(clock.ms) & ~np.isfinite(ms) & ~np.isfinite(clock.offset_ms)
    if never.any():
        rejected[f"{name} is a time that no clock in {zone} shows"] = never
    return _bounded(Times(ms, again, rejected), notes)


def _together(epochs: _Epochs, name: str, clock: Clock, settings: ImportSettings, notes: ImportNotes) -> Times:
    """Exact epochs count; the text stands in where they are rounded or missing, and must agree elsewhere."""
    exact = epochs.exact
    zone, lost_half = _zone_of_text(epochs, clock, settings, name, notes)
    if zone is None and not clock.is_utc_known:
        return Times(exact, np.full(len(exact), np.nan), _rounded(epochs))
    text, again = to_utc(clock, zone)
    away = text - exact
    disagree = np.abs(away) >= _SECOND_MS
    if lost_half:
        disagree &= np.abs(away) != _HALF_DAY_MS
    fill = ~np.isfinite(exact) & np.isfinite(text)
    slack = np.where(np.isfinite(epochs.ms), epochs.slack_ms, np.inf)
    disagree |= fill & (np.abs(text - epochs.ms) > slack)
    rejected: RejectedTimes = {}
    if disagree.any():
        rejected[f"{epochs.name} and {name} disagree"] = disagree
    if fill.any():
        shown = clock.hours[fill & ~clock.has_half]
        if lost_half and not ((shown == 0) | (shown > 12)).any():
            rejected[f"{epochs.name} is rounded and {name} does not say which half of the day"] = fill
        notes.add_finding(
            "time", f"{epochs.name}, or {name} where it is rounded",
            f"{share(int(fill.sum()), len(fill))} have an epoch in few digits, all but {int((disagree & fill).sum())} "
            f"of them within its rounding of {name}, whose hours go up to {np.nanmax(shown, initial=0):.0f} there",
        )  # fmt: skip
    else:
        agreeing = int((np.abs(away) < _SECOND_MS).sum())
        notes.add_finding("time", epochs.name, f"epoch; {name} says the same in {share(agreeing, len(exact))}")
    return Times(np.where(fill, text, exact), np.where(fill, again, np.nan), rejected)


def _zone_of_text(
    epochs: _Epochs, clock: Clock, settings: ImportSettings, name: str, notes: ImportNotes
) -> tuple[str | None, bool]:
    """The zone of a text column that stands beside epochs, None if it is some other; whether AM and PM were lost."""
    if clock.is_utc_known:
        return None, False
    away = clock.ms - epochs.exact
    is_finite = np.isfinite(away)
    equal, total = int((np.abs(away[is_finite]) < _SECOND_MS).sum()), int(is_finite.sum())
    halved = is_finite & (np.abs(away) == _HALF_DAY_MS)
    if total and equal > 0.9 * total:
        notes.add_finding("time zone", "UTC", f"{name} equals the epoch {epochs.name} in {share(equal, total)}")
        return "UTC", False
    if total and equal + int(halved.sum()) > 0.9 * total and np.nanmax(clock.hours[is_finite]) <= 12:
        notes.add_finding(
            f"clock of {name}", "12 hours, AM and PM lost",
            f"{int(halved.sum()):,} of {total:,} rows lie 12 hours from their epoch, and no hour beside an exact "
            "epoch is over 12; the epochs count",
        )  # fmt: skip
        return "UTC", True
    if settings.timezone is not None:
        notes.add_finding("time zone", settings.timezone, "given")
        return settings.timezone, False
    if total:
        hours = np.median(away[is_finite]) / 3_600_000
        notes.add_finding(f"time zone of {name}", "not UTC", f"mostly {hours:+g} hours from the epoch, which counts")
    return None, False
