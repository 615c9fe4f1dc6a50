"""One market of known strength through the whole pipeline, in memory: what is said of it, and what is true."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from tradewind.compute import ComputeRules
from tradewind.execution.costs import Costs
from tradewind.execution.orders import OrderRules
from tradewind.features.catalogue import FeatureSelection
from tradewind.labels.rules import LabelRules
from tradewind.labels.weights import WeightRules
from tradewind.market.cleaning import MarketRules
from tradewind.market.simulator import SimulationSpec, simulate_market
from tradewind.market.universe import Universe
from tradewind.metrics.ranking import StatisticsRules
from tradewind.metrics.verdict import VerdictRules
from tradewind.models import catalogue, opponents, walk_forward
from tradewind.models.base import Files
from tradewind.models.boosting import BoostingParameters
from tradewind.models.walk_forward import TrainingRules
from tradewind.pipelines.data_engineering import nodes as data
from tradewind.pipelines.evaluation import judging_nodes, significance_nodes, trading_nodes
from tradewind.pipelines.feature_engineering import feature_nodes, label_nodes
from tradewind.pipelines.feature_engineering.label_nodes import ModelInputRules
from tradewind.splits.walk_forward import FoldPlan
from tradewind.strategy.signals import SignalRules
from tradewind.strategy.sizing import SizingRules

FIRST_SEED = 10_000  # far from the seeds that the demo and the tests look at
STRENGTHS = (1.0, 2.0, 3.0, 4.0, 6.0)
LENGTHS = (365, 730, 1095)


class Case(BaseModel):
    """A market to judge; `edge` 0 is a null market."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    edge: float = Field(ge=0)
    days: int = Field(ge=180)
    seed: int = Field(ge=0)
    n_symbols: int = Field(default=3, ge=1)

    @property
    def key(self) -> str:
        """What tells the case from all others."""
        return f"edge {self.edge:g}, {self.days} days, {self.n_symbols} symbols, seed {self.seed}"


def cases(n_null: int, n_planted: int) -> list[Case]:
    """Null markets of two years, and planted ones of every strength and length in turn."""
    null = [Case(edge=0, days=730, seed=FIRST_SEED + number) for number in range(n_null)]
    grid = [(edge, days) for days in LENGTHS for edge in STRENGTHS]
    planted = [
        Case(edge=grid[number % len(grid)][0], days=grid[number % len(grid)][1], seed=FIRST_SEED + 100_000 + number)
        for number in range(n_planted)
    ]
    return null + planted


class _Memory:
    """A model store that forgets."""

    def get(self, key: str) -> Files | None:
        """Nothing is ever found."""
        return None

    def put(self, key: str, files: Files, about: dict[str, Any]) -> None:
        """Nothing is kept."""


def _lazily(tables: Mapping[str, pd.DataFrame]) -> dict[str, Callable[[], pd.DataFrame]]:
    return {name: partial(_itself, table) for name, table in tables.items()}


def _itself(table: pd.DataFrame) -> pd.DataFrame:
    return table


def judge_market(case: Case, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict on one market, by the same nodes as `kedro run`, and what the oracle earned there.

    `parameters` are the project's own. To be small, LightGBM is trained with default parameters on every fourth bar,
    without a search, beside the linear model; features on slower timeframes are left out.
    """
    market = simulate_market(SimulationSpec(n_symbols=case.n_symbols, days=case.days, edge=case.edge, seed=case.seed))
    universe = Universe(
        venue="simulated", symbols=market.spec.symbols, timeframe=market.spec.timeframe,
        reference_symbol=market.spec.symbols[0], side_series=("funding", "sentiment"),
    )  # fmt: skip
    settings = _Settings.from_parameters(parameters)
    typed, unreadable = data.type_bars(_lazily(market.bars), universe)
    checked, _, _ = data.check_bars(_lazily(typed), unreadable, universe, settings.market)
    bars = _lazily(checked)
    side_series = data.select_side_series(market.side_series, universe)
    compute = ComputeRules(threads=1)
    selection = settings.features.model_copy(update={"slower_timeframes": ()})
    features = feature_nodes.compute_features(bars, side_series, universe, selection, compute)
    tables = {name: load() for name, load in features.items()}
    labels, counts = label_nodes.make_labels(bars, universe, settings.labels, settings.weights, case.seed)
    inputs, _ = label_nodes.assemble_model_input(
        _lazily(tables), _lazily(labels), counts, universe, settings.model_input
    )
    rows = walk_forward.pool(inputs)
    folds = label_nodes.make_folds(_lazily(inputs), universe, settings.folds, settings.labels)
    trained = walk_forward.train_folds(
        catalogue.boosting("lightgbm"), BoostingParameters(), rows, folds, settings.training, _Memory(), case.seed
    )
    forecasts = walk_forward.forecast_table(trained, settings.labels.horizon_bars)
    others = opponents.opponent_forecasts(rows, folds, settings.labels.horizon_bars)
    trading = (universe, settings.costs, settings.execution, settings.sizing)
    positions = _lazily(
        trading_nodes.make_positions(
            bars, folds, market.oracle, universe, settings.costs, settings.signal, settings.sizing, case.seed,
            forecasts, others,
        )
    )  # fmt: skip
    accounts, _ = trading_nodes.run_backtests(positions, bars, side_series, *trading)
    returns, _ = trading_nodes.aggregate_portfolios(positions, _lazily(accounts), bars, side_series, folds, *trading)
    sensitivity = trading_nodes.measure_cost_sensitivity(
        positions, bars, side_series, folds, *trading, trading_nodes.SensitivityRules()
    )
    board, holdout = judging_nodes.rank_strategies(returns, settings.statistics, case.seed)
    significance, chosen, _, _ = significance_nodes.measure_significance(
        returns, [], universe, settings.statistics, case.seed
    )
    verdict = judging_nodes.judge_strategies(board, holdout, sensitivity, significance, chosen, settings.verdict)
    return _outcome(case, verdict, board)


def _outcome(case: Case, verdict: Mapping[str, Any], board: pd.DataFrame) -> dict[str, Any]:
    by_name = board.set_index("strategy")
    holding = by_name.loc["buy_and_hold"]
    models = by_name[by_name["family"] == "model"]["sharpe"]
    kept = (
        "verdict", "strategy", "sharpe", "sharpe_low", "sharpe_high", "holdout_sharpe", "probability_of_luck",
        "deflated_sharpe", "probability_of_overfitting",
    )  # fmt: skip
    return {
        "key": case.key, **case.model_dump(), **{name: verdict[name] for name in kept},
        "oracle_sharpe": float(by_name["sharpe"].get("oracle", 0.0)),
        "holding_low": float(holding["sharpe_low"]), "holding_high": float(holding["sharpe_high"]),
        **{f"sharpe_{name}": float(value) for name, value in models.items()},
    }  # fmt: skip


class _Settings(BaseModel):
    """The project's parameters, typed."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    market: MarketRules
    features: FeatureSelection
    labels: LabelRules
    weights: WeightRules
    model_input: ModelInputRules
    folds: FoldPlan
    training: TrainingRules
    signal: SignalRules
    sizing: SizingRules
    statistics: StatisticsRules
    verdict: VerdictRules
    costs: Costs
    execution: OrderRules

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> "_Settings":
        """From what Kedro loads; the training is thinned."""
        features, evaluation = parameters["feature_engineering"], parameters["evaluation"]
        training = TrainingRules.model_validate(parameters["classifier"]["lightgbm"]["training"])
        return cls.model_validate(
            {
                "market": parameters["data_engineering"]["market"],
                **{name: features[name] for name in ("features", "labels", "weights", "model_input", "folds")},
                **{name: evaluation[name] for name in ("signal", "sizing", "statistics", "verdict")},
                "costs": parameters["costs"], "execution": parameters["execution"],
                "training": training.model_copy(update={"row_stride": 4, "fits_side_by_side": 1}),
            }
        )  # fmt: skip


def summarise(outcomes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the outcomes say: false-discovery rate, power, share of the oracle, coverage; each with its interval.

    Shares carry the interval of Wilson (1927) at 90 %. The false-discovery rate is the share of null markets called go;
    power the share of planted ones called go, by strength and length. Coverage is how often the 90 % interval of
    buying and holding holds its true Sharpe ratio on the null markets, which is zero.
    """
    table = pd.DataFrame(list(outcomes))
    null, planted = table[table["edge"] == 0], table[table["edge"] > 0]
    cells = []
    for (edge, days), part in planted.groupby(["edge", "days"]):
        able = part[part["oracle_sharpe"] > 0]
        cells.append(
            {
                "edge": float(edge), "days": int(days), "markets": len(part),
                "power": share((part["verdict"] == "go").sum(), len(part)),
                "not_no_go": share((part["verdict"] != "no-go").sum(), len(part)),
                "oracle_sharpe": float(part["oracle_sharpe"].mean()),
                "share_of_oracle": float(able["sharpe"].sum() / able["oracle_sharpe"].sum()) if len(able) else None,
            }
        )  # fmt: skip
    covered = ((null["holding_low"] <= 0) & (null["holding_high"] >= 0)).sum()
    return {
        "null_markets": len(null), "planted_markets": len(planted),
        "false_discovery": share((null["verdict"] == "go").sum(), len(null)),
        "false_watch": share((null["verdict"] == "watch").sum(), len(null)),
        "coverage": share(covered, len(null)),
        "null_sharpe_mean": float(null["sharpe"].mean()) if len(null) else None,
        "null_sharpe_deviation": float(null["sharpe"].std()) if len(null) > 1 else None,
        "null_overfitting_mean": float(null["probability_of_overfitting"].mean()) if len(null) else None,
        "planted": cells,
    }  # fmt: skip


def share(hits: int, n: int) -> dict[str, float | int | None]:
    """A share with Wilson's 90 % interval; None where there is nothing to count."""
    if n == 0:
        return {"n": 0, "value": None, "low": None, "high": None}
    z, p = 1.6449, hits / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return {"n": int(n), "value": float(p), "low": float(max(centre - reach, 0)), "high": float(min(centre + reach, 1))}
