"""A stored agent: its policy and the forecaster that it reads, from one set of files; no torch, nothing of its run."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd

from tradewind.adaptive.rl.forecasts import AgentForecaster, add_forecasts
from tradewind.adaptive.rl.market import TradingMarket, TradingTerms
from tradewind.adaptive.rl.policies import Policy, run_policy
from tradewind.adaptive.rl.preparation import test_markets
from tradewind.adaptive.rl.rules import FORECASTS
from tradewind.learning.models.base import Files
from tradewind.trading.engine.backtest import History


class StoredAgent:
    """What an agent of one fold and seed needs to act."""

    def __init__(self, policy: Policy, forecaster: AgentForecaster) -> None:
        """Use `from_files`."""
        self.policy, self.forecaster = policy, forecaster

    @classmethod
    def from_files(cls, files: Files) -> Self:
        """From the files under the agent's key. The bytes must be trusted: the store has checked their hashes.

        Raises:
            BadModel: a file is missing, damaged, or written by another version.
        """
        return cls(Policy.from_files(files), AgentForecaster.from_files(files))

    def positions(
        self,
        rows: pd.DataFrame,
        known: Mapping[str, tuple[pd.DataFrame, History]],
        window: tuple[Any, Any],
        trading: TradingTerms,
    ) -> pd.DataFrame:
        """What the agent holds over a window, flat at its beginning.

        Args:
            rows: model-input rows of the window, of all symbols in the order of time.
            known: each symbol's bars and history.
            window: the first instant, and the first one after the last.
            trading: what trading costs and allows.

        Returns:
            symbol, timestamp, target: a row a bar; 0 where it cannot act.
        """
        with_forecasts = add_forecasts(self.forecaster, rows).astype(dict.fromkeys(FORECASTS, "float32"))
        markets = test_markets(with_forecasts, known, window, self.policy.about.standardiser)
        joined = TradingMarket.joined([one.market for one in markets.values()])
        (life,) = run_policy(self.policy, joined, trading)
        keys = [pd.DataFrame({"symbol": symbol, "timestamp": one.timestamp}) for symbol, one in markets.items()]
        return pd.concat(keys, ignore_index=True).assign(target=np.asarray(life.targets)).astype({"symbol": "str"})
