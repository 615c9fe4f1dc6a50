"""The evaluation stage: it knows tables, not models."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kedro.pipeline import Node, Pipeline

from tradewind.pipelines.deferred import NodeModule

if TYPE_CHECKING:
    from tradewind.pipelines.evaluation import ensemble_nodes, nodes, report_nodes
else:
    ensemble_nodes = NodeModule("tradewind.pipelines.evaluation.ensemble_nodes")
    nodes = NodeModule("tradewind.pipelines.evaluation.nodes")
    report_nodes = NodeModule("tradewind.pipelines.evaluation.report_nodes")


MARKET, UNIVERSE, TRADING, SEED = "traded_market", "params:universe", "params:trading", "params:seed"
ROBUSTNESS, STATISTICS = "params:evaluation.robustness", "params:evaluation.statistics"
ENSEMBLE = "ensemble_forecasts"
ENSEMBLES = "params:evaluation.ensembles"
STAGES = ("classifier", "deep_learning", "reinforcement_learning")

# What the report is made of beside the tables of models, data and features, by its name in `ReportTables`.
ACCOUNTS = ("portfolio_returns", "breakdown", "cost_sensitivity", "trades", "seed_spread")
JUDGEMENT = (
    "leaderboard", "holdout_leaderboard", "significance", "selection", "forecast_comparison", "verdict", "scorecard",
    "model_coverage",
)  # fmt: skip
VARIATIONS = (
    "robustness", "parameter_plateau", "combinatorial_paths", "horizon_trading", "agent_scores", "agent_profile",
)  # fmt: skip


def create_pipeline() -> Pipeline:
    """Positions for all strategies on the same bars, accounts, leaderboards, verdict, report.

    The models are those of `params:models` that are there when it is run.
    """
    return Pipeline(
        [*_account_nodes(), *_variation_nodes(), *_judging_nodes(), *_report_nodes()],
        namespace="evaluation",
        prefix_datasets_with_namespace=False,
        tags="evaluation",
    )


def _account_nodes() -> list[Node]:
    """Forecasts to positions, positions to accounts."""
    return [
        Node(
            nodes.gather_forecasts,
            ["params:models", *(f"{stage}.cards" for stage in STAGES)],
            [
                "forecasts", "seed_forecasts", "horizon_forecasts", "path_forecasts", "agent_positions",
                "seed_positions", "model_coverage",
            ],
            name="gather_forecasts",
        ),
        Node(nodes.load_market, ["bars", "side_series", UNIVERSE, TRADING], MARKET, name="load_market"),
        Node(
            ensemble_nodes.combine_forecasts,
            ["forecasts", ENSEMBLES, "model_input", "regimes"],
            ENSEMBLE,
            name="combine_forecasts",
        ),
        Node(
            nodes.make_positions,
            [
                MARKET, "folds", "forecasts", "agent_positions", "source_oracle", SEED, ENSEMBLE,
                "params:evaluation.verdict", ENSEMBLES,
            ],
            "positions",
            name="make_positions",
        ),
        Node(nodes.run_backtests, ["positions", MARKET], ["backtests", "trades"], name="run_backtests"),
        Node(
            nodes.aggregate_portfolios,
            ["positions", "backtests", MARKET, "folds", "regimes"],
            ["portfolio_returns", "breakdown"],
            name="aggregate_portfolios",
        ),
        Node(
            nodes.measure_cost_sensitivity,
            ["positions", MARKET, "folds", "params:evaluation.sensitivity"],
            "cost_sensitivity",
            name="measure_cost_sensitivity",
        ),
    ]  # fmt: skip


def _variation_nodes() -> list[Node]:
    """The same under other assumptions: worlds, parameters, seeds, horizons, paths."""
    return [
        Node(
            nodes.stress_strategies,
            ["positions", MARKET, "folds", ROBUSTNESS, SEED],
            "robustness",
            name="stress_strategies",
        ),
        Node(
            nodes.vary_parameters,
            [MARKET, "folds", ROBUSTNESS, "forecasts", ENSEMBLE],
            "parameter_plateau",
            name="vary_parameters",
        ),
        Node(nodes.run_seeds, [MARKET, "folds", "forecasts", "seed_forecasts"], "seed_spread", name="run_seeds"),
        Node(nodes.trade_horizons, [MARKET, "folds", "horizon_forecasts"], "horizon_trading", name="trade_horizons"),
        Node(
            nodes.score_agents,
            ["portfolio_returns", MARKET, "folds", STATISTICS, SEED, "seed_positions"],
            ["agent_scores", "agent_profile"],
            name="score_agents",
        ),
        Node(nodes.run_paths, ["path_forecasts", MARKET], "combinatorial_paths", name="run_paths"),
    ]


def _judging_nodes() -> list[Node]:
    """What may be said: leaderboards, significance, verdict, scorecard."""
    return [
        Node(
            nodes.rank_strategies,
            ["portfolio_returns", STATISTICS, SEED, MARKET],
            ["leaderboard", "holdout_leaderboard"],
            name="rank_strategies",
        ),
        Node(
            nodes.gather_reports,
            ["model_coverage", *(f"{stage}.report_tables" for stage in STAGES)],
            "model_report",
            name="gather_reports",
        ),
        Node(
            nodes.measure_significance,
            ["portfolio_returns", "trial_history", MARKET, "parameters", STATISTICS, SEED],
            ["significance", "selection", "trial_ledger", "daily_returns"],
            name="measure_significance",
        ),
        Node(
            nodes.compare_forecasts,
            ["model_input", "folds", "forecasts", ENSEMBLE],
            "forecast_comparison",
            name="compare_forecasts",
        ),
        Node(
            nodes.judge_strategies,
            [
                "leaderboard", "holdout_leaderboard", "cost_sensitivity", "significance", "selection",
                "params:evaluation.verdict",
            ],
            "verdict",
            name="judge_strategies",
        ),
        Node(
            nodes.score_criteria,
            [
                "verdict", "leaderboard", "account_tables", "model_input", "folds", "selection", MARKET,
                STATISTICS, "params:evaluation.scorecard", SEED, "forecasts", ENSEMBLE,
            ],
            "criteria",
            name="score_criteria",
        ),
        Node(
            ensemble_nodes.score_regimes,
            ["criteria", "regimes", "folds", MARKET, STATISTICS, "params:evaluation.scorecard", SEED],
            "scorecard",
            name="score_regimes",
        ),
    ]  # fmt: skip


def _report_nodes() -> list[Node]:
    """Figures, the report and the page of features."""
    return [
        Node(
            report_nodes.draw_performance,
            ["portfolio_returns", "cost_sensitivity", "verdict", UNIVERSE],
            ["equity_figure", "drawdown_figure", "cost_figure"],
            name="draw_performance",
        ),
        Node(
            report_nodes.describe_run, [UNIVERSE, TRADING, SEED, "bars"], "run_settings", name="describe_run"
        ),
        Node(report_nodes.collect_accounts, _by_name(ACCOUNTS), "account_tables", name="collect_accounts"),
        Node(report_nodes.collect_judgement, _by_name(JUDGEMENT), "judgement_tables", name="collect_judgement"),
        Node(report_nodes.collect_variations, _by_name(VARIATIONS), "variation_tables", name="collect_variations"),
        Node(
            report_nodes.write_report,
            [
                "run_settings", "folds", "data_gaps_figure", "data_report", "feature_report", "model_report",
                "account_tables", "judgement_tables", "variation_tables", "run_facts", "bars",
            ],
            ["report_html", "report_markdown", "index_page"],
            name="write_report",
        ),
        Node(
            report_nodes.write_feature_page,
            ["feature_report", "model_report"],
            "feature_dictionary_page",
            name="write_feature_page",
        ),
    ]  # fmt: skip


def _by_name(names: Sequence[str]) -> dict[str, str]:
    return {name: name for name in names}
