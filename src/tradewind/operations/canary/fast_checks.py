"""Checks of a canary that wait for no outcome: each finds a fault of its own kind within tens of decisions.

Exact ones come first: the refit beside its own procedure (`itself`), the probe, and what the canary says of the very
row that the champion decided on (`inputs`). They do not depend on how alike the two models are. What they cannot see is
left to statistics: signs and latency by Wald's sequential probability ratio (1945), spread and correlation once there
are enough decisions, with bounds that a look after every decision does not wear out.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tradewind.metrics.agreement import SMALL, STILL
from tradewind.operations.canary.expectation import Expectation
from tradewind.operations.canary.itself import Itself, fault_of
from tradewind.operations.canary.rules import CanaryRules

# Without walk-forward forecasts in common: what honest pairs of other families showed at least.
UNKNOWN = Expectation(agreement=0.66, ratio=1.0, correlation=0.4, deviation=0.0)
SLOW_NOW_AND_THEN, SLOW = 0.05, 0.35
SIGMAS = 3.5
SILENT = 0.02  # on past rows: a canary whose edges are so many times as wide as the champion's says nothing
SAME = 0.1  # of its spread: what a canary decided by and what it says of the champion's features differ by less


class Scored(NamedTuple):
    """One decision as both versions made it.

    Attributes:
        champion, canary: (4,) p_down, p_flat, p_up, expected return; of the canary None where it failed.
        champion_ms, canary_ms: how long each took.
        lag_bars: by how many bars the canary's features were older than the champion's.
        elsewhere: by how much the edge that the canary decided by differs from what it says of the champion's features,
            in units of its own spread; 0 where both were asked about the same ones.
    """

    champion: NDArray[np.float64]
    canary: NDArray[np.float64] | None
    champion_ms: float
    canary_ms: float
    lag_bars: float = 0.0
    elsewhere: float = 0.0


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
    """All checks of one trial, in the order of its decisions.

    Attributes:
        rules: of the trial.
        expected: what an honest canary has in common with the champion; None where nothing is known.
        baseline_p99_ms: of the canary's latency where it was made.
        decisions: how many there were.
        tripped: why the canary is to be taken back, if it is.
        is_vouched: whether settled labels speak for the canary now: they know more than a likeness to the champion.
    """

    rules: CanaryRules
    expected: Expectation | None
    baseline_p99_ms: float
    decisions: int = 0
    tripped: Tripped | None = None
    is_vouched: bool = False
    _signs: Sequential = field(init=False)
    _latency: Sequential = field(init=False)
    _sums: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    _lagging: int = 0
    _elsewhere: int = 0

    def __post_init__(self) -> None:
        usual = min(max((self.expected or UNKNOWN).agreement, 0.6), 0.98)
        self._signs = Sequential(1 - usual, 0.5, self.rules.alpha, (self.expected or UNKNOWN).patience)
        self._latency = Sequential(SLOW_NOW_AND_THEN, SLOW, self.rules.alpha)

    def observe(self, scored: Scored) -> Tripped | None:
        """What is wrong after one more decision, if anything; once tripped it stays so."""
        if self.tripped is None:
            self.decisions += 1
            found = self._failure(scored) or self._inputs(scored) or self._late(scored)
            if found is None:
                found = self.compare(_edge(scored.champion), _edge(scored.canary))
            if found:
                self.tripped = Tripped(found[0], self.decisions, found[1])
        return self.tripped

    def begun(self, itself: Itself | None) -> Tripped | None:
        """What is wrong before the first decision, by what is known of the canary and of both on past rows."""
        why = fault_of(itself) if itself else None
        if self.tripped is None and why:
            self.tripped = Tripped("itself", self.decisions, why)
        expected = self.expected
        if self.tripped is None and expected and expected.ratio < SILENT:
            why = f"in the past its edges were {expected.ratio:.3f} times as wide as the champion's"
            self.tripped = Tripped("spread", self.decisions, why)
        # One whose own labels and folds find no fault is right to contradict a champion whose market is over.
        if self.tripped is None and expected and expected.is_opposite and itself is None:
            why = f"in the past its edges went with the champion's by {expected.correlation:.2f}"
            self.tripped = Tripped("correlation", self.decisions, why)
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

    def _inputs(self, scored: Scored) -> tuple[str, str] | None:
        """Whether it decided by other features than the champion's: another symbol's, or older ones."""
        self._elsewhere = 0 if scored.elsewhere <= SAME else self._elsewhere + 1  # no number is not the same
        if self._elsewhere >= 3:
            return (
                "inputs",
                f"its edge is {scored.elsewhere:.1f} of its spread from what it says of the champion's features",
            )
        return None

    def compare(self, mine: float, theirs: float) -> tuple[str, str] | None:
        """The checks of the two edges alone, of champion and canary: signs, spread and correlation.

        Where they have no common ground the canary's spread is compared with its own on past rows, and nothing else.
        """
        if self.is_vouched:
            return None
        if self.expected is None or self.expected.is_comparable:
            return self._sign(mine, theirs) or self._spread(mine, theirs, self.expected or UNKNOWN)
        own = max(self.expected.ratio * self.expected.deviation, STILL)
        return self._spread(1.0, theirs / own, self.expected._replace(ratio=1.0))

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

    def _spread(self, mine: float, theirs: float, expected: Expectation) -> tuple[str, str] | None:
        """Of the two edges around zero, since a model without an edge says zero."""
        count, square, other, product = self._sums
        self._sums = (count + 1, square + mine * mine, other + theirs * theirs, product + mine * theirs)
        count, square, other, product = self._sums
        if count < self.rules.min_decisions or square < 1e-12:
            return None
        count /= expected.patience
        ratio = math.sqrt(other / square) / expected.ratio
        correlation = product / math.sqrt(square * max(other, 1e-24))
        error = SIGMAS * math.sqrt(max(1 - correlation**2, 0.0) / count)
        low, high = math.log(self.rules.spread_low), math.log(self.rules.spread_high)
        apart = math.log(max(ratio, 1e-12))
        if apart - error > high or apart + error < low:
            return "spread", f"its edges are {ratio:.2f} times as wide as expected"
        usual = math.atanh(min(max(expected.correlation, 0.0), 0.99))
        together = math.atanh(min(max(correlation, -0.999), 0.999)) + SIGMAS / math.sqrt(count)
        if expected.is_comparable and together < 0.5 * usual:
            why = f"its edges go with the champion's by {correlation:.2f}, not {expected.correlation:.2f}"
            return "correlation", why
        return None


def _edge(said: NDArray[np.float64] | None) -> float:
    return 0.0 if said is None else float(said[2] - said[0])
