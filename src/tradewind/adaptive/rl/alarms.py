"""What goes wrong while an agent learns, by name, with the figure and the limit it passed. No torch."""

import json
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from tradewind.adaptive.rl.rules import EnvironmentRules

logger = logging.getLogger(__name__)

LARGE_UPDATE, ENTROPY_COLLAPSE, DIVERGENCE = "large policy update", "entropy collapse", "divergence"
LARGEST_KL = 0.1  # of one update: more throws away what was learned
LEAST_ENTROPY = {"discrete": 0.01, "continuous": -4.0}  # nats: nothing else is tried any more


def entropy_floor(algorithm: str, rules: EnvironmentRules) -> float:
    """The entropy below which a policy explores no more; none for TD3, whose noise is from outside."""
    return np.nan if algorithm == "td3" else LEAST_ENTROPY[rules.actions]


def alarms_of(row: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """Alarm, figure and limit of one row of a training's log."""
    alarms = []
    if row["kl"] > LARGEST_KL:
        alarms.append((LARGE_UPDATE, float(row["kl"]), LARGEST_KL))
    if row["entropy"] < row["entropy_floor"]:
        alarms.append((ENTROPY_COLLAPSE, float(row["entropy"]), float(row["entropy_floor"])))
    return alarms


def sound_alarms(row: Mapping[str, Any], where: Mapping[str, Any]) -> None:
    """Each alarm of the row as a log line in JSON."""
    for name, value, limit in alarms_of(row):
        logger.warning("%s", json.dumps({"alarm": name, **where, "value": round(value, 6), "limit": limit}))
