"""Many forecasts of three classes into one. An expert that says nothing (NaN) leaves its weight to the others."""

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import BadData
from tradewind.learning.ensemble.online import OnlineRule, settled_weights

Floats = NDArray[np.float64]
FLOOR = 1e-12
ROUNDS, TOLERANCE, LEAST_WEIGHT = 500, 1e-12, 1e-6
MOST_LOST = 1e-4  # of log loss, by weights that are not quite the best


def pooled(probabilities: Floats, weights: Floats) -> Floats:
    """The weighted mean of the experts that have a forecast; NaN where none did.

    Args:
        probabilities: (rows, experts, classes), NaN where an expert abstains.
        weights: (experts,) or (rows, experts), not negative.

    Returns:
        (rows, classes).

    Raises:
        BadData: a weight is negative or missing.
    """
    if not (weights >= 0).all():
        raise BadData("weights of experts must be numbers from 0 on")
    is_present = has_forecast(probabilities)
    weight = np.broadcast_to(weights, is_present.shape) * is_present
    # Where those with a forecast have no weight at all, each of them counts alike.
    weight = np.where((weight.sum(axis=1) > 0)[:, None], weight, is_present.astype(np.float64))
    total = weight.sum(axis=1)
    mixed = (weight[:, :, None] * np.where(is_present[:, :, None], probabilities, 0.0)).sum(axis=1)
    return np.asarray(mixed / np.where(total > 0, total, np.nan)[:, None])


def has_forecast(probabilities: Floats) -> NDArray[np.bool_]:
    """Which experts have a forecast on which rows, (rows, experts)."""
    return np.asarray(np.isfinite(probabilities).all(axis=2), dtype=np.bool_)


def equal_mean(probabilities: Floats) -> Floats:
    """Every expert that has a forecast counts alike: the soft vote."""
    return pooled(probabilities, np.ones(probabilities.shape[1]))


def hard_vote(probabilities: Floats) -> Floats:
    """The share of experts that think a class likeliest, with half a vote for every class beforehand."""
    is_present = has_forecast(probabilities)
    count = probabilities.shape[2]
    choice = np.where(is_present, np.nan_to_num(probabilities, nan=-1.0).argmax(axis=2), -1)
    votes = (choice[:, :, None] == np.arange(count)).sum(axis=1) + 0.5
    share = votes / votes.sum(axis=1, keepdims=True)
    share[~np.asarray(is_present.any(axis=1))] = np.nan
    return np.asarray(share)


def by_uncertainty(probabilities: Floats) -> Floats:
    """Experts by how much they claim to know: log of the number of classes less the entropy of what they say."""
    return pooled(probabilities, claims(probabilities))


def claims(probabilities: Floats) -> Floats:
    """How much each expert claims to know, (rows, experts): log of the number of classes less the entropy."""
    chance = np.clip(np.nan_to_num(probabilities, nan=1.0), FLOOR, 1.0)
    entropy = -(chance * np.log(chance)).sum(axis=2)
    return np.asarray(np.maximum(np.log(probabilities.shape[2]) - entropy, 0.0))


def log_losses(probabilities: Floats, label: NDArray[np.int8]) -> Floats:
    """-log of the probability of what happened, (rows, experts), of labels -1, 0, 1; NaN where an expert abstained."""
    given = np.take_along_axis(probabilities, (label.astype(np.int64) + 1)[:, None, None], axis=2)[:, :, 0]
    return np.asarray(-np.log(np.maximum(given, FLOOR)))


def inverse_loss_weights(losses: Floats) -> Floats:
    """Weights in proportion to one over the mean loss; an expert without losses has the mean weight of the others.

    Raises:
        BadData: no expert has a loss.
    """
    is_known = ~np.isnan(losses)
    count = is_known.sum(axis=0)
    if not count.any():
        raise BadData("no expert has a settled forecast: there is nothing to weigh them by")
    mean = np.where(is_known, losses, 0.0).sum(axis=0) / np.maximum(count, 1)
    weight = np.where(count > 0, 1.0 / np.maximum(mean, FLOOR), np.nan)
    weight = np.where(count > 0, weight, np.nanmean(weight))
    return np.asarray(weight / weight.sum())


def stacked_weights(probabilities: Floats, label: NDArray[np.int8]) -> Floats:
    """The weights, not negative and with sum 1, of the mixture with the least log loss.

    That is a convex problem in as many unknowns as there are experts; sequential quadratic programming (SciPy's SLSQP,
    Kraft 1988) solves it in some dozens of passes over the rows. The rows must be forecasts of what the experts were
    not fitted on. Rows on which an expert abstains are left out. What is below a millionth is nothing.

    Args:
        probabilities: (rows, experts, 3).
        label: -1, 0 or 1, (rows,).

    Raises:
        BadData: no row has a forecast of every expert, or no weights are found.
    """
    from scipy.optimize import minimize

    is_whole = ~np.isnan(probabilities).any(axis=(1, 2))
    if not is_whole.any():
        raise BadData("no row has a forecast of every expert: stacking needs some on which all spoke")
    given = np.exp(-log_losses(probabilities[is_whole], label[is_whole]))
    count = given.shape[1]

    def loss(weight: Floats) -> tuple[float, Floats]:
        # Sums of NumPy, not of BLAS: the same at any number of threads.
        mixed = np.maximum((given * weight).sum(axis=1), FLOOR)
        return -float(np.log(mixed).mean()), -(given / mixed[:, None]).mean(axis=0)

    found = minimize(
        loss, np.full(count, 1.0 / count), jac=True, method="SLSQP", bounds=[(0.0, 1.0)] * count,
        constraints={"type": "eq", "fun": _over_one, "jac": np.ones_like},
        options={"maxiter": ROUNDS, "ftol": TOLERANCE},
    )  # fmt: skip
    weight = np.where(found.x < LEAST_WEIGHT, 0.0, found.x)
    weight = weight / weight.sum()
    # No mixture's log loss is lower by more than the log of the best expert's mean ratio to this one. That is
    # asked, and not the solver's own word: it stops short of its tolerance where experts are alike.
    if not -loss(weight)[1].min() <= 1.0 + MOST_LOST:
        raise BadData(f"no weights of {count} experts were found ({found.message}): combine them by their equal mean")
    return np.asarray(weight)


def _over_one(weight: Floats) -> float:
    return float(weight.sum() - 1.0)


def least_variance_weights(errors: Floats) -> Floats:
    """The weights, not negative and with sum 1, of the combination of point forecasts with the least squared error
    (Bates and Granger 1969).

    Args:
        errors: forecast less outcome, (rows, experts).
    """
    from scipy.optimize import nnls

    moments = errors.T @ errors / len(errors)
    root = np.linalg.cholesky(moments + np.eye(len(moments)) * 1e-12 * np.trace(moments))
    # Least |R' w| with sum 1: a heavy row asks for the sum.
    heavy = 1e4 * np.sqrt(np.trace(moments))
    weight, _ = nnls(np.vstack([root.T, heavy * np.ones(len(moments))]), np.append(np.zeros(len(moments)), heavy))
    return np.asarray(weight / weight.sum())


def online(
    rule: OnlineRule, probabilities: Floats, label: NDArray[np.int8], timestamp: NDArray[np.int64],
    exit_time: NDArray[np.int64],
) -> tuple[Floats, Floats]:  # fmt: skip
    """The mixture whose weights follow the losses that had settled before each row, and those weights.

    Args:
        rule: how losses become weights.
        probabilities: (rows, experts, 3), in order of time.
        label: what happened, -1, 0 or 1.
        timestamp: when each row is known.
        exit_time: when its label is settled, in the same unit.
    """
    weights = settled_weights(rule, log_losses(probabilities, label), timestamp, exit_time)
    return pooled(probabilities, weights), weights


def by_regime(
    rule: OnlineRule, probabilities: Floats, label: NDArray[np.int8], timestamp: NDArray[np.int64],
    exit_time: NDArray[np.int64], regimes: Floats,
) -> tuple[Floats, Floats]:  # fmt: skip
    """The same with weights of its own for every regime, mixed by the regimes' probabilities.

    An expert's loss counts for a regime by how likely the regime was when the forecast was made, against the mean of
    all experts: what all lose alike moves no weight.

    Args:
        rule: how losses become weights.
        probabilities: (rows, experts, 3), in order of time.
        label: what happened, -1, 0 or 1.
        timestamp: when each row is known.
        exit_time: when its label is settled, in the same unit.
        regimes: filtered probabilities of the regimes, (rows, regimes).
    """
    weights = regime_weights(rule, log_losses(probabilities, label), timestamp, exit_time, regimes)
    return pooled(probabilities, weights), weights


def regime_weights(
    rule: OnlineRule, losses: Floats, timestamp: NDArray[np.int64], exit_time: NDArray[np.int64], regimes: Floats
) -> Floats:
    """The weights of `by_regime`, (rows, experts).

    Args:
        rule: how losses become weights.
        losses: of each expert on each row, NaN where it has no forecast or nothing is known yet.
        timestamp: when each row is known, in order.
        exit_time: when its label is settled, in the same unit.
        regimes: filtered probabilities of the regimes, (rows, regimes).
    """
    is_known = ~np.isnan(losses)
    mean = np.where(is_known, losses, 0.0).sum(axis=1) / np.maximum(is_known.sum(axis=1), 1)
    weights = np.zeros(losses.shape)
    for regime in range(regimes.shape[1]):
        share = regimes[:, regime, None]
        relative = mean[:, None] + share * (losses - mean[:, None])
        weights += share * settled_weights(rule, relative, timestamp, exit_time)
    return weights
