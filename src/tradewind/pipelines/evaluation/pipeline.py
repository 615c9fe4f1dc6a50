"""The evaluation stage: it knows tables, not models."""

from collections.abc import Sequence
from typing import NamedTuple

from kedro.pipeline import Node, Pipeline

from tradewind.learning.models import catalogue
from tradewind.learning.models.chosen import chosen, chosen_agents
from tradewind.pipelines.evaluation import nodes
from tradewind.pipelines.evaluation.report_nodes import (
    AGENT_TABLES,
    MODEL_TABLES,
    NETWORK_TABLES,
    draw_performance,
    write_feature_page,
    write_report,
)

MARKET, UNIVERSE, TRADING, SEED = "traded_market", "params:universe", "params:trading", "params:seed"
ROBUSTNESS, STATISTICS = "params:evaluation.robustness", "params:evaluation.statistics"

# What the report is made of, by its name in the catalog and in `ReportTables`.
REPORTED = (
    "data_quality", "feature_dictionary", "feature_distribution", "label_quality", "label_stability", "folds",
    "portfolio_returns", "leaderboard", "holdout_leaderboard", "breakdown", "cost_sensitivity", "verdict", "trades",
    "significance", "selection", "forecast_comparison", "robustness", "parameter_plateau", "combinatorial_paths",
    "seed_spread", "scorecard", "horizon_trading", "agent_scores", "agent_profile",
)  # fmt: skip


class RunModels(NamedTuple):
    """The models of a run by what evaluation does with them, each as `STAGE.MODEL`.

    Attributes:
        whole: all of them; their forecasts are scored.
        directed: those that are traded.
        tuned: those that are searched, with trials and other seeds.
        networks: those over windows of bars that are traded.
        floors: those over windows of bars that are scored alone.
        agents: those that act in the account.
    """

    whole: tuple[str, ...]
    directed: tuple[str, ...]
    tuned: tuple[str, ...]
    networks: tuple[str, ...]
    floors: tuple[str, ...]
    agents: tuple[str, ...]

    @classmethod
    def of(cls, names: Sequence[str], agents: Sequence[str]) -> "RunModels":
        """The models of these names of the catalogue, and these agents."""
        whole = {name: f"{catalogue.stage_of(name)}.{name}" for name in names}
        windows = catalogue.windows_of(tuple(names))
        return cls(
            tuple(whole.values()),
            tuple(whole[name] for name in names if catalogue.has_direction(name)),
            tuple(whole[name] for name in names if catalogue.is_tuned(name)),
            tuple(whole[name] for name in windows if catalogue.has_direction(name)),
            tuple(whole[name] for name in windows if not catalogue.has_direction(name)),
            tuple(f"reinforcement_learning.{name}" for name in agents),
        )

    @property
    def forecasts(self) -> list[str]:
        """The datasets of all forecasts."""
        return [f"{model}.forecasts" for model in self.whole]


def create_pipeline(models: Sequence[str] | None = None, agents: Sequence[str] | None = None) -> Pipeline:
    """Positions for all strategies on the same bars, accounts, leaderboards, verdict, report.

    Models and agents are those of `params:models` if none are given.
    """
    of_run = RunModels.of(
        tuple(chosen() if models is None else models), tuple(chosen_agents() if agents is None else agents)
    )
    trading = [*_account_nodes(of_run), *_variation_nodes(of_run), *_judging_nodes(of_run)]
    return Pipeline([*trading, *_report_nodes(of_run)], tags="evaluation")


def _account_nodes(models: RunModels) -> list[Node]:
    """Forecasts to positions, positions to accounts."""
    return [
        Node(nodes.load_market, ["bars", "side_series", UNIVERSE, TRADING], MARKET, name="load_market"),
        Node(
            nodes.make_positions,
            [MARKET, "folds", "agent_positions", "source_oracle", SEED, *models.forecasts],
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


def _variation_nodes(models: RunModels) -> list[Node]:
    """The same under other assumptions: worlds, parameters, seeds, horizons, paths."""
    seeds = [f"{model}.{table}" for table in ("forecasts", "seed_forecasts") for model in models.tuned]
    horizons = [f"{network}.horizon_forecasts" for network in models.networks]
    agents = [f"{agent}.seed_positions" for agent in models.agents]
    return [
        Node(
            nodes.stress_strategies,
            ["positions", MARKET, "folds", ROBUSTNESS, SEED],
            "robustness",
            name="stress_strategies",
        ),
        Node(
            nodes.vary_parameters,
            [MARKET, "folds", ROBUSTNESS, *models.forecasts],
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


def _judging_nodes(models: RunModels) -> list[Node]:
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
                *(f"{model}.trials" for model in models.tuned),
            ],
            ["significance", "selection", "trial_ledger", "daily_returns"],
            name="measure_significance",
        ),
        Node(
            nodes.compare_forecasts,
            ["model_input", "folds", *models.forecasts],
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
                "selection", MARKET, STATISTICS, "params:evaluation.scorecard", SEED, *models.forecasts,
            ],
            "scorecard",
            name="score_criteria",
        ),
    ]  # fmt: skip


def _report_nodes(models: RunModels) -> list[Node]:
    """Figures, the report and the page of features."""
    model_tables = [f"{model}.{table}" for model in models.directed for table in MODEL_TABLES]
    by_agent = [f"{agent}.{table}" for agent in models.agents for table in AGENT_TABLES]
    floors = [f"{model}.horizon_metrics" for model in models.floors]
    by_network = [f"{network}.{table}" for network in models.networks for table in NETWORK_TABLES]
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
                "run_facts": "run_facts",
                "gaps_figure": "data_gaps_figure",
                **{name: name for name in REPORTED},
                **{name: name for name in (*model_tables, *by_network, *by_agent, *floors)},
            },
            ["report_html", "report_markdown", "index_page"],
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
                *(f"{model}.importance" for model in models.directed),
            ],
            "feature_dictionary_page",
            name="write_feature_page",
        ),
    ]
