"""Nodes of the monitoring stage; the work is in `tradewind.operations.monitoring`."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from tradewind.operations.monitoring.summary import MonitoringRules, watch
from tradewind.operations.registry.registry import Registry
from tradewind.reports.monitoring import render_monitoring_page

logger = logging.getLogger(__name__)


def watch_model(
    registry: Registry, model_input: Mapping[str, Callable[[], pd.DataFrame]], rules: MonitoringRules
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Drift, settled outcomes and what they come to, of the champion since its training ended.

    Args:
        registry: of bundles.
        model_input: by partition a function that loads its rows.
        rules: whose champion is watched.

    Returns:
        The drift table, the table of losses by timestamp, and the summary.
    """
    rows = pd.concat([load() for load in model_input.values()], ignore_index=True)
    watched = watch(registry, rows, rules)
    logger.info("%s", watched.summary["headline"])
    return watched.drift, watched.performance, watched.summary


def draw_monitoring(drift: pd.DataFrame, performance: pd.DataFrame, summary: dict[str, Any]) -> str:
    """The page of the watched model.

    Args:
        drift: of `watch_model`.
        performance: of `watch_model`.
        summary: of `watch_model`.
    """
    return render_monitoring_page(drift, performance, summary)
