"""What an account is given, checked where it enters: a wrong number is named, never traded on."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from tradewind.errors import BadData, BadParameters
from tradewind.trading.execution.orders import OrderRules

Floats = NDArray[np.float64]
_ROUNDING = 1e-9


def numbers(values: Any, name: str) -> Floats:
    """One number a bar, as a float64 array in one piece.

    Args:
        values: an array, a series or a list.
        name: what they are, for the message.

    Raises:
        BadData: they are no numbers, or not one-dimensional.
    """
    if np.iscomplexobj(values):
        raise BadData(f"{name} must be numbers, one a bar: found {_shown(values)}")
    if isinstance(values, np.ma.MaskedArray):  # what is masked is missing; numpy would give what lies beneath
        values = np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan)
    try:
        found = np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise BadData(f"{name} must be numbers, one a bar: found {_shown(values)}") from None
    if np.ndim(values) != 1:
        raise BadData(f"{name} must be one number a bar: found {np.ndim(values)} dimensions")
    return found


def refuse(is_wrong: NDArray[np.bool_], name: str, values: Any, must: str, remedy: str = "mend or drop them") -> None:
    """Raises with the count and the first of the rows that are wrong, if there are any.

    Args:
        is_wrong: one a row.
        name: of the column.
        values: of the column, one a row.
        must: what its values must be.
        remedy: what to do about it.

    Raises:
        BadData: a row is wrong.
    """
    rows = np.flatnonzero(is_wrong)
    if len(rows):
        first = int(rows[0])
        raise BadData(
            f"{name} must be {must}: {len(rows)} of {len(is_wrong)} rows are not, the first is row {first} "
            f"({values[first]}); {remedy}"
        )


def check_history(columns: Mapping[str, Floats], segment: NDArray[np.int32]) -> None:
    """What a bar must be to be traded on.

    Args:
        columns: of `backtest.History`, those that are given, by name, shape (bars,).
        segment: shape (bars,), from 0, rising.

    Raises:
        BadData: columns of different lengths; a price that is missing, infinite or not above 0; a range that does not
            hold the open and the close; a volatility, volume or funding rate that cannot be; segments that go back.
    """
    n_bars = len(columns["close"])
    lengths = {name: len(values) for name, values in columns.items()} | {"segment": len(segment)}
    for name, length in lengths.items():
        if length != n_bars:
            raise BadData(f"{name} must have one value for each bar: {n_bars} closes, {length} values of {name}")
    for name in ("open", "high", "low", "close"):
        if name in columns:
            values = columns[name]
            refuse(~((values > 0) & (values < np.inf)), name, values, "above 0 and finite")
    opening, close = columns["open"], columns["close"]
    if "high" in columns:
        top = np.maximum(opening, close) * (1 - _ROUNDING)
        refuse(columns["high"] < top, "high", columns["high"], "at least the open and the close")
    if "low" in columns:
        bottom = np.minimum(opening, close) * (1 + _ROUNDING)
        refuse(columns["low"] > bottom, "low", columns["low"], "at most the open and the close")
    # A volatility that is not known yet is NaN, and costs are then those without it.
    volatility, rate = columns["volatility"], columns["funding_rate"]
    refuse((volatility < 0) | np.isinf(volatility), "volatility", volatility, "0 or more and finite, NaN where unknown")
    refuse(~np.isfinite(rate), "funding_rate", rate, "finite", "a settlement without a value is 0 or is left out")
    for name in ("volume", "usual_volume"):
        if name in columns:
            values = columns[name]
            refuse(~((values >= 0) & (values < np.inf)), name, values, "0 or more and finite")
    back = np.concatenate(([False], segment[1:] < segment[:-1])) if len(segment) else np.zeros(0, dtype=bool)
    refuse(back | (segment < 0), "segment", segment, "a whole number from 0 that never falls", "sort the bars by time")


def check_bars(bars: pd.DataFrame, funding: pd.DataFrame | None) -> None:
    """That a table of bars, and one of funding settlements, has what an account reads.

    Raises:
        BadData: no table, a column that is missing, an instant without a time zone, or a settlement without a value.
    """
    _require(bars, ("open", "close", "segment"), "bars")
    if funding is None or not len(funding):
        return
    _require(bars, ("open_time", "timestamp"), "bars with funding")
    _require(funding, ("known_at", "value"), "funding")
    for table, name in ((bars, "open_time"), (bars, "timestamp"), (funding, "known_at")):
        if getattr(table[name].dt, "tz", None) is None if hasattr(table[name], "dt") else True:
            raise BadData(f"{name} must be instants with a time zone: found {table[name].dtype}; use utc=True")
    value = numbers(funding["value"], "funding's value")
    refuse(~np.isfinite(value), "funding's value", value, "finite", "drop settlements without a value")


def _require(table: pd.DataFrame, names: tuple[str, ...], what: str) -> None:
    if not isinstance(table, pd.DataFrame):
        raise BadData(f"{what} must be a table (pandas.DataFrame): found {type(table).__name__}")
    missing = [name for name in names if name not in table]
    if missing:
        hint = "; market.segments.assign_segments gives it, or 0 for bars without gaps" if "segment" in missing else ""
        raise BadData(f"{what} must have the column {', '.join(missing)}: found {', '.join(map(str, table))}{hint}")


def checked_targets(target: Any, n_bars: int, rules: OrderRules, whose: str = "") -> Floats:
    """Targets as numbers, one a bar, each within the leverage allowed.

    Args:
        target: signed shares of equity decided at each close.
        n_bars: how many bars there are.
        rules: whose `max_leverage` bounds them.
        whose: the symbol, put before the message.

    Raises:
        BadData: they differ from the bars in length, or one is missing or beyond the leverage allowed.
    """
    found = numbers(target, f"{whose}targets")
    if len(found) != n_bars:
        raise BadData(f"{whose}a target is needed for each bar: {n_bars} bars, {len(found)} targets")
    wrong = ~(np.abs(found) <= rules.max_leverage)  # also true of NaN
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise BadData(
            f"{whose}targets must lie in [-{rules.max_leverage:g}, {rules.max_leverage:g}]: {int(wrong.sum())} do not, "
            f"the first is row {row}: {found[row]}; 0 where there is none, or raise execution.max_leverage"
        )
    return found


def checked_timestamps(values: Any, n_bars: int, whose: str = "") -> NDArray[Any]:
    """Instants, one a bar, rising.

    Args:
        values: the close of each bar.
        n_bars: how many bars there are.
        whose: the symbol, put before the message.

    Raises:
        BadData: they differ from the bars in length, one is missing, or they do not rise.
    """
    found = np.asarray(values)
    if found.ndim != 1 or len(found) != n_bars:
        raise BadData(f"{whose}a timestamp is needed for each bar: {n_bars} bars, {found.size} timestamps")
    missing = pd.isna(found)
    if missing.any():
        raise BadData(f"{whose}timestamps must be given: row {int(np.flatnonzero(missing)[0])} has none; drop the bar")
    late = np.flatnonzero(~(found[1:] > found[:-1]))
    if len(late):
        row = int(late[0]) + 1
        raise BadData(
            f"{whose}timestamps must rise, the bar at row {row} ({found[row]}) does not come after the "
            "one before it: remove duplicates and sort"
        )
    return found


def check_rows(bars: Floats, segment: NDArray[np.int32], target: Floats) -> None:
    """What `account.advance` steps over: shapes that agree, and prices, rates and targets wherever there is a bar.

    Args:
        bars: shape (symbols, 8, bars) in the order of `step.Bar`.
        segment: shape (symbols, bars); -1 where a symbol has no bar.
        target: shape (symbols, bars).

    Raises:
        BadData: another shape, a price that is not above 0 and finite, or a rate, volume or target that is missing.
    """
    if bars.ndim != 3 or segment.shape != (bars.shape[0], bars.shape[2]) or target.shape != segment.shape:
        raise BadData(
            "bars, segment and target must have the shapes (symbols, 8, bars), (symbols, bars), (symbols, bars): found "
            f"{bars.shape}, {segment.shape}, {target.shape}"
        )
    symbol, row, column = _first_fault(bars, segment, target)
    if symbol >= 0:
        name = (*_COLUMNS, "target")[column]
        value = target[symbol, row] if column == len(_COLUMNS) else bars[symbol, column, row]
        must = "above 0 and finite" if column < _PRICES else "given"
        raise BadData(f"{name} must be {must}: symbol {symbol} has {value} at row {row}; mend or drop the bar")


_COLUMNS = ("open", "high", "low", "close", "volume", "volatility", "usual_volume", "funding_rate")
_PRICES = 4


@njit(cache=True, nogil=True)
def _first_fault(bars: Floats, segment: NDArray[np.int32], target: Floats) -> tuple[int, int, int]:
    for symbol in range(bars.shape[0]):
        for row in range(bars.shape[2]):
            if segment[symbol, row] < 0:
                continue
            for column in range(8):
                value = bars[symbol, column, row]
                wrong = not 0.0 < value < np.inf if column < 4 else np.isnan(value)
                if wrong:
                    return symbol, row, column
            if not abs(target[symbol, row]) < np.inf:
                return symbol, row, 8
    return -1, -1, -1


def check_symbols(histories: Mapping[str, Any], **others: Mapping[str, Any]) -> None:
    """That there are symbols, and that the other tables have the same ones.

    Raises:
        BadData: no symbol, or one that a table lacks or has besides.
    """
    if not histories:
        raise BadData("an account needs at least one symbol: histories is empty")
    for what, given in others.items():
        missing, besides = sorted(set(histories) - set(given)), sorted(set(given) - set(histories))
        if missing or besides:
            told = f"{', '.join(missing)} missing" if missing else f"{', '.join(besides)} without a history"
            raise BadData(f"{what} must have the symbols of the histories: {told}")


def check_ends(ends: Mapping[str, Any] | None, closes: Mapping[str, NDArray[Any]]) -> None:
    """That the ends that are stated are instants of these symbols, after which they have no bars.

    Args:
        ends: by symbol, as far as stated; None: none is.
        closes: by symbol, the close of each bar, rising.

    Raises:
        BadData: an end of another symbol, one that is no instant, or one before a bar.
    """
    for name, end in (ends or {}).items():
        if name not in closes:
            raise BadData(f"ends must be of the histories' symbols: {name} has no history")
        try:
            is_before = int(np.searchsorted(closes[name], end, side="right")) < len(closes[name])
        except (TypeError, ValueError):
            raise BadData(f"{name}: its end must be an instant as its timestamps are: found {_shown(end)}") from None
        if is_before:
            raise BadData(f"{name}: it ends at {end}, and has a bar at {closes[name][-1]}: drop its bars after the end")


def check_year(bars_per_year: float | None) -> None:
    """Raises BadParameters unless there are bars in a year, or it is not said (None) how many."""
    if bars_per_year is not None and not 0 < bars_per_year < np.inf:
        raise BadParameters(f"bars_per_year must be above 0 and finite: found {bars_per_year}")


def _shown(values: Any) -> str:
    return f"{type(values).__name__} {str(values)[:60]}"
