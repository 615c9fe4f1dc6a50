"""The pipeline from received rows to accounts, in memory, with every step replaceable.

The same functions as the nodes of `kedro run` call. The experiment runs markets through it, the leak audit other
histories, and the planted leaks replace one step each.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict

from tradewind.compute import ComputeRules
from tradewind.data.files.cleaning import MarketRules
from tradewind.data.quality import checked_bars
from tradewind.data.quality.daily import known_with_quality, quality_series
from tradewind.data.quality.rules import QualityRules
from tradewind.data.side_data.collection import collect_side_series
from tradewind.evaluation.positions import make_positions, traded
from tradewind.evaluation.traded_market import TradedMarket
from tradewind.learning.ensemble.joining import EnsembleRules
from tradewind.learning.features import of_universe as features_of_universe
from tradewind.learning.features.catalogue import FeatureSelection
from tradewind.learning.labels import of_universe as labels_of_universe
from tradewind.learning.labels.rules import LabelRules
from tradewind.learning.labels.weights import WeightRules
from tradewind.learning.models import catalogue, model_input, tuning, walk_forward
from tradewind.learning.models.boosting import BoostingParameters
from tradewind.learning.models.model_input import ModelInputRules
from tradewind.learning.models.tuning import TuningRules
from tradewind.learning.models.walk_forward import TrainingRules
from tradewind.learning.splits.walk_forward import FoldPlan
from tradewind.market.universe import Universe
from tradewind.metrics.ranking import StatisticsRules
from tradewind.metrics.verdict import VerdictRules
from tradewind.trading.setup import TradingSetup
from tradewind.validation import acting, regimes_beside
from tradewind.validation.acting import NullModelStore

Tables = Mapping[str, pd.DataFrame]
MODEL = "lightgbm"


class RunSettings(BaseModel):
    """The project's parameters, typed; the model is LightGBM, trained small."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    market: MarketRules
    quality: QualityRules = QualityRules()
    features: FeatureSelection
    labels: LabelRules
    weights: WeightRules
    model_input: ModelInputRules
    folds: FoldPlan
    tuning: TuningRules
    training: TrainingRules
    ensembles: EnsembleRules = EnsembleRules()
    statistics: StatisticsRules
    verdict: VerdictRules
    trading: TradingSetup
    seed: int

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any], seed: int | None = None) -> "RunSettings":
        """From what Kedro loads. To be small, every fourth bar trains and nothing is searched."""
        features, evaluation = parameters["feature_engineering"], parameters["evaluation"]
        model = parameters["classifier"][MODEL]
        training = TrainingRules.model_validate(model["training"])
        return cls.model_validate(
            {
                "market": parameters["data_engineering"]["market"],
                "quality": parameters["data_engineering"]["quality"],
                **{name: features[name] for name in ("features", "labels", "weights", "model_input", "folds")},
                **{name: evaluation[name] for name in ("ensembles", "statistics", "verdict")},
                "trading": parameters["trading"],
                "tuning": TuningRules.model_validate(model["tuning"]).model_copy(update={"n_trials": 1}),
                "training": training.model_copy(update={"row_stride": 4, "fits_side_by_side": 1}),
                "seed": parameters["seed"] if seed is None else seed,
            }
        )  # fmt: skip

    def changed(self, **settings: Any) -> "RunSettings":
        """The same with other values."""
        return self.model_copy(update=settings)


@dataclass(frozen=True)
class Sources:
    """What the pipeline starts from: rows as received by partition, side series, and an oracle if there is one."""

    universe: Universe
    bars: Tables
    side_series: pd.DataFrame
    oracle: pd.DataFrame


def load_sources(catalog: Any, parameters: Mapping[str, Any]) -> Sources:
    """What a Kedro environment's catalog reads from."""
    universe = Universe.model_validate(parameters["universe"])
    received = catalog.load("source_bars")
    bars = {name: received[name]() for name in universe.partitions if name in received}
    rules = MarketRules.model_validate(parameters["data_engineering"]["market"])
    vintages, _, _ = collect_side_series(
        catalog.load("source_side_series"), universe.received_side_series, universe.symbols, rules.reject_share_limit
    )
    return Sources(universe, bars, vintages, catalog.load("source_oracle"))


@dataclass(frozen=True)
class Products:
    """What every step made; tables of symbols by partition, positions by strategy.

    `regimes` has tables where they were asked for. `decisions` are those of the live path over the first test window,
    `accounts` the returns of all strategies; both have no rows where a run was not asked to go so far.
    """

    bars: Tables
    side_series: pd.DataFrame
    features: Tables
    labels: Tables
    model_input: Tables
    folds: pd.DataFrame
    forecasts: pd.DataFrame
    positions: Tables
    decisions: pd.DataFrame
    accounts: pd.DataFrame
    regimes: Tables


def best_parameters(rows: pd.DataFrame, folds: pd.DataFrame, settings: RunSettings) -> BoostingParameters:
    """What the search finds on the first fold's training rows; the defaults for one trial.

    Args:
        rows: model-input rows.
        folds: the folds table.
        settings: parameters of the run.
    """
    if settings.tuning.n_trials == 1:
        return BoostingParameters()
    from optuna.storages import InMemoryStorage

    best, _ = tuning.tune(catalogue.row_model(MODEL), rows, folds, settings.tuning, InMemoryStorage(), settings.seed)
    return BoostingParameters.model_validate(best.model_dump())


def boosted_forecasts(
    rows: pd.DataFrame, folds: pd.DataFrame, parameters: BoostingParameters, settings: RunSettings
) -> pd.DataFrame:
    """LightGBM's forecasts, out of sample.

    Args:
        rows: model-input rows.
        folds: the folds table.
        parameters: of the model.
        settings: parameters of the run.
    """
    trained = walk_forward.train_folds(
        catalogue.row_model(MODEL), parameters, rows, folds, settings.training, NullModelStore(), settings.seed
    )
    return walk_forward.forecast_table(trained, settings.labels.horizon_bars)


def other_forecasts(rows: pd.DataFrame, folds: pd.DataFrame, settings: RunSettings) -> pd.DataFrame:
    """Those of the models without hyper-parameters.

    Args:
        rows: model-input rows.
        folds: the folds table.
        settings: parameters of the run.
    """
    parts = []
    for name in ("linear", "panel_ridge", "volatility_only"):
        kind = catalogue.row_model(name)
        trained = walk_forward.train_folds(
            kind, kind.parameters_class(), rows, folds, settings.training, NullModelStore(), settings.seed
        )
        parts.append(walk_forward.forecast_table(trained, settings.labels.horizon_bars))
    return pd.concat(parts, ignore_index=True).astype({"model": "str", "family": "str"})


@dataclass(frozen=True)
class Steps:
    """The steps of a run; a planted leak is one of them replaced."""

    type_bars: Callable[..., Any] = checked_bars.type_bars
    check_bars: Callable[..., Any] = checked_bars.check_bars
    select_side_series: Callable[..., Any] = known_with_quality
    compute_features: Callable[..., Any] = features_of_universe.compute_features
    make_labels: Callable[..., Any] = labels_of_universe.make_labels
    assemble_model_input: Callable[..., Any] = model_input.assemble_model_input
    make_folds: Callable[..., Any] = model_input.make_folds
    tune: Callable[..., Any] = best_parameters
    train: Callable[..., Any] = boosted_forecasts
    train_linear: Callable[..., Any] = other_forecasts
    combine: Callable[..., Any] = regimes_beside.combine
    find_regimes: Callable[..., Any] = regimes_beside.find_regimes
    join: Callable[..., Any] = regimes_beside.join
    train_network: Callable[..., Any] = acting.network_forecasts
    train_agent: Callable[..., Any] = acting.agent_positions
    make_positions: Callable[..., Any] = make_positions
    decide: Callable[..., Any] = acting.decide
    run_accounts: Callable[..., Any] = acting.run_accounts


def lazily(tables: Tables) -> dict[str, Callable[[], pd.DataFrame]]:
    """As the catalog hands partitions over: a function each."""
    return {name: partial(_same, table) for name, table in tables.items()}


def _same(table: pd.DataFrame) -> pd.DataFrame:
    return table


def make_bars(sources: Sources, settings: RunSettings, steps: Steps) -> tuple[Tables, pd.DataFrame]:
    """Checked bars by partition, and the side series.

    Args:
        sources: the received rows.
        settings: parameters of the run.
        steps: the steps of the run.
    """
    universe = sources.universe
    typed, untyped = steps.type_bars(lazily(sources.bars), universe, ComputeRules())
    bars, _, _ = steps.check_bars(typed, untyped, universe, settings.market, ComputeRules())
    tables = {name: load() for name, load in bars.items()}
    is_scored = universe.received_side_series != universe.side_series
    scores = quality_series(tables.values() if is_scored else (), settings.quality.outliers, universe.trading_calendar)
    return tables, steps.select_side_series(sources.side_series, scores, universe)


def make_features(
    bars: Tables, side_series: pd.DataFrame, universe: Universe, settings: RunSettings, steps: Steps
) -> Tables:
    """Features by partition.

    Args:
        bars: checked bars by partition.
        side_series: values as of each bar.
        universe: symbols and timeframe.
        settings: parameters of the run.
        steps: the steps of the run.
    """
    computed = steps.compute_features(lazily(bars), side_series, universe, settings.features, ComputeRules(threads=1))
    return {name: load() for name, load in computed.items()}


def run_research(
    sources: Sources,
    settings: RunSettings,
    steps: Steps | None = None,
    folds: pd.DataFrame | None = None,
    acts: bool = False,
    accounts: bool = False,
    by_regime: bool = False,
) -> Products:
    """From received rows to positions. `folds` are made of the history unless they are given.

    Args:
        sources: the received rows.
        settings: parameters of the run.
        steps: the steps of the run; None takes the library's own.
        folds: the folds table; None makes it from the history.
        acts: train a network and an agent on the first fold as well, and decide over its window as a live run would.
        accounts: go on to the accounts of all strategies.
        by_regime: find the regimes of all bars, too, and join the forecasts of all models but the network by them.
    """
    steps, universe = steps or Steps(), sources.universe
    bars, side_series = make_bars(sources, settings, steps)
    features = make_features(bars, side_series, universe, settings, steps)
    labels, counts = steps.make_labels(lazily(bars), universe, settings.labels, settings.weights, settings.seed)
    inputs, _ = steps.assemble_model_input(
        lazily(features), lazily(labels), counts, universe, settings.model_input, settings.labels
    )  # fmt: skip
    if folds is None:
        folds = steps.make_folds(lazily(inputs), universe, settings.folds, settings.labels)
    rows = walk_forward.pool(dict(inputs))
    forecasts = [
        steps.train(rows, folds, steps.tune(rows, folds, settings), settings),
        steps.train_linear(rows, folds, settings),
    ]
    market = TradedMarket.load(lazily(bars), side_series, universe, settings.trading)
    agents, decisions, regimes = [], pd.DataFrame(), {}
    quick = list(traded(forecasts).values())
    if acts:
        forecasts.append(steps.train_network(rows, folds, settings))
        agents.append(steps.train_agent(rows, folds, market, settings))
        decisions = steps.decide(bars, side_series, rows, folds, universe, settings)
    directed = list(traded(forecasts).values())
    if directed:
        forecasts.append(steps.combine(directed, inputs, settings.ensembles))
    if by_regime:
        regimes = steps.find_regimes(bars, settings.seed)
    if by_regime and quick:
        forecasts.append(steps.join(quick, inputs, regimes))
    named = settings.verdict.judged
    there = named in {*traded(forecasts), *acting.strategies(agents)}
    positions = steps.make_positions(
        market, folds, forecasts, agents, sources.oracle, settings.seed, named if there else None
    )
    return Products(
        bars, side_series, features, labels, inputs, folds, pd.concat(forecasts, ignore_index=True), positions,
        decisions, steps.run_accounts(positions, market, folds) if accounts else pd.DataFrame(), regimes,
    )  # fmt: skip
