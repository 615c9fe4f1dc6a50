"""Checks of a canary that wait for no outcome: each finds a fault of its own kind within tens of decisions.

Signs and latency are tested by Wald's sequential probability ratio (1945), spread and correlation once there are
enough decisions, with bounds that a look after every decision does not wear out.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tradewind.operations.canary.expectation import LEAST_AGREEMENT, LEAST_CORRELATION, SMALL, Expectation
from tradewind.operations.canary.rules import CanaryRules

# Without walk-forward forecasts in common.
UNKNOWN = Expectation(LEAST_AGREEMENT, ratio=1.0, correlation=LEAST_CORRELATION, deviation=0.0)
SLOW_NOW_AND_THEN, SLOW = 0.05, 0.35
SIGMAS = 3.5


class Scored(NamedTuple):
    """One decision as both versions made it.

    Attributes:
        champion, canary: (4,) p_down, p_flat, p_up, expected return; of the canary None where it failed.
        champion_ms, canary_ms: how long each took.
        lag_bars: by how many bars the canary's features were older than the champion's.
    """

    champion: NDArray[np.float64]
    canary: NDArray[np.float64] | None
    champion_ms: float
    canary_ms: float
    lag_bars: float = 0.0


class Tripped(NamedTuple):
    """Why a canary is to be taken back: the check, after how many decisions, and in words."""

    check: str
    decisions: int
    why: str


@dataclass
class Sequential:
    """Wald's test of a share: `usual` against `faulty`. It never ends on the good side: a fault may begin later.

    So many observations as `patience` says count as one.
    """

    usual: float
    faulty: float
    alpha: float
    patience: float = 1.0
    score: float = 0.0

    def observe(self, happened: bool) -> bool:
        """Whether the faulty share is established."""
        faulty, usual = (self.faulty, self.usual) if happened else (1 - self.faulty, 1 - self.usual)
        bound = math.log((1 - self.alpha) / self.alpha)
        self.score = max(self.score + math.log(faulty / usual) / self.patience, -bound)
        return self.score >= bound


@dataclass
class FastChecks:
    """All checks of one trial, in the order of its decisions."""

    rules: CanaryRules
    expected: Expectation | None
    baseline_p99_ms: float
    decisions: int = 0
    tripped: Tripped | None = None
    _signs: Sequential = field(init=False)
    _latency: Sequential = field(init=False)
    _sums: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    _lagging: int = 0

    def __post_init__(self) -> None:
        usual = min(max((self.expected or UNKNOWN).agreement, 0.6), 0.98)
        self._signs = Sequential(1 - usual, 0.5, self.rules.alpha, (self.expected or UNKNOWN).patience)
        self._latency = Sequential(SLOW_NOW_AND_THEN, SLOW, self.rules.alpha)

    def observe(self, scored: Scored) -> Tripped | None:
        """What is wrong after one more decision, if anything; once tripped it stays so."""
        if self.tripped is None:
            self.decisions += 1
            found = self._failure(scored) or self._late(scored)
            if found is None:
                found = self.compare(_edge(scored.champion), _edge(scored.canary))
            if found:
                self.tripped = Tripped(found[0], self.decisions, found[1])
        return self.tripped

    def probed(self, apart: float, tolerance: float) -> Tripped | None:
        """The same after a look at the probe, of which the canary differs by `apart`."""
        if self.tripped is None and not apart <= tolerance:
            self.tripped = Tripped("probe", self.decisions, f"its probe differs by {apart:.1e}")
        return self.tripped

    def _failure(self, scored: Scored) -> tuple[str, str] | None:
        said = scored.canary
        if said is None:
            return "error", "it failed where the champion answered"
        if not np.isfinite(said).all():
            return "non-finite", "it said a number that is not finite"
        if said[:3].min() < 0 or abs(float(said[:3].sum()) - 1) > 1e-6:
            return "probabilities", f"its probabilities are {np.round(said[:3], 6).tolist()}"
        self._lagging = self._lagging + 1 if scored.lag_bars > self.rules.max_lag_bars else 0
        if self._lagging >= 3:
            return "freshness", f"its features are {scored.lag_bars:g} bars older than the champion's"
        return None

    def compare(self, mine: float, theirs: float) -> tuple[str, str] | None:
        """The checks of the two edges alone, of champion and canary: signs, spread and correlation.

        They ask nothing of two that are not expected to agree: what one says much of the other says little of.
        """
        if not (self.expected or UNKNOWN).agrees:
            return None
        return self._sign(mine, theirs) or self._spread(mine, theirs)

    def _late(self, scored: Scored) -> tuple[str, str] | None:
        slow = self.rules.latency_multiple * max(self.baseline_p99_ms, scored.champion_ms)
        if self._latency.observe(scored.canary_ms > slow):
            return "latency", f"it takes {scored.canary_ms:.2f} ms, more than {slow:.2f} ms, too often"
        return None

    def _sign(self, mine: float, theirs: float) -> tuple[str, str] | None:
        if abs(mine) < SMALL * self._deviation():
            return None
        if self._signs.observe((mine > 0) - (mine < 0) != (theirs > 0) - (theirs < 0)):
            return "signs", f"it agrees with the champion less often than {1 - self._signs.usual:.0%}"
        return None

    def _deviation(self) -> float:
        return self.expected.deviation if self.expected else 0.0

    def _spread(self, mine: float, theirs: float) -> tuple[str, str] | None:
        """Of the two edges around zero, since a model without an edge says zero."""
        count, square, other, product = self._sums
        self._sums = (count + 1, square + mine * mine, other + theirs * theirs, product + mine * theirs)
        count, square, other, product = self._sums
        if count < self.rules.min_decisions or square < 1e-12:
            return None
        expected = self.expected or UNKNOWN
        count /= expected.patience
        ratio = math.sqrt(other / square) / expected.ratio
        correlation = product / math.sqrt(square * max(other, 1e-24))
        error = SIGMAS * math.sqrt(max(1 - correlation**2, 0.0) / count)
        low, high = math.log(self.rules.spread_low), math.log(self.rules.spread_high)
        apart = math.log(max(ratio, 1e-12))
        if apart - error > high or apart + error < low:
            return "spread", f"its edges are {ratio:.2f} times as wide as expected"
        usual = math.atanh(min(max(expected.correlation, 0.0), 0.99))
        if math.atanh(min(max(correlation, -0.999), 0.999)) + SIGMAS / math.sqrt(count) < 0.5 * usual:
            return (
                "correlation",
                f"its edges go with the champion's by {correlation:.2f}, not {expected.correlation:.2f}",
            )
        return None


def _edge(said: NDArray[np.float64] | None) -> float:
    return 0.0 if said is None else float(said[2] - said[0])
