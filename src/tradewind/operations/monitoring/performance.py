"""Settled outcomes beside what the walk-forward led to expect: a sequential test, never a threshold on profit."""

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.errors import BadData
from tradewind.metrics.betting import Bet, mean_evidence
from tradewind.metrics.calibration import expected_calibration_error
from tradewind.operations.bundle.contents import Bundle
from tradewind.operations.bundle.drift import FLOOR, PROBABILITIES, log_losses
from tradewind.operations.monitoring.drift import references_of

DEGRADED_AT = 100.0  # evidence: reached by chance in 1 % of models that are as good as they were


class Performance(NamedTuple):
    """How a model does since its training ended.

    Attributes:
        table: a row a timestamp with settled labels: `rows`, `log_loss` (mean over symbols), `hit_rate`, `e_value` so
            far.
        expected: mean log loss of the walk-forward with its interval (`mean`, `low`, `high`).
        mean: log loss since; NaN while nothing is settled.
        hit_rate: share of moves whose direction was the likelier one; NaN while there was none.
        calibration_error: mean distance of predicted and observed shares; NaN while nothing is settled.
        e_value: evidence that the loss is above the upper end of the interval.
        degraded: whether that evidence ever reached `DEGRADED_AT`.
    """

    table: pd.DataFrame
    expected: dict[str, Any]
    mean: float
    hit_rate: float
    calibration_error: float
    e_value: float
    degraded: bool


def forecast_rows(bundle: Bundle, rows: pd.DataFrame) -> pd.DataFrame:
    """The bundle's forecasts of rows, by its ONNX graph.

    Args:
        bundle: what decides.
        rows: features of all symbols, in the order of time; where the model reads windows, the first rows of each
            symbol have no forecast.

    Returns:
        symbol, timestamp, `p_down`, `p_flat`, `p_up`, expected_return.
    """
    model, names = bundle.forecaster, list(bundle.spec.features)
    tables = []
    for symbol, own in rows.groupby("symbol", sort=True):
        x = np.ascontiguousarray(own[names].to_numpy(dtype=np.float32))
        skipped = 0
        if model.reads_windows:
            skipped = min(model.window_bars - 1, len(x))
            if skipped == len(x):
                continue
            x = np.lib.stride_tricks.sliding_window_view(x, model.window_bars, axis=0).transpose(0, 2, 1)
        found = model.predict_many(np.ascontiguousarray(x))
        table = pd.DataFrame(found, columns=[*PROBABILITIES, "expected_return"])
        table.insert(0, "timestamp", own["timestamp"].to_numpy()[skipped:])
        table.insert(0, "symbol", symbol)
        tables.append(table)
    if not tables:
        return rows[["symbol", "timestamp"]].iloc[:0].assign(**dict.fromkeys([*PROBABILITIES, "expected_return"], 0.0))
    return pd.concat(tables, ignore_index=True)


def performance_of(bundle: Bundle, rows: pd.DataFrame, forecasts: pd.DataFrame) -> Performance:
    """Settled labels joined to forecasts, and the evidence that the model is worse than its walk-forward said.

    Labels over a horizon overlap: every horizon-th timestamp has a bet of its own, and the mean of their evidence
    counts. A timestamp's label is used once it is settled, and only the bets of earlier timestamps set its stake.

    Args:
        bundle: what decides.
        rows: features and labels after the training.
        forecasts: of `forecast_rows`.

    Raises:
        BadData: the bundle does not say what loss to expect.
    """
    expected = references_of(bundle)["loss"]
    if "none" in expected:
        raise BadData(f"bundle {bundle.identity[:24]} does not say what loss to expect: {expected['none']}")
    labels = rows.loc[rows["label"].notna(), ["symbol", "timestamp", "label"]]
    both = forecasts.merge(labels, on=["symbol", "timestamp"], validate="one_to_one")
    label = both["label"].to_numpy(dtype=np.float64)
    p = both[list(PROBABILITIES)].to_numpy(np.float64)
    losses = log_losses(p, label)
    hits = np.where(label != 0, np.sign(p[:, 2] - p[:, 0]) == np.sign(label), np.nan)
    by_time = pd.DataFrame({"timestamp": both["timestamp"], "rows": 1, "log_loss": losses, "hit_rate": hits})
    table = by_time.groupby("timestamp", as_index=False).agg({"rows": "sum", "log_loss": "mean", "hit_rate": "mean"})
    table["e_value"] = _evidence(table["log_loss"].to_numpy(), float(expected["high"]), bundle.spec.horizon_bars)
    moved = hits[np.isfinite(hits)]
    return Performance(
        table, expected,
        mean=float(losses.mean()) if len(losses) else math.nan,
        hit_rate=float(moved.mean()) if len(moved) else math.nan,
        calibration_error=expected_calibration_error(label.astype(np.int8), p) if len(losses) else math.nan,
        e_value=float(table["e_value"].iloc[-1]) if len(table) else 1.0,
        degraded=bool((table["e_value"] >= DEGRADED_AT).any()),
    )  # fmt: skip


def _evidence(losses: NDArray[np.float64], most: float, horizon_bars: int) -> NDArray[np.float64]:
    bets = [Bet() for _ in range(horizon_bars)]
    bound = max(most, -math.log(FLOOR) - most)
    out = np.empty(len(losses))
    for at, loss in enumerate(losses):
        bets[at % horizon_bars].observe(float(loss) - most, bound)
        out[at] = mean_evidence(bets)
    return out
