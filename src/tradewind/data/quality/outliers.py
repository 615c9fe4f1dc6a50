"""Outliers of returns and volume by three rules: flagged, never clipped, since extreme moves are real.

- z-score: so many standard deviations from the mean of the whole table. Blind where the outliers themselves widen the
  deviation (masking), so it finds the fewest.
- IQR: so many interquartile ranges beyond the quartiles (Tukey 1977). Blind to volatility that clusters: it flags whole
  turbulent weeks.
- robust: against the median and the deviation of the bars before it alone, so that a quiet market makes a move an
  outlier that a wild one does not (Hampel 1974; the rule of Brownlees and Gallo 2006, with a trailing window instead of
  a centred one, so that it can be used live). The deviation is 1.4826 times the median absolute return, or the
  interquartile range of the log volume over 1.349: both estimate a standard deviation if the values are normal.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from numba import njit

from tradewind.data.quality.counts import is_next
from tradewind.data.quality.grid import key_of
from tradewind.data.quality.rules import OutlierRules

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
MAD_TO_DEVIATION, IQR_TO_DEVIATION = 1.4826, 1.349  # of the normal distribution


@njit(cache=True, nogil=True)
def _place(ordered: Floats, count: int, value: float) -> int:
    """Where the value stands among the first `count`."""
    low, high = 0, count - 1
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def trailing_quartiles(values: Floats, window: int, least: int) -> Floats:
    """For each value the lower quartile, median and upper quartile of the `window` finite values before it.

    Order statistics without interpolation.

    Args:
        values: shape (rows,); those that are not finite are passed over.
        window: how many finite values.
        least: how many there must be.

    Returns:
        Shape (rows, 3); NaN until there are `least` values.
    """
    out = np.full((len(values), 3), np.nan)
    ordered = np.empty(window)
    arrival = np.empty(window)
    count, oldest = 0, 0
    for row in range(len(values)):
        if count >= least:
            out[row, 0] = ordered[(count - 1) // 4]
            out[row, 1] = ordered[(count - 1) // 2]
            out[row, 2] = ordered[3 * (count - 1) // 4]
        value = values[row]
        if not np.isfinite(value):
            continue
        if count == window:
            gone = arrival[oldest]
            at = _place(ordered, count, gone)
            # Only what lies between the two values moves.
            while at + 1 < count and ordered[at + 1] < value:
                ordered[at] = ordered[at + 1]
                at += 1
            while at > 0 and ordered[at - 1] > value:
                ordered[at] = ordered[at - 1]
                at -= 1
        else:
            at = count
            while at > 0 and ordered[at - 1] > value:
                ordered[at] = ordered[at - 1]
                at -= 1
            count += 1
        ordered[at] = value
        arrival[oldest] = value
        oldest = (oldest + 1) % window
    return out


@dataclass(frozen=True)
class Outliers:
    """For each bar: its log return (missing across a gap), that in causal deviations, and the flags of each rule."""

    log_return: Floats
    deviations: Floats
    return_z_score: Bools
    return_iqr: Bools
    return_robust: Bools
    bad_tick: Bools
    volume_z_score: Bools
    volume_iqr: Bools
    volume_robust: Bools


def find_outliers(bars: pd.DataFrame, rules: OutlierRules) -> Outliers:
    """The outliers among one symbol's bars, oldest first.

    `return_robust`, `volume_robust` and `deviations` know only the bar and those before it; `bad_tick` also the next
    one; the z-score and the IQR rule know the whole table, so they describe it and are no features.
    """
    log_return = one_bar_returns(bars)
    volume = bars["volume"].to_numpy(dtype=np.float64)
    log_volume = np.log(volume, out=np.full(len(volume), np.nan), where=volume > 0)
    deviations = causal_deviations(log_return, rules)
    least = _least(rules)
    lower, middle, upper = trailing_quartiles(log_volume, rules.window_bars, least).T
    spread = (upper - lower) / IQR_TO_DEVIATION
    return_robust = np.abs(deviations) > rules.robust
    return Outliers(
        log_return, deviations,
        _beyond_deviations(log_return, rules.z_score), _beyond_quartiles(log_return, rules.iqr), return_robust,
        reverts(log_return, return_robust, rules.revert_share),
        _beyond_deviations(log_volume, rules.z_score), _beyond_quartiles(log_volume, rules.iqr),
        (np.abs(log_volume - middle) > rules.robust_volume * spread) & (spread > 0),
    )  # fmt: skip


def one_bar_returns(bars: pd.DataFrame) -> Floats:
    """The log return of each bar from the close before; missing for the first and across a gap."""
    close = bars["close"].to_numpy(dtype=np.float64)
    return np.r_[np.nan, np.where(is_next(bars), np.log(close[1:] / close[:-1]), np.nan)]


def causal_deviations(log_return: Floats, rules: OutlierRules) -> Floats:
    """Each return in deviations of those before it; NaN while there are too few."""
    middle = trailing_quartiles(np.abs(log_return), rules.window_bars, _least(rules))[:, 1]
    return log_return / np.maximum(MAD_TO_DEVIATION * middle, rules.granularity_bps / 10_000)


def reverts(log_return: Floats, is_outlier: Bools, share: float) -> Bools:
    """Which outlying returns the next bar undoes but for `share` of them: the sign of a price that never was.

    Args:
        log_return: of each bar, shape (bars,).
        is_outlier: shape (bars,).
        share: of the return that may remain after the next bar, from 0 to 1.

    Returns:
        Shape (bars,); never the last bar.
    """
    following = np.r_[log_return[1:], np.nan]
    return is_outlier & (np.abs(log_return + following) <= share * np.abs(log_return))


def flag_table(bars: pd.DataFrame, outliers: Outliers) -> pd.DataFrame:
    """The flagged bars (`BarFlags`)."""
    flags = {name: values for name, values in vars(outliers).items() if values.dtype == bool}
    rows = np.flatnonzero(np.logical_or.reduce(list(flags.values())))
    table = pd.DataFrame(key_of(bars).columns(len(rows)))
    table["timestamp"] = bars["timestamp"].iloc[rows].reset_index(drop=True)
    table["log_return"] = outliers.log_return[rows]
    table["deviations"] = outliers.deviations[rows]
    table["volume"] = bars["volume"].to_numpy(dtype=np.float64)[rows]
    for name, values in flags.items():
        table[name] = values[rows]
    return table


def _least(rules: OutlierRules) -> int:
    """From so many values on a local deviation is believed."""
    return max(8, rules.window_bars // 4)


def _beyond_deviations(values: Floats, limit: float) -> Bools:
    finite = values[np.isfinite(values)]
    spread = finite.std() if len(finite) else 0.0
    if spread == 0:
        return np.zeros(len(values), dtype=bool)
    return np.asarray(np.abs(values - finite.mean()) > limit * spread, dtype=bool)


def _beyond_quartiles(values: Floats, limit: float) -> Bools:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return np.zeros(len(values), dtype=bool)
    lower, upper = np.quantile(finite, (0.25, 0.75))
    reach = limit * (upper - lower)
    return np.asarray((values < lower - reach) | (values > upper + reach), dtype=bool) & (reach > 0)
