"""The evaluation stage: it knows tables, not models."""

from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

from tradewind.adaptive.rl.parameters import AGENTS
from tradewind.learning.models import catalogue
from tradewind.learning.models.chosen import chosen
from tradewind.pipelines.evaluation.agent_nodes import score_agents
from tradewind.pipelines.evaluation.judging_nodes import (
    AGENT_TABLES,
    MODEL_TABLES,
    NETWORK_TABLES,
    draw_performance,
    judge_strategies,
    rank_strategies,
    write_feature_page,
    write_report,
)
from tradewind.pipelines.evaluation.robustness_nodes import (
    run_paths,
    run_seeds,
    stress_strategies,
    trade_horizons,
    vary_parameters,
)
from tradewind.pipelines.evaluation.scorecard_nodes import score_criteria
from tradewind.pipelines.evaluation.significance_nodes import compare_forecasts, measure_significance
from tradewind.pipelines.evaluation.trading_nodes import (
    aggregate_portfolios,
    make_positions,
    measure_cost_sensitivity,
    run_backtests,
)

ACTING = tuple(f"reinforcement_learning.{name}" for name in AGENTS)
UNIVERSE, COSTS, EXECUTION = "params:universe", "params:costs", "params:execution"
SIZING, SIGNAL = "params:evaluation.sizing", "params:evaluation.signal"
ROBUSTNESS = "params:evaluation.robustness"

# What the report is made of, by its name in the catalog and in `ReportTables`.
REPORTED = (
    "data_quality", "feature_dictionary", "feature_distribution", "label_quality", "label_stability", "folds",
    "portfolio_returns", "leaderboard", "holdout_leaderboard", "breakdown", "cost_sensitivity", "verdict", "trades",
    "significance", "selection", "forecast_comparison", "robustness", "parameter_plateau", "combinatorial_paths",
    "seed_spread", "scorecard", "horizon_trading", "agent_scores", "agent_profile",
)  # fmt: skip


def create_pipeline(models: Sequence[str] | None = None) -> Pipeline:
    """Positions for all strategies on the same bars, accounts, leaderboards, verdict, report.

    The models are those of `params:models` if none are given. Those without a direction are scored as forecasts and
    not traded; those that are searched have trials and other seeds, too.
    """
    names = tuple(chosen() if models is None else models)
    whole = {name: f"{catalogue.stage_of(name)}.{name}" for name in names}
    directed = [whole[name] for name in names if catalogue.has_direction(name)]
    tuned = [whole[name] for name in names if catalogue.is_tuned(name)]
    over_windows = [whole[name] for name in catalogue.windows_of(names)]
    networks = [name for name in over_windows if name in directed]
    model_tables = [f"{model}.{table}" for model in directed for table in MODEL_TABLES]
    forecasts = [f"{model}.forecasts" for model in whole.values()]
    by_agent = [f"{agent}.{table}" for agent in ACTING for table in AGENT_TABLES]
    by_network = [f"{network}.{table}" for network in networks for table in NETWORK_TABLES]
    floors = [f"{name}.horizon_metrics" for name in over_windows if name not in networks]
    market = ["bars", "side_series"]
    return Pipeline(
        [
            Node(
                make_positions,
                [
                    "bars",
                    "folds",
                    "source_oracle",
                    UNIVERSE,
                    COSTS,
                    SIGNAL,
                    SIZING,
                    "agent_positions",
                    "params:seed",
                    *forecasts,
                ],
                "positions",
                name="make_positions",
            ),
            Node(
                run_backtests,
                ["positions", *market, UNIVERSE, COSTS, EXECUTION, SIZING],
                ["backtests", "trades"],
                name="run_backtests",
            ),
            Node(
                aggregate_portfolios,
                ["positions", "backtests", *market, "folds", UNIVERSE, COSTS, EXECUTION, SIZING],
                ["portfolio_returns", "breakdown"],
                name="aggregate_portfolios",
            ),
            Node(
                measure_cost_sensitivity,
                [
                    "positions",
                    *market,
                    "folds",
                    UNIVERSE,
                    COSTS,
                    EXECUTION,
                    SIZING,
                    "params:evaluation.sensitivity",
                ],
                "cost_sensitivity",
                name="measure_cost_sensitivity",
            ),
            Node(
                stress_strategies,
                ["positions", *market, "folds", UNIVERSE, COSTS, EXECUTION, SIZING, ROBUSTNESS, "params:seed"],
                "robustness",
                name="stress_strategies",
            ),
            Node(
                vary_parameters,
                [*market, "folds", UNIVERSE, COSTS, EXECUTION, SIGNAL, SIZING, ROBUSTNESS, *forecasts],
                "parameter_plateau",
                name="vary_parameters",
            ),
            Node(
                run_seeds,
                [
                    *market,
                    "folds",
                    UNIVERSE,
                    COSTS,
                    EXECUTION,
                    SIGNAL,
                    SIZING,
                    *(f"{model}.forecasts" for model in tuned),
                    *(f"{model}.seed_forecasts" for model in tuned),
                ],
                "seed_spread",
                name="run_seeds",
            ),
            Node(
                trade_horizons,
                [
                    *market,
                    "folds",
                    UNIVERSE,
                    COSTS,
                    EXECUTION,
                    SIGNAL,
                    SIZING,
                    *(f"{network}.horizon_forecasts" for network in networks),
                ],
                "horizon_trading",
                name="trade_horizons",
            ),
            Node(
                score_agents,
                [
                    "portfolio_returns",
                    *market,
                    "folds",
                    UNIVERSE,
                    COSTS,
                    EXECUTION,
                    SIZING,
                    "params:evaluation.statistics",
                    "params:seed",
                    *(f"{agent}.seed_positions" for agent in ACTING),
                ],
                ["agent_scores", "agent_profile"],
                name="score_agents",
            ),
            Node(
                run_paths,
                ["path_forecasts", *market, UNIVERSE, COSTS, EXECUTION, SIGNAL, SIZING],
                "combinatorial_paths",
                name="run_paths",
            ),
            Node(
                rank_strategies,
                ["portfolio_returns", "params:evaluation.statistics", "params:seed"],
                ["leaderboard", "holdout_leaderboard"],
                name="rank_strategies",
            ),
            Node(
                measure_significance,
                [
                    "portfolio_returns",
                    "trial_history",
                    UNIVERSE,
                    "params:evaluation.statistics",
                    "params:seed",
                    *(f"{model}.trials" for model in tuned),
                ],
                ["significance", "selection", "trial_ledger", "daily_returns"],
                name="measure_significance",
            ),
            Node(
                compare_forecasts, ["model_input", "folds", *forecasts], "forecast_comparison", name="compare_forecasts"
            ),
            Node(
                judge_strategies,
                [
                    "leaderboard",
                    "holdout_leaderboard",
                    "cost_sensitivity",
                    "significance",
                    "selection",
                    "params:evaluation.verdict",
                ],
                "verdict",
                name="judge_strategies",
            ),
            Node(
                score_criteria,
                [
                    "verdict",
                    "leaderboard",
                    "portfolio_returns",
                    "trades",
                    *market,
                    "model_input",
                    "folds",
                    "seed_spread",
                    "selection",
                    UNIVERSE,
                    COSTS,
                    SIZING,
                    "params:evaluation.statistics",
                    "params:evaluation.scorecard",
                    "params:seed",
                    *forecasts,
                ],
                "scorecard",
                name="score_criteria",
            ),
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
                    "costs": COSTS,
                    "execution": EXECUTION,
                    "seed": "params:seed",
                    "bars": "bars",
                    "gaps_figure": "data_gaps_figure",
                    **{name: name for name in REPORTED},
                    **{name: name for name in (*model_tables, *by_network, *by_agent, *floors)},
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
                    *(f"{model}.importance" for model in directed),
                ],
                "feature_dictionary_page",
                name="write_feature_page",
            ),
        ],
        tags="evaluation",
    )
