"""What `kedro run --pipelines monitoring` found, for Prometheus: the age of the model, its losses, what has drifted."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

SHOWN_COLUMNS = 20
MOST_BYTES = 4 * 1024 * 1024


class WatchedModel(Collector):
    """The summary of the monitoring pipeline, read again when it has changed. Without one there are no figures."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read: tuple[int, dict[str, Any]] | None = None

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The figures; `tradewind_watched` says whether the summary could be read."""
        found = self._summary()
        yield _one("tradewind_watched", "Whether a summary of the monitoring pipeline is there.", float(bool(found)))
        if found is None:
            return
        at, summary = found
        for name, what, value in _figures(at / 1e9, summary):
            if value is not None:
                yield _one(name, what, float(value))
        expected = summary.get("expected_loss") or {}
        loss = GaugeMetricFamily("tradewind_log_loss", "Of settled labels; the interval is the walk-forward's.",
                                 labels=["which"])  # fmt: skip
        for which, value in (("now", summary.get("log_loss")), ("low", expected.get("low")),
                             ("high", expected.get("high"))):  # fmt: skip
            if value is not None:
                loss.add_metric([which], float(value))
        yield loss
        drift = GaugeMetricFamily(
            "tradewind_drift_ratio", "Largest score of a column over its threshold, all symbols; above 1 is a change.",
            labels=["column"],
        )  # fmt: skip
        for column, ratio in list(summary.get("largest", {}).items())[:SHOWN_COLUMNS]:
            drift.add_metric([str(column)], float(ratio))
        yield drift

    def _summary(self) -> tuple[int, dict[str, Any]] | None:
        """(when it was written in nanoseconds, the summary); None where it is missing, torn or far too large."""
        try:
            state = self.path.stat()
            if self._read is not None and self._read[0] == state.st_mtime_ns:
                return self._read
            if state.st_size > MOST_BYTES:
                return None
            summary = json.loads(self.path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(summary, dict) or "trained_to" not in summary:
            return None
        self._read = (state.st_mtime_ns, summary)
        return self._read


def _figures(written_s: float, summary: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    trained = datetime.fromisoformat(summary["trained_to"])
    watched = datetime.fromisoformat(summary["watched_to"])
    yield "tradewind_watched_timestamp_seconds", "When the model was last looked at.", written_s
    yield "tradewind_watched_bars_timestamp_seconds", "The last bar that was looked at.", watched.timestamp()
    yield (
        "tradewind_model_trained_timestamp_seconds",
        "The last bar that the model was trained on.",
        (trained.timestamp()),
    )
    yield "tradewind_hit_rate", "Share of directions that were right.", summary.get("hit_rate")
    yield (
        "tradewind_calibration_error",
        "Mean distance of predicted and observed shares.",
        (summary.get("calibration_error")),
    )
    yield (
        "tradewind_degradation_evidence",
        "Evidence that the loss is above the walk-forward's.",
        summary.get("e_value"),
    )
    yield "tradewind_model_degraded", "Whether that evidence ever reached its limit.", summary.get("degraded")
    yield (
        "tradewind_drifted_columns",
        "Columns that have changed in the newest window.",
        len(summary.get("changed", ())),
    )


def _one(name: str, what: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, what, value=value)
