"""The bars and features that episodes run over: symbols and segments one after the other in one array each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tradewind.adaptive.rl.rules import EnvironmentRules
from tradewind.errors import BadData, BadParameters
from tradewind.trading.engine.backtest import History
from tradewind.trading.engine.step import TradingSchedule, trading_schedule
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class TradingMarket:
    """`bars` (8, rows) in the order of `engine.step.Bar`, `features` float32 (rows, features), `runs` the first and
    last row of each segment that features are known for.

    An episode ends at its run's end with its position open, marked at the last close, as an account does where the data
    end: nobody knows that a gap follows, so nothing is sold before it. What a gap costs is the backtest's to say.
    """

    bars: Floats
    features: NDArray[np.float32]
    runs: Rows

    @cached_property
    def market_rows(self) -> Floats:
        """A row a bar, as `stepping` reads it: the eight numbers of the bar, and the features."""
        return np.ascontiguousarray(np.vstack([self.bars, self.features.T]).T, dtype=np.float64)

    @classmethod
    def joined(cls, markets: Sequence["TradingMarket"]) -> "TradingMarket":
        """Several markets one after the other."""
        offsets = np.cumsum([0, *(len(one.features) for one in markets[:-1])])
        return cls(
            np.ascontiguousarray(np.concatenate([one.bars for one in markets], axis=1)),
            np.ascontiguousarray(np.concatenate([one.features for one in markets])),
            np.concatenate([one.runs + offset for one, offset in zip(markets, offsets, strict=True)]),
        )  # fmt: skip

    @classmethod
    def from_histories(
        cls, histories: Mapping[str, History], features: Mapping[str, NDArray[np.float32]]
    ) -> "TradingMarket":
        """A market of symbols, each with a row of features a bar; rows with a missing feature cannot be acted on.

        Raises:
            BadData: features and bars differ in length, an infinite feature, or no two bars in a row can be acted on.
        """
        bars, values, runs, begun = [], [], [], 0
        for symbol, history in histories.items():
            table, segment = features[symbol], history.segment
            if len(table) != len(history.close):
                raise BadData(f"{symbol}: {len(history.close)} bars need as many rows of features, found {len(table)}")
            if np.isinf(table).any():
                row, at = np.argwhere(np.isinf(table))[0]
                raise BadData(f"{symbol}: feature {at} is infinite at row {row}: mend its formula")
            is_whole = ~np.isnan(table).any(axis=1)
            ends = np.r_[segment[1:] != segment[:-1], False]
            edge = np.flatnonzero(np.diff(np.r_[False, is_whole, False].astype(np.int8)))
            for first, after in zip(edge[::2], edge[1::2], strict=True):
                cuts = np.flatnonzero(ends[first:after]) + first
                for start, end in zip(np.r_[first, cuts + 1], np.r_[cuts, after - 1], strict=True):
                    if end > start:
                        runs.append((begun + start, begun + end))
            bars.append(history.matrix)
            values.append(np.nan_to_num(table.astype(np.float32)))
            begun += len(table)
        if not runs:
            missing = {name: int(np.isnan(table).any(axis=1).sum()) for name, table in features.items()}
            raise BadData(
                "no two bars in a row have all features, so that there is nothing to act on; bars with a missing (NaN) "
                f"feature: {missing} of {begun}: the history is shorter than the features' window, or a feature is "
                "never known"
            )
        return cls(
            np.ascontiguousarray(np.concatenate(bars, axis=1)), np.ascontiguousarray(np.concatenate(values)),
            np.array(runs, dtype=np.int64),
        )  # fmt: skip


@dataclass(frozen=True)
class TradingTerms:
    """What trading costs and allows, as `stepping.advance` reads it."""

    terms: TradingSchedule
    book: Floats
    delay: int

    @classmethod
    def from_rules(
        cls, costs: Costs, orders: OrderRules, rules: EnvironmentRules, bars_per_year: float
    ) -> "TradingTerms":
        """From the run's costs and order rules.

        Args:
            costs: fees, spread, slippage, impact, latency.
            orders: the order rules.
            rules: the environment's actions.
            bars_per_year: by which borrowing costs are charged.

        Raises:
            BadParameters: the actions ask for more than the leverage allowed.
        """
        most = max(map(abs, rules.targets)) if rules.actions == "discrete" else rules.max_position
        if most > orders.max_leverage:
            raise BadParameters(
                f"actions reach a position of {most:g}, beyond execution.max_leverage {orders.max_leverage:g}: lower "
                "environment.targets or max_position, or raise the leverage"
            )
        return cls(trading_schedule(costs, orders, bars_per_year), costs.book_shares, 1 + costs.latency_bars)
