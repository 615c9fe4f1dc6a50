"""Fits the hidden Markov model on a past: several starts without the volatility factor, the best of them with it."""

from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tradewind.learning.regimes.markov_kernels import Emission, Floats, expectations, rouwenhorst
from tradewind.parameters import Parameters

Bools = NDArray[np.bool_]
LEAST_SCALE, LEAST_DEGREES, MOST_DEGREES = 1e-3, 2.2, 60.0
MOST_CARRY, MOST_PERSISTENCE, LEAST_FACTOR, MOST_FACTOR = 0.95, 0.9995, 0.02, 1.5


class FitRules(Parameters):
    """How the model is fitted.

    Attributes:
        nodes: of the grid for the volatility factor; 1 leaves the factor out.
        half_life_bars: of the factor, where the fit begins.
        first_rounds: of EM from each start.
        rounds: of EM at most from the likeliest of them.
        tolerance: gain of log likelihood a bar below which EM stops.
        typical_bars: how long a visit is expected to last, before anything is seen.
        belief_bars: how many bars of evidence that expectation is worth.
    """

    nodes: Annotated[int, Field(ge=1, le=15)] = 5
    half_life_bars: Annotated[float, Field(gt=0)] = 12.0
    first_rounds: Annotated[int, Field(ge=1, le=500)] = 10
    rounds: Annotated[int, Field(ge=2, le=500)] = 80
    tolerance: Annotated[float, Field(gt=0)] = 1e-6
    typical_bars: Annotated[float, Field(gt=1)] = 72.0
    belief_bars: Annotated[float, Field(ge=0)] = 1000.0


class Fitted(NamedTuple):
    """A model, its log likelihood a move on its own past, and how many moves each regime explains."""

    model: Emission
    log_likelihood: float
    occupancy: Floats


Scales = tuple[float, float, float]
# Drift, reversal and scales of trends, range and storm that a fit starts from, in deviations of the past.
STARTS = ((0.10, -0.2, (0.85, 0.65, 1.6)), (0.05, -0.1, (0.95, 0.85, 1.35)), (0.20, -0.3, (0.8, 0.5, 2.0)))


def fit(moves: Floats, starts: Bools, rules: FitRules) -> Fitted:
    """Four regimes: from each of the `STARTS` without the volatility factor and with it; the likeliest of each kind
    goes on, and the factor stays if it is worth its two parameters (Schwarz 1978).

    Args:
        moves: standardised returns, shape (bars,); NaN where there is none.
        starts: True where a segment begins, shape (bars,).
        rules: nodes of the factor, rounds and tolerance.

    Returns:
        The model that the criterion prefers.
    """
    plain = _best(moves, starts, STARTS, 0.0, rules.model_copy(update={"nodes": 1}))
    if rules.nodes == 1:
        return plain
    rough = _best(moves, starts, STARTS, 0.25, rules)
    price = np.log(plain.occupancy.sum()) / plain.occupancy.sum()
    return rough if rough.log_likelihood > plain.log_likelihood + price else plain


def _best(
    moves: Floats, starts: Bools, begin: tuple[tuple[float, float, Scales], ...], deviation: float, rules: FitRules
) -> Fitted:
    short = rules.model_copy(update={"rounds": min(rules.first_rounds, rules.rounds)})
    first = [
        maximise(moves, starts, with_factor(beginning(moves, start, rules), deviation, rules), short)
        for start in begin
    ]  # fmt: skip
    return maximise(moves, starts, max(first, key=lambda one: one.log_likelihood).model, rules)


def beginning(moves: Floats, start: tuple[float, float, Scales], rules: FitRules) -> Emission:
    """The model that one of the `STARTS` describes.

    Args:
        moves: standardised returns, of which the usual size is taken.
        start: drift and reversal, and the scales of trends, range and storm, in deviations of the past.
        rules: gives the expected length of a visit.

    Returns:
        A model of four regimes without the volatility factor.
    """
    drift, reversal, (trending, ranging, volatile) = start
    typical = _typical(moves)
    scale = 0.75 * typical * np.array([trending, trending, ranging, volatile])
    leave = 1.0 / rules.typical_bars
    chain = np.full((4, 4), leave / 3)
    np.fill_diagonal(chain, 1.0 - leave)
    nodes, grid, weight = rouwenhorst(1, 0.0)
    return Emission(
        typical * drift * np.array([1.0, -1.0, 0.0, 0.0]), np.array([0.0, 0.0, reversal, 0.0]), scale, 5.0,
        chain, np.full(4, 0.25), nodes, grid, weight,
    )  # fmt: skip


def with_factor(model: Emission, deviation: float, rules: FitRules) -> Emission:
    """The model with a volatility factor of this deviation on the grid of the rules.

    Args:
        model: with any grid of nodes.
        deviation: of the log of the factor.
        rules: how many nodes, and the half-life of the factor in bars.

    Returns:
        The same regimes on the new grid.
    """
    nodes, grid, weight = rouwenhorst(rules.nodes, 0.5 ** (1.0 / rules.half_life_bars))
    return model._replace(nodes=deviation * nodes, grid=grid, weight=weight)


def maximise(moves: Floats, starts: Bools, model: Emission, rules: FitRules) -> Fitted:
    """EM from `model` until a round gains less than the tolerance.

    Args:
        moves: standardised returns, shape (bars,); NaN where there is none.
        starts: True where a segment begins, shape (bars,).
        model: where it begins.
        rules: rounds at most, and the tolerance in log likelihood a move.

    Returns:
        The last model whose likelihood was taken.
    """
    before, fitted = -np.inf, Fitted(model, -np.inf, np.zeros(len(model.drift)))
    for _ in range(rules.rounds):
        total, exchanged, sums, extra, counts = expectations(moves, starts, model)
        likelihood = total / max(counts[0], 1.0)
        fitted = Fitted(model, likelihood, sums[:, 6])
        if likelihood - before < rules.tolerance:
            break
        before = likelihood
        model = _maximised(model, exchanged, sums, extra, counts, len(moves), rules)
    return fitted


def _maximised(
    model: Emission, exchanged: Floats, sums: Floats, extra: Floats, counts: Floats, bars: int, rules: FitRules
) -> Emission:
    count = len(model.drift)
    drift, carry, scale = np.empty(count), np.empty(count), np.empty(count)
    for s in range(count):
        one, x, xx, y, xy, yy, occupied = sums[s] + 1e-9
        spread = xx * one - x * x
        carry[s] = np.clip((xy * one - x * y) / spread if spread > 1e-12 else 0.0, -MOST_CARRY, MOST_CARRY)
        drift[s] = (y - carry[s] * x) / one
        square = yy + drift[s] ** 2 * one + carry[s] ** 2 * xx
        square -= 2 * (drift[s] * y + carry[s] * xy - drift[s] * carry[s] * x)
        # A state that explains next to nothing keeps a scale of its own size.
        scale[s] = np.sqrt(max(square, 0.0) / occupied) if occupied > 5 else model.scale[s]
    scale = np.maximum(scale, LEAST_SCALE * scale.max())
    expected = np.full((count, count), rules.belief_bars / rules.typical_bars / max(count - 1, 1))
    np.fill_diagonal(expected, rules.belief_bars * (1.0 - 1.0 / rules.typical_bars))
    chain = exchanged + expected
    chain /= chain.sum(axis=1, keepdims=True)
    nodes, grid, weight = model.nodes, model.grid, model.weight
    if len(nodes) > 1:
        deviation = float(np.clip(np.sqrt(extra[1] / bars), LEAST_FACTOR, MOST_FACTOR))
        persistence = extra[2] / max(counts[1], 1.0) / (extra[1] / bars)
        nodes, grid, weight = rouwenhorst(len(nodes), float(np.clip(persistence, 0.0, MOST_PERSISTENCE)))
        nodes = deviation * nodes
    degrees = _degrees(model.degrees, extra[0] / max(counts[0], 1.0))
    return Emission(drift, carry, scale, degrees, chain, long_run(chain), nodes, grid, weight)


def _degrees(degrees: float, mean: float) -> float:
    """The degrees of freedom that solve the likelihood's equation (Liu and Rubin 1995)."""
    from scipy.optimize import brentq
    from scipy.special import digamma

    constant = 1.0 + mean + digamma((degrees + 1) / 2) - np.log((degrees + 1) / 2)

    def slope(value: float) -> float:
        return float(np.log(value / 2) - digamma(value / 2) + constant)

    if slope(LEAST_DEGREES) <= 0:
        return LEAST_DEGREES
    return MOST_DEGREES if slope(MOST_DEGREES) >= 0 else float(brentq(slope, LEAST_DEGREES, MOST_DEGREES, xtol=1e-6))


def long_run(chain: Floats) -> Floats:
    """The share of time that a Markov chain spends in each state."""
    count = len(chain)
    equations = np.vstack([chain.T - np.eye(count), np.ones(count)])
    share = np.linalg.lstsq(equations, np.append(np.zeros(count), 1.0), rcond=None)[0]
    return np.asarray(np.clip(share, 0.0, 1.0) / np.clip(share, 0.0, 1.0).sum())


def _typical(moves: Floats) -> float:
    """A deviation that outliers do not move."""
    return float(np.nanmedian(np.abs(moves)) / 0.6745)
