"""Weights of experts that follow their losses, one settled outcome after another, with bounds on the regret.

Every rule is a state of named arrays: `begin` makes one, `weights` reads it, `update` gives the next. Leading axes are
independent sequences. A loss of NaN is an expert without a forecast: it keeps its share among the others.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import BadParameters

Floats = NDArray[np.float64]
State = dict[str, Floats]
SMALL = 1e-12


class OnlineRule(ABC):
    """How losses become weights."""

    name: ClassVar[str]

    @abstractmethod
    def begin(self, shape: tuple[int, ...]) -> State:
        """The state before the first loss, for weights of this shape (..., experts)."""

    @abstractmethod
    def weights(self, state: State) -> Floats:
        """Weights (..., experts), which sum to 1."""

    @abstractmethod
    def update(self, state: State, losses: Floats) -> State:
        """The state after losses (..., experts)."""

    def awake(self, state: State, losses: Floats) -> Floats:
        """The losses, with the mixture's own in place of those of experts without a forecast."""
        silent = np.isnan(losses)
        if not silent.any():
            return losses
        weight = np.where(silent, 0.0, self.weights(state))
        total = weight.sum(axis=-1, keepdims=True)
        mixture = np.where(silent, 0.0, losses * weight).sum(axis=-1, keepdims=True) / np.maximum(total, SMALL)
        return np.asarray(np.where(silent, np.where(total > 0, mixture, 0.0), losses))


class Hedge(OnlineRule):
    """Exponential weights at a fixed rate (Freund and Schapire 1997).

    With rate sqrt(8 ln N / T) and losses in [0, 1] the regret over T rounds is at most sqrt(T ln N / 2).
    """

    name: ClassVar[str] = "hedge"

    def __init__(self, rate: float) -> None:
        """A rule of this rate.

        Raises:
            BadParameters: the rate is not positive.
        """
        if not rate > 0:
            raise BadParameters(f"the rate of hedge must be positive, found {rate}")
        self.rate = rate

    @classmethod
    def over(cls, rounds: int, experts: int) -> "Hedge":
        """The rate with the least bound over so many rounds."""
        return cls(float(np.sqrt(8 * np.log(experts) / rounds)))

    def begin(self, shape: tuple[int, ...]) -> State:
        """No loss yet."""
        return {"loss": np.zeros(shape)}

    def weights(self, state: State) -> Floats:
        """exp(-rate loss), normalised."""
        return softmax(-self.rate * state["loss"])

    def update(self, state: State, losses: Floats) -> State:
        """The losses added up."""
        return {"loss": state["loss"] + self.awake(state, losses)}


class AdaHedge(OnlineRule):
    """Hedge with the rate that its own mixability gap sets (de Rooij, van Erven, Grünwald and Koolen 2014).

    `share` of the weight is spread evenly after each round (Herbster and Warmuth 1998), so that an expert that becomes
    good late is found; 0 is AdaHedge as published.
    """

    name: ClassVar[str] = "adahedge"

    def __init__(self, share: float = 0.0) -> None:
        """A rule that spreads this share.

        Raises:
            BadParameters: the share is not in [0, 1).
        """
        if not 0 <= share < 1:
            raise BadParameters(f"the share of adahedge must be in [0, 1), found {share}")
        self.share = share

    def begin(self, shape: tuple[int, ...]) -> State:
        """No loss, and no gap."""
        return {"loss": np.zeros(shape), "gap": np.zeros((*shape[:-1], 1))}

    def _rate(self, state: State) -> Floats:
        count = state["loss"].shape[-1]
        return np.asarray(max(np.log(count), SMALL) / np.maximum(state["gap"], 1e-6))

    def weights(self, state: State) -> Floats:
        """exp(-rate loss), normalised, at the present rate."""
        return softmax(-self._rate(state) * state["loss"])

    def update(self, state: State, losses: Floats) -> State:
        """The losses added up, the gap grown by what the mixture lost beyond the mix loss."""
        losses = self.awake(state, losses)
        weight, rate = self.weights(state), self._rate(state)
        least = losses.min(axis=-1, keepdims=True)
        inside = (weight * np.exp(-rate * (losses - least))).sum(axis=-1, keepdims=True)
        mixed = least - np.log(np.maximum(inside, 1e-300)) / rate
        suffered = (weight * losses).sum(axis=-1, keepdims=True)
        after = {"loss": state["loss"] + losses, "gap": state["gap"] + np.maximum(suffered - mixed, 0.0)}
        if self.share:
            rate = self._rate(after)
            spread = (1 - self.share) * softmax(-rate * after["loss"]) + self.share / losses.shape[-1]
            after["loss"] = -np.log(spread) / rate
        return after


class Bernstein(OnlineRule):
    """Bernstein online aggregation: the regret falls with the experts' variance against the mixture (Wintenberger
    2017), each expert at its own rate."""

    name: ClassVar[str] = "bernstein"

    def begin(self, shape: tuple[int, ...]) -> State:
        """No regret yet."""
        return {"penalised": np.zeros(shape), "square": np.zeros(shape), "range": np.zeros(shape)}

    def _rate(self, state: State) -> Floats:
        count = state["square"].shape[-1]
        free = np.sqrt(np.log(max(count, 2)) / np.maximum(state["square"], SMALL))
        return np.asarray(np.minimum(free, 0.5 / np.maximum(state["range"], 1e-6)))

    def weights(self, state: State) -> Floats:
        """rate exp(-rate penalised regret), normalised."""
        rate = self._rate(state)
        return softmax(-rate * state["penalised"] + np.log(rate))

    def update(self, state: State, losses: Floats) -> State:
        """Each expert's loss against the mixture's, with a penalty on its square."""
        losses = self.awake(state, losses)
        against = losses - (self.weights(state) * losses).sum(axis=-1, keepdims=True)
        widened = {"square": state["square"] + against**2, "range": np.maximum(state["range"], np.abs(against))}
        rate = self._rate({**state, **widened})
        return {"penalised": state["penalised"] + against * (1 + rate * against), **widened}


def softmax(values: Floats) -> Floats:
    """exp(values), normalised over the last axis."""
    power = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(power / power.sum(axis=-1, keepdims=True))


def settled_weights(
    rule: OnlineRule, losses: Floats, timestamp: NDArray[np.int64], exit_time: NDArray[np.int64]
) -> Floats:
    """The weights for every row, from outcomes that were settled before its bar alone.

    Outcomes count in the order in which they settle, those that settle at one instant as one, by their mean.

    Args:
        rule: how losses become weights.
        losses: of each expert on each row, (rows, experts); NaN where it has no forecast or nothing is known yet.
        timestamp: when each row is known, in any one unit, in order.
        exit_time: when the outcome of each row is settled, in the same unit; of a table of labels `horizon_end`
            (`labels.settling` says why).

    Returns:
        Weights (rows, experts); rows of one timestamp have the same.
    """
    state, out = rule.begin(losses.shape[1:]), np.empty(losses.shape)
    order = np.argsort(exit_time, kind="stable")
    settles = exit_time[order]
    done = 0
    for row, now in enumerate(timestamp):
        if row and now == timestamp[row - 1]:
            out[row] = out[row - 1]
            continue
        stop = int(np.searchsorted(settles, now, side="left"))
        while done < stop:
            batch = int(np.searchsorted(settles, settles[done], side="right"))
            rows = losses[order[done:batch]]
            is_known = ~np.isnan(rows)
            seen = is_known.sum(axis=0)
            mean = np.where(seen > 0, np.where(is_known, rows, 0.0).sum(axis=0) / np.maximum(seen, 1), np.nan)
            if seen.any():
                state = rule.update(state, mean)
            done = batch
        out[row] = rule.weights(state)
    return out
