"""What a bundle is compared with later: how fast it answers, and how its features and forecasts are spread."""

import os
import platform
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
TIMED, UNTIMED = 2000, 100
WALK_FORWARD_ROWS = 100_000
EDGES = np.dtype([("symbol", "<i4"), ("timestamp", "<i8"), ("edge", "<f4")])


def latency_baseline(answer: Callable[[Any], Any], given: Sequence[Any] | NDArray[np.float32]) -> dict[str, Any]:
    """Milliseconds of one answer after another, wall and CPU time apart, and the machine that they were taken on.

    Args:
        answer: a forecast of a row, or a decision on a bar.
        given: rows or bars, taken in turn.
    """
    wall, cpu = np.empty(TIMED), np.empty(TIMED)
    for at in range(-UNTIMED, TIMED):
        one = given[at % len(given)]
        began, spent = time.perf_counter(), time.thread_time()
        answer(one)
        if at >= 0:
            cpu[at], wall[at] = time.thread_time() - spent, time.perf_counter() - began
    return {
        "wall_ms": _percentiles(wall), "cpu_ms": _percentiles(cpu), "forecasts": TIMED, "errors": 0,
        "throughput_per_s": float(1.0 / wall.mean()),
        "machine": {
            "processor": platform.processor() or platform.machine(), "cores": os.cpu_count(),
            "system": platform.system(), "python": platform.python_version(),
        },
    }  # fmt: skip


def _percentiles(seconds: NDArray[np.float64]) -> dict[str, float]:
    return {f"p{level}": float(np.percentile(seconds, level) * 1e3) for level in (50, 95, 99)}


def reference_distributions(rows: pd.DataFrame, features: tuple[str, ...], edge: NDArray[Any]) -> dict[str, Any]:
    """Quantiles and missing share of every feature on the training rows, and the spread of the walk-forward edge.

    Args:
        rows: training rows.
        features: names of their columns.
        edge: walk-forward forecasts of up less down, shape (forecasts,).

    Returns:
        A document: levels, quantiles and missing share by feature, mean and deviation of the edge.
    """
    values = rows[list(features)].to_numpy(dtype=np.float64)
    described = {}
    for at, name in enumerate(features):
        known = values[np.isfinite(values[:, at]), at]
        described[name] = {
            "missing_share": float(1 - len(known) / len(values)),
            "quantiles": np.quantile(known, LEVELS).tolist() if len(known) else [],
        }
    return {
        "levels": list(LEVELS), "features": described, "rows": len(values),
        "edge": {"deviation": float(edge.std()), "mean": float(edge.mean()), "rows": len(edge)},
    }  # fmt: skip


def edges_of(edges: pd.DataFrame, symbols: tuple[str, ...]) -> NDArray[Any]:
    """The newest edges out of sample, from which what two versions share is measured.

    Args:
        edges: symbol, timestamp and `edge`: p_up - p_down of a model, the position of an agent.
        symbols: of the universe; a row's number counts in this order.

    Returns:
        Rows of `EDGES`, ordered by timestamp and symbol.
    """
    table = edges.sort_values(["timestamp", "symbol"]).iloc[-WALK_FORWARD_ROWS:]
    out = np.empty(len(table), dtype=EDGES)
    out["symbol"] = table["symbol"].map({name: at for at, name in enumerate(symbols)}).to_numpy()
    out["timestamp"] = table["timestamp"].dt.tz_localize(None).to_numpy().astype("datetime64[ms]").astype(np.int64)
    out["edge"] = table["edge"].to_numpy(dtype=np.float32)
    return out
