"""Accounts over a whole history, for one symbol or many that share their cash; see `account` for the loop."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.learning.features.market_columns import settled_within
from tradewind.market.volatility import usual_volume
from tradewind.trading.engine.account import ACCOUNT as ACCOUNT  # the columns, for those who read a `Result`
from tradewind.trading.engine.account import advance, begin
from tradewind.trading.engine.endings import add_closing_bars
from tradewind.trading.engine.inputs import (
    check_bars,
    check_ends,
    check_history,
    check_symbols,
    check_year,
    checked_targets,
    checked_timestamps,
    numbers,
)
from tradewind.trading.engine.step import trading_schedule
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules

Floats = NDArray[np.float64]
MARKET = OrderRules()
_ROWS = ("open", "high", "low", "close", "volume", "volatility", "usual_volume", "funding_rate")


@dataclass(frozen=True)
class History:
    """Market inputs of one symbol's account, one entry a bar: prices, the volatility known at the close (per bar), the
    funding rate paid within the bar, the segment; and the volume in units, with its usual size as known at the close.

    Without high and low, the bar's open and close are its range; without volume, an order of any size is filled. What
    cannot be traded on is refused when the history is made (`inputs.check_history`).
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

    def __post_init__(self) -> None:
        given = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "segment"}
        columns = {name: numbers(values, name) for name, values in given.items() if values is not None}
        segment = numbers(self.segment, "segment").astype(np.int32)
        check_history(columns, segment)
        for name, values in (*columns.items(), ("segment", segment)):
            object.__setattr__(self, name, values)

    @classmethod
    def from_bars(
        cls, bars: pd.DataFrame, volatility: Floats, funding: pd.DataFrame | None = None, volume_window: int = 72
    ) -> "History":
        """From one symbol's bars and its funding settlements (`known_at`, `value`), if any.

        A settlement belongs to the bar that contains it: open_time < known_at <= timestamp. The usual volume is the
        mean of the last `volume_window` bars, the present one included.

        Args:
            bars: one symbol's checked bars, oldest first.
            volatility: shape (bars,), known at each close, log-return per bar.
            funding: settlements with `known_at` and `value`; None where the market has none.
            volume_window: bars of the usual volume.

        Raises:
            BadData: a column is missing, or has a value that cannot be traded on.
        """
        check_bars(bars, funding)
        rate = np.zeros(len(bars))
        if funding is not None and len(funding):
            opened, closed, known = (
                table[name].dt.tz_localize(None).to_numpy()
                for table, name in ((bars, "open_time"), (bars, "timestamp"), (funding, "known_at"))
            )
            rate = settled_within(known, funding["value"].to_numpy(), opened, closed)

        def column(name: str) -> Floats | None:
            return numbers(bars[name], name) if name in bars else None

        volume = column("volume")
        usual = usual_volume(volume, volume_window) if volume is not None else None
        return cls(
            open=numbers(bars["open"], "open"), close=numbers(bars["close"], "close"), volatility=volatility,
            funding_rate=rate, segment=bars["segment"], high=column("high"), low=column("low"), volume=volume,
            usual_volume=usual,
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
    history: History, target: Floats, costs: Costs, rules: OrderRules = MARKET, bars_per_year: float | None = None
) -> pd.DataFrame:
    """The account of one symbol bar by bar: position (share of equity at the close), gross, cost, funding, net, equity.

    A target decided at the close of row t is filled at the open of row t + 1 + `latency_bars`, at the cost that the
    volatility known at t implies. net = gross - cost - funding, as shares of the equity before the bar;
    equity[t] = equity[t - 1] * (1 + net[t]). A position that is open when a gap comes is closed at the
    first open after it, at cost.

    Args:
        history: one symbol's bars as the account reads them.
        target: shape (bars,), signed share of equity decided at each close.
        costs: fees, spread, slippage, impact, funding, latency.
        rules: the order rules.
        bars_per_year: by which borrowing costs are charged; needed where there are any.

    Raises:
        BadData: targets and bars differ in length, or a target is missing or beyond the leverage allowed.
    """
    return run(history, target, costs, rules, bars_per_year).account


def run(
    history: History, target: Floats, costs: Costs, rules: OrderRules = MARKET, bars_per_year: float | None = None
) -> Result:
    """The same with the fills; see `backtest`.

    Args:
        history: one symbol's bars as the account reads them.
        target: shape (bars,), signed share of equity decided at each close.
        costs: fees, spread, slippage, impact, funding, latency.
        rules: the order rules.
        bars_per_year: by which borrowing costs are charged; needed where there are any.
    """
    wanted = checked_targets(target, len(history.close), rules)
    return _run(history.matrix[None], history.segment[None], wanted[None], costs, rules, bars_per_year)


def portfolio(
    histories: Mapping[str, History], targets: Mapping[str, Floats], timestamps: Mapping[str, NDArray[Any]],
    costs: Costs, rules: OrderRules = MARKET, bars_per_year: float | None = None,
    ends: Mapping[str, Any] | None = None,
) -> tuple[NDArray[Any], Result]:  # fmt: skip
    """Symbols that share one account's cash: the instants of all bars together, and the account over them.

    A target is a share of the whole account's equity. Where a symbol has no bar it is not traded and keeps its last
    price. Positions are sized by the equity at the bar's open, all symbols marked there. What is held of a symbol whose
    bars are over is closed at its last close, at cost, on the next instant (`endings`).

    Args:
        histories: each symbol's bars as the account reads them.
        targets: by symbol, shape (bars of the symbol,), signed shares of equity.
        timestamps: by symbol, the close of each bar, rising.
        costs: fees, spread, slippage, impact, funding, latency.
        rules: the order rules.
        bars_per_year: by which borrowing costs are charged; needed where there are any.
        ends: by symbol the instant after which it has no bars, as far as that is stated; None: each ends with its last
            bar.

    Raises:
        BadData: as `backtest`, with the symbol; or its timestamps do not rise, or its end is before a bar.
    """
    check_symbols(histories, targets=targets, timestamps=timestamps)
    names = list(histories)
    closes = {name: checked_timestamps(timestamps[name], len(histories[name].close), f"{name}: ") for name in names}
    check_ends(ends, closes)
    instants = np.unique(np.concatenate([closes[name] for name in names]))
    bars = np.full((len(names), len(_ROWS), len(instants)), np.nan)
    segment = np.full((len(names), len(instants)), -1, dtype=np.int32)
    wanted = np.zeros((len(names), len(instants)))
    for at, name in enumerate(names):
        place = np.searchsorted(instants, closes[name])
        bars[at][:, place] = histories[name].matrix
        segment[at, place] = histories[name].segment
        wanted[at, place] = checked_targets(targets[name], len(histories[name].close), rules, f"{name}: ")
    add_closing_bars(instants, bars, segment, names, ends)
    return instants, _run(bars, segment, wanted, costs, rules, bars_per_year)


def _run(
    bars: Floats,
    segment: NDArray[np.int32],
    target: Floats,
    costs: Costs,
    rules: OrderRules,
    bars_per_year: float | None,
) -> Result:
    check_year(bars_per_year)
    rows = advance(
        begin(len(bars), 1 + costs.latency_bars), bars, segment, target, trading_schedule(costs, rules, bars_per_year),
        costs.book_shares,
    )  # fmt: skip
    return Result(pd.DataFrame(rows.account.T, columns=ACCOUNT, copy=False), rows.positions, rows.fills)
