"""Portfolio returns to leaderboards, verdict, figures and report."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from tradewind.execution.costs import Costs
from tradewind.market.universe import Universe
from tradewind.metrics.ranking import StatisticsRules, leaderboard
from tradewind.metrics.verdict import VerdictRules, judge
from tradewind.reports import performance
from tradewind.reports.feature_page import FeatureTables, render_feature_page
from tradewind.reports.html import render_html
from tradewind.reports.markdown import render_markdown
from tradewind.reports.tables import ReportTables
from tradewind.strategy import baselines

Partitions = Mapping[str, Callable[[], pd.DataFrame]]


def rank_strategies(
    portfolio_returns: pd.DataFrame, statistics: StatisticsRules, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The leaderboard over the walk-forward folds, and the same over the holdout."""
    families = {name: baselines.family(name) for name in portfolio_returns["strategy"].unique()}
    walk_forward = portfolio_returns[portfolio_returns["role"] == "walk_forward"]
    holdout = portfolio_returns[portfolio_returns["role"] == "holdout"]
    return leaderboard(walk_forward, families, statistics, seed), leaderboard(holdout, families, statistics, seed)


def judge_strategies(
    board: pd.DataFrame, holdout_board: pd.DataFrame, cost_sensitivity: pd.DataFrame, rules: VerdictRules
) -> dict[str, Any]:
    """The verdict on the best model."""
    return judge(board, holdout_board, cost_sensitivity, rules)


def draw_performance(
    portfolio_returns: pd.DataFrame, cost_sensitivity: pd.DataFrame, verdict: dict[str, Any]
) -> tuple[Any, Any, Any]:
    """Figures: equity, drawdown, cost sensitivity."""
    return (
        performance.equity_figure(portfolio_returns, verdict["strategy"]),
        performance.drawdown_figure(portfolio_returns, verdict["strategy"]),
        performance.cost_figure(cost_sensitivity, verdict["strategy"]),
    )


def write_report(
    data_quality: pd.DataFrame,
    data_gaps_figure: Any,
    feature_dictionary: pd.DataFrame,
    feature_distribution: pd.DataFrame,
    label_quality: pd.DataFrame,
    label_stability: pd.DataFrame,
    folds: pd.DataFrame,
    portfolio_returns: pd.DataFrame,
    board: pd.DataFrame,
    holdout_board: pd.DataFrame,
    breakdown: pd.DataFrame,
    cost_sensitivity: pd.DataFrame,
    verdict: dict[str, Any],
    universe: Universe,
    costs: Costs,
    seed: int,
    *model_tables: pd.DataFrame,
) -> tuple[str, str]:
    """The report as a self-contained page and as Markdown.

    `model_tables` are the fold metrics, confusion, reliability and importance of each model in turn.
    """
    metrics, confusion, reliability, importance = (
        pd.concat(model_tables[kind::4], ignore_index=True) for kind in range(4)
    )
    tables = ReportTables(
        data_quality=data_quality,
        gaps_figure=data_gaps_figure,
        feature_dictionary=feature_dictionary,
        feature_distribution=feature_distribution,
        label_quality=label_quality,
        label_stability=label_stability,
        folds=folds,
        fold_metrics=metrics,
        confusion=confusion,
        reliability=reliability,
        importance=importance,
        portfolio_returns=portfolio_returns,
        leaderboard=board,
        holdout_leaderboard=holdout_board,
        breakdown=breakdown,
        cost_sensitivity=cost_sensitivity,
        verdict=verdict,
        settings={"universe": universe.model_dump(mode="json"), "costs": costs.model_dump(), "seed": seed},
    )
    return render_html(tables), render_markdown(tables)


def write_feature_page(
    dictionary: pd.DataFrame,
    distribution: pd.DataFrame,
    coefficients: pd.DataFrame,
    drift: pd.DataFrame,
    histograms: pd.DataFrame,
    *importance: pd.DataFrame,
) -> str:
    """The feature dictionary as a page; `importance` is one table a model."""
    by_model = {str(table["model"].iloc[0]): table for table in importance if len(table)}
    return render_feature_page(FeatureTables(dictionary, distribution, coefficients, drift, histograms, by_model))
