"""A hidden Markov model of four regimes, filtered: Student-t autoregressions with a volatility factor inside."""

from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from tradewind.learning.features.packing import Arrays
from tradewind.learning.regimes.base import REGIMES, UNKNOWN, Bools, Floats, RegimeModel, RegimeRules
from tradewind.learning.regimes.expectation_maximisation import FitRules, Fitted, fit
from tradewind.learning.regimes.markov_kernels import Emission, begin_belief, filter_moves
from tradewind.learning.regimes.naming import Behaviour, name_states

DAY_BARS = 24


class MarkovRules(RegimeRules):
    """How the model is fitted, and when it says that there is but one regime.

    Attributes:
        em: how the likelihood is made greatest.
        evidence: t-value of the log likelihood that drifts and reversals gain on the half of the past that they were
            not fitted on; with less, one regime explains the past as well.
    """

    em: FitRules = FitRules()
    evidence: Annotated[float, Field(ge=-10, le=10)] = 0.3


class MarkovModel(RegimeModel):
    """Regimes that a hidden Markov model finds (Hamilton 1989), with tails, reversal and volatility inside them."""

    name: ClassVar[str] = "markov"
    rules_class: ClassVar[type[RegimeRules]] = MarkovRules
    model: Emission
    names: np.ndarray

    @property
    def n_regimes(self) -> int:
        """How many regimes it tells apart; 1 where one explains the past as well."""
        return max(len(set(self.names.tolist()) - {UNKNOWN}), 1)

    def _learn(self, moves: Floats, starts: Bools) -> None:
        fitted = fit(moves, starts, self.rules.em)
        self.evidence = evidence(moves, starts, self.rules.em)
        names = name_states(behaviour(fitted))
        if self.evidence < self.rules.evidence or len(set(names.tolist()) - {UNKNOWN}) < 2:
            names = np.full(len(names), UNKNOWN, dtype=np.int64)
        self._take(fitted.model, names)

    def _take(self, model: Emission, names: np.ndarray) -> None:
        self.model, self.names = model, names
        count = len(names)
        self._member = (names[:, None] == np.arange(len(REGIMES))).astype(np.float64)
        self._staying = np.zeros((count, len(REGIMES)))
        for regime in range(len(REGIMES)):
            inside = np.flatnonzero(names == regime)
            if len(inside):
                chain = np.linalg.matrix_power(model.moves[np.ix_(inside, inside)], self.rules.horizon_bars)
                self._staying[inside, regime] = chain.sum(axis=1)

    def _begin(self) -> Arrays:
        return {"belief": begin_belief(self.model), "move": np.full(1, np.nan)}

    def _advance(self, state: Arrays, moves: Floats, starts: Bools) -> tuple[Arrays, Floats, Floats]:
        states, density = np.empty((len(moves), len(self.names))), np.empty(len(moves))
        last = filter_moves(moves, starts, self.model, state["belief"], float(state["move"][0]), states, density)
        after: Arrays = {"belief": state["belief"], "move": np.array([last])}
        return after, _sums(states, self._member), _sums(states, self._staying)

    def states(self, moves: Floats, starts: Bools) -> tuple[Floats, Floats]:
        """Filtered probabilities of the model's own states (bars, S), and the log density of each move (bars,)."""
        states, density = np.empty((len(moves), len(self.names))), np.empty(len(moves))
        filter_moves(moves, starts, self.model, begin_belief(self.model), np.nan, states, density)
        return states, density

    def _learnt(self) -> dict[str, Any]:
        emission = {
            name: value.tolist() if isinstance(value, np.ndarray) else float(value)
            for name, value in self.model._asdict().items()
        }
        return {"emission": emission, "names": self.names.tolist(), "evidence": self.evidence}

    def _restore(self, learnt: dict[str, Any]) -> None:
        emission: dict[str, Any] = {
            name: float(value) if name == "degrees" else np.array(value, dtype=np.float64)
            for name, value in learnt["emission"].items()
        }
        self.evidence = float(learnt["evidence"])
        self._take(Emission(**emission), np.array(learnt["names"], dtype=np.int64))


def _sums(states: Floats, weights: Floats) -> Floats:
    """`states @ weights`, added in one order whatever the number of bars: a stream equals a batch to the bit."""
    out = np.zeros((len(states), weights.shape[1]))
    for state in range(len(weights)):
        out += states[:, state, None] * weights[state]
    return out


def behaviour(fitted: Fitted) -> Behaviour:
    """What the fitted states do."""
    model = fitted.model
    return Behaviour(model.drift / model.scale, model.carry, model.scale, fitted.occupancy)


def evidence(moves: Floats, starts: Bools, rules: FitRules) -> float:
    """The t-value, by days of bars, of what drifts and reversals of states gain in log likelihood out of sample.

    Each half of the past is judged by the model of the other half, once as it is and once with every state's drift
    at zero and reversal at the mean of all. States that differ in volatility alone gain nothing by this measure:
    volatility that clusters is no regime.

    Args:
        moves: standardised returns, shape (bars,); NaN where there is none.
        starts: True where a segment begins, shape (bars,).
        rules: of the fits to each half.

    Returns:
        0 where the gain does not vary.
    """
    half, gains = len(moves) // 2, []
    parts = ((slice(0, half), slice(half, None)), (slice(half, None), slice(0, half)))
    for learnt, judged in parts:
        fitted = fit(moves[learnt], starts[learnt], rules)
        count = len(fitted.occupancy)
        mean = float(fitted.occupancy @ fitted.model.carry / max(fitted.occupancy.sum(), 1e-12))
        flat = fitted.model._replace(drift=np.zeros(count), carry=np.full(count, mean))
        densities = []
        for model in (fitted.model, flat):
            density, out = np.empty(len(moves[judged])), np.empty((len(moves[judged]), count))
            filter_moves(moves[judged], starts[judged], model, begin_belief(model), np.nan, out, density)
            densities.append(density)
        gains.append(densities[0] - densities[1])
    gain = np.concatenate(gains)
    days = gain[: len(gain) // DAY_BARS * DAY_BARS].reshape(-1, DAY_BARS).mean(axis=1)
    deviation = float(days.std())
    return float(days.mean() / deviation * np.sqrt(len(days))) if deviation > 0 else 0.0
