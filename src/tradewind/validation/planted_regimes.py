"""Planted leaks in regimes and in the weights of ensembles; each replaces one step of a run, to test the audit with."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from tradewind.learning.ensemble.joining import EnsembleRules
from tradewind.learning.regimes.base import COLUMNS, REGIMES, Bars
from tradewind.validation.regimes_beside import PLAN, Tables, combine, find_regimes, join

CHANCES = list(COLUMNS[: len(REGIMES)])


def leaks_of_regimes() -> list[tuple[str, str, str, dict[str, Any]]]:
    """Name, kind, what it is, and the steps with it."""
    return [
        ("regimes_smoothed", "regimes", "probabilities of regimes smoothed by what comes after the bar",
         {"find_regimes": partial(_changed, change=_smoothed)}),
        ("regimes_fitted_on_everything", "regimes", "one model of regimes, fitted on the whole history",
         {"find_regimes": partial(_changed, change=_fitted_on_everything)}),
        ("regime_thresholds_over_everything", "regimes", "a bar is volatile by a quantile of the whole history",
         {"find_regimes": partial(_changed, change=_threshold_over_everything)}),
        ("weights_of_unsettled_labels", "ensemble", "an ensemble's weights count labels before they settle",
         {"join": _joined_too_early}),
        ("stacked_on_all_labels", "ensemble", "the weights of stacked models come from the labels of all folds",
         {"combine": _stacked_on_everything}),
    ]  # fmt: skip


def _changed(
    bars: Tables, seed: int, change: Callable[[pd.DataFrame, pd.DataFrame, int], pd.DataFrame]
) -> dict[str, pd.DataFrame]:
    return {name: change(table, bars[name], seed) for name, table in find_regimes(bars, seed).items()}


def _smoothed(regimes: pd.DataFrame, bars: pd.DataFrame, seed: int) -> pd.DataFrame:
    """What the bar and the day after it say, multiplied: as smoothing weighs a filter by the future's likelihood."""
    chances = regimes[CHANCES].to_numpy()
    later = pd.DataFrame(chances[::-1]).rolling(24, min_periods=1).mean().to_numpy()[::-1]
    both = chances * later + 1e-12
    return regimes.assign(**dict(zip(CHANCES, (both / both.sum(axis=1, keepdims=True)).T, strict=True)))


def _fitted_on_everything(regimes: pd.DataFrame, bars: pd.DataFrame, seed: int) -> pd.DataFrame:
    whole = Bars.of_table(bars)
    steps = PLAN.unfitted(seed).fit(whole).history(whole)
    return regimes.assign(**dict(zip(CHANCES, steps.probabilities.T, strict=True)))


def _threshold_over_everything(regimes: pd.DataFrame, bars: pd.DataFrame, seed: int) -> pd.DataFrame:
    size = bars["close"].pct_change().abs().rolling(24, min_periods=1).mean().fillna(0.0).to_numpy()
    volatile = np.where(size >= np.quantile(size, 0.75), 1.0, 0.0)
    nothing = dict.fromkeys(CHANCES, 0.0)
    return regimes.assign(**{**nothing, "p_volatile": volatile, "p_ranging": 1.0 - volatile})


def _joined_too_early(forecasts: Sequence[pd.DataFrame], inputs: Tables, regimes: Tables) -> pd.DataFrame:
    return join(forecasts, _known(inputs, pd.Timedelta(1, unit="h")), regimes)


def _stacked_on_everything(forecasts: Sequence[pd.DataFrame], inputs: Tables, rules: EnsembleRules) -> pd.DataFrame:
    stacked = rules.model_copy(update={"forecasts": ("stacking",)})
    return combine(forecasts, _known(inputs, pd.Timedelta(3650, unit="D")), stacked)


def _known(inputs: Tables, before: pd.Timedelta) -> dict[str, pd.DataFrame]:
    """Every label said to be known so long before its own bar."""
    return {
        name: table.assign(
            **dict.fromkeys(("exit_time", "horizon_end"), table["timestamp"].where(table["label"].notna()) - before)
        )
        for name, table in inputs.items()
    }
