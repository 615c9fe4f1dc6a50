"""A whole trial by the service's own rules: decisions bar by bar, labels once they are known."""

from pathlib import Path

import numpy as np
import pandas as pd

from tradewind.operations.canary.rules import CanaryRules
from tradewind.operations.monitoring.performance import forecast_rows
from tradewind.operations.registry.registry import Registry
from tradewind.serving.metrics import Metrics
from tradewind.serving.models_in_service import ModelsInService
from tradewind.serving.settings import ServingSettings
from tradewind.trading.decision.protocols import Decision


def tried(folder: Path, ahead: pd.DataFrame, rules: CanaryRules) -> str:
    """How the trial in staging ended, in the words of the registry's last move; "open" where the bars did not do.

    Args:
        folder: of the registry.
        ahead: model input after the retraining, of all symbols, with labels and `horizon_end`.
        rules: of the trial.
    """
    settings = ServingSettings(registry=folder, environment="staging", tokens=folder / "none", canary=rules)
    service = ModelsInService(settings, Metrics())
    service.refresh()
    trial = service.now.trial
    assert trial is not None
    ahead = ahead.sort_values(["timestamp", "symbol"])
    at = ahead["timestamp"].dt.tz_localize(None).to_numpy().astype("datetime64[ms]").astype(np.int64)
    known = ahead["horizon_end"].dt.tz_localize(None).to_numpy().astype("datetime64[ms]").astype(np.int64)
    labels: dict[int, tuple[int, dict[str, int]]] = {}
    for when, settled, symbol, label in zip(at, known, ahead["symbol"], ahead["label"], strict=True):
        labels.setdefault(int(when), (int(settled), {}))[1][symbol] = int(label)
    said = [_decisions(forecast_rows(one.bundle, ahead)) for one in (trial.champion, trial.canary)]
    waiting = sorted(labels)
    bar_ms = waiting[1] - waiting[0]
    for now in sorted(labels):
        trial.decided(said[0][now], said[1][now], bar_ms)
        while waiting and labels[waiting[0]][0] <= now:
            when = waiting.pop(0)
            trial.settle(when, labels[when][1])
        service.end_trial_if_due()
        if service.now.trial is None:
            last = Registry(folder).history("staging")[-1]
            return f"{last.action} {last.role}: {last.why}"
    return "open"


def _decisions(forecasts: pd.DataFrame) -> dict[int, tuple[Decision, ...]]:
    out: dict[int, list[Decision]] = {}
    for row in forecasts.itertuples(index=False):
        when = int(row.timestamp.timestamp() * 1000)
        p = (float(row.p_down), float(row.p_flat), float(row.p_up), float(row.expected_return))
        out.setdefault(when, []).append(Decision(when, row.symbol, *p, p[2] - p[0], 0.0, ()))
    return {when: tuple(found) for when, found in out.items()}
