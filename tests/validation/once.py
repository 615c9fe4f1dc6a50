"""Steps of a run that compute the same thing once: fifty planted leaks share most of what leads up to them."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import joblib
import pandas as pd

from tradewind.validation.research_run import Steps, lazily

CLEAN = Steps()
# What a run spends its time on; the others are as quick as looking them up.
SHARED = (
    "type_bars", "check_bars", "select_side_series", "compute_features", "make_labels", "assemble_model_input", "tune",
    "train", "train_linear", "train_network", "train_agent", "find_regimes",
)  # fmt: skip


class Once:
    """A step that remembers what it gave for what it was given; tables are told apart by their bytes."""

    def __init__(self, step: Callable[..., Any]) -> None:
        self.step = step
        self.known: dict[str, Any] = {}
        self.asked = 0

    def __call__(self, *given: Any) -> Any:
        self.asked += 1
        at_hand = computed(given)
        key = joblib.hash(at_hand)
        if key not in self.known:
            self.known[key] = computed(self.step(*given))
        return handed_out(self.known[key])


def computed(value: Any) -> Any:
    """With every table that is made when it is asked for asked for."""
    if isinstance(value, dict):
        return {name: ("lazy", one()) if callable(one) else computed(one) for name, one in value.items()}
    return tuple(map(computed, value)) if isinstance(value, tuple) else value


def handed_out(value: Any) -> Any:
    """As the step gave it; a copy, since a later step may write into it."""
    if isinstance(value, tuple):
        return tuple(map(handed_out, value))
    if isinstance(value, dict):
        lazy = {name: one[1].copy() for name, one in value.items() if isinstance(one, tuple) and one[:1] == ("lazy",)}
        return lazily(lazy) if lazy else {name: handed_out(one) for name, one in value.items()}
    return value.copy() if isinstance(value, pd.DataFrame) else value


class SharedSteps:
    """The library's own steps, each once; a planted leak's own steps run as they are."""

    def __init__(self) -> None:
        self.once = {name: Once(getattr(CLEAN, name)) for name in SHARED}

    def of(self, steps: Steps) -> Steps:
        """The steps, those that are the library's own replaced."""
        own = {one.name for one in fields(Steps) if getattr(steps, one.name) is getattr(CLEAN, one.name)}
        return replace(steps, **{name: step for name, step in self.once.items() if name in own})
