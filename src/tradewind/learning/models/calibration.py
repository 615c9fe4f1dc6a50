"""Probabilities made honest: scaling, fitted on rows that neither trained nor stopped the model."""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Floats = NDArray[np.float64]
FLOOR = 1e-12


class ProbabilityScaling(BaseModel):
    """p' proportional to exp(slope * log p + offset), after Guo et al. 2017, who have an offset for each class.

    Here down and up share theirs: the rows that calibrate span weeks, and the drift of those weeks, taken for a
    class's prior, would be a standing bet on it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    slope: float = 1.0
    move_offset: float = 0.0

    def apply(self, probability: Floats) -> Floats:
        """Calibrated probabilities (rows, 3)."""
        score = self.slope * np.log(np.maximum(probability, FLOOR)) + np.array(
            [self.move_offset, 0.0, self.move_offset]
        )
        score -= score.max(axis=1, keepdims=True)
        scaled = np.exp(score)
        return scaled / scaled.sum(axis=1, keepdims=True)


def fit_scaling(probability: Floats, label: NDArray[np.int8], ridge: float = 1e-3) -> ProbabilityScaling:
    """The scaling with the least log loss; the ridge keeps it near the identity where rows say little.

    Every row counts the same, as where forecasts are scored and traded: weights by uniqueness count moves twice as much
    as flats, and what is calibrated with them is calibrated for another population.

    Args:
        probability: of down, flat and up before scaling (rows, 3).
        label: -1, 0 or 1 (rows,).
        ridge: the price of a squared unit of the slope's distance from 1, in log loss. The offset's is half a row, so
            that the mean probability of flat is the share of flat but where rows are few.
    """
    from scipy.optimize import minimize

    column = label.astype(np.int64) + 1
    rows = np.arange(len(label))

    def loss(parameters: Floats) -> float:
        scaling = ProbabilityScaling(slope=parameters[0], move_offset=parameters[1])
        given = scaling.apply(probability)[rows, column]
        penalty = ridge * (parameters[0] - 1) ** 2 + 0.5 / len(label) * parameters[1] ** 2
        return float(-np.log(np.maximum(given, FLOOR)).mean() + penalty)

    bounds = [(0.05, 5.0), (-15.0, 15.0)]
    best = minimize(loss, np.array([1.0, 0.0]), method="L-BFGS-B", bounds=bounds).x
    return ProbabilityScaling(slope=float(best[0]), move_offset=float(best[1]))
