"""What models cost in time: measured on this machine, now, and so kept out of what a run writes."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from tradewind.learning.models import catalogue, walk_forward
from tradewind.learning.models.chosen import chosen
from tradewind.learning.models.sequence.exported import ExportedForecaster
from tradewind.learning.models.sequence.parameters import SequenceParameters
from tradewind.learning.models.walk_forward import TrainingRules
from tradewind.metrics import scorecard
from tradewind.metrics.scorecard import Measured, ScorecardRules
from tradewind.validation.acting import NullModelStore

CALLS, BATCHES = 200, 5


def with_times(catalog: Any, parameters: Mapping[str, Any]) -> pd.DataFrame:
    """The scorecard of the last run, and for each model the time of a forecast and of training all folds.

    A forecast is one row, one call, as live trading asks for it (networks as they are exported): the 99th percentile of
    200 calls, its interval the range over five such batches.
    """
    rules = ScorecardRules.model_validate(parameters["evaluation"]["scorecard"])
    rows = walk_forward.pool({name: load() for name, load in catalog.load("model_input").items()})
    folds, seed = catalog.load("folds"), parameters["seed"]
    timed = []
    names = chosen()
    for name in catalogue.rows_of(names):
        is_tuned, kind = catalogue.is_tuned(name), catalogue.row_model(name)
        found = catalog.load(
            f"classifier.{name}.best_parameters" if is_tuned else f"params:classifier.{name}.parameters"
        )
        best = kind.parameters_class.model_validate(found)
        training = TrainingRules.model_validate(parameters["classifier"][name]["training"])
        begun = time.perf_counter()
        trained = walk_forward.train_folds(kind, best, rows, folds, training, NullModelStore(), seed)
        timed += _rows(name, time.perf_counter() - begun, _latency(_one_row(trained[-1])), rules)
    ahead = pd.concat([load() for load in catalog.load("horizon_returns").values()], ignore_index=True)
    whole = rows.merge(ahead, on=["symbol", "timestamp"], how="left", validate="one_to_one")
    for name in catalogue.windows_of(names):
        if not catalogue.has_direction(name):
            continue
        block = parameters["deep_learning"][name]
        network = SequenceParameters.model_validate(block["network"])
        training = TrainingRules.model_validate(block["training"])
        begun = time.perf_counter()
        trained = walk_forward.train_folds(
            catalogue.model(name), network, whole, folds, training, NullModelStore(), seed
        )
        timed += _rows(name, time.perf_counter() - begun, _latency(_one_window(trained[-1])), rules)
    return pd.concat([catalog.load("scorecard"), pd.DataFrame(timed)], ignore_index=True)


def _rows(name: str, seconds: float, latency: Measured, rules: ScorecardRules) -> list[dict[str, Any]]:
    hours = seconds / 3600
    return [
        scorecard.row(
            f"{name}: one forecast, ms, 99 % of calls", "ratio", rules.inference_ms, latency,
            ("a rule", 0.0), float("nan"), at_most=True,
        ),
        scorecard.row(
            f"{name}: training of all folds, hours", "ratio", rules.training_hours, Measured(hours, hours, hours),
            ("a rule", 0.0), float("nan"), at_most=True,
        ),
    ]  # fmt: skip


def _one_row(trained: walk_forward.TrainedFold[Any]) -> list[Callable[[], Any]]:
    """Calls that forecast one row each."""
    x = trained.test[list(trained.forecaster.features)].tail(CALLS).to_numpy(dtype=np.float32)
    return [partial(trained.forecaster.predict_row, row) for row in x]


def _one_window(trained: walk_forward.TrainedFold[Any]) -> list[Callable[[], Any]]:
    """Calls that forecast the last bar of a window each, by the exported network."""
    exported = ExportedForecaster.from_files(trained.forecaster.files())
    symbol, length = trained.test["symbol"].iloc[0], exported.window_bars
    bars = trained.test[trained.test["symbol"] == symbol].tail(CALLS + length)
    x = bars[list(exported.features)].to_numpy(dtype=np.float32)
    return [partial(exported.predict_row, x[at : at + length]) for at in range(len(x) - length)]


def _latency(calls: list[Callable[[], Any]]) -> Measured:
    worst = []
    for _ in range(BATCHES):
        taken = []
        for call in calls:
            begun = time.perf_counter()
            call()
            taken.append(1000 * (time.perf_counter() - begun))
        worst.append(float(np.quantile(taken, 0.99)))
    return Measured(float(np.median(worst)), min(worst), max(worst))
