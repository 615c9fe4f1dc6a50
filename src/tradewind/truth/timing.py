"""What models cost in time: measured on this machine, now, and so kept out of what a run writes."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from tradewind.metrics import scorecard
from tradewind.metrics.scorecard import Measured, ScorecardRules
from tradewind.models import catalogue, walk_forward
from tradewind.models.base import feature_names
from tradewind.models.boosting import BoostingParameters
from tradewind.models.walk_forward import TrainingRules
from tradewind.truth.whole_run import Memory

CALLS, BATCHES = 200, 5


def with_times(catalog: Any, parameters: Mapping[str, Any]) -> pd.DataFrame:
    """The scorecard of the last run, and for each boosting model the time of a forecast and of training all folds.

    A forecast is one row, one call, as live trading asks for it: the 99th percentile of 200 calls, its interval the
    range over five such batches.
    """
    rules = ScorecardRules.model_validate(parameters["evaluation"]["scorecard"])
    rows = walk_forward.pool({name: load() for name, load in catalog.load("model_input").items()})
    folds = catalog.load("folds")
    timed = []
    for name in catalogue.BOOSTING:
        best = BoostingParameters(**catalog.load(f"classifier.{name}.best_parameters"))
        training = TrainingRules.model_validate(parameters["classifier"][name]["training"])
        begun = time.perf_counter()
        trained = walk_forward.train_folds(
            catalogue.boosting(name), best, rows, folds, training, Memory(), parameters["seed"]
        )
        hours = (time.perf_counter() - begun) / 3600
        timed += [
            scorecard.row(
                f"{name}: one forecast, ms, 99 % of calls", "ratio", rules.inference_ms, _latency(trained[-1]),
                ("a rule", 0.0), float("nan"), at_most=True,
            ),
            scorecard.row(
                f"{name}: training of all folds, hours", "ratio", rules.training_hours, Measured(hours, hours, hours),
                ("a rule", 0.0), float("nan"), at_most=True,
            ),
        ]  # fmt: skip
    return pd.concat([catalog.load("scorecard"), pd.DataFrame(timed)], ignore_index=True)


def _latency(trained: walk_forward.TrainedFold[Any]) -> Measured:
    x = trained.test[feature_names(trained.test)].tail(CALLS)
    worst, alone = [], np.ones(1, dtype=np.bool_)
    for _ in range(BATCHES):
        taken = []
        for at in range(len(x)):
            one = x.iloc[[at]]
            begun = time.perf_counter()
            trained.forecaster.forecast(one, alone)
            taken.append(1000 * (time.perf_counter() - begun))
        worst.append(float(np.quantile(taken, 0.99)))
    return Measured(float(np.median(worst)), min(worst), max(worst))
