"""Evidence that may be looked at every day: the wealth of bets against a strategy without an edge."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
FRACTIONS = np.linspace(0.1, 1.0, 10)  # of the largest bet
FIRST_DAYS = 20  # that only tell how large days are


def e_process(daily: Floats) -> Floats:
    """Wealth after each day of one who starts with 1 and bets on the strategy, if it truly earns nothing or loses.

    Every day a share of the wealth is staked on the day's return, at most so much that a loss of twice the largest
    return seen before would take all of it; the wealth of ten such bettors, who stake a tenth to all of that, is
    averaged (betting: Waudby-Smith and Ramdas 2024). If no day's return can be expected to be above zero, wealth is not
    expected to grow, and by Ville's inequality it ever reaches 1 / a with probability a at most, however often one
    looks: 20 stands for 5 %. A bettor whose loss is larger than his wealth has none left; that this is cut off at zero
    is the one thing that is not exact, and costs something only where one day loses more than twice what any day
    before it moved.

    Args:
        daily: shape (days,), net returns in the order of time.

    Returns:
        Shape (days,), positive; 1 over the first twenty days.
    """
    wealth = np.ones((len(daily), len(FRACTIONS)))
    now = np.ones(len(FRACTIONS))
    largest = float(np.abs(daily[:FIRST_DAYS]).max()) if len(daily) else 0.0
    for day in range(FIRST_DAYS, len(daily)):
        if largest > 0.0:
            now = now * np.maximum(1.0 + FRACTIONS * daily[day] / (2.0 * largest), 0.0)
        largest = max(largest, abs(float(daily[day])))
        wealth[day] = now
    return np.asarray(wealth.mean(axis=1))
