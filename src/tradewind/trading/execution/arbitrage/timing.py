"""When to trade a price difference between two venues, and how much of it: by backward induction over its own past."""

from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tradewind.errors import BadData
from tradewind.parameters import Parameters

Floats = NDArray[np.float64]

FEWEST = 200  # differences that a calibration needs
PLACES = 241  # of the grid of deviations
HORIZON = 600  # steps that the induction looks ahead, and at least ten transfers

NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class PairCosts(Parameters):
    """What it costs to buy at one venue and sell at the other at once, from stocks of coins that lie at both.

    Attributes:
        side_bps: fees and half the spreads of both legs, and the transfer that brings the stocks back, of the value.
        depth_bps: by how much a unit worsens the price for the units behind it.
        most_units: what the stocks suffice for.
        transfer_steps: until the stocks of a direction are back; meanwhile nothing is traded in it.
        refusal: probability that one leg is refused and the other unwound.
        unwind_bps: what that costs, of the value.
    """

    side_bps: NotNegative = 12.0
    depth_bps: Positive = 2.0
    most_units: Positive = 5.0
    transfer_steps: Annotated[int, Field(ge=1, le=10_000)] = 20
    refusal: Annotated[float, Field(ge=0, lt=1)] = 0.01
    unwind_bps: NotNegative = 8.0

    def best_size(self, difference: Floats) -> Floats:
        """Units that gain the most where the difference (bps) is what it is at the fill; 0 below the costs."""
        return np.asarray(np.clip((difference - self.side_bps) / self.depth_bps, 0.0, self.most_units))

    def gain(self, difference: Floats, units: Floats) -> Floats:
        """Bps of a unit's value that an order filled at a difference gains, after all costs."""
        return np.asarray(units * (difference - self.side_bps) - 0.5 * self.depth_bps * units**2)


class Calibration(NamedTuple):
    """How a difference moves, as far as a past of it shows.

    Attributes:
        mean: to which it reverts, bps; it is no gain that can be traded again and again, so it is taken off.
        confirmed: deviations that two quotes in a row confirm, one a step, bps, (observed,).
        next_quotes: the deviation quoted a step after each, at which an order would have been filled, (observed,).
    """

    mean: float
    confirmed: Floats
    next_quotes: Floats


class Rule(NamedTuple):
    """Sizes by deviation, the same for both directions.

    Attributes:
        mean: from which deviations are counted, bps.
        grid: sizes of the deviation, equally spaced from 0, bps, (places,); beyond its end the last place counts.
        units: to trade there, (places,).
        confirms: whether it reads what two quotes in a row confirm, or the last quote alone.
    """

    mean: float
    grid: Floats
    units: Floats
    confirms: bool

    def entry_bps(self) -> float:
        """The smallest deviation that it trades; NaN where it finds nothing to do at any that was seen."""
        found = np.flatnonzero(self.units > 0)
        return float(self.grid[found[0]]) if len(found) else float("nan")


def confirmed(deviations: Floats) -> Floats:
    """What two quotes in a row agree on, (..., steps): the smaller one where both have one sign, else 0.

    A quote that is gone before an order can meet it rarely comes twice. The first step has no quote before it: 0.
    """
    before = np.concatenate([np.zeros_like(deviations[..., :1]), deviations[..., :-1]], axis=-1)
    smaller = np.where(np.abs(before) < np.abs(deviations), before, deviations)
    return np.where(before * deviations > 0, smaller, 0.0)


def calibrate(differences: Floats) -> Calibration:
    """Read the mean and the moves of a difference off its own past.

    Args:
        differences: quoted, bps, one a step, (steps,), from a time before the rule is used.

    Raises:
        BadData: there are too few, one is no number, or they never move.
    """
    if len(differences) < FEWEST or not np.isfinite(differences).all() or np.ptp(differences) == 0:
        raise BadData(f"a calibration needs {FEWEST} finite price differences that move: found {len(differences)} rows")
    mean = float(np.median(differences))
    deviations = differences - mean
    return Calibration(mean, confirmed(deviations)[1:-1], deviations[2:])


def best_rule(calibration: Calibration, costs: PairCosts) -> Rule:
    """The rule with the highest expected gain under a calibration; one that never trades says there is nothing to do.

    A deviation is worth what remains of it when an order arrives, on average over the past, less the costs; and it is
    traded only where that is more than keeping the stocks for a larger one is worth.

    Args:
        calibration: of the difference.
        costs: of trading it.
    """
    grid = _grid(calibration)
    moves, remaining = _moves(grid, calibration)
    units = costs.best_size(remaining)
    now = (1.0 - costs.refusal) * costs.gain(remaining, units) - costs.refusal * costs.unwind_bps * units
    back = np.linalg.matrix_power(moves, costs.transfer_steps)
    values = [np.zeros(PLACES)]  # by the steps that are left
    is_traded = np.zeros(PLACES, dtype=np.bool_)
    for left in range(1, max(HORIZON, 10 * costs.transfer_steps) + 1):
        waits = moves @ values[left - 1]
        trades = now + back @ values[max(left - costs.transfer_steps, 0)]
        is_traded = (trades > waits + 1e-9) & (now > 0)
        values.append(np.where(is_traded, trades, waits))
    return Rule(calibration.mean, grid, np.where(is_traded, units, 0.0), True)


def threshold_rule(calibration: Calibration, costs: PairCosts, margin_bps: float = 0.0) -> Rule:
    """The usual rule: trade whatever the last quote offers beyond the costs and a margin, as much as pays.

    Args:
        calibration: of the difference; only its mean and the widest deviation are used.
        costs: of trading it.
        margin_bps: beyond the costs.
    """
    grid = _grid(calibration)
    units = np.where(grid > costs.side_bps + margin_bps, costs.best_size(grid), 0.0)
    return Rule(calibration.mean, grid, units, False)


def _grid(calibration: Calibration) -> Floats:
    return np.linspace(0.0, max(float(np.abs(calibration.next_quotes).max()), 1e-6), PLACES)


def _moves(grid: Floats, calibration: Calibration) -> tuple[Floats, Floats]:
    """Probabilities from each size of a confirmed deviation to that a step later, and what is quoted there on average.

    A direction sees deviations of its own sign; the other sign counts as 0. Both come from least squares through 0 on
    what was seen, with the surprises as they were, so that jumps need no model.
    """
    before, quoted = calibration.confirmed, calibration.next_quotes
    after = np.append(before[1:], np.nan)[:-1]
    square = max(float(before @ before), 1e-12)
    kept = float(np.clip(before @ quoted / square, 0.0, 1.0))
    persistence = float(np.clip(before[:-1] @ after / square, 0.0, 1.0))
    surprises = after - persistence * before[:-1]
    step = grid[1]
    counts = np.bincount(np.rint((surprises - surprises.min()) / step).astype(np.int64))
    seen = np.flatnonzero(counts)
    at = np.clip((persistence * grid[:, None] + surprises.min() + seen * step) / step, 0.0, PLACES - 1.0)
    low = np.minimum(at.astype(np.int64), PLACES - 2)
    weights = counts[seen] / counts.sum()
    moves, rows = np.zeros((PLACES, PLACES)), np.broadcast_to(np.arange(PLACES)[:, None], at.shape)
    np.add.at(moves, (rows, low), weights * (1 - (at - low)))
    np.add.at(moves, (rows, low + 1), weights * (at - low))
    return moves, kept * grid
