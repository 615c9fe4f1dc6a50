"""A model or policy whose answers are checked: one that fails or says what cannot be is as one that says nothing."""

import logging
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tradewind.adaptive.rl.deciding import Acts, AgentPolicy
from tradewind.adaptive.rl.forecaster_graph import COLUMNS
from tradewind.adaptive.rl.policies import About, HiddenState
from tradewind.trading.decision.protocols import FORECAST, Floats, RowForecaster


@dataclass
class CheckedModel:
    """Forecasts of `model` where they are finite, probabilities lie in [0, 1] and come to 1; else NaN.

    A bar without a forecast has the reason `no_forecast`, and the account leaves its position as after a missing
    feature: the process lives on, and the same bar gives the same answer at a replay.

    Attributes:
        model: the fitted model.
        columns: numbers of an answer; those after the probabilities need only be finite.
        refused: answers that were not taken, for alarms.
    """

    model: RowForecaster
    columns: int = len(FORECAST)
    refused: dict[str, int] = field(default_factory=dict)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that it reads."""
        return self.model.features

    @property
    def window_bars(self) -> int:
        """Bars that one forecast reads."""
        return self.model.window_bars

    def predict_row(self, x: NDArray[np.float32]) -> Floats:
        """The model's answer, or NaN.

        Args:
            x: see `RowForecaster.predict_row`.
        """
        try:
            forecast = np.asarray(self.model.predict_row(x), dtype=np.float64)
        except Exception as error:  # noqa: BLE001 - whatever fails in a model is no forecast
            return self._refuse(type(error).__name__)
        if forecast.shape != (self.columns,) or not np.isfinite(forecast).all():
            return self._refuse("not finite")
        if forecast[:3].min() < 0.0 or abs(forecast[:3].sum() - 1.0) > 1e-3:
            return self._refuse("no probabilities")
        return forecast

    def _refuse(self, why: str) -> Floats:
        _note(self.refused, why)
        return np.full(self.columns, np.nan)


@dataclass
class CheckedPolicy:
    """The targets of an agent's policy where they are finite; else NaN, which the agent does not act on.

    Attributes:
        policy: of one seed.
        refused: answers that were not taken, for alarms.
    """

    policy: Acts
    refused: dict[str, int] = field(default_factory=dict)

    @property
    def about(self) -> About:
        """What it observes and may do."""
        return self.policy.about

    def begin(self, count: int) -> HiddenState:
        """The hidden state of `count` episodes at their beginning."""
        return self.policy.begin(count)

    def decide(
        self, observations: NDArray[np.float32], held: Floats, hidden: HiddenState = ()
    ) -> tuple[Floats, HiddenState]:
        """The policy's answer, or NaN and the hidden state as it was.

        Args:
            observations: see `Policy.decide`.
            held: see there.
            hidden: see there.
        """
        nothing = np.full(len(observations), np.nan), hidden
        try:
            targets, after = self.policy.decide(observations, held, hidden)
        except Exception as error:  # noqa: BLE001 - whatever fails in a policy is no position
            _note(self.refused, type(error).__name__)
            return nothing
        is_whole = targets.shape == (len(observations),) and np.isfinite(targets).all()
        if not is_whole or not all(np.isfinite(one).all() for one in after):
            _note(self.refused, "not finite")
            return nothing
        return targets, after


def checked(agent: AgentPolicy) -> AgentPolicy:
    """The agent with every answer of its forecaster and policies checked."""
    seeds = tuple(CheckedPolicy(one) for one in agent.seeds)
    return replace(agent, forecaster=CheckedModel(agent.forecaster, COLUMNS), seeds=seeds)


def _note(refused: dict[str, int], why: str) -> None:
    refused[why] = refused.get(why, 0) + 1
    if refused[why] == 1:
        logging.getLogger(__name__).warning("the model's answer was not taken: %s", why)
