"""Markets that are retrained on: the project's own walk-forward and verdict on the bars up to a day, one model."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from tradewind.learning.models import catalogue, walk_forward
from tradewind.market.simulation.simulator import FUNDING_MEAN
from tradewind.operations.bundle.contents import Bundle
from tradewind.operations.bundle.drift import walk_forward_losses
from tradewind.operations.bundle.making import DecisionTerms, Findings, Procedure, make_bundle, newest
from tradewind.operations.bundle.sealing import Files
from tradewind.operations.journal.records import plain
from tradewind.operations.registry.registry import Registry
from tradewind.operations.retraining.beside import Beside, beside
from tradewind.operations.retraining.judgement import Candidate
from tradewind.validation.acting import NullModelStore
from tradewind.validation.experiment import Case, _judge, simulated
from tradewind.validation.research_run import (
    Products,
    RunSettings,
    Sources,
    Steps,
    lazily,
    make_bars,
    make_features,
    run_research,
)

MODEL = "linear"
CREATED = "2026-01-01T00:00:00+00:00"


def _trained(name: str) -> Callable[..., pd.DataFrame]:
    def forecasts(rows: pd.DataFrame, folds: pd.DataFrame, *given: Any) -> pd.DataFrame:
        settings, kind = given[-1], catalogue.row_model(name)
        trained = walk_forward.train_folds(
            kind, kind.parameters_class(), rows, folds, settings.training, NullModelStore(), settings.seed
        )
        return walk_forward.forecast_table(trained, settings.labels.horizon_bars)

    return forecasts


STEPS = Steps(train=_trained(MODEL), train_linear=_trained("volatility_only"))


def settings_of(parameters: Mapping[str, Any], seed: int, **folds: Any) -> RunSettings:
    """The project's own settings, judged about one model, with fewer resamples."""
    settings = RunSettings.from_parameters(parameters, seed=seed)
    return settings.changed(
        features=settings.features.model_copy(update={"slower_timeframes": ()}),
        folds=settings.folds.model_copy(update=folds),
        verdict=settings.verdict.model_copy(update={"judged": MODEL}),
        statistics=settings.statistics.model_copy(update={"n_resamples": 300}),
    )


def market(edge: float, days: int, seed: int, changes_after: int | None = None, symbols: int = 2) -> Sources:
    """What changes is the market's answer to funding and sentiment: until that day it is the opposite."""
    sources = simulated(Case(edge=edge, days=days, seed=seed, n_symbols=symbols))
    if changes_after is None:
        return sources
    side = sources.side_series
    before = side["known_at"] <= side["known_at"].min() + pd.Timedelta(changes_after, unit="D")
    centre = (side["series"] == "funding") * FUNDING_MEAN
    return replace(sources, side_series=side.assign(value=side["value"].where(~before, 2 * centre - side["value"])))


class OnMarket:
    """The steps of a retraining on the bars of a market up to a day."""

    def __init__(self, folder: Path, sources: Sources, settings: RunSettings) -> None:
        self.registry, self.settings, self.whole = Registry(folder), settings, sources
        first = min(int(table["open_time"].min()) for table in sources.bars.values())
        self.begins = self.until = pd.to_datetime(first, unit="ms", utc=True).as_unit("ms")
        self.run: Products | None = None

    def on_day(self, day: int) -> "OnMarket":
        """Up to this day."""
        self.until = self.begins + pd.Timedelta(day, unit="D")
        return self

    def watched(self) -> tuple[pd.DataFrame, Mapping[str, object]]:
        return pd.DataFrame(), {}

    def fetch(self) -> str:
        whole, until = self.whole, self.until
        until_ms = int(until.timestamp() * 1000)
        self.known = replace(
            whole,
            bars={name: table[table["open_time"] < until_ms] for name, table in whole.bars.items()},
            side_series=whole.side_series[whole.side_series["known_at"] <= until],
            oracle=whole.oracle[whole.oracle["timestamp"] <= until],
        )
        return ""

    def make_data(self) -> None:
        """Made by the run."""

    def train(self, tune: bool) -> None:
        self.run = run_research(self.known, self.settings, STEPS)
        verdict, self.board, _, _ = _judge(self.known, self.run, self.run.positions, self.settings)
        self.verdict = plain(verdict)  # as it is stored
        self.forecasts = self.run.forecasts[self.run.forecasts["model"] == MODEL]
        self.rows = walk_forward.pool(dict(self.run.model_input))

    def candidate(self) -> Candidate:
        own = self.board.set_index("strategy").loc[MODEL]
        losses = walk_forward_losses(self.rows, self.forecasts)
        figures = (float(own["sharpe"]), float(own["sharpe_low"]), float(own["sharpe_high"]))
        return Candidate(MODEL, self.verdict, *figures, float(losses["loss"].mean()))

    def beside(self, champion: Bundle) -> Beside | None:
        return beside(champion, self.rows, self.forecasts)

    def files(self) -> Files:
        """The bundle of the run."""
        settings = self.settings
        terms = DecisionTerms(
            self.known.universe, settings.trading, settings.features, settings.market.max_gap_bars,
            settings.model_input.max_missing_share, settings.labels.horizon_bars,
        )  # fmt: skip
        kind = catalogue.row_model(MODEL)
        procedure = Procedure(MODEL, kind.parameters_class(), settings.training, settings.seed)
        found = Findings(self.verdict, self.board, self.forecasts, {"seed": settings.seed})
        assert self.run is not None
        return make_bundle(procedure, newest(self.rows, self.run.folds), terms, found, CREATED)

    def deploy(self) -> int:
        return self.registry.register(self.files()).version

    def ahead(self) -> pd.DataFrame:
        """Model input of the bars after the retraining, from the whole market."""
        universe, settings = self.whole.universe, self.settings
        bars, side_series = make_bars(self.whole, settings, STEPS)
        features = make_features(bars, side_series, universe, settings, STEPS)
        labels, counts = STEPS.make_labels(lazily(bars), universe, settings.labels, settings.weights, settings.seed)
        inputs, _ = STEPS.assemble_model_input(
            lazily(features), lazily(labels), counts, universe, settings.model_input, settings.labels
        )
        rows = walk_forward.pool(dict(inputs))
        return rows[(rows["timestamp"] > self.until) & rows["label"].notna()]
