"""From what a network says to a forecast: probabilities scaled, quantiles shifted. No torch: inference needs none."""

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from tradewind.errors import BadData
from tradewind.learning.models.base import HORIZON_RETURN, PROBABILITIES, QUANTILES, horizons_of
from tradewind.learning.models.calibration import ProbabilityScaling, fit_scaling

QUANTILE_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


class Details(NamedTuple):
    """What a network says beyond the forecast, of the rows with a whole window among those under test.

    `rows` are places among them, rising; `quantiles` log returns (rows, horizons, 5); `evidence` (rows,), missing for a
    softmax; `attention` the mean by bar, oldest first; `selection` the mean by feature, empty if the network does not
    select.
    """

    rows: Rows
    quantiles: Floats
    evidence: Floats
    attention: Floats
    selection: dict[str, float]


class Finishing(BaseModel):
    """What was fitted on the calibration rows, which neither trained nor stopped the network.

    `return_scale` and `quantile_shift` have an entry for each of `horizons`; a shift is in units of the scale.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    head: Literal["softmax", "dirichlet"]
    horizons: tuple[int, ...]
    return_scale: tuple[float, ...]
    scaling: ProbabilityScaling
    quantile_shift: tuple[tuple[float, ...], ...]

    @classmethod
    def fitted(
        cls, head: Literal["softmax", "dirichlet"], horizons: tuple[int, ...], return_scale: tuple[float, ...],
        logits: Floats, quantiles: Floats, label: NDArray[np.int8], scaled_return: Floats,
    ) -> "Finishing":  # fmt: skip
        """Temperature scaling, and one shift a quantile and horizon so that its share of the rows lies below it
        (conformal: Romano, Patterson and Candes 2019, one side at a time).

        Args:
            head: what the logits are: of a softmax, or evidence of a Dirichlet distribution.
            horizons: bars of the returns, rising.
            return_scale: log return that stands for one, by horizon.
            logits: shape (rows, 3).
            quantiles: of the scaled returns, shape (rows, horizons, 5).
            label: -1, 0 or 1, shape (rows,).
            scaled_return: what came, shape (rows, horizons).

        Returns:
            Fitted on these rows, which must have taken no part in training.
        """
        miss = scaled_return[:, :, None] - quantiles
        shift = tuple(
            tuple(float(np.quantile(miss[:, row, at], level)) for at, level in enumerate(QUANTILE_LEVELS))
            for row in range(len(horizons))
        )
        scaling = fit_scaling(class_probabilities(logits, head), label)
        return cls(head=head, horizons=horizons, return_scale=return_scale, scaling=scaling, quantile_shift=shift)

    def quantiles(self, raw: Floats) -> Floats:
        """Log returns (rows, horizons, 5), from low to high."""
        shifted = np.sort(raw + np.array(self.quantile_shift), axis=2)
        return np.asarray(shifted * np.array(self.return_scale)[:, None])

    def forecasts(self, logits: Floats, quantiles: Floats) -> pd.DataFrame:
        """Probabilities, expected return (the median) and quantiles at the last horizon, one row a row."""
        last = self.quantiles(quantiles)[:, -1]
        probability = self.scaling.apply(class_probabilities(logits, self.head))
        return pd.DataFrame(
            np.column_stack([probability, last[:, 2], last]), columns=[*PROBABILITIES, "expected_return", *QUANTILES]
        )

    def row(self, logits: Floats, quantiles: Floats) -> Floats:
        """p_down, p_flat, p_up and expected return (4,) of one row, (1, 3) and (1, horizons, 5): without a table."""
        probability = self.scaling.apply(class_probabilities(logits, self.head))[0]
        return np.append(probability, self.quantiles(quantiles)[0, -1, 2])


def class_probabilities(logits: Floats, head: Literal["softmax", "dirichlet"]) -> Floats:
    """Probabilities (rows, 3): the softmax, or the mean of the Dirichlet distribution."""
    if head == "dirichlet":
        alpha = _softplus(logits) + 1
        return np.asarray(alpha / alpha.sum(axis=1, keepdims=True))
    power = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(power / power.sum(axis=1, keepdims=True))


def evidence(logits: Floats, head: Literal["softmax", "dirichlet"]) -> Floats:
    """How many observations the Dirichlet distribution stands for (rows,); missing for a softmax."""
    return _softplus(logits).sum(axis=1) if head == "dirichlet" else np.full(len(logits), np.nan)


def _softplus(values: Floats) -> Floats:
    return np.asarray(np.logaddexp(0.0, values))


def returns_by_horizon(rows: pd.DataFrame) -> tuple[tuple[int, ...], Floats]:
    """Horizons in bars and the log returns over them (rows, horizons); the last is the label's own.

    Raises:
        BadData: a return is missing.
    """
    horizons = horizons_of(rows)
    names = [f"{HORIZON_RETURN}{bars}" for bars in horizons] or ["forward_return"]
    returns = rows[names].to_numpy(dtype=np.float64)
    if np.isnan(returns).any():
        raise BadData(
            f"training rows must have a return at every horizon; missing: {rows[names].isna().sum().to_dict()}"
        )
    return horizons or (1,), returns
