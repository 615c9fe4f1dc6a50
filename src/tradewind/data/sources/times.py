"""Opening times of bars from whatever a file has: epochs, instants, or local text."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from tradewind.data.files.cells import MS_PER_UNIT, FloatArray, epoch_units, parse_numbers
from tradewind.data.files.dialect import BarDialect
from tradewind.errors import BadData

_HAS_OFFSET = r"(?:[zZ]|[+-]\d\d:?\d\d)\s*$"


def read_open_time(times: pd.Series, dialect: BarDialect, bar_ms: int, where: str) -> pd.Series:
    """Opening times; cells that cannot be read stay as they are, for quarantine.

    Args:
        times: of the bars, as they stand in the file.
        dialect: unit, format and zone of the times, and whether they are of the open or the close.
        bar_ms: length of a bar, milliseconds.
        where: the file, for messages.

    Returns:
        UTC milliseconds: int64 where every cell was read, otherwise a column of objects.

    Raises:
        BadData: the unit, the format or the zone is not clear, or is not the configured one.
    """
    if pd.api.types.is_datetime64_any_dtype(times.dtype):
        values = _from_instants(times, dialect)
    else:
        values = _from_cells(times, dialect, where)
    if dialect.time_is == "close":
        # Some venues stamp the close with the last millisecond inside the bar.
        values = np.where(values % 1_000 == 999, values + 1, values) - bar_ms
    if np.isfinite(values).all():
        return pd.Series(values.astype(np.int64), name="open_time")
    cells = times.to_numpy(dtype=object).copy()
    is_read = np.isfinite(values)
    cells[is_read] = values[is_read].astype(np.int64)
    return pd.Series(cells, name="open_time", dtype=object)


def _from_instants(times: pd.Series, dialect: BarDialect) -> FloatArray:
    if not isinstance(times.dtype, pd.DatetimeTZDtype):
        times = _localise(times, dialect.zone)
    naive = times.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[ms]")
    return np.where(np.isnat(naive), np.nan, naive.astype(np.int64).astype(np.float64))


def _localise(times: pd.Series, timezone: str) -> pd.Series:
    """Instants in `timezone`; missing where the clock showed that time twice or never."""
    return times.dt.tz_localize(timezone, ambiguous="NaT", nonexistent="NaT")


def _from_cells(times: pd.Series, dialect: BarDialect, where: str) -> FloatArray:
    numbers = parse_numbers(times)
    is_text_time = dialect.time_format is not None or dialect.time_unit == "iso"
    if is_text_time or (dialect.time_unit == "auto" and np.isnan(numbers).sum() * 2 > len(numbers)):
        return _from_text(times, dialect, where)
    return _from_epochs(numbers, dialect, where)


def _from_epochs(numbers: FloatArray, dialect: BarDialect, where: str) -> FloatArray:
    fits = epoch_units(numbers)
    seen = {unit: int(rows.sum()) for unit, rows in fits.items() if rows.any()}
    unit: str = dialect.time_unit
    if unit == "auto":
        if len(seen) > 1 and (joined := _one_after_the_other(numbers, fits)) is not None:
            return joined
        if len(seen) > 1:
            rows = ", ".join(f"row {_first(fits[name])} as {name}" for name in seen)
            raise BadData(
                f"{where}: times are in more than one epoch unit ({rows}): give another time column in "
                "dialect.columns, say dialect.time_unit to quarantine the others, or repair the file"
            )
        if not seen:
            raise BadData(
                f"{where}: no time is an epoch between 1990 and 2100 in s, ms, us or ns; row 0 holds "
                f"{numbers[0]:.0f}. Give dialect.columns.open_time or dialect.time_format"
            )
        unit = next(iter(seen))
    elif seen.get(unit, 0) * 2 < len(numbers):
        likely = max(seen, key=lambda name: seen[name]) if seen else "none of s, ms, us, ns"
        row = _first(~fits[unit])
        raise BadData(
            f"{where}: dialect.time_unit is {unit}, but row {row} holds {numbers[row]:.0f}, no instant between "
            f"1990 and 2100 in it; most times look like {likely}. Correct dialect.time_unit"
        )
    in_ms = numbers * MS_PER_UNIT[unit]
    # Nanoseconds exceed 2**53: rounding takes back what float64 lost.
    return np.where(fits[unit], np.rint(in_ms), np.nan)


def _one_after_the_other(numbers: FloatArray, fits: dict[str, npt.NDArray[np.bool_]]) -> FloatArray | None:
    """Instants of a file whose unit changed once and for all, as an exchange's files do; None if it is otherwise.

    No value fits two units, so only a stray one could mislead: all that are read must go on in time.
    """
    found = np.full(len(numbers), np.nan)
    unit = np.full(len(numbers), -1)
    for number, (name, rows) in enumerate(fits.items()):
        found[rows], unit[rows] = np.rint(numbers[rows] * MS_PER_UNIT[name]), number
    read = np.isfinite(found)
    changes = int((np.diff(unit[read]) != 0).sum())
    steps = np.diff(found[read])
    return found if changes == 1 and ((steps >= 0).all() or (steps <= 0).all()) else None


def _from_text(times: pd.Series, dialect: BarDialect, where: str) -> FloatArray:
    text = times.astype("str").str.strip()
    has_offset = text.str.contains(_HAS_OFFSET, regex=True, na=False)
    if dialect.time_format is None and has_offset.any() and not has_offset[text.notna() & (text != "")].all():
        raise BadData(
            f"{where}: some times have a zone, others none (row {_first(has_offset.to_numpy())} has one, row "
            f"{_first(~has_offset.to_numpy())} has not): repair the file or give another time column"
        )
    has_zone = "%z" in dialect.time_format if dialect.time_format else bool(has_offset.any())
    parsed = pd.to_datetime(text, format=dialect.time_format or "ISO8601", errors="coerce", utc=has_zone)
    if parsed.isna().sum() * 2 > len(parsed):
        row = _first(parsed.isna().to_numpy())
        required = f"in the format {dialect.time_format}" if dialect.time_format else "ISO 8601"
        raise BadData(
            f"{where}: times must be epochs or {required}; row {row} of column {times.name!r} holds "
            f"{times.iloc[row]!r}. Give its strptime format in dialect.time_format, such as '%d.%m.%Y %H:%M:%S'"
        )
    return _from_instants(parsed, dialect)


def _first(rows: npt.NDArray[np.bool_]) -> int:
    return int(np.flatnonzero(rows)[0]) if rows.any() else 0
