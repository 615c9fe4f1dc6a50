"""The evaluation stage: it knows tables, not models."""

from kedro.pipeline import Node, Pipeline

from tradewind.adaptive.rl.parameters import AGENTS
from tradewind.learning.models.catalogue import LAST_VALUE, SEQUENCE
from tradewind.pipelines.evaluation import nodes
from tradewind.pipelines.evaluation.report_nodes import (
    AGENT_TABLES,
    MODEL_TABLES,
    NETWORK_TABLES,
    draw_performance,
    write_feature_page,
    write_report,
)

# Every family that forecasts: a new one is a line here. Those that are searched have trials and other seeds, too.
TUNED = ("classifier.xgboost", "classifier.lightgbm")
NETWORKS = tuple(f"deep_learning.{name}" for name in SEQUENCE if name != LAST_VALUE)
MODELS = (*TUNED, *NETWORKS)
ACTING = tuple(f"reinforcement_learning.{name}" for name in AGENTS)
FLOOR = f"deep_learning.{LAST_VALUE}"  # scored as a forecast, not traded
MARKET, UNIVERSE, TRADING, SEED = "traded_market", "params:universe", "params:trading", "params:seed"
ROBUSTNESS, STATISTICS = "params:evaluation.robustness", "params:evaluation.statistics"

# What the report is made of, by its name in the catalog and in `ReportTables`.
REPORTED = (
    "data_quality", "feature_dictionary", "feature_distribution", "label_quality", "label_stability", "folds",
    "portfolio_returns", "leaderboard", "holdout_leaderboard", "breakdown", "cost_sensitivity", "verdict", "trades",
    "significance", "selection", "forecast_comparison", "robustness", "parameter_plateau", "combinatorial_paths",
    "seed_spread", "scorecard", "horizon_trading", "agent_scores", "agent_profile",
)  # fmt: skip


def create_pipeline() -> Pipeline:
    """Positions for all strategies on the same bars, accounts, leaderboards, verdict, report."""
    trading = [*_account_nodes(), *_variation_nodes(), *_judging_nodes()]
    return Pipeline([*trading, *_report_nodes()], tags="evaluation")


def _forecasts() -> list[str]:
    return [f"{model}.forecasts" for model in (*MODELS, FLOOR)] + ["opponent_forecasts"]


def _account_nodes() -> list[Node]:
    """Forecasts to positions, positions to accounts."""
    return [
        Node(nodes.load_market, ["bars", "side_series", UNIVERSE, TRADING], MARKET, name="load_market"),
        Node(
            nodes.make_positions,
            [MARKET, "folds", "agent_positions", "source_oracle", SEED, *_forecasts()],
            "positions",
            name="make_positions",
        ),
        Node(nodes.run_backtests, ["positions", MARKET], ["backtests", "trades"], name="run_backtests"),
        Node(
            nodes.aggregate_portfolios,
            ["positions", "backtests", MARKET, "folds"],
            ["portfolio_returns", "breakdown"],
            name="aggregate_portfolios",
        ),
        Node(
            nodes.measure_cost_sensitivity,
            ["positions", MARKET, "folds", "params:evaluation.sensitivity"],
            "cost_sensitivity",
            name="measure_cost_sensitivity",
        ),
    ]


def _variation_nodes() -> list[Node]:
    """The same under other assumptions: worlds, parameters, seeds, horizons, paths."""
    seeds = [f"{model}.{table}" for table in ("forecasts", "seed_forecasts") for model in TUNED]
    horizons = [f"{network}.horizon_forecasts" for network in NETWORKS]
    agents = [f"{agent}.seed_positions" for agent in ACTING]
    return [
        Node(
            nodes.stress_strategies,
            ["positions", MARKET, "folds", ROBUSTNESS, SEED],
            "robustness",
            name="stress_strategies",
        ),
        Node(
            nodes.vary_parameters,
            [MARKET, "folds", ROBUSTNESS, *_forecasts()],
            "parameter_plateau",
            name="vary_parameters",
        ),
        Node(nodes.run_seeds, [MARKET, "folds", *seeds], "seed_spread", name="run_seeds"),
        Node(nodes.trade_horizons, [MARKET, "folds", *horizons], "horizon_trading", name="trade_horizons"),
        Node(
            nodes.score_agents,
            ["portfolio_returns", MARKET, "folds", STATISTICS, SEED, *agents],
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
            ["portfolio_returns", STATISTICS, SEED],
            ["leaderboard", "holdout_leaderboard"],
            name="rank_strategies",
        ),
        Node(
            nodes.measure_significance,
            [
                "portfolio_returns", "trial_history", UNIVERSE, STATISTICS, SEED,
                *(f"{model}.trials" for model in TUNED),
            ],
            ["significance", "selection", "trial_ledger", "daily_returns"],
            name="measure_significance",
        ),
        Node(
            nodes.compare_forecasts,
            ["model_input", "folds", *_forecasts()],
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
                "verdict", "leaderboard", "portfolio_returns", "trades", "model_input", "folds", "seed_spread",
                "selection", MARKET, STATISTICS, "params:evaluation.scorecard", SEED, *_forecasts(),
            ],
            "scorecard",
            name="score_criteria",
        ),
    ]  # fmt: skip


def _report_nodes() -> list[Node]:
    """Figures, the report and the page of features."""
    model_tables = [f"{model}.{table}" for model in MODELS for table in MODEL_TABLES]
    by_agent = [f"{agent}.{table}" for agent in ACTING for table in AGENT_TABLES]
    by_network = [f"{network}.{table}" for network in NETWORKS for table in NETWORK_TABLES]
    return [
        Node(
            draw_performance,
            ["portfolio_returns", "cost_sensitivity", "verdict"],
            ["equity_figure", "drawdown_figure", "cost_figure"],
            name="draw_performance",
        ),
        Node(
            write_report,
            {
                "universe": UNIVERSE,
                "trading": TRADING,
                "seed": SEED,
                "bars": "bars",
                "gaps_figure": "data_gaps_figure",
                **{name: name for name in REPORTED},
                **{name: name for name in (*model_tables, *by_network, *by_agent, f"{FLOOR}.horizon_metrics")},
            },
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
    ]
