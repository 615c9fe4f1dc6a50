"""What recorded prices and funding of several venues leave to be gained."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.errors import BadData
from tradewind.metrics.studentised import mean_interval
from tradewind.trading.execution.arbitrage.timing import PairCosts, best_rule, calibrate
from tradewind.trading.execution.worlds.dislocations import Paths, trade

Floats = NDArray[np.float64]

RESAMPLES = 2000
BLOCK = 30  # settlements: ten days


class PairVerdict(NamedTuple):
    """What an engine that learnt from the first part of a past would have done in the rest.

    Attributes:
        compared: closes in the rest.
        beyond_20_bps: of all of them that have a day before them, how many deviate by more.
        widest_bps: the largest deviation of the rest.
        entry_bps: the smallest deviation that the rule would trade; NaN where it finds nothing to do.
        executed: executions.
        profit_bps: of all of them, of a unit's value.
        says: the verdict in a sentence.
    """

    compared: int
    beyond_20_bps: int
    widest_bps: float
    entry_bps: float
    executed: int
    profit_bps: float
    says: str


class Funding(NamedTuple):
    """What the difference of funding between venues pays for, with 95 % intervals by the studentised block bootstrap.

    Attributes:
        median_gap_bps: highest less lowest rate of a settlement, as only hindsight knows it.
        collected_bps: a settlement, of holding the two venues that were furthest apart at the settlement before.
        collected_interval: of that mean.
        break_even: settlements until it has paid for opening and closing both; infinity where it never does.
        break_even_interval: of that.
    """

    median_gap_bps: float
    collected_bps: float
    collected_interval: tuple[float, float]
    break_even: float
    break_even_interval: tuple[float, float]


def deviations_bps(first: Floats, second: Floats, window: int) -> Floats:
    """By how much the first price is above the second, less the median of that over the closes before, bps.

    Coins that are both called dollar are worth different things; the median takes off what that is. NaN where fewer
    than `window` closes came before.

    Args:
        first: closes, (bars,).
        second: closes of the same instants, (bars,).
        window: closes, those before the one that is compared.
    """
    gap = pd.Series(1e4 * np.log(first / second))
    return (gap - gap.rolling(window).median().shift(1)).to_numpy()


def judge_pair(first: Floats, second: Floats, window: int, costs: PairCosts) -> PairVerdict:
    """Learn a rule from the first third of two venues' closes and follow it through the rest.

    Args:
        first: closes, (bars,).
        second: closes of the same instants, (bars,).
        window: closes that deviations are counted from.
        costs: of trading both.

    Raises:
        BadData: there are too few closes.
    """
    deviations = deviations_bps(first, second, window)[window:]
    third = len(deviations) // 3
    rule = best_rule(calibrate(deviations[:third]), costs)
    rest = deviations[None, third:]
    traded = trade(Paths(rest, np.zeros(rest.shape, dtype=np.bool_)), rule, costs)
    executed = int(traded.won[0] + traded.lost[0])
    widest = float(np.abs(rest).max())
    says = f"nothing to do: {costs.side_bps:g} bps of costs, and no deviation that was seen is worth more on arrival"
    if executed:
        says = f"{executed} executions, of which {int(traded.won[0])} gained"
    elif np.isfinite(rule.entry_bps()):
        says = f"nothing to do: it waits for {rule.entry_bps():.1f} bps, and the widest deviation was {widest:.1f} bps"
    return PairVerdict(
        rest.size,
        int((np.abs(deviations) > 20).sum()),
        widest,
        rule.entry_bps(),
        executed,
        float(traded.profit[0]),
        says,
    )


def judge_funding(rates_bps: Floats, round_trip_bps: float, generator: np.random.Generator) -> Funding:
    """How long the difference of funding must be collected until it has paid for opening and closing two perpetuals.

    Args:
        rates_bps: of each settlement and venue, (settlements, venues), in order of time.
        round_trip_bps: fees and spreads of opening and closing both legs.
        generator: draws the resamples.

    Raises:
        BadData: a rate is missing, or there are too few.
    """
    if rates_bps.ndim != 2 or len(rates_bps) < 2 * BLOCK or not np.isfinite(rates_bps).all():
        raise BadData(f"funding needs {2 * BLOCK} settlements of every venue: found the shape {rates_bps.shape}")
    rows = np.arange(len(rates_bps) - 1)
    dear, cheap = rates_bps[:-1].argmax(axis=1), rates_bps[:-1].argmin(axis=1)
    collected = rates_bps[1:][rows, dear] - rates_bps[1:][rows, cheap]
    low, high = mean_interval(collected, generator, 0.95, RESAMPLES, BLOCK)
    mean = float(collected.mean())
    return Funding(
        float(np.median(np.ptp(rates_bps, axis=1))), mean, (low, high), _settlements(round_trip_bps, mean),
        (_settlements(round_trip_bps, high), _settlements(round_trip_bps, low)),
    )  # fmt: skip


def _settlements(cost: float, gain: float) -> float:
    return cost / gain if gain > 0 else float("inf")
