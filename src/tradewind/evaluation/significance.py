"""How far the results could be luck, selection or overfitting."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tradewind.errors import BadData
from tradewind.evaluation import trials
from tradewind.evaluation.known_labels import known_labels
from tradewind.learning.models.base import PROBABILITIES
from tradewind.metrics import sharpe as ratios
from tradewind.metrics.classification import FLOOR
from tradewind.metrics.comparison import diebold_mariano, sign_flip
from tradewind.metrics.e_process import e_process
from tradewind.metrics.overfitting import probability_of_overfitting
from tradewind.metrics.ranking import StatisticsRules
from tradewind.metrics.returns import daily_returns
from tradewind.metrics.risk import DAYS_PER_YEAR
from tradewind.metrics.significance import probabilistic_sharpe, sharpe_standard_error
from tradewind.metrics.superiority import superior_ability
from tradewind.trading.strategy import baselines

Partitions = Mapping[str, Callable[[], pd.DataFrame]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
BLOCKS = 14


def measure_significance(
    portfolio_returns: pd.DataFrame,
    history: trials.Entries,
    marks: Sequence[str],
    tried: Mapping[str, str],
    statistics: StatisticsRules,
    seed: int,
) -> tuple[pd.DataFrame, dict[str, Any], list[dict[str, Any]], pd.DataFrame]:
    """Every strategy's Sharpe ratio with its errors and deflation, and what choosing the best did.

    A model is deflated by the effective number of trials: how many independent strategies this run's models are worth,
    times as many as were tried on this market beside them. Searches that saw inner data alone chose by another number
    and are not among them. The ratios of trials without an edge vary by 1 / (days - 1).

    Args:
        portfolio_returns: rows of all strategies with role, timestamp and net.
        history: the ledger of trials.
        marks: what the market is known by (`trials.market_marks`).
        tried: by model its configuration (`trials.configurations`); those that were not run are left out.
        statistics: how resampling is done.
        seed: of the resampling.

    Returns:
        The table by strategy (walk-forward folds, and `*_all` for folds and holdout together); what selection did; the
        ledger's new entries; and the daily returns of the folds that all of it is made of.

    Raises:
        BadData: the strategies were not run on the same days.
    """
    rows = portfolio_returns[portfolio_returns["role"] == "walk_forward"]
    daily, daily_all = _by_strategy(rows), _by_strategy(portfolio_returns)
    models = [name for name in daily if baselines.family(name) == "model"]
    look = portfolio_returns.loc[portfolio_returns["role"] == trials.HOLDOUT, ["strategy", "timestamp", "net"]]
    counted = trials.count(history, marks, {name: tried[name] for name in models}, look)
    day = (rows["timestamp"] - pd.Timedelta(1, unit="ms")).dt.floor("D").drop_duplicates().sort_values()
    if any(len(one) != len(day) for one in daily.values()):
        raise BadData("the strategies were not run on the same days: run the evaluation stage as a whole")
    ours = np.column_stack([daily[name] for name in models]) if models else np.empty((len(day), 0))
    n_trials = max(ratios.effective_trials(ours) * counted.trials / max(len(models), 1), 1.0)
    table = pd.DataFrame(
        [_significance(name, daily[name], daily_all[name], n_trials, counted.trials, seed) for name in daily]
    ).astype({"strategy": "str"})
    days = pd.DataFrame({"day": day.array, **daily})
    selection = _selection(daily, models, n_trials, statistics, seed)
    selection |= {"trials": counted.trials, "holdout_looks": counted.looks}
    return table, selection, counted.entries, days


def _by_strategy(rows: pd.DataFrame) -> dict[str, Floats]:
    return {
        str(name): daily_returns(part["timestamp"], part["net"].to_numpy())
        for name, part in rows.groupby("strategy", sort=True)
    }


def _significance(
    name: str, daily: Floats, daily_all: Floats, n_trials: float, counted: int, seed: int
) -> dict[str, Any]:
    year = math.sqrt(DAYS_PER_YEAR)
    sharpe = ratios.daily_sharpe(daily)
    is_model = baselines.family(name) == "model"
    n = n_trials if is_model else 1.0
    hurdle, hurdle_all = (_luck(n, one) for one in (daily, daily_all))
    return {
        "strategy": name,
        "days": len(daily),
        "sharpe": sharpe * year,
        "error_normal": ratios.lo_standard_error(daily) * year,
        "error": sharpe_standard_error(daily) * year,
        "sharpe_autocorrelated": sharpe * ratios.autocorrelation_factor(daily),
        "probabilistic_sharpe": probabilistic_sharpe(daily),
        "trials": counted if is_model else 1,
        "effective_trials": n,
        "deflated_sharpe": probabilistic_sharpe(daily, hurdle),
        "minimum_days": ratios.minimum_track_record(daily),
        "minimum_days_deflated": ratios.minimum_track_record(daily, benchmark=hurdle),
        "sign_flip": sign_flip(daily, np.random.default_rng(seed)),
        "skewness": _moment(daily, 3),
        "kurtosis": _moment(daily, 4),
        "days_all": len(daily_all),
        "sharpe_all": ratios.daily_sharpe(daily_all) * year,
        "probabilistic_sharpe_all": probabilistic_sharpe(daily_all),
        "deflated_sharpe_all": probabilistic_sharpe(daily_all, hurdle_all),
        "e_value_all": float(e_process(daily_all).max()) if len(daily_all) else 1.0,
    }


def _luck(n_trials: float, daily: Floats) -> float:
    """The daily Sharpe ratio that the best of so many trials without an edge is expected to show over these days."""
    return ratios.expected_largest(n_trials, 1 / max(len(daily) - 1, 1))


def _moment(daily: Floats, order: int) -> float:
    spread = daily.std()
    return float((((daily - daily.mean()) / spread) ** order).mean()) if spread > 1e-12 else float("nan")


def _selection(
    daily: dict[str, Floats], models: list[str], n_trials: float, rules: StatisticsRules, seed: int
) -> dict[str, Any]:
    matrix = np.column_stack([daily[name] for name in models]) if models else np.empty((0, 0))
    out: dict[str, Any] = {
        "effective_trials": n_trials,
        "expected_largest_sharpe": _luck(n_trials, matrix) * math.sqrt(DAYS_PER_YEAR),
        "strategies": models,
        "overfitting": None,
    }
    if len(models) >= 2 and len(matrix) >= 2 * BLOCKS:
        overfitting = probability_of_overfitting(matrix, BLOCKS)
        step = max(len(overfitting.logits) // 500, 1)
        out["overfitting"] = {
            "probability": overfitting.probability,
            "loss": overfitting.loss,
            "blocks": BLOCKS,
            "logits": np.round(overfitting.logits[::step], 4).tolist(),
            "in_sample": np.round(overfitting.in_sample[::step], 3).tolist(),
            "out_of_sample": np.round(overfitting.out_of_sample[::step], 3).tolist(),
        }
    for name, benchmark in (("against_cash", None), ("against_holding", "buy_and_hold")):
        if benchmark is not None and benchmark not in daily:
            continue
        excess = np.column_stack([daily[m] - (daily[benchmark] if benchmark else 0.0) for m in models])
        result = superior_ability(excess, np.random.default_rng(seed), rules.n_resamples, rules.mean_block_days)
        out[name] = {
            "reality_check": result.reality_check,
            "consistent": result.consistent,
            "lower": result.lower,
            "upper": result.upper,
        }
    return out


def compare_forecasts(model_input: Partitions, folds: pd.DataFrame, *forecasts: pd.DataFrame) -> pd.DataFrame:
    """Diebold-Mariano tests of every model's log loss against the class shares and every other model.

    Columns: model, against, rows, loss, other_loss, statistic, p_value. Losses are averaged over the symbols of an
    instant, since they move together; negative statistics favour the model. Walk-forward folds only.

    Args:
        model_input: labels by partition.
        folds: the folds table.
        forecasts: a table each model.
    """
    labelled = known_labels(model_input, ["horizon_end"])
    tests = folds[folds["role"] == "walk_forward"]
    by_model = {str(name): part for table in forecasts for name, part in table.groupby("model", sort=False)}
    losses, joined = {}, pd.DataFrame()
    for name, part in by_model.items():
        joined = part[part["fold"].isin(tests["fold"])].merge(labelled, on=["symbol", "timestamp"])
        losses[name] = _log_loss(joined, joined[PROBABILITIES].to_numpy())
    prior = {
        fold.fold: labelled.loc[labelled["horizon_end"] < fold.test_start, "label"].value_counts(normalize=True)
        for fold in tests.itertuples()
    }
    shares = {fold: [counts.get(kind, 0.0) for kind in (-1, 0, 1)] for fold, counts in prior.items()}
    losses["class shares"] = _log_loss(joined, np.array([shares[fold] for fold in joined["fold"]]))
    horizon = int(next(iter(by_model.values()))["horizon"].iloc[0])
    rows = []
    for model in by_model:
        for against in losses:
            if against != model:
                both = pd.concat([losses[model], losses[against]], axis=1, join="inner").to_numpy()
                statistic, p_value = diebold_mariano(both[:, 0], both[:, 1], 2 * horizon)
                rows.append(
                    {
                        "model": model, "against": against, "rows": len(both), "loss": both[:, 0].mean(),
                        "other_loss": both[:, 1].mean(), "statistic": statistic, "p_value": p_value,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows).astype({"model": "str", "against": "str"})


def _log_loss(joined: pd.DataFrame, probability: np.ndarray[Any, Any]) -> pd.Series:
    given = probability[np.arange(len(joined)), joined["label"].to_numpy() + 1]
    return joined.assign(loss=-np.log(np.maximum(given, FLOOR))).groupby("timestamp")["loss"].mean()
