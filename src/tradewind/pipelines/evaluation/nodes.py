"""Nodes of the stage that judges; the work is in `tradewind.evaluation`."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from tradewind.adaptive.rl.parameters import AGENTS
from tradewind.evaluation import (
    accounts,
    agents,
    forecast_accounts,
    gathering,
    judging,
    positions,
    robustness,
    scorecard,
    trials,
)
from tradewind.evaluation import significance as luck
from tradewind.evaluation.accounts import SensitivityRules
from tradewind.evaluation.gathering import Card, Gathered, loaded
from tradewind.evaluation.robustness import RobustnessRules
from tradewind.evaluation.roles import with_role
from tradewind.evaluation.traded_market import Partitions, TradedMarket
from tradewind.learning.models.chosen import words
from tradewind.market.universe import Universe
from tradewind.metrics.ranking import StatisticsRules, breakdown
from tradewind.metrics.scorecard import ScorecardRules
from tradewind.metrics.verdict import VerdictRules
from tradewind.trading.setup import TradingSetup
from tradewind.trading.strategy import baselines

Tables = dict[str, pd.DataFrame]


def gather_forecasts(
    models: list[str], classifier: list[Card], deep_learning: list[Card], agents: list[Card]
) -> Gathered:
    """Which forecasts and positions are judged: those of the run's models and agents, as far as they are there."""
    names = words(models)
    acting = [name for name in names if name in AGENTS]
    forecasting = [name for name in names if name not in AGENTS]
    return gathering.gather_forecasts([*classifier, *deep_learning, *agents], forecasting, acting)


def gather_reports(
    coverage: pd.DataFrame, classifier: list[Card], deep_learning: list[Card], agents: list[Card]
) -> list[str]:
    """Which tables of the judged models and agents the report reads."""
    return gathering.gather_reports([*classifier, *deep_learning, *agents], coverage)


def load_market(bars: Partitions, side_series: pd.DataFrame, universe: Universe, trading: TradingSetup) -> TradedMarket:
    """The histories of all symbols with the terms of trade, once for the whole stage."""
    return TradedMarket.load(bars, side_series, universe, trading)


def make_positions(
    market: TradedMarket,
    folds: pd.DataFrame,
    forecasts: Partitions,
    agent_positions: Partitions,
    oracle: pd.DataFrame,
    seed: int,
) -> Tables:
    """Target positions by strategy: models, agents, baselines, and the oracle where there is one."""
    return positions.make_positions(market, folds, loaded(forecasts), loaded(agent_positions), oracle, seed)


def run_backtests(positions: Partitions, market: TradedMarket) -> tuple[Tables, Tables]:
    """The account of every strategy on every symbol, and its trades."""
    return accounts.backtests(positions, market)


def aggregate_portfolios(
    positions: Partitions, backtests: Partitions, market: TradedMarket, folds: pd.DataFrame, regimes: Partitions
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns of every strategy with one account for all symbols, and the breakdown of them."""
    returns = accounts.portfolio_returns(positions, market, folds)
    by_strategy = {name: with_role(load(), folds) for name, load in backtests.items()}
    announced = [load()[["symbol", "timestamp", "regime"]] for load in regimes.values()]
    return returns, breakdown(
        returns, by_strategy, pd.concat(announced) if announced else None, market.universe.trading_calendar
    )


def measure_cost_sensitivity(
    positions: Partitions, market: TradedMarket, folds: pd.DataFrame, sensitivity: SensitivityRules
) -> pd.DataFrame:
    """The same positions at other costs, over the walk-forward folds."""
    return accounts.cost_sensitivity(positions, market, folds, sensitivity)


def stress_strategies(
    positions: Partitions, market: TradedMarket, folds: pd.DataFrame, rules: RobustnessRules, seed: int
) -> Tables:
    """The strategies in worse worlds, one table for each thing that is varied."""
    return robustness.stress(positions, market, folds, rules, seed)


def vary_parameters(
    market: TradedMarket, folds: pd.DataFrame, rules: RobustnessRules, forecasts: Partitions
) -> pd.DataFrame:
    """Sharpe ratio of each model over entry thresholds and smoothing."""
    return robustness.plateau(market, folds, rules, loaded(forecasts))


def run_paths(path_forecasts: Partitions, market: TradedMarket) -> pd.DataFrame:
    """What the linear model's combinatorial paths come to."""
    return forecast_accounts.path_accounts(loaded(path_forecasts), market)


def run_seeds(
    market: TradedMarket, folds: pd.DataFrame, forecasts: Partitions, seed_forecasts: Partitions
) -> pd.DataFrame:
    """What each model that has other seeds comes to from each seed."""
    own = [forecasts[model]() for model in seed_forecasts]
    return forecast_accounts.seed_accounts(market, folds, [*own, *loaded(seed_forecasts)])


def trade_horizons(market: TradedMarket, folds: pd.DataFrame, horizon_forecasts: Partitions) -> pd.DataFrame:
    """What each model comes to if it is traded on one horizon alone."""
    return forecast_accounts.horizon_accounts(market, folds, loaded(horizon_forecasts))


def score_agents(
    portfolio_returns: pd.DataFrame,
    market: TradedMarket,
    folds: pd.DataFrame,
    statistics: StatisticsRules,
    seed: int,
    seed_positions: Partitions,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What the trainings of each agent come to, and their performance profile."""
    return agents.score_agents(market, folds, portfolio_returns, loaded(seed_positions), statistics, seed)


def rank_strategies(
    portfolio_returns: pd.DataFrame, statistics: StatisticsRules, seed: int, market: TradedMarket
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The leaderboard over the walk-forward folds, and the same over the holdout."""
    return judging.rank_strategies(portfolio_returns, statistics, seed, market.universe.trading_calendar)


def measure_significance(
    portfolio_returns: pd.DataFrame,
    trial_history: list[dict[str, Any]],
    market: TradedMarket,
    parameters: dict[str, Any],
    statistics: StatisticsRules,
    seed: int,
) -> tuple[pd.DataFrame, dict[str, Any], list[dict[str, Any]], pd.DataFrame]:
    """Sharpe ratios with errors and deflation, what selection did, the trials to remember, and the daily returns."""
    models = [name for name in portfolio_returns["strategy"].unique() if baselines.family(name) == "model"]
    return luck.measure_significance(
        portfolio_returns,
        trial_history,
        trials.market_marks(market),
        trials.configurations(parameters, models),
        statistics,
        seed,
        market.universe.trading_calendar,
    )


def compare_forecasts(model_input: Partitions, folds: pd.DataFrame, forecasts: Partitions) -> pd.DataFrame:
    """Diebold-Mariano tests of every model's log loss against the class shares and every other model."""
    return luck.compare_forecasts(model_input, folds, *loaded(forecasts))


def judge_strategies(
    board: pd.DataFrame,
    holdout_board: pd.DataFrame,
    cost_sensitivity: pd.DataFrame,
    significance: pd.DataFrame,
    selection: dict[str, Any],
    rules: VerdictRules,
) -> dict[str, Any]:
    """The verdict on the named strategy, or on the best model."""
    return judging.judge_strategies(board, holdout_board, cost_sensitivity, significance, selection, rules)


def score_criteria(
    verdict: dict[str, Any],
    board: pd.DataFrame,
    account_tables: Mapping[str, Any],
    model_input: Partitions,
    folds: pd.DataFrame,
    seed_spread: pd.DataFrame,
    selection: dict[str, Any],
    market: TradedMarket,
    statistics: StatisticsRules,
    rules: ScorecardRules,
    seed: int,
    forecasts: Partitions,
) -> pd.DataFrame:
    """The scorecard of the judged model."""
    tables = scorecard.Scored(
        verdict, board, account_tables["portfolio_returns"], account_tables["trades"], model_input, folds, seed_spread,
        selection,
    )  # fmt: skip
    return scorecard.score_criteria(tables, market, loaded(forecasts), statistics, rules, seed)
