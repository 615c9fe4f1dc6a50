"""What acts on forecasts in an audited run: the decision path, accounts, and small networks and agents.

They are the library's own, set so small that they train in seconds: what is looked at is what they know.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from tradewind.evaluation import accounts
from tradewind.evaluation.traded_market import TradedMarket
from tradewind.learning.features.catalogue import select
from tradewind.learning.features.of_universe import series_of
from tradewind.learning.models import catalogue, walk_forward
from tradewind.learning.models.base import Files
from tradewind.learning.splits.purged import training_mask
from tradewind.market.parts import SeriesRows
from tradewind.market.universe import Universe
from tradewind.trading.decision.decider import Decider, assembly_of
from tradewind.trading.decision.forecasting import ForecastPolicy
from tradewind.trading.decision.targets import TargetRules
from tradewind.trading.strategy import baselines

NETWORK, AGENT, DECIDING = "lstm", "ppo", "linear"
WARM_UP_BARS, MOST_DECISIONS = 800, 3000  # before a test window, and of it
SMALL_NETWORK = {"window_bars": 6, "hidden": 4, "batch_size": 512, "most_features": 6}
SMALL_AGENT = {
    "total_timesteps": 512, "parts": 2, "n_envs": 8, "n_steps": 32, "batch_size": 128, "n_epochs": 1, "hidden": 4,
}  # fmt: skip


def first_fold(folds: pd.DataFrame) -> pd.DataFrame:
    """What trains slowly is trained on the first fold alone."""
    return folds.sort_values("test_start").head(1)


def network_forecasts(rows: pd.DataFrame, folds: pd.DataFrame, settings: Any) -> pd.DataFrame:
    """Those of a small network over the first test window.

    Args:
        rows: model-input rows.
        folds: the folds table.
        settings: `RunSettings` of the run.
    """
    kind = catalogue.model(NETWORK)
    parameters = kind.parameters_class.model_validate(SMALL_NETWORK)
    rules = settings.training.model_copy(update={"row_stride": 24, "max_rounds": 2, "early_stopping_rounds": 2})
    trained = walk_forward.train_folds(
        kind, parameters, rows, first_fold(folds), rules, NullModelStore(), settings.seed
    )
    return walk_forward.forecast_table(trained, settings.labels.horizon_bars)


def agent_positions(rows: pd.DataFrame, folds: pd.DataFrame, market: TradedMarket, settings: Any) -> pd.DataFrame:
    """Those of a small agent over the first test window, with the forecasts that agents read.

    Args:
        rows: model-input rows.
        folds: the folds table.
        market: bars and account inputs.
        settings: `RunSettings` of the run.
    """
    from tradewind.adaptive.rl import walk_forward as agents
    from tradewind.adaptive.rl.forecasts import fold_forecasts
    from tradewind.adaptive.rl.market import TradingTerms
    from tradewind.adaptive.rl.parameters import AgentParameters
    from tradewind.adaptive.rl.rules import EnvironmentRules, RewardRules

    here, setup = first_fold(folds), market.setup
    # One that may hold any share follows what it sees: a choice of three targets, hardly trained, may stay flat.
    environment = EnvironmentRules(episode_bars=96, features=3, actions="continuous", dead_band=0.0)
    terms = TradingTerms.from_rules(setup.costs, setup.execution, environment, market.universe.bars_per_year)
    training = agents.AgentTraining(seeds=1, executor="serial")
    agent = AgentParameters.model_validate({"algorithm": AGENT, **SMALL_AGENT})
    plan = agents.Plan(AGENT, agent, environment, RewardRules(), training, terms, settings.seed)
    forecasts = fold_forecasts(rows, here)
    files = {fold: one.files() for fold, one in forecasts.forecasters.items()}
    trained = agents.train_folds((rows, forecasts.table), here, market.histories, plan, NullModelStore(), files)
    return agents.mean_positions(pd.concat([one.transitions for one in trained], ignore_index=True))


def decide(
    bars: Mapping[str, pd.DataFrame], side_series: pd.DataFrame, rows: pd.DataFrame, folds: pd.DataFrame,
    universe: Universe, settings: Any,
) -> pd.DataFrame:  # fmt: skip
    """The decisions of the live path on the first test window: closed bars to features to a forecast to a target.

    Args:
        bars: checked bars by partition.
        side_series: values with the moment that they are known.
        rows: model-input rows, of which the model learns what had ended before the window.
        folds: the folds table.
        universe: symbols and timeframe.
        settings: `RunSettings` of the run.

    Returns:
        One row a symbol and bar (`Decider.decide_history`); no rows where no test window has begun.
    """
    (fold,) = first_fold(folds).itertuples(index=False)
    kind = catalogue.row_model(DECIDING)
    past = rows[training_mask(rows, fold)]
    forecaster = kind(kind.parameters_class(), settings.seed).fit(walk_forward.split_training(past, settings.training))
    chosen = select(settings.features, universe.timeframe, universe.side_series)
    trading = settings.trading
    rules = TargetRules(trading.signal, trading.sizing, trading.costs, universe.bars_per_year)
    policy = ForecastPolicy(forecaster, rules, settings.model_input.max_missing_share)
    decider = Decider(assembly_of(universe, settings.market.max_gap_bars), chosen, policy, trading.sizing)
    first = fold.test_start - WARM_UP_BARS * universe.bar
    last = min(fold.test_end, fold.test_start + MOST_DECISIONS * universe.bar)
    known = {symbol: _between(bars[universe.partition(symbol)], first, last) for symbol in universe.symbols}
    of_series = SeriesRows(side_series)
    side = {
        symbol: {name: series_of(of_series, name, symbol) for name in universe.side_series}
        for symbol in universe.symbols
    }
    return decider.decide_history(known, side)


def _between(bars: pd.DataFrame, first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
    return bars[(bars["timestamp"] >= first) & (bars["timestamp"] < last)].reset_index(drop=True)


def run_accounts(positions: Mapping[str, pd.DataFrame], market: TradedMarket, folds: pd.DataFrame) -> pd.DataFrame:
    """The account of every strategy that is traded (`accounts.portfolio_returns`).

    Args:
        positions: by strategy.
        market: what they are traded on.
        folds: the folds table.
    """
    traded = {name: _loader(table) for name, table in positions.items() if name not in NOT_TRADED}
    return accounts.portfolio_returns(traded, market, folds) if traded else pd.DataFrame()


def strategies(tables: Sequence[pd.DataFrame]) -> set[str]:
    """Whose positions there are."""
    return {str(name) for table in tables for name in table["strategy"].unique()}


# Comparisons, not strategies: made of the model's own positions of all times, and of the simulator's answer.
NOT_TRADED = (baselines.RANDOM, baselines.MATCHED, baselines.ORACLE)


def _loader(table: pd.DataFrame) -> Any:
    return lambda: table


class NullModelStore:
    """A model store that forgets."""

    def get(self, key: str) -> Files | None:
        """Nothing is ever found."""
        return None

    def put(self, key: str, files: Files, about: dict[str, Any]) -> None:
        """Nothing is kept.

        Args:
            key: not used.
            files: not used.
            about: not used.
        """

    def forget(self, key: str) -> None:
        """Nothing is there."""
