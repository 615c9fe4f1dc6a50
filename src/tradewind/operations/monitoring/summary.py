"""The champion of an environment, watched: drift and performance since its training, and what they come to."""

import math
from typing import Any, NamedTuple

import pandas as pd

from tradewind.errors import BadModel
from tradewind.operations.monitoring.drift import drift_table, missing_references, references_of
from tradewind.operations.monitoring.performance import DEGRADED_AT, forecast_rows, performance_of
from tradewind.operations.registry.records import Environment
from tradewind.operations.registry.registry import Registry
from tradewind.parameters import Parameters


class MonitoringRules(Parameters):
    """What is watched (`params:monitoring`).

    Attributes:
        environment: of the registry, whose champion is watched.
    """

    environment: Environment


class Watched(NamedTuple):
    """Tables of `drift_table` and `performance_of`, and the summary as JSON can hold it."""

    drift: pd.DataFrame
    performance: pd.DataFrame
    summary: dict[str, Any]


def watch(registry: Registry, rows: pd.DataFrame, rules: MonitoringRules) -> Watched:
    """The rows after the champion's training, compared with what it was trained on.

    Args:
        registry: of bundles.
        rows: model input of all symbols, training rows among them.
        rules: which champion.

    Raises:
        BadModel: nothing is served in that environment, or the rows lack a feature that the model reads.
    """
    number = registry.roles(rules.environment).champion
    if number is None:
        raise BadModel(f"{rules.environment} has no champion: run kedro run --pipelines deployment")
    bundle = registry.load(number)
    lacking = [name for name in bundle.spec.features if name not in rows]
    if lacking:
        raise BadModel(
            f"model_input lacks {', '.join(lacking[:5])}, which the champion reads: run kedro run --pipelines data"
        )
    later = rows[rows["timestamp"] > pd.Timestamp(bundle.spec.trained_to)].sort_values(["timestamp", "symbol"])
    forecasts = forecast_rows(bundle, later)
    drift, done = drift_table(bundle, later, forecasts), performance_of(bundle, later, forecasts)
    window = int(references_of(bundle)["window"])
    summary: dict[str, Any] = {
        "model": f"{bundle.spec.name} (version {number})",
        "version": number,
        "environment": rules.environment,
        "trained_to": bundle.spec.trained_to,
        "watched_to": later["timestamp"].max().isoformat() if len(later) else bundle.spec.trained_to,
        "rows": len(later),
        "window": window,
        "windows": int(drift["window_to"].nunique()),
        "changed": changed_in(drift),
        "largest": largest_in(drift),
        "not_watched": missing_references(bundle),
        "expected_loss": done.expected,
        "settled": int(done.table["rows"].sum()),
        "log_loss": None if math.isnan(done.mean) else done.mean,
        "hit_rate": None if math.isnan(done.hit_rate) else done.hit_rate,
        "calibration_error": None if math.isnan(done.calibration_error) else done.calibration_error,
        "e_value": done.e_value,
        "degraded": done.degraded,
    }
    return Watched(drift, done.table, {"headline": _headline(summary), **summary})


def changed_in(drift: pd.DataFrame) -> list[dict[str, Any]]:
    """What has changed in the newest window of each symbol and kind, the largest first."""
    if drift.empty:
        return []
    newest = _newest(drift)
    found = newest[newest["changed"]].sort_values("over_threshold", ascending=False)
    return [
        {"symbol": row["symbol"], "kind": row["kind"], "column": row["column"], "component": row["component"],
         "over_threshold": float(row["over_threshold"])}
        for row in found.to_dict("records")
    ]  # fmt: skip


def largest_in(drift: pd.DataFrame, most: int = 20) -> dict[str, float]:
    """The largest score over its threshold of each column in the newest windows of all symbols, the largest first."""
    if drift.empty:
        return {}
    by_column = _newest(drift).groupby("column")["over_threshold"].max().sort_values(ascending=False, kind="stable")
    return {str(name): float(value) for name, value in by_column.head(most).items()}


def _newest(drift: pd.DataFrame) -> pd.DataFrame:
    return drift[drift["window_to"] == drift.groupby(["symbol", "kind"])["window_to"].transform("max")]


def _headline(summary: dict[str, Any]) -> str:
    if summary["rows"] == 0:
        return f"{summary['model']}: no bars since its training ended at {summary['trained_to']}"
    changed = summary["changed"]
    names = ", ".join(f"{one['column']} of {one['symbol']}" for one in changed[:3])
    drift = (
        f"{len(changed)} changes, the largest: {names}" if changed
        else f"nothing has changed in {summary['windows']} windows" if summary["windows"]
        else f"no drift can be told yet: {summary['rows']} rows of all symbols, {summary['window']} of each are needed"
    )  # fmt: skip
    if summary["degraded"]:
        loss = f"DEGRADED: log loss {summary['log_loss']:.4f}, expected at most {summary['expected_loss']['high']:.4f}"
    elif summary["log_loss"] is None:
        loss = "no label is settled yet"
    else:
        loss = f"not shown to be worse than expected (evidence {summary['e_value']:.2g} of {DEGRADED_AT:.0f})"
    return f"{summary['model']}: {drift}; {loss}"
