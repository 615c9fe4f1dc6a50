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
from tradewind.evaluation.joined_agents import join_agents
from tradewind.evaluation.robustness import RobustnessRules
from tradewind.evaluation.roles import with_role
from tradewind.evaluation.traded_market import Partitions, TradedMarket
from tradewind.learning.ensemble.joining import EnsembleRules
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
    """Which forecasts and positions are judged: those of the run's models and agents, as far as they are there.

    Args:
        models: `params:models`.
        classifier: cards of that stage; none where it was never run.
        deep_learning: the same.
        agents: the same.

    Returns:
        What is judged, where its tables lie, and what is missing.
    """
    names = words(models)
    acting = [name for name in names if name in AGENTS]
    forecasting = [name for name in names if name not in AGENTS]
    return gathering.gather_forecasts([*classifier, *deep_learning, *agents], forecasting, acting)


def gather_reports(
    coverage: pd.DataFrame, classifier: list[Card], deep_learning: list[Card], agents: list[Card]
) -> list[str]:
    """Which tables of the judged models and agents the report reads.

    Args:
        coverage: which models and agents are judged.
        classifier: cards of that stage.
        deep_learning: the same.
        agents: the same.

    Returns:
        Names of datasets.
    """
    return gathering.gather_reports([*classifier, *deep_learning, *agents], coverage)


def load_market(bars: Partitions, side_series: pd.DataFrame, universe: Universe, trading: TradingSetup) -> TradedMarket:
    """The histories of all symbols with the terms of trade, once for the whole stage.

    Args:
        bars: by partition a function that loads checked bars.
        side_series: side series as they were known.
        universe: symbols, venue, timeframe and side series.
        trading: costs, execution, signal and sizing.

    Returns:
        What everything in the stage is traded on.
    """
    return TradedMarket.load(bars, side_series, universe, trading)


def make_positions(
    market: TradedMarket,
    folds: pd.DataFrame,
    forecasts: Partitions,
    agent_positions: Partitions,
    oracle: pd.DataFrame,
    seed: int,
    ensemble: pd.DataFrame,
    rules: VerdictRules,
    ensembles: EnsembleRules,
) -> Tables:
    """Target positions by strategy: models, their ensemble, agents, baselines, and the oracle where there is one.

    Args:
        market: the histories of all symbols with the terms of trade.
        folds: the fold table.
        forecasts: by model a function that loads its forecasts out of sample.
        agent_positions: by agent a function that loads its positions out of sample.
        oracle: the best positions on a simulated market; empty on a real one.
        seed: of the random baselines.
        ensemble: forecasts of the ensemble, or no rows.
        rules: of the verdict, with the strategy that is judged.
        ensembles: which joins of the agents are strategies, too.

    Returns:
        One table a strategy.
    """
    acting = loaded(agent_positions)
    acting += [join_agents(acting, method, market) for method in ensembles.agents]
    return positions.make_positions(market, folds, _with(ensemble, forecasts), acting, oracle, seed, rules.judged)


def _with(ensemble: pd.DataFrame, forecasts: Partitions) -> list[pd.DataFrame]:
    return [*loaded(forecasts), *([ensemble] if len(ensemble) else [])]


def run_backtests(positions: Partitions, market: TradedMarket) -> tuple[Tables, Tables]:
    """The account of every strategy on every symbol, and its trades."""
    return accounts.backtests(positions, market)


def aggregate_portfolios(
    positions: Partitions, backtests: Partitions, market: TradedMarket, folds: pd.DataFrame, regimes: Partitions
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns of every strategy with one account for all symbols, and the breakdown of them.

    Args:
        positions: by strategy a function that loads its positions.
        backtests: by strategy a function that loads its accounts, one a symbol.
        market: the histories of all symbols with the terms of trade.
        folds: the fold table.
        regimes: by partition a function that loads its regimes; may be empty.

    Returns:
        One row a strategy and bar, and the breakdown.
    """
    returns = accounts.portfolio_returns(positions, market, folds)
    by_strategy = {name: with_role(load(), folds) for name, load in backtests.items()}
    announced = [load()[["symbol", "timestamp", "regime"]] for load in regimes.values()]
    return returns, breakdown(
        returns, by_strategy, pd.concat(announced) if announced else None, market.universe.trading_calendar
    )


def measure_cost_sensitivity(
    positions: Partitions, market: TradedMarket, folds: pd.DataFrame, sensitivity: SensitivityRules
) -> pd.DataFrame:
    """The same positions at other costs, over the walk-forward folds.

    Args:
        positions: by strategy a function that loads its positions.
        market: at the costs that are multiplied.
        folds: the fold table.
        sensitivity: the multiples.

    Returns:
        One row a strategy and multiple.
    """
    return accounts.cost_sensitivity(positions, market, folds, sensitivity)


def stress_strategies(
    positions: Partitions, market: TradedMarket, folds: pd.DataFrame, rules: RobustnessRules, seed: int
) -> Tables:
    """The strategies in worse worlds, one table for each thing that is varied.

    Args:
        positions: by strategy a function that loads its positions.
        market: the histories of all symbols with the terms of trade.
        folds: the fold table.
        rules: costs, delays and capitals to try.
        seed: of everything drawn at random.

    Returns:
        By name of the stress.
    """
    return robustness.stress(positions, market, folds, rules, seed)


def vary_parameters(
    market: TradedMarket, folds: pd.DataFrame, rules: RobustnessRules, forecasts: Partitions, ensemble: pd.DataFrame
) -> pd.DataFrame:
    """Sharpe ratio of each model and of their ensemble over entry thresholds and smoothing.

    Args:
        market: the histories of all symbols with the terms of trade.
        folds: the fold table.
        rules: thresholds and smoothing to try.
        forecasts: by model a function that loads its forecasts out of sample.
        ensemble: forecasts of the ensemble, or no rows.

    Returns:
        One row a model and pair of settings.
    """
    return robustness.plateau(market, folds, rules, _with(ensemble, forecasts))


def run_paths(path_forecasts: Partitions, market: TradedMarket) -> pd.DataFrame:
    """What the linear model's combinatorial paths come to."""
    return forecast_accounts.path_accounts(loaded(path_forecasts), market)


def run_seeds(
    market: TradedMarket, folds: pd.DataFrame, forecasts: Partitions, seed_forecasts: Partitions
) -> pd.DataFrame:
    """What each model that has other seeds comes to from each seed.

    Args:
        market: the histories of all symbols with the terms of trade.
        folds: the fold table.
        forecasts: by model a function that loads its forecasts out of sample.
        seed_forecasts: the same from other seeds.

    Returns:
        One row a model and seed.
    """
    own = [forecasts[model]() for model in seed_forecasts]
    return forecast_accounts.seed_accounts(market, folds, [*own, *loaded(seed_forecasts)])


def trade_horizons(market: TradedMarket, folds: pd.DataFrame, horizon_forecasts: Partitions) -> pd.DataFrame:
    """What each model comes to if it is traded on one horizon alone.

    Args:
        market: the histories of all symbols with the terms of trade.
        folds: the fold table.
        horizon_forecasts: by network a function that loads its forecasts at all horizons.

    Returns:
        One row a model and horizon.
    """
    return forecast_accounts.horizon_accounts(market, folds, loaded(horizon_forecasts))


def score_agents(
    portfolio_returns: pd.DataFrame,
    market: TradedMarket,
    folds: pd.DataFrame,
    statistics: StatisticsRules,
    seed: int,
    seed_positions: Partitions,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What the trainings of each agent come to, and their performance profile.

    Args:
        portfolio_returns: one row a strategy and bar.
        market: the histories of all symbols with the terms of trade.
        folds: the fold table.
        statistics: how intervals and tests are made.
        seed: of the bootstrap.
        seed_positions: by agent a function that loads the positions of each training.

    Returns:
        One row a training, and the profile.
    """
    return agents.score_agents(market, folds, portfolio_returns, loaded(seed_positions), statistics, seed)


def rank_strategies(
    portfolio_returns: pd.DataFrame, statistics: StatisticsRules, seed: int, market: TradedMarket
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The leaderboard over the walk-forward folds, and the same over the holdout.

    Args:
        portfolio_returns: one row a strategy and bar.
        statistics: how intervals and tests are made.
        seed: of the bootstrap.
        market: what was traded, and when it trades.

    Returns:
        Two leaderboards, the best first.
    """
    return judging.rank_strategies(portfolio_returns, statistics, seed, market.universe.trading_calendar)


def measure_significance(
    portfolio_returns: pd.DataFrame,
    trial_history: list[dict[str, Any]],
    market: TradedMarket,
    parameters: dict[str, Any],
    statistics: StatisticsRules,
    seed: int,
) -> tuple[pd.DataFrame, dict[str, Any], list[dict[str, Any]], pd.DataFrame]:
    """Sharpe ratios with errors and deflation, what selection did, the trials to remember, and the daily returns.

    Args:
        portfolio_returns: one row a strategy and bar.
        trial_history: of earlier runs on the same market.
        market: tells which market this is.
        parameters: all of the run's: what was tried.
        statistics: how intervals and tests are made.
        seed: of the bootstrap.

    Returns:
        Four tables.
    """
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


def compare_forecasts(
    model_input: Partitions, folds: pd.DataFrame, forecasts: Partitions, ensemble: pd.DataFrame
) -> pd.DataFrame:
    """Diebold-Mariano tests of every model's log loss, and the ensemble's, against the class shares and all others.

    Args:
        model_input: by partition a function that loads its model-input rows.
        folds: the fold table.
        forecasts: by model a function that loads its forecasts out of sample.
        ensemble: forecasts of the ensemble, or no rows.

    Returns:
        One row a pair.
    """
    return luck.compare_forecasts(model_input, folds, *_with(ensemble, forecasts))


def judge_strategies(
    board: pd.DataFrame,
    holdout_board: pd.DataFrame,
    cost_sensitivity: pd.DataFrame,
    significance: pd.DataFrame,
    selection: dict[str, Any],
    rules: VerdictRules,
) -> dict[str, Any]:
    """The verdict on the named strategy, or on the best model.

    Args:
        board: the leaderboard over the walk-forward folds.
        holdout_board: the same over the holdout.
        cost_sensitivity: one row a strategy and multiple.
        significance: Sharpe ratios with errors and deflation.
        selection: what choosing the best of many did.
        rules: of the verdict, and which strategy is judged.

    Returns:
        Verdict, strategy and reasons.
    """
    return judging.judge_strategies(board, holdout_board, cost_sensitivity, significance, selection, rules)


def score_criteria(
    verdict: dict[str, Any],
    board: pd.DataFrame,
    account_tables: Mapping[str, Any],
    model_input: Partitions,
    folds: pd.DataFrame,
    selection: dict[str, Any],
    market: TradedMarket,
    statistics: StatisticsRules,
    rules: ScorecardRules,
    seed: int,
    forecasts: Partitions,
    ensemble: pd.DataFrame,
) -> pd.DataFrame:
    """The scorecard of the judged strategy.

    Args:
        verdict: gives the judged strategy.
        board: the leaderboard over the walk-forward folds.
        account_tables: `portfolio_returns`, `trades` and `seed_spread`.
        model_input: by partition a function that loads its model-input rows.
        folds: the fold table.
        selection: what choosing the best of many did.
        market: the histories of all symbols with the terms of trade.
        statistics: how intervals and tests are made.
        rules: the limits of each criterion.
        seed: of the bootstrap.
        forecasts: by model a function that loads its forecasts out of sample.
        ensemble: forecasts of the ensemble, or no rows.

    Returns:
        One row a criterion, but for the regimes.
    """
    tables = scorecard.Scored(
        verdict, board, account_tables["portfolio_returns"], account_tables["trades"], model_input, folds,
        account_tables["seed_spread"], selection,
    )  # fmt: skip
    return scorecard.score_criteria(tables, market, _with(ensemble, forecasts), statistics, rules, seed)
