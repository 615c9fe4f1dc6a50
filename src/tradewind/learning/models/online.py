"""A fitted model that goes on learning: boosting by more trees, a regression by recursive least squares, calibration.

What was learned before is forgotten with a half-life, so that an update is the best fit to the labels that have settled
since and to what the rows before still count for. A row counts for one over the bars of the label's horizon:
neighbouring labels share their bars.
"""

from datetime import datetime
from typing import Annotated, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from tradewind.errors import BadData, BadModel
from tradewind.learning.labels.settling import is_settled, require_settled
from tradewind.learning.models.base import Floats, Panel, Sample
from tradewind.learning.models.boosting import BoostingForecaster, Growth
from tradewind.learning.models.calibration import FLOOR, ProbabilityScaling
from tradewind.learning.models.linear import scaled_design
from tradewind.learning.models.row_model import RowForecaster
from tradewind.metrics.classification import CLASSES
from tradewind.parameters import Parameters

UPDATABLE = ("lightgbm", "xgboost", "linear")
FORGOTTEN = 8.0  # half-lives after which a row counts for nothing
CURVATURE, LARGEST_CURVATURE = 1 / 3, 1 / 2  # of the log loss in a score: of equal chances, and of any (Böhning 1992)
STEPS, SMALL_STEP = 200, 1e-7


class OnlineLearning(Parameters):
    """How a model goes on learning.

    Attributes:
        half_life_days: after which a row counts half.
        rounds: of trees that an update adds.
        learning_rate: of these trees.
        calibrate: whether the scaling of a boosting model's probabilities follows, too.
    """

    half_life_days: Annotated[float, Field(gt=0, le=3650)] = 14.0
    rounds: Annotated[int, Field(ge=1, le=100)] = 5
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.05
    calibrate: bool = True


class Lessons(NamedTuple):
    """What an update learns from.

    Attributes:
        past: settled rows that the model has learned already.
        new: those that have settled since.
        past_weight, new_weight: what each counts for now, in (0, 1], before its overlap.
        ever: how many rows have settled, the forgotten ones among them.
        horizon_rows: how many rows a label overlaps.
        kept: what of the past is not forgotten since the last update, in (0, 1].
    """

    past: pd.DataFrame
    new: pd.DataFrame
    past_weight: Floats
    new_weight: Floats
    ever: int
    horizon_rows: int
    kept: float


def lessons_of(rows: pd.DataFrame, since: datetime, as_of: datetime, half_life_days: float) -> Lessons:
    """The rows of an update, none of whose labels was unsettled.

    Args:
        rows: model input of all symbols, in the order of time; later rows are left out.
        since: timestamp of the last row that the model has learned.
        as_of: when it is updated.
        half_life_days: of what a row counts.

    Raises:
        BadData: no label has settled since.
    """
    settled = rows[is_settled(rows, as_of)]
    require_settled(settled, as_of)
    age = (as_of - settled["timestamp"]).dt.total_seconds().to_numpy() / 86_400
    counts = age <= FORGOTTEN * half_life_days
    known, age = settled[counts], age[counts]
    is_new = (known["timestamp"] > since).to_numpy()
    if not is_new.any():
        raise BadData(f"no label has settled between {since:%Y-%m-%d %H:%M} and {as_of:%Y-%m-%d %H:%M} UTC")
    weight = 0.5 ** (age / half_life_days)
    kept = 0.5 ** ((as_of - since).total_seconds() / 86_400 / half_life_days)
    horizon = Panel.from_rows(known).horizon_rows()
    past, new = known[~is_new], known[is_new]
    return Lessons(past, new, weight[~is_new], weight[is_new], len(settled), horizon, min(float(kept), 1.0))


def updated(model: RowForecaster, lessons: Lessons, rules: OnlineLearning) -> RowForecaster:
    """The model after the new rows.

    Args:
        model: fitted; it stays as it is.
        lessons: what it learns from (`lessons_of`).
        rules: how.

    Raises:
        BadModel: a kind of model that cannot be updated, or one that has never seen one of the classes.
    """
    if model.name not in UPDATABLE:  # the other regressions read their features in other ways
        raise BadModel(f"{model.name} cannot be updated: retrain it, or deploy one of {', '.join(UPDATABLE)}")
    if isinstance(model, BoostingForecaster):
        scaling = moved_scaling(model, lessons) if rules.calibrate else model.scaling
        return _grown(model, lessons, rules).altered(scaling=scaling)
    return model.altered(state={**model.state, **moved_regression(model, lessons)})


def _grown(model: BoostingForecaster, lessons: Lessons, rules: OnlineLearning) -> BoostingForecaster:
    """More trees on all rows by what they count for; a leaf is as large a part of them as of those of the training."""
    rows = pd.concat([lessons.past, lessons.new], ignore_index=True)
    weight = np.concatenate([lessons.past_weight, lessons.new_weight])
    sample = Sample(
        x=rows[list(model.features)], label=rows["label"].to_numpy(dtype=np.int8),
        forward_return=rows["forward_return"].to_numpy(dtype=np.float64), weight=weight,
    )  # fmt: skip
    share = float(weight.sum()) / lessons.ever
    smallest = model.parameters.min_child_weight * share
    return model.grown_on(sample, Growth(rules.rounds, rules.learning_rate, smallest))


def moved_regression(model: RowForecaster, lessons: Lessons) -> dict[str, Any]:
    """Slope and offset by recursive least squares with forgetting, for the log loss.

    They minimise the loss on the new rows, each by what it counts for, and the squared distance from where they were in
    the metric of the past rows' second moments (their information, with the curvature at equal chances). What is
    forgotten goes back to the model's own ridge, by as much of it as of the rows counts (stabilised forgetting: Kulhavý
    and Zarrop 1993), so that a feature that no longer says anything ends at no slope and not where it was. Steps are
    those of Böhning (1992), whose bound on the curvature lets none increase the loss.
    """
    state = model.state
    if len(state["classes"]) != len(CLASSES):
        raise BadModel(f"{model.name} has never seen one of the classes: retrain it")
    before = _centred(np.vstack([np.array(state["slope"]).T, state["offset"]]))
    past, new = (_design(model, rows) for rows in (lessons.past, lessons.new))
    counts = lessons.new_weight / lessons.horizon_rows
    old_counts = lessons.past_weight / lessons.horizon_rows
    share = float(lessons.past_weight.sum() + lessons.new_weight.sum()) / lessons.ever
    ridge = np.full(len(before), share / (model.parameters.c * lessons.horizon_rows))
    ridge[-1] = 0.0
    pull = np.diag((1 - lessons.kept) * ridge)
    anchor = CURVATURE * (past.T * old_counts) @ past + np.diag(lessons.kept * ridge + 1e-6)
    wanted = (lessons.new["label"].to_numpy(dtype=np.int64)[:, None] == np.array(CLASSES)).astype(np.float64)
    bound = LARGEST_CURVATURE * (new.T * counts) @ new + anchor + pull
    found = before.copy()
    for _ in range(STEPS):
        surprise = (_softmax(new @ found) - wanted) * counts[:, None]
        step = np.linalg.solve(bound, new.T @ surprise + anchor @ (found - before) + pull @ found)
        found -= step
        if np.abs(step).max() < SMALL_STEP:
            break
    return {"slope": found[:-1].T.tolist(), "offset": found[-1].tolist()}


def moved_scaling(model: RowForecaster, lessons: Lessons) -> ProbabilityScaling:
    """The scaling that fits the new rows, held where it was by what the past rows tell of it.

    The new rows are forecast by the model before it learns them: afterwards it would seem better than it is.
    """
    from scipy.optimize import minimize

    before = np.array([model.scaling.slope, model.scaling.move_offset])
    new, past = (model.raw_probability(rows) for rows in (lessons.new, lessons.past))
    counts = lessons.new_weight / lessons.horizon_rows
    anchor = _information(past, model.scaling, lessons.past_weight / lessons.horizon_rows) + np.diag([1e-3, 0.5])
    column, row = lessons.new["label"].to_numpy(dtype=np.int64) + 1, np.arange(len(new))

    def loss(parameters: Floats) -> float:
        given = ProbabilityScaling(slope=parameters[0], move_offset=parameters[1]).apply(new)[row, column]
        apart = parameters - before
        return float(-(counts * np.log(np.maximum(given, FLOOR))).sum() + 0.5 * apart @ anchor @ apart)

    best = minimize(loss, before, method="L-BFGS-B", bounds=[(0.05, 5.0), (-15.0, 15.0)]).x
    return ProbabilityScaling(slope=float(best[0]), move_offset=float(best[1]))


def _information(raw: Floats, scaling: ProbabilityScaling, counts: Floats) -> Floats:
    """Fisher information (2, 2) that rows have about slope and offset."""
    inputs = np.stack([np.log(np.maximum(raw, FLOOR)), np.broadcast_to([1.0, 0.0, 1.0], raw.shape)], axis=2)
    chance = scaling.apply(raw)
    apart = inputs - (chance[:, :, None] * inputs).sum(axis=1, keepdims=True)
    return np.asarray(np.einsum("r,rk,rki,rkj->ij", counts, chance, apart, apart))


def _design(model: RowForecaster, rows: pd.DataFrame) -> Floats:
    values = rows[list(model.features)].to_numpy(dtype=np.float64)
    scaled = scaled_design(values, np.array(model.state["mean"]), np.array(model.state["spread"]))
    return np.column_stack([scaled, np.ones(len(scaled))])


def _centred(coefficients: Floats) -> Floats:
    """The same chances with scores whose mean over the classes is 0."""
    return coefficients - coefficients.mean(axis=1, keepdims=True)


def _softmax(score: Floats) -> NDArray[np.float64]:
    power = np.exp(score - score.max(axis=1, keepdims=True))
    return np.asarray(power / power.sum(axis=1, keepdims=True))
