"""Result tables of a small run, made by the library itself."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tradewind.data.quality.rules import SCORES
from tradewind.evaluation.significance import measure_significance
from tradewind.market.universe import Universe
from tradewind.metrics.ranking import StatisticsRules, breakdown, leaderboard
from tradewind.metrics.scorecard import Measured, row
from tradewind.metrics.verdict import Selection, VerdictRules, judge
from tradewind.reports.gaps import gap_heatmap
from tradewind.reports.tables import ReportTables
from tradewind.trading.engine import robustness
from tradewind.trading.engine.backtest import History, run
from tradewind.trading.engine.portfolio import Market, portfolio_account
from tradewind.trading.engine.trades import trade_table
from tradewind.trading.execution.costs import Costs

STRATEGIES = {"xgboost": "model", "buy_and_hold": "baseline", "oracle": "oracle"}


@pytest.fixture
def tables() -> ReportTables:
    rng = np.random.default_rng(0)
    hours = pd.Series(pd.date_range("2023-01-01", periods=24 * 200, freq="h", tz="UTC")).dt.as_unit("ms")
    parts = []
    for at, name in enumerate(STRATEGIES):
        net = rng.normal(0.0001 * at, 0.005, len(hours))
        parts.append(
            pd.DataFrame({"strategy": name, "timestamp": hours, "fold": 0, "role": "walk_forward", "net": net})
            .assign(gross=net + 1e-5, cost=1e-5, funding=0.0, exposure=0.5, turnover=0.01, trades=1)
        )  # fmt: skip
    returns = pd.concat(parts, ignore_index=True)
    returns.loc[returns["timestamp"] >= hours.iloc[24 * 160], ["fold", "role"]] = [1, "holdout"]
    rules = StatisticsRules(n_resamples=100)
    boards = [
        leaderboard(returns[returns["role"] == role], STRATEGIES, rules, 7) for role in ("walk_forward", "holdout")
    ]
    sensitivity = pd.DataFrame(
        [(name, m, 2.0 - m, 0.5 - 0.2 * m) for name in STRATEGIES for m in (0.0, 1.0, 2.0, 5.0)],
        columns=["strategy", "cost_multiple", "sharpe", "total_return"],
    )
    universe = Universe(venue="made", symbols=("SIM1",), timeframe="1h")
    significance, selection, *_ = measure_significance(returns, [], ["a month"], {"xgboost": "idea"}, rules, 7)
    accounts = {name: part.assign(symbol="SIM1", position=0.5) for name, part in returns.groupby("strategy")}
    classes = [(a, p, 10, 1 / 3) for a in ("down", "flat", "up") for p in ("down", "flat", "up")]
    measures = ("accuracy", "log_loss", "brier", "macro_f1", "ece")
    return ReportTables(
        data_quality=_quality(),
        gaps_figure=gap_heatmap(
            pd.DataFrame(
                [("SIM1", "2023-01", 744, 3, 3 / 744)],
                columns=["symbol", "month", "expected_bars", "missing_bars", "missing_share"],
            )
        ),
        feature_dictionary=pd.DataFrame({"name": ["rsi_14"], "formula": ["100 * |U| / (U + D)"]}),
        feature_distribution=pd.DataFrame(
            {"name": ["rsi_14"], "missing_share": [0.0], "p01": [20.0], "p50": [50.0], "p99": [80.0]}
        ),
        label_quality=pd.DataFrame([_label_quality()]),
        label_stability=pd.DataFrame([_label_stability(hours)]),
        folds=_folds(hours),
        fold_metrics=pd.DataFrame(
            [
                ("xgboost", fold, role, m, 0.5, 0.4, np.nan, 100)
                for fold, role in ((0, "walk_forward"), (-1, "walk_forward"), (-1, "holdout"))
                for m in measures
            ],
            columns=["model", "fold", "role", "metric", "value", "majority_baseline", "previous_sign_baseline", "rows"],
        ),
        confusion=pd.DataFrame(classes, columns=["actual", "predicted", "count", "share"]).assign(
            model="xgboost", role="walk_forward"
        ),
        reliability=pd.DataFrame(
            [("xgboost", "walk_forward", "up", 3, 0.35, 0.3, 50)],
            columns=["model", "role", "class", "bin", "mean_predicted", "observed", "count"],
        ),
        importance=pd.DataFrame(
            {"model": ["xgboost"], "feature": ["rsi_14"], "gain_share": [1.0], "mean_abs_shap": [0.1]}
        ),
        portfolio_returns=returns,
        leaderboard=boards[0],
        holdout_leaderboard=boards[1],
        breakdown=breakdown(returns, accounts),
        cost_sensitivity=sensitivity,
        trades={name: _trades() for name in STRATEGIES},
        significance=significance,
        selection=selection,
        forecast_comparison=pd.DataFrame(
            [("xgboost", "class shares", 100, 1.0, 1.1, -2.0, 0.05)],
            columns=["model", "against", "rows", "loss", "other_loss", "statistic", "p_value"],
        ),
        robustness=_robustness(),
        seed_spread=pd.DataFrame({"model": "xgboost", "seed": [0, 8], "sharpe": [1.0, 2.0]}),
        scorecard=pd.DataFrame(
            [
                row("three-class accuracy", "share", 0.55, Measured(0.6, 0.57, 0.63), ("most frequent", 0.5), 0.33),
                row("Sharpe ratio, net", "ratio", 1.0, Measured(0.4, -1.0, 2.0), ("buy_and_hold", 0.7), 1.2),
                row("seeds", "ratio", 0.5, Measured(0.3), ("none", 0.0), float("nan"), at_most=True),
            ]
        ),
        **_networks(),
        model_coverage=pd.DataFrame(
            [
                ("xgboost", "classifier", "boosting", "judged"),
                ("tft", "deep_learning", "", "missing"),
                ("mlp", "classifier", "network", "left over"),
            ],
            columns=["model", "stage", "family", "state"],
        ),
        combinatorial_paths=pd.DataFrame(
            {"path": [0, 1], "sharpe": [1.0, 1.2], "annual_return": [0.1, 0.2], "max_drawdown": [0.1, 0.3]}
        ),
        parameter_plateau=pd.DataFrame(
            [("xgboost", entry, smoothing, 1.0) for entry in (0.1, 0.2) for smoothing in (0.0, 12.0)],
            columns=["strategy", "entry_threshold", "smoothing_bars", "sharpe"],
        ),
        verdict=judge(
            boards[0],
            boards[1],
            sensitivity,
            Selection(significance, selection["trials"], selection["effective_trials"], None),
            VerdictRules(),
        ),
        settings={
            "universe": universe.model_dump(mode="json"),
            "seed": 7,
            "costs": Costs().model_dump(),
            "data_sha256": {"made/SIM1/1h": "0123456789abcdef"},
        },
        run={"date": "2026-01-02 03:04 UTC", "command": "kedro run", "commit": "abc123", "run": "MLflow 12ab"},
        closes={"SIM1": pd.DataFrame({"timestamp": hours, "close": 100.0 + np.arange(len(hours)) % 7})},
    )


def _networks() -> dict[str, pd.DataFrame]:
    shares = {"q05": 0.06, "q25": 0.26, "q50": 0.5, "q75": 0.74, "q95": 0.94}
    scores = {
        "rows": 100, "decided": 90, "hit_rate": 0.55, "hit_rate_low": 0.5, "hit_rate_high": 0.6, "pinball_bps": 9.0,
        "crps_bps": 20.0, "coverage_50": 0.48, "coverage_90": 0.88, "width_50_bps": 50.0, "width_90_bps": 200.0,
        **{f"below_{name}": share for name, share in shares.items()},
    }  # fmt: skip
    floor = {
        **scores,
        "crps_bps": 25.0,
        "decided": 0,
        "hit_rate": np.nan,
        "hit_rate_low": np.nan,
        "hit_rate_high": np.nan,
    }
    metrics = [
        {"model": model, "role": role, "horizon": bars, **row}
        for model, row in (("tft", scores), ("last_value", floor))
        for role in ("walk_forward", "holdout")
        for bars in (1, 24)
    ]
    epoch = {
        "train_loss": 1.1, "valid_loss": 1.2, "gradient_norm": 0.3, "largest_gradient_norm": 0.9, "noise_scale": 500.0,
        "learning_rate": 0.01, "model": "tft", "fold": 0,
    }  # fmt: skip
    looks = [("lag", "1", 0.4), ("lag", "0", 0.6), ("feature", "rsi_14", 1.0)]
    alarm = ("tft", 0, "divergence", 1.4, 1.2, "the last validation loss, in units of the best")
    return {
        "horizon_trading": pd.DataFrame(
            [("tft", 24, 1.2, 0.3, 0.1)], columns=["model", "horizon", "sharpe", "total_return", "max_drawdown"]
        ),
        "horizon_metrics": pd.DataFrame(metrics),
        "epochs": pd.DataFrame([{"epoch": 0, "is_best": False, **epoch}, {"epoch": 1, "is_best": True, **epoch}]),
        "health": pd.DataFrame(
            {"dead_units": 0.1, "attention_entropy": 0.8, "step": [-0.5, 0.0, 0.5], "loss": [1.4, 1.2, 1.3]}
        ).assign(model="tft", fold=0),
        "attention": pd.DataFrame(looks, columns=["kind", "name", "share"]).assign(model="tft", fold=0),
        "agent_scores": pd.DataFrame(
            [("ppo", 3, 5, 1.1, 0.7, 1.5, -0.5, 2.0, 0.8, 0.6)],
            columns=[
                "strategy",
                "seeds",
                "folds",
                "iqm",
                "iqm_low",
                "iqm_high",
                "lowest",
                "highest",
                "above_zero",
                "above_holding",
            ],
        ),
        "agent_profile": pd.DataFrame({"strategy": "ppo", "threshold": [-1.0, 0.0, 1.0], "share": [1.0, 0.8, 0.4]}),
        "responses": pd.DataFrame(
            [
                ("ppo", 7, 0, kind, level, 100, 0.5, 0.1, 0.02, 3e-4, 1e-4, 2e-4)
                for kind, level in (
                    ("cost", "1"),
                    ("cost", "4"),
                    ("trend", "low"),
                    ("volatility", "high"),
                    ("shock", "after"),
                )
            ],
            columns=[
                "strategy",
                "seed",
                "fold",
                "kind",
                "level",
                "bars",
                "exposure",
                "side",
                "turnover",
                "gross",
                "cost",
                "net",
            ],
        ),
        "behaviour": pd.DataFrame(
            [("ppo", 7, 0, 0.5, 0.3, 0.2, 0.8, 30.0, 0.02, 3e-4, 1e-4)],
            columns=[
                "strategy",
                "seed",
                "fold",
                "long",
                "short",
                "flat",
                "mean_size",
                "holding_bars",
                "turnover",
                "gross",
                "cost",
            ],
        ),
        "failures": pd.DataFrame(
            [("ppo", 0, -1, "seed disagreement", 0.1)], columns=["strategy", "fold", "seed", "failure", "value"]
        ),
        "action_map": pd.DataFrame(
            [("ppo", edge, flat, edge - 0.5, flat / 2, edge - 0.5, 10) for edge in (0, 1) for flat in (0, 1)],
            columns=["strategy", "edge", "flat", "forecast_edge_mean", "forecast_flat", "target", "count"],
        ),
        "training_log": pd.DataFrame(
            {"strategy": "ppo", "fold": 0, "seed": 7, "steps": [100, 200], "valid_growth": [1e-4, 2e-4]}
        ),
        "alarms": pd.DataFrame([alarm], columns=["model", "fold", "kind", "value", "limit", "meaning"]),
    }


def _history(n: int = 500) -> tuple[History, np.ndarray]:
    rng = np.random.default_rng(3)
    close = 100 * np.exp(np.cumsum(0.01 * rng.standard_normal(n)))
    opening = np.r_[100.0, close[:-1]]
    past = History(opening, close, np.full(n, 0.01), np.zeros(n), np.zeros(n, dtype=np.int32))
    return past, np.repeat(rng.choice([-1.0, 0.0, 1.0], n // 10), 10)


def _trades() -> pd.DataFrame:
    past, target = _history()
    found = trade_table(run(past, target, Costs()), past)
    at = pd.date_range("2023-01-01", periods=len(past.close), freq="h", tz="UTC").as_unit("ms")
    times = {"entry_time": at[found["entry_row"]], "exit_time": at[found["exit_row"]]}
    return found.assign(symbol="SIM1", **times)


def _robustness() -> dict[str, pd.DataFrame]:
    past, target = _history()
    at = pd.date_range("2023-01-01", periods=500, freq="h").as_unit("ms")
    market, targets = Market({"SIM1": past}, {"SIM1": at.to_numpy()}), {"SIM1": target}
    account = portfolio_account(market, targets, Costs())
    stress = {"event": "fall of FTX", "from": at[0], "to": at[9], "total_return": -0.1, "max_drawdown": 0.2}
    found = {
        "costs": robustness.at_costs(market, targets, Costs(), (0, 5)),
        "delays": robustness.at_delays(market, targets, Costs(), (1, 2), (0, 1)),
        "capacity": robustness.at_capital(market, targets, Costs(), (1e4, 1e6), 1.0),
        "leave_one_out": [{"left_out": "year", "group": "2023", "sharpe": 1.0}],
        "conditions": robustness.conditions(account, pd.Series(past.close).pct_change().fillna(0.0)),
        "stress": [{**stress, "exposure": 0.5}],
        "worlds": robustness.worse_worlds(market, targets, Costs(), 7),
    }
    return {name: pd.DataFrame(rows).assign(strategy="xgboost") for name, rows in found.items()}


def _quality() -> pd.DataFrame:
    row: dict[str, Any] = dict.fromkeys(
        ("rows_received", "rows_accepted", "rows_rejected", "missing_bars", "gaps", "longest_gap_bars", "segments",
         "zero_volume_bars"), 3)  # fmt: skip
    first = pd.Timestamp("2023-01-01", tz="UTC")
    return pd.DataFrame(
        [
            row
            | {"symbol": "SIM1", "first": first, "last": first, "largest_abs_return": 0.1, "state": "pass"}
            | dict.fromkeys(SCORES, 0.99)
        ]
    )


def _label_quality() -> dict[str, Any]:
    counts = (
        "rows",
        "labelled",
        "unlabelled_horizon",
        "unlabelled_volatility",
        "unlabelled_side",
        "left_out_missing_features",
        "model_rows",
    )
    shares = (
        "share_down",
        "share_flat",
        "share_up",
        "mean_uniqueness",
        "balance",
        "mean_concurrency",
        "effective_labels",
    )
    return {"symbol": "SIM1"} | dict.fromkeys(counts, 100) | dict.fromkeys(shares, 0.3)


def _label_stability(hours: pd.Series) -> dict[str, Any]:
    shares = ("share_down", "share_flat", "share_up", "mean_weight", "psi")
    return {"symbol": "SIM1", "fold": 0, "test_start": hours.iloc[0], "rows": 10} | dict.fromkeys(shares, 0.3)


def _folds(hours: pd.Series) -> pd.DataFrame:
    start, hour = hours.iloc[0], pd.Timedelta(hours=1)
    return pd.DataFrame(
        [(0, start, start, start, start, 25 * hour, 24 * hour, "walk_forward")],
        columns=["fold", "train_start", "train_end", "test_start", "test_end", "purge", "embargo", "role"],
    )
