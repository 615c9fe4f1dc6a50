"""The market that strategies are evaluated on, with the terms on which they trade there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from tradewind.errors import BadData
from tradewind.evaluation.roles import utc_instants
from tradewind.market.universe import Universe
from tradewind.trading.decision.targets import TargetRules
from tradewind.trading.engine.backtest import History
from tradewind.trading.engine.histories import histories_of
from tradewind.trading.engine.portfolio import Market
from tradewind.trading.setup import TradingSetup
from tradewind.trading.strategy.signals import SignalRules

Partitions = Mapping[str, Callable[[], pd.DataFrame]]
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class TradedMarket:
    """Histories of all symbols and the terms of trade.

    Attributes:
        histories: by symbol its bars, and the market inputs of its account, row by row the same.
        universe: the symbols and their timeframe.
        setup: costs, order rules, signal and sizing.
    """

    histories: Mapping[str, tuple[pd.DataFrame, History]]
    universe: Universe
    setup: TradingSetup

    @classmethod
    def load(
        cls, bars: Partitions, side_series: pd.DataFrame, universe: Universe, setup: TradingSetup
    ) -> "TradedMarket":
        """From the catalog's tables.

        Args:
            bars: by partition (`venue/symbol/timeframe`) a function that loads the bars.
            side_series: side series in long form, of which funding is paid.
            universe: the symbols that are read.
            setup: the terms of trade; its volatility window is that of the histories.

        Returns:
            The market of all symbols of the universe.
        """
        return cls(histories_of(bars, side_series, universe, setup.sizing.volatility_window), universe, setup)

    @property
    def target_rules(self) -> TargetRules:
        """How forecasts become targets here."""
        setup = self.setup
        return TargetRules(setup.signal, setup.sizing, setup.costs, self.universe.bars_per_year)

    def with_signal(self, signal: SignalRules) -> "TradedMarket":
        """The same market, entered and left by other rules."""
        return replace(self, setup=self.setup.model_copy(update={"signal": signal}))

    def under(self, positions: pd.DataFrame) -> dict[str, tuple[pd.DataFrame, History, pd.DataFrame]]:
        """By symbol its targets, the part of its history that they stand on, and the bars of that part.

        Raises:
            BadData: there are targets on bars that do not exist.
        """
        by_symbol = {}
        for symbol, targets in positions.groupby("symbol", sort=False):
            table, history = self.histories[str(symbol)]
            tested = table["timestamp"].isin(targets["timestamp"]).to_numpy()
            if tested.sum() != len(targets):
                raise BadData(f"{symbol}: {len(targets) - tested.sum()} positions stand on bars that do not exist")
            by_symbol[str(symbol)] = (targets.reset_index(drop=True), history.rows(tested), table[tested])
        return by_symbol

    def portfolio(self, positions: pd.DataFrame) -> tuple[Market, dict[str, Floats]]:
        """What one account for all symbols is run on: the market under the positions, and the targets by symbol."""
        by_symbol = self.under(positions)
        market = Market(
            {symbol: history for symbol, (_, history, _) in by_symbol.items()},
            {symbol: utc_instants(table["timestamp"]) for symbol, (_, _, table) in by_symbol.items()},
            self.universe.bars_per_year,
        )
        return market, {symbol: targets["target"].to_numpy() for symbol, (targets, _, _) in by_symbol.items()}
