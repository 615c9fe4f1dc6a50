"""Forecasts among an agent's features: the linear models', with their uncertainty, as known to each fold."""

import json
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from tradewind.adaptive.rl.rules import FORECASTS
from tradewind.compute import executor
from tradewind.errors import BadData, BadModel
from tradewind.learning.models.base import PROBABILITIES, Files, feature_names, thin
from tradewind.learning.models.linear import LinearForecaster, fit_linear
from tradewind.learning.models.row_model import OUTSIDE
from tradewind.learning.models.sequence.windows import Standardiser
from tradewind.learning.splits.purged import assert_no_leak, test_mask, training_mask
from tradewind.metrics.classification import CLASSES
from tradewind.trading.strategy.signals import smooth

BLOCKS, ROWS_EACH, RIDGE, SMOOTHING_BARS = 3, 6000, 0.0002, 12.0
FOLDS_SIDE_BY_SIDE = 2
SPREAD_RIDGE = 0.01  # of the rows
KEYS = ["symbol", "timestamp"]
CLASSES_FILE, SPREAD_FILE = "forecast_classes.json", "forecast_spread.json"


class FoldForecasts(NamedTuple):
    """The forecasts that the agents of every fold read.

    Attributes:
        table: fold, symbol, timestamp and `rules.FORECASTS` of the fold's training and test rows.
        forecasters: by fold what forecast its test rows: it is stored with the fold's agents, which act on it.
    """

    table: pd.DataFrame
    forecasters: dict[int, "AgentForecaster"]


def fold_forecasts(rows: pd.DataFrame, folds: pd.DataFrame) -> FoldForecasts:
    """The forecasts of every fold as known to it: out of fold within its past, from all of its past for its test.

    Raises:
        BadData: a training row looks into the test, or there are too few of them.
    """
    from threadpoolctl import threadpool_limits

    def of_fold(fold: Any) -> tuple[pd.DataFrame, AgentForecaster]:
        training, testing = training_mask(rows, fold), test_mask(rows, fold)
        assert_no_leak(rows, training, testing)
        inside, after, forecaster = with_forecasts(rows[training], rows[testing])
        both = pd.concat([table[[*KEYS, *FORECASTS]] for table in (inside, after)], ignore_index=True)
        return both.assign(fold=np.int64(fold.fold)), forecaster

    plan = list(folds.itertuples(index=False))
    # One thread a fit; the limit is set around all of them, because two that set it side by side would undo each other.
    with threadpool_limits(limits=1), executor("threads", FOLDS_SIDE_BY_SIDE) as on:
        found = list(on.map(of_fold, plan))
    parts = [table for table, _ in found]
    forecasters = {int(fold.fold): forecaster for fold, (_, forecaster) in zip(plan, found, strict=True)}
    table = pd.concat(parts, ignore_index=True)[["fold", *KEYS, *FORECASTS]]
    return FoldForecasts(table.astype(dict.fromkeys(FORECASTS, "float32")), forecasters)


def forecasts_out_of_sample(rows: pd.DataFrame, folds: pd.DataFrame) -> pd.DataFrame:
    """Forecasts of each fold's test rows by the forecaster of its agents: symbol, timestamp, probabilities and expected
    log return.

    Args:
        rows: model-input rows of all symbols.
        folds: the folds table.
    """
    from threadpoolctl import threadpool_limits

    tables, names = [], feature_names(rows)
    with threadpool_limits(limits=1):
        for fold in folds.itertuples(index=False):
            testing = rows[test_mask(rows, fold)]
            model = AgentForecaster.fitted(rows[training_mask(rows, fold)], names).classes
            predicted = model.predict(testing)[[*PROBABILITIES, "expected_return"]]
            tables.append(pd.concat([testing[KEYS], predicted], axis=1))
    return pd.concat(tables, ignore_index=True)


def join(rows: pd.DataFrame, forecasts: pd.DataFrame, fold: int) -> pd.DataFrame:
    """The rows of one fold's past and test with its forecasts.

    Args:
        rows: model-input rows of all symbols.
        forecasts: of `fold_forecasts`.
        fold: the fold's number.
    """
    of_fold = forecasts[forecasts["fold"] == fold].drop(columns="fold")
    return rows.merge(of_fold, on=KEYS, how="inner", validate="one_to_one")


def with_forecasts(past: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, "AgentForecaster"]:
    """Past and test rows with the linear models' forecasts: `rules.FORECASTS`, the mean over about 12 bars by symbol;
    and what forecast the test rows."""
    inside, forecaster = out_of_fold(past)
    return inside, add_forecasts(forecaster, test), forecaster


def out_of_fold(past: pd.DataFrame) -> tuple[pd.DataFrame, "AgentForecaster"]:
    """Past rows with `rules.FORECASTS`, and the forecaster of what follows, fitted on all of them.

    Within the past each of three blocks is forecast by models of the others, whose labels do not reach into it.

    Raises:
        BadData: the rows are too few.
    """
    from threadpoolctl import threadpool_limits

    names = feature_names(past)
    predicted = np.full((len(past), len(CLASSES) + 1), np.nan)
    instant = past["timestamp"]
    order = instant.rank(method="dense").to_numpy()
    edges = np.quantile(order, np.linspace(0, 1, BLOCKS + 1))
    place = np.clip(np.searchsorted(edges, order, side="right") - 1, 0, BLOCKS - 1)
    with threadpool_limits(limits=1):
        for block in range(BLOCKS):
            chosen = place == block
            begins, ends = instant[chosen].min(), past.loc[chosen, "horizon_end"].max()
            outside = ((past["horizon_end"] < begins) | (instant > ends)).to_numpy()
            if not outside.any():
                raise BadData(f"{len(past)} training rows are too few for forecasts out of fold")
            predicted[chosen] = AgentForecaster.fitted(past[outside], names).predict(past[chosen])
        forecaster = AgentForecaster.fitted(past, names)
    return _add(past, predicted), forecaster


def add_forecasts(forecaster: "AgentForecaster", rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with `rules.FORECASTS` by this forecaster, each symbol's in the order of time."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):  # matrix products that are shared out differently differ in their last bits
        return _add(rows, forecaster.predict(rows))


class _Spread(BaseModel):
    """How far returns spread: log-linear in the features, in units of `width`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    standardiser: Standardiser
    weights: tuple[float, ...]
    width: float


class AgentForecaster:
    """The forecasts that agents observe: the linear model's probabilities, and the spread of the forward return.

    The spread is a log-linear model of the return's size (Harvey 1976), by ridge regression, times the spread of the
    returns in its units.
    """

    def __init__(self, classes: LinearForecaster, spread: _Spread) -> None:
        """Use `fitted` or `from_files`."""
        self._classes, self._spread, self._weights = classes, spread, np.array(spread.weights)

    @classmethod
    def fitted(cls, past: pd.DataFrame, names: list[str]) -> Self:
        """Learned from these features of purged model-input rows, thinned to about 6,000."""
        sample = past[thin(past, max(len(past) // ROWS_EACH, 1))]
        standardiser = Standardiser.fitted(sample, names)
        x, moved = _design(standardiser, sample), sample["forward_return"].to_numpy(dtype=np.float64)
        least = 1e-3 * np.abs(moved).mean() + 1e-12  # a bar without any move has no logarithm
        ridge = SPREAD_RIDGE * len(sample) * np.eye(x.shape[1])
        ridge[0, 0] = 0.0
        weights = np.linalg.solve(x.T @ x + ridge, x.T @ np.log(np.abs(moved) + least))
        low, high = np.quantile(moved / np.exp(x @ weights), (0.05, 0.95))
        spread = _Spread(standardiser=standardiser, weights=tuple(weights.tolist()), width=float(high - low))
        return cls(fit_linear(sample, names, RIDGE), spread)

    @property
    def features(self) -> tuple[str, ...]:
        """The feature columns that it reads, in the order of its graph (`forecaster_graph`)."""
        return self._classes.features

    @property
    def classes(self) -> LinearForecaster:
        """What gives the probabilities, and the expected return with them."""
        return self._classes

    @property
    def spread(self) -> _Spread:
        """How far returns spread."""
        return self._spread

    def predict(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """p_down, p_flat, p_up and the spread between the 5th and the 95th percentile of the log return, (rows, 4)."""
        size = np.exp(_design(self._spread.standardiser, rows) @ self._weights)
        return np.column_stack([self._classes.predict(rows)[PROBABILITIES], self._spread.width * size])

    def files(self) -> Files:
        """Both as JSON."""
        spread = json.dumps(self._spread.model_dump(mode="json"), indent=1).encode()
        return {CLASSES_FILE: self._classes.files()[OUTSIDE], SPREAD_FILE: spread}

    @classmethod
    def from_files(cls, files: Files) -> Self:
        """The same again, from bytes whose hashes the store has checked; other files beside them are left alone.

        Raises:
            BadModel: a file is missing or was written by another version.
        """
        try:
            classes = LinearForecaster.from_files({OUTSIDE: files[CLASSES_FILE]})
            return cls(classes, _Spread.model_validate_json(files[SPREAD_FILE]))
        except (KeyError, ValidationError) as error:
            raise BadModel(f"the agents' forecasts need {CLASSES_FILE} and {SPREAD_FILE}: {error}") from error


def _design(standardiser: Standardiser, rows: pd.DataFrame) -> NDArray[np.float64]:
    return np.column_stack([np.ones(len(rows)), standardiser.apply(rows).astype(np.float64)])


def observed_forecasts(predicted: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """`rules.FORECASTS`, in their order.

    Args:
        predicted: p_down, p_flat, p_up and spread, shape (rows, 4).
        mean: of the edge over about `SMOOTHING_BARS` bars, shape (rows,).

    Returns:
        Shape (rows, 5).
    """
    probability = predicted[:, : len(CLASSES)]
    entropy = -(probability * np.log(np.maximum(probability, 1e-12))).sum(axis=1) / np.log(len(CLASSES))
    edge = probability[:, 2] - probability[:, 0]
    return np.column_stack([edge, mean, probability[:, 1], entropy, predicted[:, -1]])


def _add(rows: pd.DataFrame, predicted: NDArray[np.float64]) -> pd.DataFrame:
    edge = predicted[:, 2] - predicted[:, 0]
    mean = np.full(len(rows), np.nan)
    symbols = rows["symbol"].to_numpy()
    for symbol in rows["symbol"].unique():
        chosen = symbols == symbol
        mean[chosen] = smooth(edge[chosen], SMOOTHING_BARS)
    columns = observed_forecasts(predicted, mean)
    return rows.assign(**{name: columns[:, at] for at, name in enumerate(FORECASTS)})
