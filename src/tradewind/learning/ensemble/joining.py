"""Every way to join the forecasts of a run's models that a parameter may name, each on what was settled before."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, model_validator

from tradewind.errors import BadData
from tradewind.learning.ensemble import EQUAL_WEIGHT
from tradewind.learning.ensemble.combining import (
    claims,
    equal_mean,
    hard_vote,
    has_forecast,
    inverse_loss_weights,
    log_losses,
    pooled,
    regime_weights,
    stacked_weights,
)
from tradewind.learning.ensemble.online import AdaHedge, Bernstein, Hedge, OnlineRule, settled_weights
from tradewind.learning.ensemble.tables import aligned, as_forecasts, mean_forecasts
from tradewind.learning.regimes.base import REGIMES
from tradewind.parameters import Parameters

Floats = NDArray[np.float64]
Method = Literal[
    "inverse_loss", "stacking", "hard_vote", "by_uncertainty", "by_regime", "hedge", "adahedge", "bernstein"
]
NEVER = np.iinfo(np.int64).max


class EnsembleRules(Parameters):
    """Which ensembles a run makes beside the equal-weight mean (`params:evaluation.ensembles`).

    Each is a strategy of its own on the leaderboard. Any may be the judged one (`evaluation.verdict.judged`), named
    before the run.

    Attributes:
        forecasts: ways to join the forecasts of all models that know a direction.
        agents: ways to join the positions of all agents: the side that most hold, or weights that follow what each
            earned.
        hedge_rate: of `hedge` on log losses; 1 is the Bayesian mixture, which overlapping labels make too sure.
        share: of the weight that `adahedge` spreads evenly after each settled bar.
    """

    forecasts: tuple[Method, ...] = ()
    agents: tuple[Literal["agents_vote", "agents_weighted"], ...] = ()
    hedge_rate: Annotated[float, Field(gt=0, le=10)] = 0.2
    share: Annotated[float, Field(ge=0, lt=1)] = 0.001

    @model_validator(mode="after")
    def _each_once(self) -> "EnsembleRules":
        for given in (self.forecasts, self.agents):
            if len(set(given)) < len(given):
                raise ValueError(f"each way once, found {list(given)}")
        return self


class Settling(NamedTuple):
    """What is known of each row, and when.

    Attributes:
        label: what happened, -1, 0 or 1; 0 where it is not known, too.
        is_known: whether it ever settles in this history.
        losses: log loss of each model, NaN where it was silent or nothing is known, (rows, models).
        timestamp: when each row is known, ms.
        exit_time: when its label is settled, ms.
        horizon_end: beyond which its label has not looked, ms.
    """

    label: NDArray[np.int8]
    is_known: NDArray[np.bool_]
    losses: Floats
    timestamp: NDArray[np.int64]
    exit_time: NDArray[np.int64]
    horizon_end: NDArray[np.int64]


def join_forecasts(
    forecasts: Sequence[pd.DataFrame],
    method: Method,
    outcomes: pd.DataFrame,
    regimes: Mapping[str, pd.DataFrame],
    rules: EnsembleRules,
) -> pd.DataFrame:
    """The forecasts of several models as one more table, whose weights come from what was settled before each row.

    `inverse_loss` and `stacking` weigh a fold's models by their forecasts of earlier folds whose horizon had ended
    before it began, alike where there are none. `hedge`, `adahedge`, `bernstein` and `by_regime` move with every label
    that settles. A model that is silent on a row leaves it to the others; where all are, no forecast is made of it.

    Args:
        forecasts: one table a model (`schema.Forecasts`), all of the same folds and horizon.
        method: how they are joined, which is the new table's model.
        outcomes: symbol, timestamp, label, exit_time and horizon_end of the rows whose label is known.
        regimes: tables of the regimes stage by partition, of which `by_regime` alone reads.
        rules: rate and share.

    Raises:
        BadData: no forecasts, models of different horizons, or a row without regimes.
    """
    rows, values = aligned(forecasts)
    probabilities, expected = values[:, :, :-1], values[:, :, -1:]
    if method == "hard_vote":
        mixed = np.concatenate([hard_vote(probabilities), equal_mean(expected)], axis=1)
    else:
        weights = _weights(method, rows, probabilities, _settling(rows, probabilities, outcomes), regimes, rules)
        mixed = np.concatenate([pooled(probabilities, weights), pooled(expected, weights)], axis=1)
    is_present = ~np.isnan(mixed[:, 0])
    return as_forecasts(rows[is_present].reset_index(drop=True), mixed[is_present], method)


def all_ensembles(
    forecasts: Sequence[pd.DataFrame], outcomes: pd.DataFrame, regimes: Mapping[str, pd.DataFrame], rules: EnsembleRules
) -> pd.DataFrame:
    """The equal-weight mean of several models, and every other join that the rules name, one after the other.

    Args:
        forecasts: one table a model (`schema.Forecasts`), all of the same folds and horizon.
        outcomes: symbol, timestamp, label, exit_time and horizon_end of the rows whose label is known.
        regimes: tables of the regimes stage by partition, of which `by_regime` alone reads.
        rules: which joins, their rate and share.

    Raises:
        BadData: as of `join_forecasts`.
    """
    joined = [join_forecasts(forecasts, method, outcomes, regimes, rules) for method in rules.forecasts]
    made = pd.concat([mean_forecasts(forecasts), *joined], ignore_index=True)
    return made.astype({"model": "str", "family": "str", "symbol": "str"})


def standing_weights(forecasts: Sequence[pd.DataFrame], method: str, outcomes: pd.DataFrame) -> Floats:
    """What each model weighs after all folds, by every forecast whose label is known: the weights that the next fold
    would have (`join_forecasts`).

    Args:
        forecasts: one table a model (`schema.Forecasts`), all of the same folds and horizon.
        method: one of `ensemble.STANDING`.
        outcomes: symbol, timestamp, label, exit_time and horizon_end of the rows whose label is known by now.

    Returns:
        Weights in the order of the tables, not negative and with sum 1; alike where nothing has settled.
    """
    rows, values = aligned(forecasts)
    if method == EQUAL_WEIGHT:
        return np.full(values.shape[1], 1.0 / values.shape[1])
    probabilities = values[:, :, :-1]
    settling = _settling(rows, probabilities, outcomes)
    return _settled_weights(method, probabilities, settling, settling.is_known)


def rule_of(method: str, rules: EnsembleRules) -> OnlineRule:
    """The online rule behind a method.

    Args:
        method: hedge, bernstein, or one of those that use AdaHedge.
        rules: rate and share.
    """
    if method == "hedge":
        return Hedge(rules.hedge_rate)
    return Bernstein() if method == "bernstein" else AdaHedge(rules.share)


def _weights(
    method: Method, rows: pd.DataFrame, probabilities: Floats, settling: Settling, regimes: Mapping[str, pd.DataFrame],
    rules: EnsembleRules,
) -> Floats:  # fmt: skip
    if method == "by_uncertainty":
        return claims(probabilities)
    if method in ("inverse_loss", "stacking"):
        return _by_fold(method, rows, probabilities, settling)
    # The mean of all is one expert more: where it is the best, the weights find it, and its weight goes to all alike.
    with_mean = np.concatenate([probabilities, equal_mean(probabilities)[:, None]], axis=1)
    losses = np.where(settling.is_known[:, None], log_losses(with_mean, settling.label), np.nan)
    rule, known = rule_of(method, rules), (settling.timestamp, settling.exit_time)
    if method == "by_regime":
        weights = regime_weights(rule, losses, *known, _probabilities(rows, regimes))
    else:
        weights = settled_weights(rule, losses, *known)
    is_present = has_forecast(probabilities)
    alike = is_present / np.maximum(is_present.sum(axis=1, keepdims=True), 1)
    own = weights[:, :-1] * is_present
    # What the silent have is shared out in proportion, the mean's part included.
    total = own.sum(axis=1, keepdims=True) + weights[:, -1:]
    return np.asarray((own + weights[:, -1:] * alike) / np.where(total > 0, total, 1.0))


def _by_fold(method: str, rows: pd.DataFrame, probabilities: Floats, settling: Settling) -> Floats:
    """Weights of each fold by what had ended when it began: nested, and purged."""
    weights = np.empty(probabilities.shape[:2])
    fold = rows["fold"].to_numpy()
    for one in np.unique(fold):
        is_over = settling.horizon_end < settling.timestamp[fold == one].min()
        weights[fold == one] = _settled_weights(method, probabilities, settling, is_over)
    return weights


def _settled_weights(method: str, probabilities: Floats, settling: Settling, is_over: NDArray[np.bool_]) -> Floats:
    """Of each model, by the rows whose horizon is over; alike where there are none."""
    has_loss = ~np.isnan(settling.losses)
    usable = is_over & (has_loss.all(axis=1) if method == "stacking" else has_loss.any(axis=1))
    if not usable.any():
        return np.full(probabilities.shape[1], 1.0 / probabilities.shape[1])
    if method == "stacking":
        return stacked_weights(probabilities[usable], settling.label[usable])
    return inverse_loss_weights(settling.losses[usable])


def _settling(rows: pd.DataFrame, probabilities: Floats, outcomes: pd.DataFrame) -> Settling:
    joined = rows[["symbol", "timestamp"]].merge(
        outcomes[["symbol", "timestamp", "label", "exit_time", "horizon_end"]],
        on=["symbol", "timestamp"], how="left", validate="one_to_one",
    )  # fmt: skip
    is_known = joined["label"].notna().to_numpy()
    label = joined["label"].fillna(0).to_numpy(np.int8)
    losses = np.where(is_known[:, None], log_losses(probabilities, label), np.nan)
    exit_time, horizon_end = (_ms(joined[name], is_known) for name in ("exit_time", "horizon_end"))
    # A label that is decided early is made only when its horizon is over: before that a run cannot know it.
    exit_time = np.maximum(exit_time, horizon_end)
    return Settling(
        label, is_known, losses, _ms(rows["timestamp"], np.ones(len(rows), dtype=bool)), exit_time, horizon_end
    )


def _ms(instants: pd.Series, is_known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Milliseconds since 1970; an end of time where nothing is known."""
    at = pd.to_datetime(instants, utc=True).dt.tz_localize(None).to_numpy("datetime64[ms]").astype(np.int64)
    return np.where(is_known, at, NEVER)


def _probabilities(rows: pd.DataFrame, regimes: Mapping[str, pd.DataFrame]) -> Floats:
    columns = [f"p_{name}" for name in REGIMES]
    if not regimes:
        raise BadData("ensembles by_regime needs the regimes of every bar: run the regimes stage, or leave it out")
    table = pd.concat([one[["symbol", "timestamp", *columns]] for one in regimes.values()], ignore_index=True)
    found = rows[["symbol", "timestamp"]].merge(table, on=["symbol", "timestamp"], how="left")[columns]
    missing = found.isna().any(axis=1)
    if missing.any():
        first = rows[missing.to_numpy()].iloc[0]
        raise BadData(
            f"ensembles by_regime: {int(missing.sum())} forecasts have no regime, the first {first['symbol']} at "
            f"{first['timestamp']}: run the regimes stage again on the present bars"
        )
    return found.to_numpy(np.float64)
