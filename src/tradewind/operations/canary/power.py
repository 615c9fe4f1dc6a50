"""How long the slow test takes to promote a canary that is better by so much: what to expect before a trial begins."""

import numpy as np
from numpy.typing import NDArray

from tradewind.operations.canary.rules import CanaryRules
from tradewind.operations.canary.slow_test import SlowTest

DAY_MS = 86_400_000


def days_to_promote(
    gains: NDArray[np.float64], bounds: NDArray[np.float64], rules: CanaryRules, horizon_bars: int, bar_ms: int
) -> tuple[float, float]:
    """Half and nine tenths of trials with such gains are promoted within so many days; inf where fewer ever are.

    Args:
        gains: log loss of the champion less that of the canary, on average over the symbols of a timestamp, shape
            (trials, timestamps).
        bounds: the largest that each could have been, of the same shape.
        rules: of the trial.
        horizon_bars: of the label.
        bar_ms: duration of a bar.

    Returns:
        The two numbers of days.
    """
    days = np.sort([_days(one, bound, rules, horizon_bars, bar_ms) for one, bound in zip(gains, bounds, strict=True)])
    places = [int(np.ceil(share * len(days))) - 1 for share in (0.5, 0.9)]
    return float(days[places[0]]), float(days[places[1]])


def _days(
    gains: NDArray[np.float64], bounds: NDArray[np.float64], rules: CanaryRules, horizon_bars: int, bar_ms: int
) -> float:
    test = SlowTest(rules, horizon_bars, bar_ms)
    for number, (gain, bound) in enumerate(zip(gains.tolist(), bounds.tolist(), strict=True)):
        test.settle_gain(number * bar_ms, gain, bound)
        if test.outcome != "undecided":
            return test.days if test.outcome == "promote" else float("inf")
    return float("inf")
