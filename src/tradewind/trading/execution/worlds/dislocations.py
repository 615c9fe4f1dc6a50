"""Two venues whose price difference reverts, jumps and flickers: rules that trade it, and one who knows the future."""

from typing import Annotated, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pydantic import Field

from tradewind.parameters import Parameters
from tradewind.trading.execution.arbitrage.timing import PairCosts, Rule, confirmed

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class DislocationWorld(Parameters):
    """A price difference between two venues, basis points of the price.

    Attributes:
        steps: of an episode, each as long as an order is on its way.
        mean_bps: to which the difference reverts; two coins that are both called dollar rarely cost the same.
        persistence: of a deviation over a step (Ornstein and Uhlenbeck).
        volatility_bps: of the surprises of a step.
        jump_rate: probability of a jump in a step.
        jump_bps: standard deviation of a jump.
        fleeting_rate: probability that a quote is gone before an order can meet it.
        fleeting_bps: standard deviation of what such a quote is off by.
    """

    steps: Annotated[int, Field(ge=10, le=1_000_000)] = 2000
    mean_bps: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    persistence: Annotated[float, Field(ge=0, lt=1)] = 0.95
    volatility_bps: NotNegative = 1.0
    jump_rate: Share = 0.0
    jump_bps: NotNegative = 0.0
    fleeting_rate: Share = 0.0
    fleeting_bps: NotNegative = 0.0

    def without_dislocations(self) -> "DislocationWorld":
        """The same market with the noise alone: no jumps, and quotes that flicker as before."""
        return self.model_copy(update={"jump_rate": 0.0})


class Paths(NamedTuple):
    """Quoted differences in bps, and whether an order filled at that step loses a leg, (episodes, steps)."""

    quoted: Floats
    refused: Flags


class Traded(NamedTuple):
    """What came of a rule, (episodes,) each.

    Attributes:
        profit: bps of a unit's value, after all costs.
        won: executions that gained.
        lost: executions that did not, those among them that lost a leg and were unwound.
    """

    profit: Floats
    won: Ints
    lost: Ints


def draw(world: DislocationWorld, costs: PairCosts, episodes: int, generator: np.random.Generator) -> Paths:
    """Episodes that begin without a jump behind them.

    Args:
        world: how the difference moves.
        costs: how often a leg is refused.
        episodes: how many.
        generator: the only source of randomness.
    """
    shape = (episodes, world.steps)
    surprises = world.volatility_bps * generator.standard_normal(shape)
    jumps = generator.random(shape) < world.jump_rate
    surprises += np.where(jumps, world.jump_bps * generator.standard_normal(shape), 0.0)
    surprises[:, 0] = generator.standard_normal(episodes) * world.volatility_bps / np.sqrt(1 - world.persistence**2)
    is_fleeting = generator.random(shape) < world.fleeting_rate
    fleeting = np.where(is_fleeting, world.fleeting_bps * generator.standard_normal(shape), 0.0)
    refused = generator.random(shape) < costs.refusal
    return Paths(world.mean_bps + _reverting(surprises, world.persistence) + fleeting, refused)


def trade(paths: Paths, rule: Rule, costs: PairCosts) -> Traded:
    """Follow a rule in both directions: it sees a quote, and its order meets the next.

    Args:
        paths: the market.
        rule: how much it trades at which deviation.
        costs: of trading.
    """
    deviations = paths.quoted - rule.mean
    read = confirmed(deviations) if rule.confirms else deviations
    return Traded(*_trade(
        read, deviations, paths.refused, rule.grid[1], rule.units, costs.side_bps, costs.depth_bps,
        costs.transfer_steps, costs.unwind_bps,
    ))  # fmt: skip


def clairvoyant_profit(paths: Paths, mean: float, costs: PairCosts) -> Floats:
    """The most that anyone could have gained, (episodes,): every quote and every refusal is known beforehand.

    The best choice of times that are a transfer apart, in each direction, by backward induction. What flickers counts,
    too: whoever knows of it beforehand meets it.

    Args:
        paths: the market.
        mean: from which deviations are counted, bps.
        costs: of trading.
    """
    total = np.zeros(len(paths.quoted))
    steps, away = paths.quoted.shape[1], costs.transfer_steps
    for sign in (1.0, -1.0):
        fills = sign * (paths.quoted - mean)
        gains = np.where(paths.refused, 0.0, costs.gain(fills, costs.best_size(fills)))
        value = np.zeros((steps + away, len(total)))
        for step in range(steps - 1, 0, -1):  # nothing is filled at the first step
            value[step] = np.maximum(value[step + 1], gains[:, step] + value[step + away])
        total += value[1]
    return total


@njit(cache=True, nogil=True)
def _reverting(surprises: Floats, persistence: float) -> Floats:
    values = np.empty_like(surprises)
    for episode in range(surprises.shape[0]):
        values[episode, 0] = surprises[episode, 0]
        for step in range(1, surprises.shape[1]):
            values[episode, step] = persistence * values[episode, step - 1] + surprises[episode, step]
    return values


@njit(cache=True, nogil=True)
def _trade(read: Floats, deviations: Floats, refused: Flags, width: float, units: Floats, side: float, depth: float,
           away: int, unwind: float) -> tuple[Floats, Ints, Ints]:  # fmt: skip
    episodes, steps = read.shape
    profit = np.zeros(episodes)
    won, lost = np.zeros(episodes, np.int64), np.zeros(episodes, np.int64)
    for episode in range(episodes):
        for sign in (1.0, -1.0):
            free = 0
            for step in range(steps - 1):
                seen = sign * read[episode, step]
                if step + 1 < free or seen <= 0:
                    continue
                amount = units[min(round(seen / width), len(units) - 1)]
                if amount <= 0:
                    continue
                if refused[episode, step + 1]:
                    gain = -unwind * amount
                else:
                    fill = sign * deviations[episode, step + 1]
                    gain = amount * (fill - side) - 0.5 * depth * amount**2
                    free = step + 1 + away
                profit[episode] += gain
                if gain > 0:
                    won[episode] += 1
                else:
                    lost[episode] += 1
    return profit, won, lost
