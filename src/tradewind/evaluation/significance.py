"""How far the results could be luck, selection or overfitting."""

import hashlib
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from tradewind.errors import BadData
from tradewind.learning.models.base import PROBABILITIES
from tradewind.market.universe import Universe
from tradewind.metrics import sharpe as ratios
from tradewind.metrics.classification import FLOOR
from tradewind.metrics.comparison import diebold_mariano, sign_flip
from tradewind.metrics.overfitting import probability_of_overfitting
from tradewind.metrics.ranking import StatisticsRules
from tradewind.metrics.returns import daily_returns
from tradewind.metrics.risk import DAYS_PER_YEAR
from tradewind.metrics.significance import probabilistic_sharpe, sharpe_standard_error
from tradewind.metrics.superiority import superior_ability
from tradewind.trading.strategy import baselines

Partitions = Mapping[str, Callable[[], pd.DataFrame]]
BLOCKS = 14
HOLDOUT = "holdout"


def measure_significance(
    portfolio_returns: pd.DataFrame,
    trial_history: list[dict[str, Any]],
    universe: Universe,
    statistics: StatisticsRules,
    seed: int,
    *trials: pd.DataFrame,
) -> tuple[pd.DataFrame, dict[str, Any], list[dict[str, Any]], pd.DataFrame]:
    """Every strategy's Sharpe ratio with its errors and deflation, what selection did, the trials to remember, and the
    daily returns that all of it is made of.

    The number of trials is counted: every Optuna trial of this run, and every distinct model ever evaluated on this
    market as the ledger knows it, this run's included. Walk-forward folds only; of the holdout it is counted how often
    it was looked at with different results.

    Args:
        portfolio_returns: net returns of all strategies, with the role of their fold.
        trial_history: the ledger of models evaluated on this market before.
        universe: which market this is.
        statistics: of the resampling.
        seed: of the resampling.
        trials: the Optuna trials of this run, a table each.
    """
    rows = portfolio_returns[portfolio_returns["role"] == "walk_forward"]
    daily = {
        str(name): daily_returns(part["timestamp"], part["net"].to_numpy())
        for name, part in rows.groupby("strategy", sort=True)
    }
    data = f"{universe.venue} {' '.join(sorted(universe.symbols))} {universe.timeframe}"
    models = [name for name in daily if baselines.family(name) == "model"]
    look = _look_at_the_holdout(data, portfolio_returns[portfolio_returns["role"] == "holdout"], models)
    entries = [_entry(data, name, daily[name]) for name in models]
    here = {entry["key"]: entry for entry in [*trial_history, *entries, look] if entry["data"] == data}
    known = {key: entry for key, entry in here.items() if entry.get("kind") != HOLDOUT}
    n_trials = len(known) + sum(len(table) for table in trials)
    tried = np.array([entry["daily_sharpe"] for entry in known.values()])
    floor = max(sharpe_standard_error(daily[name]) ** 2 for name in models) if models else 0.0
    variance = max(float(tried.var(ddof=1)) if len(tried) > 1 else 0.0, 0.0 if math.isnan(floor) else floor)
    table = pd.DataFrame([_significance(name, one, n_trials, variance, seed) for name, one in daily.items()]).astype(
        {"strategy": "str"}
    )
    day = (rows["timestamp"] - pd.Timedelta(1, unit="ms")).dt.floor("D").drop_duplicates().sort_values()
    if any(len(one) != len(day) for one in daily.values()):
        raise BadData("the strategies were not run on the same days: run the evaluation stage as a whole")
    days = pd.DataFrame({"day": day.array, **daily})
    selection = _selection(daily, models, n_trials, variance, statistics, seed)
    return table, selection | {"holdout_looks": len(here) - len(known)}, [*entries, look], days


def _look_at_the_holdout(data: str, rows: pd.DataFrame, models: list[str]) -> dict[str, Any]:
    """This run's look: the same models on the same holdout are one look, however often the run is repeated."""
    ordered = rows[rows["strategy"].isin(models)].sort_values(["strategy", "timestamp"])
    digest = hashlib.sha256(
        f"{data} {HOLDOUT} {sorted(models)}".encode() + np.round(ordered["net"], 12).to_numpy().tobytes()
    )
    return {"key": digest.hexdigest(), "data": data, "kind": HOLDOUT, "models": sorted(models)}


def _entry(data: str, name: str, daily: np.ndarray[Any, Any]) -> dict[str, Any]:
    digest = hashlib.sha256(data.encode() + name.encode() + np.round(daily, 12).tobytes()).hexdigest()
    found = ratios.daily_sharpe(daily)
    return {
        "key": digest, "data": data, "strategy": name, "days": len(daily),
        "daily_sharpe": 0.0 if math.isnan(found) else found,
    }  # fmt: skip


def _significance(name: str, daily: np.ndarray[Any, Any], n_trials: int, variance: float, seed: int) -> dict[str, Any]:
    year = math.sqrt(DAYS_PER_YEAR)
    found = ratios.daily_sharpe(daily)
    is_model = baselines.family(name) == "model"
    return {
        "strategy": name,
        "days": len(daily),
        "sharpe": found * year,
        "error_normal": ratios.lo_standard_error(daily) * year,
        "error": sharpe_standard_error(daily) * year,
        "sharpe_autocorrelated": found * ratios.autocorrelation_factor(daily),
        "probabilistic_sharpe": probabilistic_sharpe(daily),
        "trials": n_trials if is_model else 1,
        "deflated_sharpe": ratios.deflated_sharpe(daily, n_trials if is_model else 1, variance),
        "minimum_days": ratios.minimum_track_record(daily),
        "minimum_days_deflated": ratios.minimum_track_record(
            daily, benchmark=ratios.expected_largest(n_trials if is_model else 1, variance)
        ),
        "sign_flip": sign_flip(daily, np.random.default_rng(seed)),
        "skewness": _moment(daily, 3),
        "kurtosis": _moment(daily, 4),
    }


def _moment(daily: np.ndarray[Any, Any], order: int) -> float:
    spread = daily.std()
    return float((((daily - daily.mean()) / spread) ** order).mean()) if spread > 1e-12 else float("nan")


def _selection(
    daily: dict[str, np.ndarray[Any, Any]], models: list[str], n_trials: int, variance: float, rules: StatisticsRules,
    seed: int,
) -> dict[str, Any]:  # fmt: skip
    compared = [name for name in daily if baselines.family(name) != "oracle"]
    matrix = np.column_stack([daily[name] for name in compared])
    out: dict[str, Any] = {
        "trials": n_trials,
        "expected_largest_sharpe": ratios.expected_largest(n_trials, variance) * math.sqrt(DAYS_PER_YEAR),
        "strategies": compared,
        "overfitting": None,
    }
    if len(matrix) >= 2 * BLOCKS:
        found = probability_of_overfitting(matrix, BLOCKS)
        step = max(len(found.logits) // 500, 1)
        out["overfitting"] = {
            "probability": found.probability,
            "loss": found.loss,
            "blocks": BLOCKS,
            "logits": np.round(found.logits[::step], 4).tolist(),
            "in_sample": np.round(found.in_sample[::step], 3).tolist(),
            "out_of_sample": np.round(found.out_of_sample[::step], 3).tolist(),
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
    known = pd.concat(
        [load()[["symbol", "timestamp", "label", "horizon_end"]] for load in model_input.values()], ignore_index=True
    )
    tests = folds[folds["role"] == "walk_forward"]
    by_model = {str(name): part for table in forecasts for name, part in table.groupby("model", sort=False)}
    losses, joined = {}, pd.DataFrame()
    for name, part in by_model.items():
        joined = part[part["fold"].isin(tests["fold"])].merge(known, on=["symbol", "timestamp"])
        losses[name] = _log_loss(joined, joined[PROBABILITIES].to_numpy())
    prior = {
        fold.fold: known.loc[known["horizon_end"] < fold.test_start, "label"].value_counts(normalize=True)
        for fold in tests.itertuples()
    }
    shares = {fold: [found.get(kind, 0.0) for kind in (-1, 0, 1)] for fold, found in prior.items()}
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
