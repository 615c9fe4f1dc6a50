"""A ridge regression of the label on a panel of symbols, with a prior for what two years of returns can tell.

The next day's direction of a market is known to a few hundredths of its variance at best, and two hundred features are
enough to fit that many times over by chance. Three things are believed before the data is seen:

- What moves slowly is worth more: a feature that says something else the next day cannot pay for the trades that it
  asks for. Each column's prior deviation is its autocorrelation over a day.
- Columns that say the same share one prior, as in `linear`.
- Symbols that move together are not as many observations: every row is taken less a part of the mean over all symbols
  at its instant, which leaves equally correlated errors uncorrelated (the random effects of Fuller and Battese 1974).

How large a forecast may be is set and not estimated: the error of such an estimate is as large as itself.
"""

from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tradewind.learning.models.base import Checkpoint, Floats, ModelParameters, Panel, Sample, Training, thin
from tradewind.learning.models.linear import LinearForecaster, Regression, scale, scaled_design, shares_of
from tradewind.learning.models.row_model import Learned, log_losses
from tradewind.metrics.classification import CLASSES

MOST_ROWS = 20_000  # more would not move a linear fit
LARGEST_CORRELATION = 0.95


class PanelRidgeParameters(ModelParameters):
    """What is believed beforehand.

    Attributes:
        explained: share of the label's variance that all features together explain: the ridge penalty follows from it.
        explained_size: the same of whether it moves at all, which volatility tells far better than its direction.
        slowness: the power of a feature's autocorrelation over a day in its prior deviation; 0: none.
        fastest: prior deviation of a feature without any such autocorrelation, as a share of the slowest's.
        deviation: of p_up - p_down over the rows that it learned from. The entry threshold is in the same unit.
    """

    explained: Annotated[float, Field(gt=0, lt=1)] = 0.01
    explained_size: Annotated[float, Field(gt=0, lt=1)] = 0.1
    slowness: Annotated[float, Field(ge=0, le=10)] = 1.0
    fastest: Annotated[float, Field(gt=0, le=1)] = 0.05
    deviation: Annotated[float, Field(gt=0, lt=1)] = 0.11


class PanelRidgeForecaster(LinearForecaster):
    """The posterior means of two regressions on all features: of -1, 0 and 1, told as log odds of up against down, and
    of whether there is a move at all, told as log odds of flat.

    It learns from all purged training rows of a fold, thinned evenly to 20,000; features are standardised, clipped at
    five deviations, what is missing at the mean. Up and down are equally likely before the features speak: the drift of
    the past is no part of the forecast.
    """

    name: ClassVar[str] = "panel_ridge"
    parameters_class: ClassVar[type[ModelParameters]] = PanelRidgeParameters

    def fit(self, training: Training, checkpoint: Checkpoint | None = None) -> Self:
        """Fitted on all training rows."""
        past = training.rows
        few = Sample.from_rows(past[thin(past, -(-len(past) // MOST_ROWS))])
        return self.fit_samples(few, few, few)

    def _learn(self, train: Sample, valid: Sample) -> Learned:
        from threadpoolctl import threadpool_limits

        values = train.x.to_numpy(dtype=np.float64)
        mean, spread = scale(values)
        with threadpool_limits(limits=1):  # products that are shared out differently differ in their last bits
            design = scaled_design(values, mean, spread)
            side, size = self._slopes(design, train)
            forecast = design @ side
        share = _class_shares(train.label)
        # Both to first order: p_up - p_down is the log odds' half difference times the share of moves, and the log odds
        # of flat move by its regression over the product of the two shares.
        moves = 1.0 - share[1]
        tilt = self.parameters.deviation / max(float(forecast.std()) * moves, 1e-12)
        flat = size / max(moves * share[1], 1e-2)
        state: dict[str, Any] = {
            "mean": mean.tolist(), "spread": spread.tolist(), "classes": [int(kind) for kind in CLASSES],
            "slope": np.stack([-tilt * side, flat, tilt * side]).tolist(), "offset": np.log(share).tolist(),
        }  # fmt: skip
        self._model = Regression(state)
        return Learned(log_losses(self, train, valid), state)

    def _slopes(self, design: Floats, train: Sample) -> tuple[Floats, Floats]:
        """The posterior mean of the slopes of the standardised label, and of being flat."""
        if not design.shape[1]:
            return np.zeros(0), np.zeros(0)
        panel = train.panel or Panel.of_one_symbol(len(train.label))
        lag = panel.horizon_rows()
        prior = shares_of(design) * self._slowness(design, panel, panel.day_rows())
        found = []
        for target, explained in (
            (train.label.astype(np.float64), self.parameters.explained),
            ((train.label == 0).astype(np.float64), self.parameters.explained_size),
        ):
            deviation = max(float(target.std()), 1e-12)
            label = (target - target.mean()) / deviation
            correlation = _correlation(label, panel)
            rows = np.sqrt(train.weight)[:, None] * _less_common(np.column_stack([design, label]), panel, correlation)
            # In units of the prior deviation, by the number of labels that do not overlap and the error's variance.
            observations = (rows[:, :-1] * prior).T
            precision = (observations @ observations.T) / (lag * (1.0 - correlation))
            evidence = observations @ rows[:, -1] / (lag * (1.0 - correlation))
            precision[np.diag_indices_from(precision)] += float((prior**2).sum()) / explained
            found.append(prior * np.linalg.solve(precision, evidence) * deviation)
        return found[0], found[1]

    def _slowness(self, design: Floats, panel: Panel, lag: int) -> Floats:
        """Each column's prior deviation by its autocorrelation over `lag` rows of its symbol, from `fastest` to 1."""
        together, alone = np.zeros(design.shape[1]), np.full(design.shape[1], 1e-12)
        order = np.argsort(panel.symbol, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(panel.symbol[order])) + 1):
            own = design[rows] - design[rows].mean(axis=0)
            together += (own[lag:] * own[:-lag]).sum(axis=0)
            alone += (own[lag:] ** 2).sum(axis=0)
        kept = np.clip(together / alone, 0.0, 1.0)
        return np.asarray(np.maximum(kept**self.parameters.slowness, self.parameters.fastest))


def _class_shares(label: NDArray[np.int8]) -> Floats:
    """Of down, flat and up; up and down alike where there are both."""
    share = np.array([(label == kind).mean() for kind in CLASSES])
    if share[0] > 0 and share[2] > 0:
        share[[0, 2]] = (share[0] + share[2]) / 2
    return np.maximum(share, 1e-9)


def _correlation(label: Floats, panel: Panel) -> float:
    """The mean correlation between labels of two symbols at one instant; 0 for one symbol."""
    total, own = np.bincount(panel.instant, label), np.bincount(panel.instant, label**2)
    count = np.bincount(panel.instant)
    pairs = float((count * (count - 1)).sum())
    found = float((total**2 - own).sum()) / pairs if pairs else 0.0
    return min(max(found, 0.0), LARGEST_CORRELATION)


def _less_common(values: Floats, panel: Panel, correlation: float) -> Floats:
    """Values less so much of their instant's mean that errors of that correlation, and of unit variance, are left
    uncorrelated with the variance 1 - correlation."""
    count = np.bincount(panel.instant)
    part = 1.0 - np.sqrt((1.0 - correlation) / (1.0 + (count - 1) * correlation))
    order = np.argsort(panel.instant, kind="stable")
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    mean = np.add.reduceat(values[order], first, axis=0) / count[:, None]
    return np.asarray(values - (part[:, None] * mean)[panel.instant])
