"""The twin: the backtest going on, bar by bar, beside the paper account."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tradewind.learning.features.assembly import SideValue
from tradewind.learning.features.packing import Arrays
from tradewind.market.volatility import fold_usual_volume
from tradewind.trading.decision.protocols import Observed
from tradewind.trading.engine import account
from tradewind.trading.engine.endings import closing_bar
from tradewind.trading.engine.step import LAST_CLOSE, UNITS, trading_schedule
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules

Floats = NDArray[np.float64]
VOLUME_WINDOW = 72
FUNDING = "funding"


@dataclass
class TwinState:
    """What the twin carries from bar to bar.

    Attributes:
        account: of the engine.
        usual: the last volumes of each symbol.
        funding: settlements (instant, rate) of each symbol that no bar has contained yet.
    """

    account: account.AccountState
    usual: dict[str, Floats] = field(default_factory=dict)
    funding: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    @property
    def equity(self) -> float:
        """In units of the starting capital."""
        return float(self.account.equity[0])

    def to_arrays(self) -> Arrays:
        """As arrays for `packing.pack`."""
        out: Arrays = {
            "symbols": self.account.symbols, "equity": self.account.equity, "n_bars": self.account.n_bars,
        }  # fmt: skip
        out |= {f"usual|{name}": values for name, values in self.usual.items()}
        return out | {
            f"funding|{name}": np.array(rows, dtype=np.float64).reshape(-1, 2) for name, rows in self.funding.items()
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> "TwinState":
        """The state again."""
        usual = {name[6:]: values for name, values in arrays.items() if name.startswith("usual|")}
        funding = {
            name[8:]: [(int(at), float(rate)) for at, rate in values.tolist()]
            for name, values in arrays.items()
            if name.startswith("funding|")
        }
        state = account.AccountState(arrays["symbols"], arrays["equity"], arrays["n_bars"])
        return cls(state, usual, funding)


class TwinBar(NamedTuple):
    """One bar of one symbol in the twin, in units of the asset per unit of starting capital.

    Attributes:
        before, after: units at the bar's beginning and end.
        fills: (units, price, cost) of each fill.
    """

    before: float
    after: float
    fills: tuple[tuple[float, float, float], ...]


class TwinStep(NamedTuple):
    """A timestamp of the twin: its bars by symbol, the funding paid in units of starting capital, and the funding rates
    within the bars."""

    timestamp: int
    bars: dict[str, TwinBar]
    funding: float
    rates: dict[str, float]


class Twin:
    """Carries the account of a backtest over the bars that a decider has completed."""

    def __init__(
        self, symbols: Sequence[str], costs: Costs, rules: OrderRules, bars_per_year: float,
        ends: Mapping[str, int] | None = None,
    ) -> None:  # fmt: skip
        """A twin of symbols that share one account's cash.

        Args:
            symbols: in the order in which they trade.
            costs, rules: as of the backtest.
            bars_per_year: of the universe.
            ends: by symbol the close (ms) after which it has no bars, as far as delistings are stated.
        """
        self.symbols = tuple(symbols)
        self._ends = dict(ends or {})
        self._delay = 1 + costs.latency_bars
        self._schedule, self._book = trading_schedule(costs, rules, bars_per_year), costs.book_shares

    def begin(self) -> TwinState:
        """An account without positions."""
        return TwinState(account.begin(len(self.symbols), self._delay))

    def advance(
        self, state: TwinState, observed: Sequence[Observed], side: Sequence[SideValue], weights: Mapping[str, Floats]
    ) -> list[TwinStep]:
        """Live through the completed bars; `state` is moved on in place.

        Args:
            state: as the last call left it.
            observed: completed bars by symbol.
            side: values that arrived with them, for the funding among them.
            weights: targets as shares of the whole account, one a completed bar of each symbol.

        Returns:
            One step a timestamp.
        """
        for value in side:
            if value.series == FUNDING and np.isfinite(value.value):
                for name in self.symbols if value.symbol == "" else (value.symbol,):
                    state.funding.setdefault(name, []).append((value.known_at, value.value))
        times = sorted({at for one in observed for at in one.seen.chunk.timestamp.tolist()})
        shape = (len(self.symbols), len(times))
        bars = np.full((shape[0], 8, shape[1]), np.nan)
        segment, target = np.full(shape, -1, dtype=np.int32), np.zeros(shape)
        for one in observed:
            self._fill(state, one, times, bars, segment, target, weights[one.seen.symbol])
        steps = []
        for column, timestamp in enumerate(times):
            self._close_ended(state, timestamp, column, bars, segment)
            before, worth = state.account.symbols[:, UNITS].copy(), state.equity
            part = slice(column, column + 1)
            rows = account.advance(
                state.account, np.ascontiguousarray(bars[:, :, part]), np.ascontiguousarray(segment[:, part]),
                np.ascontiguousarray(target[:, part]), self._schedule, self._book,
            )  # fmt: skip
            after = state.account.symbols[:, UNITS]
            lived = {
                name: TwinBar(
                    float(before[at]), float(after[at]),
                    tuple((row[2], row[3], row[4]) for row in rows.fills.tolist() if int(row[1]) == at),
                )
                for at, name in enumerate(self.symbols)
                if segment[at, column] >= 0
            }  # fmt: skip
            rates = {name: float(bars[self.symbols.index(name), account.FUNDING_RATE, column]) for name in lived}
            steps.append(TwinStep(timestamp, lived, float(rows.account[3, 0]) * worth, rates))
        return steps

    def _close_ended(
        self, state: TwinState, timestamp: int, column: int, bars: Floats, segment: NDArray[np.int32]
    ) -> None:
        """The closing bar of what has ended before the timestamp and is still held or asked for."""
        for name, end_ms in self._ends.items():
            at = self.symbols.index(name)
            held = state.account.symbols[at]
            if timestamp > end_ms and segment[at, column] < 0 and (held[UNITS] != 0.0 or held[account.DUE] != 0.0):
                bars[at, :, column] = closing_bar(float(held[LAST_CLOSE]))
                segment[at, column] = int(held[account.SEGMENT]) + 1

    def _fill(
        self, state: TwinState, one: Observed, times: list[int], bars: Floats, segment: NDArray[np.int32],
        target: Floats, weight: Floats,
    ) -> None:  # fmt: skip
        chunk, symbol = one.seen.chunk, one.seen.symbol
        at, place = self.symbols.index(symbol), np.searchsorted(times, chunk.timestamp)
        before = state.usual.get(symbol, np.empty(0))
        state.usual[symbol], usual = fold_usual_volume(before, chunk.volume, VOLUME_WINDOW)
        rates = np.zeros(len(chunk))
        waiting = state.funding.get(symbol, [])
        for row in range(len(chunk)):
            for known, rate in waiting:
                if chunk.open_time[row] < known <= chunk.timestamp[row]:
                    rates[row] += rate
        state.funding[symbol] = [pair for pair in waiting if pair[0] > chunk.timestamp[-1]]
        columns = (chunk.open, chunk.high, chunk.low, chunk.close, chunk.volume, one.seen.volatility, usual, rates)
        for number, values in enumerate(columns):
            bars[at, number, place] = np.nan_to_num(values) if number == account.VOLATILITY else values
        segment[at, place], target[at, place] = chunk.segment, weight
