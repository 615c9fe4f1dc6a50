"""What the universe did at each close, and side series as last known: folds that batch and stream share."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from tradewind.learning.features.bars import Floats

Integers = NDArray[np.int64]
SETTLED = "settled:"  # and the name of a series: the sum of what was published within the bar
MARKET_COLUMNS = ("market_return", "market_breadth", "market_dispersion")


def epoch_ms(instants: pd.Series) -> Integers:
    """UTC milliseconds of a column of instants, whatever its resolution."""
    return instants.dt.as_unit("ms").astype("int64").to_numpy()


class LastBar(NamedTuple):
    """What `fold_returns` carries: the last bar's log close, close instant (ms) and segment; -1 before the first."""

    log_close: float = np.nan
    timestamp: int = -1
    segment: int = -1


def fold_returns(
    last: LastBar, close: Floats, times: tuple[Integers, Integers], segment: NDArray[np.int32]
) -> tuple[LastBar, Floats]:
    """One-bar log returns of the bars that follow `last`; NaN across a gap or from one segment into another.

    Args:
        last: the state; `LastBar()` before the first bar.
        close: one a bar.
        times: (open_time, timestamp) of each bar, in milliseconds.
        segment: number of each bar's segment.

    Returns:
        The state after the last bar, and one return a bar.
    """
    if not len(close):
        return last, np.empty(0)
    level = np.concatenate(([last.log_close], np.log(close)))
    closed = np.concatenate(([last.timestamp], times[1]))
    number = np.concatenate(([last.segment], segment))
    is_next = (times[0] == closed[:-1]) & (number[1:] == number[:-1])
    returns = np.where(is_next, level[1:] - level[:-1], np.nan)
    return LastBar(float(level[-1]), int(closed[-1]), int(number[-1])), returns


@njit(cache=True, nogil=True)
def cross_section(returns: Floats) -> tuple[Floats, Floats]:
    """The market columns of `Chunk` from one return a symbol, NaN for a symbol that has none.

    Args:
        returns: (symbols, timestamps) one-bar log returns.

    Returns:
        (3, timestamps) mean, breadth and deviation of the returns, and the (symbols, timestamps) ranks.
    """
    n_symbols, n = returns.shape
    market, rank = np.full((3, n), np.nan), np.full((n_symbols, n), np.nan)
    for at in range(n):
        present, total, rises = 0, 0.0, 0.0
        for one in range(n_symbols):
            change = returns[one, at]
            if not np.isnan(change):
                present += 1
                total += change
                # A return of exactly 0 is neither a rise nor a fall.
                rises += 1.0 if change > 0 else 0.5 if change == 0 else 0.0
        if present == 0:
            continue
        mean, squares = total / present, 0.0
        for one in range(n_symbols):
            change = returns[one, at]
            if np.isnan(change):
                continue
            squares += (change - mean) * (change - mean)
        market[0, at], market[1, at], market[2, at] = mean, rises / present, np.sqrt(squares / present)
        order = np.argsort(returns[:, at])  # those without a return come last
        first = 0
        while first < present:
            after = first + 1
            while after < present and returns[order[after], at] == returns[order[first], at]:
                after += 1
            for place in range(first, after):
                rank[order[place], at] = (first + (after - first - 1) / 2) / (present - 1) if present > 1 else 0.5
            first = after
    return market, rank


def market_table(bars_by_symbol: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """What the universe did at each timestamp (UTC milliseconds): the market columns of `Chunk`, and each symbol's
    rank.

    One-bar log returns of the symbols that have a bar; a return across a gap does not count. The ranks stand in columns
    `rank:SYMBOL`. The order of the symbols does not matter.
    """
    symbols = sorted(bars_by_symbol)
    if not symbols:
        return pd.DataFrame(columns=list(MARKET_COLUMNS), dtype="float64")
    times = {name: epoch_ms(bars_by_symbol[name]["timestamp"]) for name in symbols}
    index = np.unique(np.concatenate(list(times.values())))
    returns = np.full((len(symbols), len(index)), np.nan)
    for row, name in enumerate(symbols):
        bars = bars_by_symbol[name]
        close = bars["close"].to_numpy(dtype=np.float64)
        instants, segment = (epoch_ms(bars["open_time"]), times[name]), bars["segment"].to_numpy(dtype=np.int32)
        returns[row, np.searchsorted(index, times[name])] = fold_returns(LastBar(), close, instants, segment)[1]
    market, rank = cross_section(returns)
    columns = [*MARKET_COLUMNS, *(f"rank:{name}" for name in symbols)]
    return pd.DataFrame(np.concatenate([market, rank]).T, index=index, columns=columns)


def as_known(timestamp: NDArray[np.int64], series: pd.DataFrame) -> Floats:
    """The latest value published at or before each timestamp; NaN before the first."""
    series = series.sort_values("known_at", kind="stable")
    known_at, value = epoch_ms(series["known_at"]), series["value"].to_numpy(dtype=np.float64)
    return fold_side(Published(), known_at, value, timestamp)[1]


def settled_within(known_at: NDArray[Any], value: Floats, open_time: NDArray[Any], timestamp: NDArray[Any]) -> Floats:
    """The sum of the values that were published within each bar: open_time < known_at <= timestamp.

    Args:
        known_at: when each value was published, of the type of the bars' instants.
        value: what was published.
        open_time: when each bar opens.
        timestamp: when it closes, in order.

    Returns:
        One sum a bar; 0 where nothing was published.
    """
    place = np.searchsorted(timestamp, known_at, side="left")
    inside = place < len(timestamp)
    inside[inside] = open_time[place[inside]] < known_at[inside]
    out = np.zeros(len(timestamp))
    np.add.at(out, place[inside], value[inside])
    return out


def fold_settled(
    state: "Published", known_at: Integers, value: Floats, times: tuple[Integers, Integers]
) -> tuple["Published", Floats]:
    """`settled_within` of the bars that follow those after which the state was `state`.

    Args:
        state: values that no bar has contained yet; `Published()` before the first bar.
        known_at: when each new value was published (ms), in order.
        value: the new values; a missing one says that nothing is paid.
        times: (open_time, timestamp) of each bar, in milliseconds.

    Returns:
        The state after the last bar, and one sum a bar.
    """
    is_paid = ~np.isnan(value)
    known = np.concatenate((state.known_at, known_at[is_paid]))
    values = np.concatenate((state.value, value[is_paid]))
    out = settled_within(known, values, *times)
    waits = known > times[1][-1] if len(times[1]) else np.ones(len(known), dtype=np.bool_)
    return Published(known[waits], values[waits]), out


class Published(NamedTuple):
    """What `fold_side` carries: values not known yet or no longer needed but the last, by `known_at` (ms)."""

    known_at: Integers = np.empty(0, dtype=np.int64)
    value: Floats = np.empty(0)


def fold_side(
    state: Published, known_at: Integers, value: Floats, timestamp: Integers, stale_after_ms: int = 0
) -> tuple[Published, Floats]:
    """A side series as known at the bars that follow those after which the state was `state`.

    Args:
        state: the state; `Published()` before the first bar.
        known_at: when each new value was published (ms), in order; of equal ones the last counts.
        value: the new values; NaN says that the series is known to be missing.
        timestamp: closes of the bars (ms), in order.
        stale_after_ms: silence after which the value is missing; 0: never. Batch tables hold such rows already.

    Returns:
        The state after the last bar, and the latest value published at or before each bar, NaN before the first.
    """
    published_at, values = state
    if len(known_at):
        published_at, values = np.concatenate((published_at, known_at)), np.concatenate((values, value))
        if np.any(published_at[1:] < published_at[:-1]):
            order = np.argsort(published_at, kind="stable")
            published_at, values = published_at[order], values[order]
    if not len(timestamp):
        return Published(published_at, values), np.empty(0)
    newest = np.searchsorted(published_at, timestamp, side="right") - 1
    out = np.where(newest >= 0, np.append(values, np.nan)[newest], np.nan)
    if stale_after_ms and len(published_at):
        out[(newest >= 0) & (timestamp - published_at[np.maximum(newest, 0)] >= stale_after_ms)] = np.nan
    first = max(int(newest[-1]), 0)
    return Published(published_at[first:], values[first:]), out
