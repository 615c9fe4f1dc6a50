"""Ways to learn beside one another, on planted markets that no reported figure is made of.

Each market is made and its features computed once; every way is trained on it fold by fold and traded by the run's own
rules, and what it comes to is told without luck (`noise_free`), as a share of what perfect knowledge would.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tradewind.evaluation.accounts import portfolio_returns
from tradewind.evaluation.known_labels import known_labels
from tradewind.evaluation.positions import make_positions
from tradewind.evaluation.traded_market import TradedMarket
from tradewind.learning.ensemble import EQUAL_WEIGHT, FAMILY
from tradewind.learning.ensemble.combining import pooled
from tradewind.learning.ensemble.joining import EnsembleRules, Method, join_forecasts
from tradewind.learning.ensemble.tables import aligned, as_forecasts, mean_forecasts
from tradewind.learning.models import catalogue, walk_forward
from tradewind.trading.strategy import baselines
from tradewind.validation.acting import NullModelStore
from tradewind.validation.cases import Case
from tradewind.validation.experiment import simulated
from tradewind.validation.ledger import append, read
from tradewind.validation.noise_free import noise_free_sharpe
from tradewind.validation.research_run import RunSettings, Steps, lazily, make_bars, make_features

# Two sets of markets, both far from those of the experiment: ways to learn are compared and changed on the first as
# often as one likes; the second is looked at once, for the figure that is reported of what was kept.
DEVELOPMENT_SEED, FINAL_SEED = 700_000, 800_000


@dataclass(frozen=True)
class Way:
    """One way to learn.

    Attributes:
        models: names in the catalogue; of several the forecasts are averaged.
        parameters: of each model, as far as its defaults are changed.
        training: changes of the training rules.
        signal: changes of the signal's rules.
        seeds: trainings from so many seeds, whose forecasts are averaged.
        weights: of the models, where their mean is not to be equal.
        join: a way to join the models by what had settled (`joining.Method`), in the place of weights.
        of_positions: the mean is of what each model would hold alone, in the place of what they say.
    """

    models: tuple[str, ...]
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    signal: Mapping[str, Any] = field(default_factory=dict)
    seeds: int = 1
    weights: Mapping[str, float] = field(default_factory=dict)
    join: Method | None = None
    of_positions: bool = False


ROW_MODELS = ("lightgbm", "xgboost", "linear", "panel_ridge")


def declared_ensembles() -> dict[str, Way]:
    """Ensembles of the models of rows that could be named before a run, and each member alone."""
    boosted = ("lightgbm", "xgboost")
    light = {name: 0.25 if name in boosted else 1.0 for name in ROW_MODELS}
    return {
        **{name: Way((name,)) for name in ROW_MODELS},
        "equal": Way(ROW_MODELS),
        "equal, half the entry threshold": Way(ROW_MODELS, signal={"entry_threshold": 0.05}),
        "equal, of positions": Way(ROW_MODELS, of_positions=True),
        "inverse loss": Way(ROW_MODELS, join="inverse_loss"),
        "stacking": Way(ROW_MODELS, join="stacking"),
        "by uncertainty": Way(ROW_MODELS, join="by_uncertainty"),
        "hard vote": Way(ROW_MODELS, join="hard_vote"),
        "adahedge": Way(ROW_MODELS, join="adahedge"),
        "boosters a quarter": Way(ROW_MODELS, weights=light),
        "ridge half of all": Way(ROW_MODELS, weights={**dict.fromkeys(ROW_MODELS, 1.0), "panel_ridge": 3.0}),
        "linear and ridge": Way(("linear", "panel_ridge")),
    }


def cases(edge: float, days: int, number: int, n_symbols: int = 3, first_seed: int = DEVELOPMENT_SEED) -> list[Case]:
    """Planted markets for comparing ways to learn.

    Args:
        edge: the planted Sharpe ratio.
        days: of history.
        number: of markets.
        n_symbols: in each.
        first_seed: `DEVELOPMENT_SEED`, or `FINAL_SEED` for the figure that is reported.
    """
    return [Case(edge=edge, days=days, seed=first_seed + one, n_symbols=n_symbols) for one in range(number)]


def compare(wanted: Sequence[Case], ways: Mapping[str, Way], parameters: Mapping[str, Any], path: Path) -> pd.DataFrame:
    """What every way comes to on every market; what `path` has is taken from there, so that it can be stopped.

    Args:
        wanted: the markets.
        ways: by name; a name stands for its settings, so that a changed way needs another.
        parameters: what Kedro loads.
        path: a file of JSON lines.

    Returns:
        One row a market and way: key, way, noise-free Sharpe ratios of the way and of the oracle, and the realised one.
    """
    done = {(row["key"], row["way"]) for row in read(path)}
    path.parent.mkdir(parents=True, exist_ok=True)
    for case in wanted:
        missing = {name: way for name, way in ways.items() if (case.key, name) not in done}
        if missing:
            market = LearnersMarket.of(case, parameters)
            for name, way in missing.items():
                append(path, {"key": case.key, "edge": case.edge, "days": case.days, "way": name, **market.judge(way)})
    return pd.DataFrame(read(path))


@dataclass
class LearnersMarket:
    """One market with its features, on which ways are tried."""

    case: Case
    settings: RunSettings
    sources: Any
    bars: Mapping[str, pd.DataFrame]
    side_series: pd.DataFrame
    rows: pd.DataFrame
    folds: pd.DataFrame
    forecasts: dict[str, pd.DataFrame]

    @classmethod
    def of(cls, case: Case, parameters: Mapping[str, Any]) -> "LearnersMarket":
        """Made and prepared as a run would."""
        settings = RunSettings.from_parameters(parameters, seed=case.seed)
        settings = settings.changed(features=settings.features.model_copy(update={"slower_timeframes": ()}))
        sources, steps = simulated(case), Steps()
        universe = sources.universe
        bars, side_series = make_bars(sources, settings, steps)
        features = make_features(bars, side_series, universe, settings, steps)
        labels, counts = steps.make_labels(lazily(bars), universe, settings.labels, settings.weights, settings.seed)
        inputs, _ = steps.assemble_model_input(
            lazily(features), lazily(labels), counts, universe, settings.model_input, settings.labels
        )  # fmt: skip
        folds = steps.make_folds(lazily(inputs), universe, settings.folds, settings.labels)
        return cls(case, settings, sources, bars, side_series, walk_forward.pool(dict(inputs)), folds, {})

    def judge(self, way: Way) -> dict[str, float]:
        """Noise-free and realised Sharpe ratios of a way, and those of the oracle, folds and holdout together."""
        signal = self.settings.trading.signal.model_copy(update=dict(way.signal))
        trading = self.settings.trading.model_copy(update={"signal": signal})
        universe, oracle = self.sources.universe, self.sources.oracle
        market = TradedMarket.load(lazily(self.bars), self.side_series, universe, trading)
        seed = self.settings.seed
        if way.of_positions:
            tables = [self._forecast(replace(way, models=(name,)), name) for name in way.models]
            made = make_positions(market, self.folds, tables, (), oracle, seed, way.models[0])
            mean = np.mean([made[name]["target"].to_numpy() for name in way.models], axis=0)
            first = made[way.models[0]]
            made[EQUAL_WEIGHT] = first.assign(strategy=EQUAL_WEIGHT, family=FAMILY, target=mean)
        else:
            forecasts = [self._forecast(way, EQUAL_WEIGHT)]
            made = make_positions(market, self.folds, forecasts, (), oracle, seed, EQUAL_WEIGHT)
        kept = {name: made[name] for name in (EQUAL_WEIGHT, baselines.ORACLE)}
        returns = portfolio_returns(lazily(kept), market, self.folds)
        out = {}
        for name, label in ((EQUAL_WEIGHT, "sharpe"), (baselines.ORACLE, "oracle")):
            account = returns[returns["strategy"] == name]
            out[label] = noise_free_sharpe(kept[name], account, oracle)
            out[f"{label}_turnover"] = float(account["turnover"].sum() / (len(account) / market.universe.bars_per_year))
            out[f"{label}_exposure"] = float(account["exposure"].mean())
        return out

    def _forecast(self, way: Way, name: str) -> pd.DataFrame:
        """The models and seeds joined under a name; what differs in its signal or joining alone is trained once."""
        tables = {model: mean_forecasts(self._forecasts_of(model, way), model) for model in way.models}
        if len(tables) == 1 or not (way.join or way.weights):
            every = [part for model in way.models for part in self._forecasts_of(model, way)]
            return mean_forecasts(every, name)
        if way.join:
            outcomes = known_labels({"all": lambda: self.rows}, ["exit_time", "horizon_end"])
            return join_forecasts(list(tables.values()), way.join, outcomes, {}, EnsembleRules()).assign(model=name)
        rows, values = aligned(list(tables.values()))
        weights = np.array([way.weights[model] for model in way.models])
        mixed = [pooled(values[:, :, :-1], weights), pooled(values[:, :, -1:], weights)]
        return as_forecasts(rows, np.concatenate(mixed, axis=1), name)

    def _forecasts_of(self, model: str, way: Way) -> list[pd.DataFrame]:
        """One table a seed."""
        rules = self.settings.training.model_copy(update=dict(way.training))
        kind = catalogue.row_model(model)
        parameters = kind.parameters_class.model_validate(way.parameters.get(model, {}))
        parts = []
        for number in range(way.seeds if catalogue.draws_at_random(model) else 1):
            about = json.dumps([model, parameters.model_dump(), rules.model_dump(), number], default=str)
            if about not in self.forecasts:
                trained = walk_forward.train_folds(
                    kind, parameters, self.rows, self.folds, rules, NullModelStore(), self.settings.seed + number
                )
                self.forecasts[about] = walk_forward.forecast_table(trained, self.settings.labels.horizon_bars)
            parts.append(self.forecasts[about])
        return parts
