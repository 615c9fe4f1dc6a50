"""How long the slow test takes to promote a canary that is better by so much: what to expect before a trial begins."""

import numpy as np
from numpy.typing import NDArray

from tradewind.operations.canary.rules import CanaryRules
from tradewind.operations.canary.slow_test import SlowTest

DAY_MS = 86_400_000
# Of `days_expected`: how much history it asks for, what it draws, and how long the trials may last.
GOING_ON = "going on as since the champion's training"
LEAST_DAYS, STRETCH_DAYS, TRIALS, LONGEST_DAYS = 28, 14, 60, 240


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


def days_expected(
    gains: NDArray[np.float64], bounds: NDArray[np.float64], horizon_bars: int, bar_ms: int
) -> tuple[float, float]:
    """The same of a canary that goes on to gain as it has: trials are put together of stretches of two weeks, since
    what carries an edge comes and goes by the week (Politis and Romano 1992, around the circle).

    Args:
        gains: as of `days_to_promote`, of consecutive timestamps, shape (timestamps,).
        bounds: of the same shape.
        horizon_bars: of the label.
        bar_ms: duration of a bar.

    Returns:
        The two numbers of days; inf where fewer trials of `LONGEST_DAYS` days ever promote, NaN where there are not
        `LEAST_DAYS` days to draw from.
    """
    stretch, count = STRETCH_DAYS * DAY_MS // bar_ms, len(gains)
    if count * bar_ms < LEAST_DAYS * DAY_MS:
        return float("nan"), float("nan")
    stretches = -(-LONGEST_DAYS * DAY_MS // bar_ms // stretch)
    starts = np.random.default_rng(count).integers(0, count, (TRIALS, stretches, 1))
    places = ((starts + np.arange(stretch)) % count).reshape(TRIALS, -1)
    return days_to_promote(gains[places], bounds[places], CanaryRules(max_days=LONGEST_DAYS), horizon_bars, bar_ms)


def in_words(half: float, most: float, max_days: float) -> str:
    """What a person who begins the trial should know, of two numbers of days; empty where nothing is known.

    Args:
        half: of the trials promote within so many days.
        most: nine tenths do.
        max_days: after which a service ends a trial, if it was not started with another number.
    """
    if np.isnan(half):
        return ""
    if np.isinf(half):
        return f"{GOING_ON}, fewer than half of such trials promote it in {LONGEST_DAYS} days"
    told = f"{GOING_ON}, half of such trials promote it within {half:.0f} days"
    told += f", nine tenths within {most:.0f}" if np.isfinite(most) else f", not nine tenths in {LONGEST_DAYS}"
    if most <= max_days:
        return told
    wanted = min(np.ceil(most), LONGEST_DAYS)
    return (
        f"{told}; a service ends a trial after {max_days:g} days, or after as many as `--canary-days {wanted:.0f}` says"
    )


def _days(
    gains: NDArray[np.float64], bounds: NDArray[np.float64], rules: CanaryRules, horizon_bars: int, bar_ms: int
) -> float:
    test = SlowTest(rules, horizon_bars, bar_ms)
    for number, (gain, bound) in enumerate(zip(gains.tolist(), bounds.tolist(), strict=True)):
        test.settle_gain(number * bar_ms, gain, bound)
        if test.outcome != "undecided":
            return test.days if test.outcome == "promote" else float("inf")
    return float("inf")
