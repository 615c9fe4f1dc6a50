"""The evaluation stage: it knows tables, not models."""

from kedro.pipeline import Node, Pipeline

from tradewind.pipelines.evaluation.judging_nodes import (
    draw_performance,
    judge_strategies,
    rank_strategies,
    write_feature_page,
    write_report,
)
from tradewind.pipelines.evaluation.trading_nodes import (
    aggregate_portfolios,
    make_positions,
    measure_cost_sensitivity,
    run_backtests,
)

# Every family that forecasts: a new one is a line here.
MODELS = ("classifier.xgboost", "classifier.lightgbm")
SHARED = ["params:universe", "params:costs"]
SIZING = "params:evaluation.sizing"


def create_pipeline() -> Pipeline:
    """Positions for all strategies on the same bars, accounts, leaderboards, verdict, report."""
    model_tables = [
        f"{model}.{table}" for model in MODELS for table in ("fold_metrics", "confusion", "reliability", "importance")
    ]
    return Pipeline(
        [
            Node(
                make_positions,
                [
                    "bars",
                    "folds",
                    "source_oracle",
                    *SHARED,
                    "params:evaluation.signal",
                    SIZING,
                    "params:seed",
                    *(f"{model}.forecasts" for model in MODELS),
                ],
                "positions",
                name="make_positions",
            ),
            Node(
                run_backtests, ["positions", "bars", "side_series", *SHARED, SIZING], "backtests", name="run_backtests"
            ),
            Node(
                aggregate_portfolios,
                ["backtests", "folds"],
                ["portfolio_returns", "breakdown"],
                name="aggregate_portfolios",
            ),
            Node(
                measure_cost_sensitivity,
                ["positions", "bars", "side_series", "folds", *SHARED, SIZING, "params:evaluation.sensitivity"],
                "cost_sensitivity",
                name="measure_cost_sensitivity",
            ),
            Node(
                rank_strategies,
                ["portfolio_returns", "params:evaluation.statistics", "params:seed"],
                ["leaderboard", "holdout_leaderboard"],
                name="rank_strategies",
            ),
            Node(
                judge_strategies,
                ["leaderboard", "holdout_leaderboard", "cost_sensitivity", "params:evaluation.verdict"],
                "verdict",
                name="judge_strategies",
            ),
            Node(
                draw_performance,
                ["portfolio_returns", "cost_sensitivity", "verdict"],
                ["equity_figure", "drawdown_figure", "cost_figure"],
                name="draw_performance",
            ),
            Node(
                write_report,
                [
                    "data_quality",
                    "data_gaps_figure",
                    "feature_dictionary",
                    "feature_distribution",
                    "label_quality",
                    "label_stability",
                    "folds",
                    "portfolio_returns",
                    "leaderboard",
                    "holdout_leaderboard",
                    "breakdown",
                    "cost_sensitivity",
                    "verdict",
                    *SHARED,
                    "params:seed",
                    *model_tables,
                ],
                ["report_html", "report_markdown"],
                name="write_report",
            ),
            Node(
                write_feature_page,
                [
                    "feature_dictionary",
                    "feature_distribution",
                    "feature_coefficients",
                    "feature_drift",
                    "feature_histograms",
                    *(f"{model}.importance" for model in MODELS),
                ],
                "feature_dictionary_page",
                name="write_feature_page",
            ),
        ],
        tags="evaluation",
    )
