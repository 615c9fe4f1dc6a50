"""What went wrong in training, by name, with the figure and the limit it passed. No torch."""

import json
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

logger = logging.getLogger(__name__)

# kind: limit and what it means. A figure beyond the limit is an alarm.
LIMITS: dict[str, tuple[float, str]] = {
    "exploding_gradient": (100.0, "the largest gradient of an epoch, in medians of all epochs"),
    "divergence": (1.2, "the last validation loss, in units of the best"),
    "nothing_learned": (0.999, "the best validation loss, in units of the first epoch's"),
    "dead_units": (0.5, "share of the backbone's units that never move"),
    "poor_calibration": (0.1, "expected calibration error of the classes on the test rows"),
    "calibration_drift": (0.1, "calibration error of the second half of a test, less that of the first"),
}
COLUMNS = ["model", "fold", "kind", "value", "limit", "meaning"]


def training_alarms(epochs: pd.DataFrame, dead_units: float) -> list[tuple[str, float]]:
    """Alarms of one fold's training, from its epochs (train_loss, valid_loss, gradient norms) and dead units."""
    valid = epochs["valid_loss"].to_numpy()
    usual = float(np.median(epochs["gradient_norm"]))
    by_kind = {
        "exploding_gradient": float(epochs["largest_gradient_norm"].max()) / usual if usual > 0 else 0.0,
        "divergence": float(valid[-1] / valid.min()),
        "dead_units": dead_units,
    }
    if len(valid) > 1:
        by_kind["nothing_learned"] = float(valid.min() / valid[0])
    return [(kind, value) for kind, value in by_kind.items() if _is_beyond(kind, value)]


def calibration_alarms(errors: Sequence[float]) -> list[tuple[str, float]]:
    """Alarms of one fold's forecasts: calibration error of the first and second half of its test."""
    by_kind = {"poor_calibration": float(np.mean(errors)), "calibration_drift": float(errors[1] - errors[0])}
    return [(kind, value) for kind, value in by_kind.items() if _is_beyond(kind, value)]


def alarm_table(model: str, alarms: Sequence[tuple[int, str, float]]) -> pd.DataFrame:
    """model, fold, kind, value, limit, meaning; each alarm is a log line in JSON, too."""
    rows = []
    for fold, kind, value in alarms:
        limit, meaning = LIMITS[kind]
        line: dict[str, Any] = {"alarm": kind, "model": model, "fold": fold, "value": round(value, 6), "limit": limit}
        logger.warning("%s", json.dumps(line))
        rows.append((model, fold, kind, value, limit, meaning))
    table = pd.DataFrame(rows, columns=COLUMNS)
    text = dict.fromkeys(("model", "kind", "meaning"), "str")
    return table.astype({**text, "fold": "int64", "value": "float64", "limit": "float64"})


def _is_beyond(kind: str, value: float) -> bool:
    return bool(value > LIMITS[kind][0])
