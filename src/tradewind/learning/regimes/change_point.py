"""Bayesian online change points: how long the present stretch has lasted, and what its drift and deviation are."""

import math
from typing import Annotated, Any, ClassVar

import numpy as np
from numba import njit
from pydantic import Field

from tradewind.learning.features.packing import Arrays
from tradewind.learning.regimes.base import REGIMES, Bools, Floats, RegimeModel, RegimeRules


class ChangePointRules(RegimeRules):
    """The prior of a stretch and what it is called.

    Attributes:
        typical_bars: how long a stretch lasts on average.
        most_bars: run lengths beyond this are counted as this.
        prior_bars: how many bars the past's mean and deviation are worth at the beginning of a stretch.
        young_bars: a stretch that began less than this ago is unknown.
        drift: of a bar, in deviations, from which a stretch is trending.
        wide: deviation against the past's from which it is volatile.
    """

    typical_bars: Annotated[float, Field(gt=1)] = 96.0
    most_bars: Annotated[int, Field(ge=10, le=5_000)] = 400
    prior_bars: Annotated[float, Field(gt=0)] = 4.0
    young_bars: Annotated[int, Field(ge=0, le=1000)] = 6
    drift: Annotated[float, Field(gt=0)] = 0.08
    wide: Annotated[float, Field(gt=1)] = 1.3


@njit(cache=True, nogil=True)
def advance_runs(moves: Floats, starts: Bools, prior: Floats, hazard: float, cap: float, runs: Floats) -> Floats:
    """The probability of each run length after each bar (Adams and MacKay 2007), (bars, R).

    Args:
        moves: standardised returns, NaN where there is none.
        starts: True where a segment begins: so does a stretch.
        prior: mean, pseudo-count, shape and rate of a normal-inverse-gamma prior.
        hazard: probability that a stretch ends at a bar.
        cap: a move counts at most as this many deviations: a jump ends no stretch.
        runs: (5, R): probability of each run length and the posterior of its stretch (mean, count, shape, rate); moved
            on in place. The last run length stands for all that are longer.
    """
    bars, length = len(moves), runs.shape[1]
    out = np.empty((bars, length))
    for bar in range(bars):
        if starts[bar]:
            runs[0, :] = 0.0
            runs[0, 0] = 1.0
            for row in range(4):
                runs[row + 1, :] = prior[row]
        if not np.isnan(moves[bar]):
            _observe(min(max(moves[bar], -cap), cap), prior, hazard, runs)
        out[bar] = runs[0]
    return out


@njit(cache=True, nogil=True)
def _observe(move: float, prior: Floats, hazard: float, runs: Floats) -> None:
    length = runs.shape[1]
    ended, total = 0.0, 0.0
    for r in range(length):
        if runs[0, r] > 0.0:
            mean, count, shape, rate = runs[1, r], runs[2, r], runs[3, r], runs[4, r]
            square = rate * (count + 1.0) / (shape * count)
            freedom = 2.0 * shape
            norm = math.lgamma(shape + 0.5) - math.lgamma(shape) - 0.5 * math.log(freedom * math.pi * square)
            away = (move - mean) ** 2 / square
            runs[0, r] *= math.exp(norm - (shape + 0.5) * math.log1p(away / freedom))
            ended += runs[0, r] * hazard
            total += runs[0, r]
        mean, count = runs[1, r], runs[2, r]
        runs[1, r] = (count * mean + move) / (count + 1.0)
        runs[4, r] += 0.5 * count / (count + 1.0) * (move - mean) ** 2
        runs[2, r] = count + 1.0
        runs[3, r] += 0.5
    last, next_to = runs[0, length - 1], runs[0, length - 2]
    both = max(last + next_to, 1e-300)
    for row in range(1, 5):
        # The longest run length holds the mixture of what was longest and what becomes it.
        runs[row, length - 1] = (last * runs[row, length - 1] + next_to * runs[row, length - 2]) / both
        for r in range(length - 2, 0, -1):
            runs[row, r] = runs[row, r - 1]
        runs[row, 0] = prior[row - 1]
    runs[0, length - 1] = (last + next_to) * (1.0 - hazard)
    for r in range(length - 2, 0, -1):
        runs[0, r] = runs[0, r - 1] * (1.0 - hazard)
    runs[0, 0] = ended
    for r in range(length):
        runs[0, r] /= max(total, 1e-300)


@njit(cache=True, nogil=True)
def _regimes(runs: Floats, young: int, drift: float, wide: float, out: Floats) -> None:
    """Probability of each regime by the posterior of every run length, normal in the drift and in the log deviation."""
    out[:] = 0.0
    for r in range(runs.shape[1]):
        weight = runs[0, r]
        if weight < 1e-12:
            continue
        if r < young:
            out[3] += weight
            continue
        mean, count, shape, rate = runs[1, r], runs[2, r], runs[3, r], runs[4, r]
        deviation = math.sqrt(rate / shape)
        above = (math.log(wide) - math.log(deviation)) * math.sqrt(4.0 * shape)
        volatile = 0.5 * math.erfc(above / math.sqrt(2.0))
        size, reach = mean / deviation, math.sqrt(2.0 / count)
        trend = 0.5 * math.erfc((drift - size) / reach) + 0.5 * math.erfc((drift + size) / reach)
        out[2] += weight * volatile
        out[0] += weight * (1.0 - volatile) * trend
        out[1] += weight * (1.0 - volatile) * (1.0 - trend)
    total = out[0] + out[1] + out[2] + out[3]
    for regime in range(4):
        out[regime] /= total


@njit(cache=True, nogil=True)
def _filter(
    moves: Floats, starts: Bools, prior: Floats, hazard: float, cap: float, runs: Floats,
    young: int, drift: float, wide: float, out: Floats,
) -> None:  # fmt: skip
    for bar in range(len(moves)):
        advance_runs(moves[bar : bar + 1], starts[bar : bar + 1], prior, hazard, cap, runs)
        _regimes(runs, young, drift, wide, out[bar])


class ChangePointModel(RegimeModel):
    """Stretches of constant drift and deviation between change points that come at random."""

    name: ClassVar[str] = "change_point"
    rules_class: ClassVar[type[RegimeRules]] = ChangePointRules
    prior: Floats
    scale: float

    def _learn(self, moves: Floats, starts: Bools) -> None:
        finite_moves = moves[~np.isnan(moves)]
        self.scale = float(np.median(np.abs(finite_moves)) / 0.6745)
        shape = self.rules.prior_bars / 2
        self.prior = np.array([0.0, self.rules.prior_bars, shape, shape])

    def _begin(self) -> Arrays:
        runs = np.zeros((5, self.rules.most_bars + 1))
        runs[0, 0] = 1.0
        runs[1:] = self.prior[:, None]
        return {"runs": runs}

    def _advance(self, state: Arrays, moves: Floats, starts: Bools) -> tuple[Arrays, Floats, Floats]:
        out = np.empty((len(moves), len(REGIMES)))
        rules, hazard = self.rules, 1.0 / self.rules.typical_bars
        _filter(
            moves / self.scale, starts, self.prior, hazard, 5.0, state["runs"], rules.young_bars, rules.drift,
            rules.wide, out,
        )  # fmt: skip
        return {"runs": state["runs"]}, out, out * (1.0 - hazard) ** rules.horizon_bars

    def _learnt(self) -> dict[str, Any]:
        return {"prior": self.prior.tolist(), "scale": self.scale}

    def _restore(self, learnt: dict[str, Any]) -> None:
        self.prior, self.scale = np.array(learnt["prior"], dtype=np.float64), float(learnt["scale"])
