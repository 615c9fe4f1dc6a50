"""One part of a cost as a function of the situation, with an interval that was calibrated on later outcomes."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import BadData
from tradewind.parameters import Parameters

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

LEAST_ROWS = 30
NEWTON_STEPS = 25
NORMAL_90 = 1.6448536269514722  # 95 % quantile of the standard normal


class Predicted(NamedTuple):
    """Expected values and their 90 % intervals, (rows,) each."""

    mean: Floats
    low: Floats
    high: Floats


class PartModel(Parameters):
    """A linear mean, or a logistic one for shares, of standardised features.

    An amount's interval is its mean plus quantiles of the calibration's errors, in units of an error that is linear in
    the features, too (locally weighted split conformal prediction: Lei, G'Sell, Rinaldo, Tibshirani and Wasserman
    2018). A share's is that of its probability: level and slope of the score were fitted anew on the calibration
    (Platt 1999), and `covariance` is theirs by a bootstrap of blocks. Coefficients of standardised features are shrunk
    as if a block's worth of rows had shown no effect, since rows of one block say little more than one.

    Attributes:
        kind: of an amount or a share.
        mean: intercept, then a coefficient a feature.
        error: the same, of the size of an error; empty for a share.
        least_error: no error is taken to be smaller.
        low: quantile of errors over their size; 0 for a share.
        high: the upper one.
        level: of a share's score, intercept and slope.
        covariance: of these, by rows.
    """

    kind: Literal["amount", "share"]
    mean: tuple[float, ...]
    error: tuple[float, ...] = ()
    least_error: float = 0.0
    low: float = 0.0
    high: float = 0.0
    level: tuple[float, float] = (0.0, 1.0)
    covariance: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    def predict(self, x: Floats) -> Predicted:
        """Means and intervals of standardised features, (rows, features)."""
        score = _with_one(x) @ np.array(self.mean)
        if self.kind == "share":
            both = np.column_stack([np.ones(len(score)), score])
            centre = both @ np.array(self.level)
            variance = np.einsum("ri,ij,rj->r", both, np.array(self.covariance).reshape(2, 2), both)
            reach = NORMAL_90 * np.sqrt(np.maximum(variance, 0.0))
            return Predicted(_share(centre), _share(centre - reach), _share(centre + reach))
        size = np.maximum(_with_one(x) @ np.array(self.error), self.least_error)
        return Predicted(score, score + self.low * size, score + self.high * size)


class Sample(NamedTuple):
    """Outcomes that a model learns from or is calibrated with.

    Attributes:
        x: standardised features, (rows, features).
        y: outcomes, (rows,).
        block: of each row; rows of one depend on each other, (rows,).
    """

    x: Floats
    y: Floats
    block: Ints

    @property
    def rows_a_block(self) -> float:
        """Rows of a block on average."""
        return len(self.block) / len(np.unique(self.block))


def fit_amount(learn: Sample, calibrate: Sample) -> PartModel:
    """A model of an amount.

    Args:
        learn: outcomes for mean and size of the error.
        calibrate: later outcomes, for the interval.

    Raises:
        BadData: there are too few outcomes.
    """
    _require(learn, calibrate)
    mean = _ridge(learn.x, learn.y, learn.rows_a_block)
    misses = np.abs(learn.y - _with_one(learn.x) @ mean)
    error = _ridge(learn.x, misses, learn.rows_a_block)
    least = max(0.1 * float(misses.mean()), 1e-6)
    size = np.maximum(_with_one(calibrate.x) @ error, least)
    over = np.sort((calibrate.y - _with_one(calibrate.x) @ mean) / size)
    count = len(over)
    low = over[max(int(np.floor(0.05 * (count + 1))) - 1, 0)]
    high = over[min(int(np.ceil(0.95 * (count + 1))) - 1, count - 1)]
    return PartModel(
        kind="amount", mean=tuple(map(float, mean)), error=tuple(map(float, error)), least_error=least,
        low=min(float(low), 0.0), high=max(float(high), 0.0),
    )  # fmt: skip


def fit_share(learn: Sample, calibrate: Sample, generator: np.random.Generator, resamples: int = 200) -> PartModel:
    """A model of a share between 0 and 1.

    Args:
        learn: outcomes for the score.
        calibrate: later outcomes, for its level and slope.
        generator: draws blocks.
        resamples: of the bootstrap.

    Raises:
        BadData: there are too few outcomes, or one is no share.
    """
    _require(learn, calibrate)
    both_parts = np.concatenate([learn.y, calibrate.y])
    if not ((both_parts >= 0) & (both_parts <= 1)).all():
        raise BadData("a share lies between 0 and 1: mend the outcomes")
    mean = _logistic(_with_one(learn.x), learn.y, np.ones(len(learn.y)), learn.rows_a_block)
    both = np.column_stack([np.ones(len(calibrate.y)), _with_one(calibrate.x) @ mean])
    level = _logistic(both, calibrate.y, np.ones(len(both)), 1e-6)
    names, block = np.unique(calibrate.block, return_inverse=True)
    drawn = [
        _logistic(both, calibrate.y, np.bincount(generator.integers(0, len(names), len(names)), minlength=len(names))[
            block].astype(np.float64), 1e-6)
        for _ in range(resamples)
    ]  # fmt: skip
    (level_variance, both_covary), (_, slope_variance) = np.cov(np.array(drawn).T).tolist()
    return PartModel(
        kind="share", mean=tuple(map(float, mean)), level=(float(level[0]), float(level[1])),
        covariance=(level_variance, both_covary, both_covary, slope_variance),
    )  # fmt: skip


def _require(learn: Sample, calibrate: Sample) -> None:
    for name, sample in (("learning", learn), ("calibration", calibrate)):
        if len(sample.y) < LEAST_ROWS:
            raise BadData(f"{len(sample.y)} outcomes for {name}, {LEAST_ROWS} are needed: use longer recordings")


def _with_one(x: Floats) -> Floats:
    return np.column_stack([np.ones(len(x)), x])


def _share(score: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(score, -35.0, 35.0))))


def _ridge(x: Floats, y: Floats, prior: float) -> Floats:
    """Intercept and coefficients; the intercept is not shrunk."""
    both = _with_one(x)
    penalty = prior * np.eye(both.shape[1])
    penalty[0, 0] = 0.0
    return np.asarray(np.linalg.solve(both.T @ both + penalty, both.T @ y))


def _logistic(x: Floats, y: Floats, weight: Floats, ridge: float) -> Floats:
    """Newton's method for the penalised likelihood of shares; the first column, of ones, is not shrunk."""
    penalty = ridge * np.eye(x.shape[1])
    penalty[0, 0] = 1e-6
    found = np.zeros(x.shape[1])
    for _ in range(NEWTON_STEPS):
        share = _share(x @ found)
        curve = x.T @ (x * (weight * np.maximum(share * (1 - share), 1e-6))[:, None]) + penalty
        step = np.linalg.solve(curve, x.T @ (weight * (y - share)) - penalty @ found)
        found = found + np.clip(step, -5.0, 5.0)
        if np.abs(step).max() < 1e-9:
            break
    return found
