"""Returns of bars to returns of days."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.errors import BadData
from tradewind.market.calendars import AROUND_THE_CLOCK, Calendar


def trading_days(timestamp: pd.Series, calendar: Calendar = AROUND_THE_CLOCK) -> pd.DatetimeIndex:
    """The day (UTC, its begin) to which the bar of each close belongs; on a market with sessions the session's date."""
    milliseconds = timestamp.dt.tz_localize(None).to_numpy().astype("datetime64[ms]").astype(np.int64)
    return pd.DatetimeIndex(calendar.days(milliseconds).astype("datetime64[D]").astype("datetime64[ms]"), tz="UTC")


def daily_returns(
    timestamp: pd.Series, net: NDArray[np.float64], calendar: Calendar = AROUND_THE_CLOCK
) -> NDArray[np.float64]:
    """Compounded net return of each day of the calendar, in order.

    Around the clock a bar belongs to the UTC day in which it closes (midnight: the day before), on a market with
    sessions to its session. Where bars are longer than a day there is one entry a bar.

    Args:
        timestamp: the close of each bar.
        net: shape (bars,), shares of the equity before.
        calendar: of the market, for these bars.

    Raises:
        BadData: not one return for each timestamp.
    """
    if len(timestamp) != len(net):
        raise BadData(f"a return is needed for each timestamp: {len(timestamp)} timestamps, {len(net)} returns")
    milliseconds = timestamp.dt.tz_localize(None).to_numpy().astype("datetime64[ms]").astype(np.int64)
    day = calendar.days(milliseconds)
    order = np.argsort(day, kind="stable") if np.any(np.diff(day) < 0) else slice(None)
    day, growth = day[order], np.log1p(np.maximum(net, -1 + 1e-12))[order]
    if not len(day):
        return np.empty(0)
    return np.asarray(np.expm1(np.add.reduceat(growth, np.flatnonzero(np.r_[True, np.diff(day) > 0]))))
