"""What starts a retraining, and what holds one back."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from tradewind.errors import BadData
from tradewind.operations.monitoring.summary import changed_in
from tradewind.operations.registry.records import Roles
from tradewind.operations.retraining.attempts import Attempt
from tradewind.operations.retraining.rules import Because, RetrainingRules

MONTH = timedelta(days=30)
SHOWN = 3


def trigger(because: Because, drift: pd.DataFrame, summary: Mapping[str, Any], champion: int | None, where: str) -> str:
    """What of the watched champion asks for a retraining, in words; empty where nothing does.

    Args:
        because: drift or degraded.
        drift: the table of the monitoring stage.
        summary: of the same stage.
        champion: the version that answers now, None for none.
        where: its environment.

    Raises:
        BadData: the monitoring stage has watched another version than the one that answers now.
    """
    watched = (summary.get("environment"), summary.get("version"))
    if champion is None:
        raise BadData(f"{where} has no champion that could have drifted: `kedro retrain` without --because makes one")
    if watched != (where, champion):
        raise BadData(
            f"monitoring has watched version {watched[1]} of {watched[0]}, and version {champion} answers in {where}: "
            "run `kedro run --pipelines monitoring` first"
        )
    if because == "degraded":
        return str(summary["headline"]) if summary["degraded"] else ""
    largest: dict[str, float] = {}
    for one in changed_in(drift):  # the largest first
        largest.setdefault(f"{one['column']} of {one['symbol']}", one["over_threshold"])
    names = [f"{name} ({over:.1f} times its limit)" for name, over in largest.items()]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"changed since training: {', '.join(names[:SHOWN])}{more}" if names else ""


def held_back(
    because: Because, attempts: Sequence[Attempt], roles: Roles, rules: RetrainingRules, now: datetime
) -> str:
    """Why a retraining is not begun now, in words; empty where it may begin. A person is never held back.

    Args:
        because: what asks for it.
        attempts: all there were, oldest first.
        roles: in the environment of the registry.
        rules: cool-down and budget.
        now: UTC.
    """
    if because == "manual":
        return ""
    if roles.canary is not None:
        return (
            f"version {roles.canary} is on trial in {rules.environment}: its end decides first "
            "(`tradewind canary stop` ends it)"
        )
    recent = [one for one in attempts if now - one.begun_at < MONTH]
    if len(recent) >= rules.most_a_month:
        return (
            f"{len(recent)} retrainings within 30 days, and operations.retraining.most_a_month is "
            f"{rules.most_a_month}: from {recent[-rules.most_a_month].begun_at + MONTH:%Y-%m-%d} on"
        )
    free = attempts[-1].last_at + timedelta(days=rules.cool_down_days) if attempts else now
    if because != "scheduled" and now < free:
        return (
            f"the last retraining was at {attempts[-1].last_at:%Y-%m-%d %H:%M} UTC, and "
            f"operations.retraining.cool_down_days is {rules.cool_down_days:g}: from {free:%Y-%m-%d %H:%M} UTC on"
        )
    return ""
