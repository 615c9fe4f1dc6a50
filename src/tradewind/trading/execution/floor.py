"""A price that the next bars do not undercut with a stated probability: how far lows fall, measured in volatility.

The volatility of the next bars is forecast from that of the past (Corsi 2009, "A simple approximate long-memory model
of realized volatility") and, where a model has forecast the path of the price, from how wide that path opens. Of the
lows of the past, in units of the volatility that was forecast for them, the quantile is taken; its level follows the
misses that have settled, so that it holds in every year (Gibbs and Candes 2021, "Adaptive conformal inference under
distribution shift"). Only what is settled at a bar's close is used there.
"""

from typing import Annotated, NamedTuple

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray
from pydantic import Field

from tradewind.errors import BadData
from tradewind.parameters import Parameters

Floats = NDArray[np.float64]
LEAST_VARIANCE = 1e-12  # of a bar: one without a move has no logarithm


class FloorRules(Parameters):
    """What is promised, and what it is learnt from.

    Attributes:
        horizon_bars: for which the floor is to hold.
        probability: with which it holds.
        spans: bars over which past volatility is averaged.
        refit_bars: bars between two fits of the volatility.
        first_fit_bars: settled bars before the first.
        window: settled bars whose lows give the quantile, and the historical quantile beside it.
        adapting: by how much a bar's miss moves the level.
    """

    horizon_bars: Annotated[int, Field(ge=1, le=1000)] = 24
    probability: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    spans: tuple[Annotated[int, Field(ge=1)], ...] = (6, 24, 168, 720)
    refit_bars: Annotated[int, Field(ge=1)] = 720
    first_fit_bars: Annotated[int, Field(ge=200)] = 2000
    window: Annotated[int, Field(ge=200)] = 4000
    adapting: Annotated[float, Field(ge=0, le=0.1)] = 0.0005


class Floors(NamedTuple):
    """Of each bar, (bars,), NaN where it cannot be said.

    Attributes:
        floor: log of the price over the close that is not undercut with the stated probability; from the bars and the
            widths of forecast paths where those are given, else from the bars.
        from_bars: the same from the bars alone.
        historical: the same from the quantile of past lows alone.
        lowest: log of the lowest low of the next bars over the close: what came of it.
        volatility: forecast of a bar's, by which terciles are formed.
    """

    floor: Floats
    from_bars: Floats
    historical: Floats
    lowest: Floats
    volatility: Floats


def forecast_floors(bars: pd.DataFrame, rules: FloorRules, widths: Floats | None = None) -> Floors:
    """The floor at every close of one symbol.

    Args:
        bars: open, high, low and close, in order of time; a gap counts as no time.
        rules: horizon, probability and how it is learnt.
        widths: of the path that was forecast at each close, as a difference of log prices, (bars,); NaN where there was
            no forecast. They must have been known at that close (out of sample).

    Raises:
        BadData: a price or a width is no positive number, or there are too few bars or forecasts.
    """
    prices = bars[["open", "high", "low", "close"]].to_numpy(dtype=np.float64)
    least = rules.first_fit_bars + max(rules.spans) + 2 * rules.horizon_bars
    if len(prices) < least:
        raise BadData(f"floors need {least} bars: found {len(prices)}; lower first_fit_bars or spans")
    if not (np.isfinite(prices).all() and (prices > 0).all()):
        row = int(np.flatnonzero(~(np.isfinite(prices) & (prices > 0)).all(axis=1))[0])
        raise BadData(f"bar {row}: prices must be positive numbers: found {prices[row].tolist()}")
    logs = np.log(prices)
    lowest = _lowest(logs[:, 2], logs[:, 3], rules.horizon_bars)
    variance = np.maximum(_variances(logs), LEAST_VARIANCE)
    inputs = _inputs(variance, rules)
    scale = _scale(variance, inputs, rules)
    from_bars = _settled(lowest, scale, rules, rules.adapting)
    floor = from_bars
    if widths is not None:
        scale = _scale(variance, np.column_stack([inputs, _of_paths(widths, len(prices), rules)]), rules)
        floor = _settled(lowest, scale, rules, rules.adapting)
    return Floors(floor, from_bars, _settled(lowest, np.ones(len(lowest)), rules, 0.0), lowest, scale)


def pinball(lowest: Floats, floor: Floats, level: float) -> Floats:
    """Loss of each floor as a quantile at a level, (bars,) (Koenker and Bassett 1978).

    Args:
        lowest: what came, (bars,).
        floor: forecast, (bars,).
        level: the probability of being undercut.
    """
    miss = lowest - floor
    return np.asarray(np.maximum(level * miss, (level - 1) * miss))


def _variances(logs: Floats) -> Floats:
    """Of each bar, from its range and its open's distance from the close before (Garman and Klass 1980)."""
    opened, high, low, close = logs.T
    within = 0.5 * (high - low) ** 2 - (2 * np.log(2) - 1) * (close - opened) ** 2
    jump = np.concatenate([[0.0], opened[1:] - close[:-1]])
    return np.asarray(within + jump**2)


def _lowest(low: Floats, close: Floats, horizon: int) -> Floats:
    """Lowest low of the next bars over the close; NaN where they are not over."""
    out = np.full(len(low), np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(low[1:], horizon)
    out[: len(windows)] = windows.min(axis=1) - close[: len(windows)]
    return out


def _inputs(variance: Floats, rules: FloorRules) -> Floats:
    """One, and the log of the mean variance over each span before a close, (bars, 1 + spans)."""
    total = np.concatenate([[0.0], np.cumsum(variance)])
    inputs = np.full((len(variance), len(rules.spans) + 1), np.nan)
    inputs[:, 0] = 1.0
    for column, span in enumerate(rules.spans, 1):
        inputs[span - 1 :, column] = np.log(np.maximum((total[span:] - total[:-span]) / span, LEAST_VARIANCE))
    return inputs


def _of_paths(widths: Floats, bars: int, rules: FloorRules) -> Floats:
    """Log of the widths' squares, (bars,)."""
    given = np.isfinite(widths)
    if len(widths) != bars or np.isinf(widths).any() or (widths[given] <= 0).any():
        raise BadData(f"widths must be positive numbers or missing, one a bar: found {len(widths)} for {bars} bars")
    least = rules.first_fit_bars + 2 * rules.horizon_bars
    if given.sum() < least:
        raise BadData(f"floors need {least} bars with a forecast: found {given.sum()}; lower first_fit_bars")
    return np.asarray(2.0 * np.log(widths))


def _scale(variance: Floats, inputs: Floats, rules: FloorRules) -> Floats:
    """Volatility of a bar among the next, as expected at each close by what was settled at the last fit."""
    horizon, count = rules.horizon_bars, len(variance)
    total = np.concatenate([[0.0], np.cumsum(variance)])
    target = np.full(count, np.nan)
    target[: count - horizon] = np.log(np.maximum((total[horizon + 1 :] - total[1:-horizon]) / horizon, LEAST_VARIANCE))
    out, is_known = np.full(count, np.nan), np.asarray(np.isfinite(inputs).all(axis=1))
    enough = np.flatnonzero(np.cumsum(is_known) > rules.first_fit_bars)
    for fit in range(int(enough[0]) + horizon + 1, count, rules.refit_bars) if len(enough) else ():
        past = np.flatnonzero(is_known[: fit - horizon + 1])  # the next bars of these are over at the close of `fit`
        weights = np.linalg.lstsq(inputs[past], target[past], rcond=None)[0]
        until = min(fit + rules.refit_bars, count)
        out[fit:until] = inputs[fit:until] @ weights
    return np.asarray(np.exp(out / 2))


def _settled(lowest: Floats, scale: Floats, rules: FloorRules, adapting: float) -> Floats:
    """The floor by the settled lows in units of a scale."""
    level = 1 - rules.probability
    in_units = lowest / scale
    return np.asarray(scale * _quantile_of_settled(in_units, rules.horizon_bars, rules.window, level, adapting))


@njit(cache=True, nogil=True)
def _quantile_of_settled(values: Floats, horizon: int, window: int, level: float, adapting: float) -> Floats:
    """At each bar the quantile of the last `window` values that are settled there; its level follows the misses."""
    out = np.full(len(values), np.nan)
    kept = np.empty(window)  # in rising order
    ages = np.empty(window)  # the same values in order of time, in a ring
    held, place, current = 0, 0, level
    for now in range(horizon, len(values)):
        settled = values[now - horizon]
        if not np.isnan(settled):
            if held == window:
                gone = np.searchsorted(kept, ages[place])
                kept[gone:-1] = kept[gone + 1 :].copy()
                held -= 1
            at = np.searchsorted(kept[:held], settled)
            kept[at + 1 : held + 1] = kept[at:held].copy()
            kept[at] = settled
            ages[place] = settled
            place = (place + 1) % window
            held += 1
        if not np.isnan(out[now - horizon]) and not np.isnan(settled):
            is_missed = 1.0 if settled < out[now - horizon] else 0.0
            current = min(max(current + adapting * (level - is_missed), level / 5), 3 * level)
        if held == window:
            spot = current * (held - 1)
            low = int(spot)
            out[now] = kept[low] + (spot - low) * (kept[min(low + 1, held - 1)] - kept[low])
    # The last values are not settled, but floors are said there, too; where there is no scale there is none.
    return out
