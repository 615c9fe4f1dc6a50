"""The best prices of a recorded book over time, and what its own quotes say of them."""

import numpy as np
from numba import njit

from tradewind.data.order_book.replay import Floats, Ints, Updates, apply_update, empty_levels, end_of_update
from tradewind.trading.execution.recordings.forms import DONE, Venue
from tradewind.trading.execution.recordings.replay import why_not


@njit(cache=True, nogil=True)
def best_prices(updates: Updates, venue: Venue) -> tuple[Ints, Floats]:
    """Best bid and ask after each update: (updates,) UTC milliseconds, and (updates, 2), NaN where none is believed.

    Args:
        updates: the depth stream.
        venue: how the book is read.
    """
    levels = empty_levels(len(updates.prices))
    times, prices = np.empty(len(updates.time_ms), np.int64), np.full((len(updates.time_ms), 2), np.nan)
    count, row = 0, 0
    while row < len(updates.time_ms):
        stop = end_of_update(updates, row)
        apply_update(updates, row, stop, venue.contiguous, levels)
        times[count] = updates.time_ms[row]
        if why_not(levels, updates, venue) == DONE:
            prices[count, 0], prices[count, 1] = updates.prices[levels.best[0]], updates.prices[levels.best[1]]
        count, row = count + 1, stop
    return times[:count], prices[:count]
