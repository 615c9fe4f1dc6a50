"""Times that are text, in whatever order, clock and zone people write them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tradewind.data.files.cells import FloatArray
from tradewind.data.files.dialect import DateOrder
from tradewind.data.files.findings import ImportNotes, share

_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
_PATTERN = (
    r"^\s*(?P<a>\d{1,4})[-/.](?P<b>\d{1,2})[-/.](?P<c>\d{1,4})"
    r"(?:[T ,]+(?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?)?"
    r"(?:[- ]?(?P<half>[AaPp])[Mm])?)?\s*(?P<zone>Z|z|(?:UTC|GMT)?[+-]\d{2}:?\d{2}|UTC|GMT)?\s*$"
)
_GROUPS = ("a", "b", "c", "hour", "minute", "second", "part", "half", "zone")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_COMPACT = r"^\s*((?:19|20)\d{2})(\d{2})(\d{2})[ T]?(\d{2}):?(\d{2})\s*$"
_COMPACT_SECONDS = r"^\s*((?:19|20)\d{2})(\d{2})(\d{2})[ T]?(\d{2}):?(\d{2}):?(\d{2})\s*$"
_COMPACT_DAY = r"^\s*((?:19|20)\d{2})(\d{2})(\d{2})\s*$"
_FIELDS = {"ymd": ("a", "b", "c"), "dmy": ("c", "b", "a"), "mdy": ("c", "a", "b")}
_WORDS = {"ymd": "year first", "dmy": "day first", "mdy": "month first"}


@dataclass(frozen=True)
class Clock:
    """Times as a clock shows them: `ms` since 1970 by that clock, NaN where unreadable.

    `offset_ms` is what the text itself says the clock is ahead of UTC, NaN where it says nothing. `hours` are the hours
    as written, and `has_half` says which came with AM or PM.
    """

    ms: FloatArray
    offset_ms: FloatArray
    hours: FloatArray
    has_half: npt.NDArray[np.bool_]

    @property
    def is_utc_known(self) -> bool:
        """Whether every readable time says its zone."""
        return bool(np.isfinite(self.offset_ms[np.isfinite(self.ms)]).all())


@dataclass(frozen=True)
class DatedText:
    """The parts of text times, before it is known which field of the date is the day."""

    parts: dict[str, FloatArray]
    widths: dict[str, npt.NDArray[np.int64]]
    has_half: npt.NDArray[np.bool_]
    offset_ms: FloatArray

    @classmethod
    def split(cls, text: pa.Array) -> "DatedText":
        """The parts of each cell; NaN where a cell is no time."""
        found = pc.extract_regex(_spelled_out(text), _PATTERN)
        cells = {name: pc.struct_field(found, name) for name in _GROUPS}
        numbers = {name: _numbers(cells[name]) for name in ("a", "b", "c", "hour", "minute", "second")}
        padded = pc.utf8_rpad(pc.if_else(pc.equal(cells["part"], ""), "0", cells["part"]), 9, "0")
        numbers["part"] = _numbers(padded) / 1e6
        half = pc.utf8_lower(cells["half"])
        late, early = _mask(pc.equal(half, "p")), _mask(pc.equal(half, "a"))
        hour = np.where(np.isnan(numbers["hour"]) & ~np.isnan(numbers["a"]), 0.0, numbers["hour"])
        numbers["written"] = hour
        is_wrong = (late | early) & ((hour < 1) | (hour > 12))
        numbers["hour"] = np.where(is_wrong, np.nan, np.where(late | early, hour % 12 + 12 * late, hour))
        widths = {name: pc.utf8_length(cells[name]).fill_null(0).to_numpy(zero_copy_only=False) for name in ("a", "c")}
        return cls(numbers, widths, late | early, _offsets(cells["zone"]))

    def read(self, order: str) -> Clock:
        """The times if dates are in `order`; two-digit years are of this century."""
        year, month, day = (self.parts[name] for name in _FIELDS[order])
        digits = self.widths["a" if order == "ymd" else "c"]
        short = (digits == 2) & ~(digits == 4).any()  # beside years of four digits, two digits are no year
        year = np.where(digits == 4, year, np.where(short, year + 2000, np.nan))
        clock = [self.parts[name] for name in ("hour", "minute", "second")]
        hour, minute, second = (np.where(np.isnan(part) & ~np.isnan(self.parts["hour"]), 0.0, part) for part in clock)
        fits = (year >= 1900) & (year <= 2200) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
        fits &= (hour <= 23) & (minute <= 59) & (second <= 59)
        months = np.where(fits, (year - 1970) * 12 + month - 1, 0).astype(np.int64)
        first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
        following = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
        fits &= day <= following - first
        part = np.where(np.isnan(self.parts["part"]), 0.0, self.parts["part"])
        ms = (first + day - 1) * _DAY_MS + hour * _HOUR_MS + minute * 60_000 + second * 1_000 + part
        return Clock(np.where(fits, ms, np.nan), self.offset_ms, self.parts["written"], self.has_half)


def read_text_times(
    text: pa.Array, name: str, given: DateOrder | None, epochs: FloatArray | None, notes: ImportNotes
) -> Clock | None:
    """The times of a text column, its date order found, given, or asked for (None).

    Args:
        text: the cells.
        name: the column, for messages.
        given: the date order that the user says.
        epochs: exact epoch milliseconds of the same rows, where another column has them; NaN elsewhere.
        notes: what was found, or is needed.
    """
    dated = DatedText.split(text)
    clocks = {order: dated.read(order) for order in ([given] if given else _orders(dated))}
    readable = {order: int(np.isfinite(clock.ms).sum()) for order, clock in clocks.items()}
    most = max(readable.values(), default=0)
    if most == 0:
        return None
    left = {order: clock for order, clock in clocks.items() if readable[order] > most * 0.9}
    if given:
        notes.add_finding(f"date order of {name}", _WORDS[given], "given")
    elif len(left) == 1 and len(clocks) == 1:
        notes.add_finding(f"date order of {name}", _WORDS[next(iter(left))], "the first field has four digits")
    elif len(left) == 1:
        _note_impossible(dated, clocks, next(iter(left)), name, notes)
    else:
        chosen = _by_other_evidence(left, epochs, name, notes)
        if chosen is None:
            row = int(np.flatnonzero(np.isfinite(next(iter(left.values())).ms))[0])
            notes.add_missing(
                "date_order=ORDER",
                f"column {name!r} can be read in {len(left)} ways, such as {text[row].as_py()!r} in row {row}: "
                f"{' or '.join(left)}",
            )
            return None
        return left[chosen]
    return next(iter(left.values()))


def to_utc(clock: Clock, zone: str | None) -> tuple[FloatArray, FloatArray]:
    """UTC milliseconds of the times, NaN where unreadable or never shown, and the second instant of those shown twice.

    Without a zone only what the text itself says of its offset counts.
    """
    has_offset = np.isfinite(clock.offset_ms)
    utc, again = np.where(has_offset, clock.ms - clock.offset_ms, np.nan), np.full(len(has_offset), np.nan)
    rows = np.flatnonzero(~has_offset & np.isfinite(clock.ms))
    if zone is None or len(rows) == 0:
        return utc, again
    if zone in ("UTC", "Etc/UTC"):
        utc[rows] = clock.ms[rows]
        return utc, again
    whole_ms = np.floor(clock.ms[rows])
    local = pd.DatetimeIndex(whole_ms.astype(np.int64).astype("datetime64[ms]"))
    summer, winter = (_localised(local, zone, is_summer) for is_summer in (True, False))
    utc[rows] = np.fmin(summer, winter) + (clock.ms[rows] - whole_ms)
    again[rows] = np.where(summer != winter, np.fmax(summer, winter), np.nan)
    return utc, again


def _localised(local: pd.DatetimeIndex, zone: str, is_summer: bool) -> FloatArray:
    instants = local.tz_localize(zone, ambiguous=np.full(len(local), is_summer), nonexistent="NaT")
    naive = instants.tz_convert("UTC").tz_localize(None).to_numpy("datetime64[ms]")
    return np.where(np.isnat(naive), np.nan, naive.astype(np.int64).astype(np.float64))


def _numbers(cells: pa.Array) -> FloatArray:
    return pc.cast(pc.if_else(pc.equal(cells, ""), None, cells), pa.float64()).to_numpy(zero_copy_only=False)


def _mask(cells: pa.Array) -> npt.NDArray[np.bool_]:
    return cells.fill_null(False).to_numpy(zero_copy_only=False)


def _offsets(zones: pa.Array) -> FloatArray:
    """How many milliseconds each clock is ahead of UTC, NaN where the text does not say."""
    ahead = {zone: _offset(zone) for zone in pc.unique(zones).to_pylist() if zone}
    offsets = np.full(len(zones), np.nan)
    for zone, milliseconds in ahead.items():
        offsets[_mask(pc.equal(zones, zone))] = milliseconds
    return offsets


def _spelled_out(text: pa.Array) -> pa.Array:
    """The cells with months by number and with marks between the fields: 05-Jan-24, Jan 5, 2024, 20240105 093000."""
    if _has(text, r"(?i)[a-z]{3}"):
        for number, month in enumerate(_MONTHS, start=1):
            if not _has(text, f"(?i){month}"):
                continue
            for year, to in ((r"(\d{4})", ""), (r"(\d{2})", "20")):
                day_first = rf"(?i)^\s*(\d{{1,2}})[-/ .]{month}[a-z]*[-/ ,.]+{year}\b"
                month_first = rf"(?i)^\s*{month}[a-z]*[-/ .]+(\d{{1,2}})[-/ ,]+{year}\b"
                for pattern in (day_first, month_first):
                    text = pc.replace_substring_regex(text, pattern, rf"{to}\2-{number:02d}-\1")
    if _has(text, _COMPACT):
        text = pc.replace_substring_regex(text, _COMPACT, r"\1-\2-\3 \4:\5:00")
    if _has(text, _COMPACT_SECONDS):
        text = pc.replace_substring_regex(text, _COMPACT_SECONDS, r"\1-\2-\3 \4:\5:\6")
    if _has(text, _COMPACT_DAY):
        text = pc.replace_substring_regex(text, _COMPACT_DAY, r"\1-\2-\3")
    return text


def _has(text: pa.Array, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(text, pattern)).as_py())


def _offset(zone: str) -> float:
    zone = zone.upper().removeprefix("UTC").removeprefix("GMT") or "Z"
    if zone[0] not in "+-":
        return 0.0
    minutes = int(zone[1:3]) * 60 + int(zone[-2:])
    return (-1 if zone[0] == "-" else 1) * minutes * 60_000.0


def _orders(dated: DatedText) -> list[str]:
    """The orders that the width of the fields leaves."""
    if (dated.widths["a"] == 4).any():
        return ["ymd"]
    return ["dmy", "mdy"] if (dated.widths["c"] == 4).any() else ["dmy", "mdy", "ymd"]


def _note_impossible(dated: DatedText, clocks: dict[str, Clock], order: str, name: str, notes: ImportNotes) -> None:
    """Say which row rules the other orders out."""
    refuted = []
    for other, clock in clocks.items():
        if other != order:
            row = int(np.flatnonzero(np.isfinite(clocks[order].ms) & ~np.isfinite(clock.ms))[0])
            fields = ", ".join(f"{dated.parts[field][row]:.0f}" for field in "abc")
            refuted.append(f"not {_WORDS[other]}: row {row} has the fields {fields}")
    notes.add_finding(f"date order of {name}", _WORDS[order], "; ".join(refuted))


def _by_other_evidence(left: dict[str, Clock], epochs: FloatArray | None, name: str, notes: ImportNotes) -> str | None:
    """The one order that agrees with the epochs to within a day, or else in which the times step evenly."""
    if epochs is not None and np.isfinite(epochs).any():
        agreeing = {order: int((np.abs(clock.ms - epochs) <= _DAY_MS).sum()) for order, clock in left.items()}
        n_epochs = int(np.isfinite(epochs).sum())
        fits = [order for order, rows in agreeing.items() if rows > 0.95 * n_epochs]
        if len(fits) == 1:
            notes.add_finding(
                f"date order of {name}", _WORDS[fits[0]],
                f"agrees with the epochs in {share(agreeing[fits[0]], n_epochs)}, no other order does",
            )  # fmt: skip
            return fits[0]
    jumps = {order: _largest_step_days(clock.ms) for order, clock in left.items()}
    even = [order for order, days in jumps.items() if days <= 7]
    if len(even) == 1 and all(days >= 27 for order, days in jumps.items() if order != even[0]):
        others = ", ".join(f"{days:.0f} days if {_WORDS[order]}" for order, days in jumps.items() if order != even[0])
        notes.add_finding(
            f"date order of {name}", _WORDS[even[0]],
            f"the largest step between rows is then {jumps[even[0]]:.1f} days, and {others}",
        )  # fmt: skip
        return even[0]
    return None


def _largest_step_days(ms: FloatArray) -> float:
    steps = np.abs(np.diff(ms[np.isfinite(ms)]))
    return float(steps.max() / _DAY_MS) if len(steps) else 0.0
