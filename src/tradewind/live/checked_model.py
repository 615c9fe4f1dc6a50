"""A model whose answers are checked: one that fails or says what cannot be is as one that says nothing."""

import logging
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tradewind.trading.decision.protocols import FORECAST, Floats, RowForecaster

NOTHING = np.full(len(FORECAST), np.nan)


@dataclass
class CheckedModel:
    """Forecasts of `model` where they are finite, probabilities lie in [0, 1] and come to 1; else NaN.

    A bar without a forecast has the reason `no_forecast`, and the account leaves its position as after a missing
    feature: the process lives on, and the same bar gives the same answer at a replay.

    Attributes:
        model: the fitted model.
        refused: answers that were not taken, for alarms.
    """

    model: RowForecaster
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
            said = np.asarray(self.model.predict_row(x), dtype=np.float64)
        except Exception as error:  # noqa: BLE001 - whatever fails in a model is no forecast
            return self._refuse(type(error).__name__)
        if said.shape != (len(FORECAST),) or not np.isfinite(said).all():
            return self._refuse("not finite")
        if said[:3].min() < 0.0 or abs(said[:3].sum() - 1.0) > 1e-3:
            return self._refuse("no probabilities")
        return said

    def _refuse(self, why: str) -> Floats:
        self.refused[why] = self.refused.get(why, 0) + 1
        if self.refused[why] == 1:
            logging.getLogger(__name__).warning("the model's answer was not taken: %s", why)
        return NOTHING.copy()
