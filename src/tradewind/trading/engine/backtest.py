"""Accounts over a history: the fold of `step.trade` over bars, for one symbol or many that share their cash."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from tradewind.errors import BadData
from tradewind.trading.engine.step import (
    ACCEPTED,
    FILL_SIZE,
    HELD,
    LAST_CLOSE,
    LIQUIDATION,
    STATE_SIZE,
    UNITS,
    WORKING,
    Bar,
    Terms,
    rests,
    terms,
    trade,
)
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules

Floats = NDArray[np.float64]
ACCOUNT = ["position", "gross", "cost", "funding", "net", "equity"]
HOURS_A_YEAR = 8766.0
MARKET = OrderRules()
_ROWS = ("open", "high", "low", "close", "volume", "volatility", "usual_volume", "funding_rate")


@dataclass(frozen=True)
class History:
    """What the account lives through, one entry a bar: prices, the volatility known at the close (per bar), the
    funding rate paid within the bar, the segment; and the volume in units, with its usual size as known at the close.

    Without high and low, the bar's open and close are its range; without volume, an order of any size is filled.
    """

    open: Floats
    close: Floats
    volatility: Floats
    funding_rate: Floats
    segment: NDArray[np.int32]
    high: Floats | None = None
    low: Floats | None = None
    volume: Floats | None = None
    usual_volume: Floats | None = None

    @classmethod
    def from_bars(
        cls, bars: pd.DataFrame, volatility: Floats, funding: pd.DataFrame | None = None, volume_window: int = 72
    ) -> "History":
        """From one symbol's bars and its funding settlements (`known_at`, `value`), if any.

        A settlement belongs to the bar that contains it: open_time < known_at <= timestamp. The usual volume is the
        mean of the last `volume_window` bars, the present one included.
        """
        rate = np.zeros(len(bars))
        if funding is not None and len(funding):
            opened, closed, known = (
                table[name].dt.tz_localize(None).to_numpy()
                for table, name in ((bars, "open_time"), (bars, "timestamp"), (funding, "known_at"))
            )
            place = np.searchsorted(closed, known, side="left")
            inside = place < len(bars)
            inside[inside] = opened[place[inside]] < known[inside]
            np.add.at(rate, place[inside], funding["value"].to_numpy()[inside])

        def column(name: str) -> Floats | None:
            return np.ascontiguousarray(bars[name].to_numpy(dtype=np.float64)) if name in bars else None

        volume = column("volume")
        usual = bars["volume"].rolling(volume_window, min_periods=1).mean().to_numpy() if volume is not None else None
        return cls(
            open=np.ascontiguousarray(bars["open"].to_numpy(dtype=np.float64)),
            close=np.ascontiguousarray(bars["close"].to_numpy(dtype=np.float64)),
            volatility=volatility, funding_rate=rate, segment=bars["segment"].to_numpy(dtype=np.int32),
            high=column("high"), low=column("low"), volume=volume, usual_volume=usual,
        )  # fmt: skip

    def rows(self, chosen: NDArray[np.bool_]) -> "History":
        """The history of the chosen bars alone."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        cut = {name: np.ascontiguousarray(values[chosen]) for name, values in given.items() if values is not None}
        return replace(self, **cut)

    def range(self) -> tuple[Floats, Floats]:
        """High and low of every bar."""
        high = np.maximum(self.open, self.close) if self.high is None else self.high
        low = np.minimum(self.open, self.close) if self.low is None else self.low
        return high, low

    @cached_property
    def matrix(self) -> Floats:
        """One row for each of what a bar is made of, in the order of `step.Bar`; made once, for all accounts on it."""
        out = np.empty((len(_ROWS), len(self.close)))
        high, low = self.range()
        volume = np.inf if self.volume is None else self.volume
        usual = 0.0 if self.usual_volume is None else self.usual_volume
        rows = (self.open, high, low, self.close, volume, self.volatility, usual, self.funding_rate)
        for at, values in enumerate(rows):
            out[at] = values
        np.nan_to_num(out[5], copy=False)
        return out


@dataclass(frozen=True)
class Result:
    """One account: what it was worth on every bar, and every fill.

    `account` has the columns of `ACCOUNT` as shares of the equity before the bar: position is the sum over the symbols
    of units at the close (`positions` has them one by one, shape (symbols, bars)). `fills` are rows of
    `step.FILL_SIZE`, in the order in which they happened.
    """

    account: pd.DataFrame
    positions: Floats
    fills: Floats


def backtest(
    history: History, target: Floats, costs: Costs, rules: OrderRules = MARKET, bars_per_year: float = HOURS_A_YEAR
) -> pd.DataFrame:
    """The account of one symbol bar by bar: position (share of equity at the close), gross, cost, funding, net, equity.

    A target decided at the close of row t is filled at the open of row t + 1 + `latency_bars`, at the cost that the
    volatility known at t implies. net = gross - cost - funding, as shares of the equity before the bar;
    equity[t] = equity[t - 1] * (1 + net[t]). At the end of a segment the position is closed at the last price, at cost.

    Raises:
        BadData: targets and bars differ in length, or a target is missing or beyond the leverage allowed.
    """
    return run(history, target, costs, rules, bars_per_year).account


def run(
    history: History, target: Floats, costs: Costs, rules: OrderRules = MARKET, bars_per_year: float = HOURS_A_YEAR
) -> Result:
    """The same with the fills; see `backtest`."""
    _check(target, len(history.close), rules, "")
    return _run(
        history.matrix[None], history.segment[None], np.ascontiguousarray(target, dtype=np.float64)[None], costs,
        rules, bars_per_year,
    )  # fmt: skip


def portfolio(
    histories: Mapping[str, History], targets: Mapping[str, Floats], timestamps: Mapping[str, NDArray[Any]],
    costs: Costs, rules: OrderRules = MARKET, bars_per_year: float = HOURS_A_YEAR,
) -> tuple[NDArray[Any], Result]:  # fmt: skip
    """Symbols that share one account's cash: the instants of all bars together, and the account over them.

    A target is a share of the whole account's equity. Where a symbol has no bar it is not traded and keeps its last
    price. Positions are sized by the equity at the bar's open, all symbols marked there.

    Raises:
        BadData: as `backtest`, with the symbol; or its timestamps do not rise.
    """
    names = list(histories)
    for name in names:
        late = np.flatnonzero(timestamps[name][1:] <= timestamps[name][:-1])
        if len(late):
            row = int(late[0]) + 1
            raise BadData(
                f"{name}: timestamps must rise, the bar at row {row} ({timestamps[name][row]}) does not come after the "
                "one before it: remove duplicates and sort"
            )
    instants = np.unique(np.concatenate([timestamps[name] for name in names]))
    bars = np.full((len(names), len(_ROWS), len(instants)), np.nan)
    segment = np.full((len(names), len(instants)), -1, dtype=np.int32)
    wanted = np.zeros((len(names), len(instants)))
    for at, name in enumerate(names):
        _check(targets[name], len(histories[name].close), rules, f"{name}: ")
        place = np.searchsorted(instants, timestamps[name])
        bars[at][:, place] = histories[name].matrix
        segment[at, place] = histories[name].segment
        wanted[at, place] = targets[name]
    return instants, _run(bars, segment, wanted, costs, rules, bars_per_year)


def _check(target: Floats, n_bars: int, rules: OrderRules, whose: str) -> None:
    if len(target) != n_bars:
        raise BadData(f"{whose}a target is needed for each bar: {n_bars} bars, {len(target)} targets")
    if n_bars and not (max(target.max(), -target.min()) <= rules.max_leverage):  # also true of NaN
        wrong = ~(np.abs(target) <= rules.max_leverage)
        row = int(np.flatnonzero(wrong)[0])
        raise BadData(
            f"{whose}targets must lie in [-{rules.max_leverage:g}, {rules.max_leverage:g}]: {int(wrong.sum())} do not, "
            f"the first is row {row}: {target[row]}"
        )


def _run(
    bars: Floats, segment: NDArray[np.int32], target: Floats, costs: Costs, rules: OrderRules, bars_per_year: float
) -> Result:
    out = np.empty((len(ACCOUNT), bars.shape[2]))
    positions = np.zeros((bars.shape[0], bars.shape[2]))
    fills = fold(
        bars, segment, target, terms(costs, rules, bars_per_year), order_book(costs), 1 + costs.latency_bars,
        out, positions,
    )  # fmt: skip
    return Result(pd.DataFrame(out.T, columns=ACCOUNT, copy=False), positions, fills)


def order_book(costs: Costs) -> Floats:
    """The measured book as two rows, values and shares; without columns where there is none."""
    points = np.array(costs.book, dtype=np.float64).reshape(-1, 2).T * np.array([[1.0], [1e-4]])
    return np.ascontiguousarray(points)


@njit(cache=True, nogil=True)
def fold(
    bars: Floats, segment: NDArray[np.int32], target: Floats, terms: Terms, book: Floats, delay: int,
    out: Floats, positions: Floats,
) -> Floats:  # fmt: skip
    """Every bar in turn: writes `out` (columns of `ACCOUNT`) and `positions`, returns the fills.

    `bars` has the shape (symbols, 8, bars), NaN where a symbol has no bar; `out` (6, bars) and `positions` (symbols,
    bars) may have no bars: then only the fills are kept. Decisions of another segment are void: the position was
    closed when it ended.
    """
    n_symbols, _, n_rows = bars.shape
    states = np.zeros((n_symbols, STATE_SIZE))
    recent = np.full((n_symbols, delay + 1), -1, dtype=np.int64)  # the last rows at which the symbol had a bar
    fills, count = np.empty((64, FILL_SIZE)), 0
    following = _following(segment)
    equity = 1.0
    kept = out.shape[1] > 0
    for row in range(n_rows):
        before, gross, cost, funding, moved = equity, 0.0, 0.0, 0.0, 0.0
        if before > 0.0:
            for at in range(n_symbols):
                if segment[at, row] >= 0 and states[at, UNITS] != 0.0:
                    moved += states[at, UNITS] * (bars[at, 0, row] - states[at, LAST_CLOSE])
            scale = _scale(segment, target, recent, row, terms.leverage) if n_symbols > 1 else 1.0
            for at in range(n_symbols):
                if segment[at, row] < 0:
                    continue
                for lag in range(delay, 0, -1):
                    recent[at, lag] = recent[at, lag - 1]
                recent[at, 0] = row
                decided = recent[at, delay]
                known = decided >= 0 and segment[at, decided] == segment[at, row]
                wanted = target[at, decided] * scale if known else 0.0
                ends = following[at, row] >= 0 and segment[at, following[at, row]] != segment[at, row]
                opening, close = bars[at, 0, row], bars[at, 3, row]
                if not ends and rests(states, at, wanted, before + moved, opening, bars[at, 1, row], terms):
                    units = states[at, UNITS]
                    if units != 0.0:
                        gross += units * (close - opening)
                        funding += units * opening * bars[at, 7, row] + max(-units, 0.0) * opening * terms.borrow
                        states[at, HELD] += 1.0
                    states[at, LAST_CLOSE] = close
                    continue
                bar = Bar(
                    opening, bars[at, 1, row], bars[at, 2, row], close, bars[at, 4, row],
                    bars[at, 5, decided] if known else 0.0, bars[at, 6, decided] if known else 0.0, bars[at, 7, row],
                )  # fmt: skip
                if count + 4 > len(fills):
                    wider = np.empty((2 * len(fills), FILL_SIZE))
                    wider[:count] = fills[:count]
                    fills = wider
                first = count
                one_gross, one_cost, one_funding, count = trade(
                    states, at, wanted, before + moved, bar, terms, book, ends, fills, count
                )
                for number in range(first, count):
                    fills[number, 0], fills[number, 1], fills[number, 6] = row, at, before
                gross += one_gross
                cost += one_cost
                funding += one_funding
            share = 1.0 / before
            gross, cost, funding = (gross + moved) * share, cost * share, funding * share
            net = gross - cost - funding
            if not net > -1.0 + 1e-12:
                # What a lender would lose beyond the equity is not the account's. The loss is not split into its
                # parts, so that it is the whole account to the last bit.
                gross, cost, funding, net, equity = -1.0, 0.0, 0.0, -1.0, 0.0
                for at in range(n_symbols):
                    if states[at, UNITS] != 0.0:
                        if count + 1 > len(fills):
                            wider = np.empty((2 * len(fills), FILL_SIZE))
                            wider[:count] = fills[:count]
                            fills = wider
                        fills[count] = np.array(
                            [row, at, -states[at, UNITS], states[at, LAST_CLOSE], 0.0, LIQUIDATION, before]
                        )
                        count += 1
                    states[at, UNITS] = states[at, WORKING] = states[at, ACCEPTED] = 0.0
            else:
                equity = before * (1.0 + net)
        if kept:
            value = 0.0
            for at in range(n_symbols):
                if equity > 0.0 and states[at, UNITS] != 0.0:
                    positions[at, row] = states[at, UNITS] * states[at, LAST_CLOSE] / equity
                    value += positions[at, row]
            lived = before > 0.0
            out[0, row] = value
            out[1, row], out[2, row], out[3, row] = (gross, cost, funding) if lived else (0.0, 0.0, 0.0)
            out[4, row] = gross - cost - funding if lived else 0.0
            out[5, row] = equity
    return fills[:count]


@njit(cache=True, nogil=True)
def _following(segment: NDArray[np.int32]) -> NDArray[np.int64]:
    """For each symbol and row the next row at which it has a bar, -1 after its last."""
    out = np.full(segment.shape, -1, dtype=np.int64)
    for at in range(segment.shape[0]):
        following = -1
        for row in range(segment.shape[1] - 1, -1, -1):
            if segment[at, row] >= 0:
                out[at, row] = following
                following = row
    return out


@njit(cache=True, nogil=True)
def _scale(segment: NDArray[np.int32], target: Floats, recent: NDArray[np.int64], row: int, leverage: float) -> float:
    """What brings the sum of the absolute targets now due within the leverage."""
    total, delay = 0.0, recent.shape[1] - 1
    for at in range(segment.shape[0]):
        decided = recent[at, delay - 1] if segment[at, row] >= 0 else recent[at, delay]
        if decided >= 0:
            total += abs(target[at, decided])
    return leverage / total if total > leverage * (1.0 + 1e-12) else 1.0
