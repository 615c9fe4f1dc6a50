"""Two runs side by side: what differs is shown, noise is called noise, names are escaped."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tradewind.metrics.comparison import sharpe_difference
from tradewind.reports.compare import Run, fact_rows, parameter_rows, render_comparison, strategy_rows
from tradewind.reports.tables import ReportTables


def run(tables: ReportTables, key: str, seed: int, better: float = 0.0) -> Run:
    rng = np.random.default_rng(seed)
    common = np.random.default_rng(1).normal(0, 0.01, 300)
    days = pd.DataFrame({"day": pd.date_range("2023-01-01", periods=300, freq="D", tz="UTC")})
    for name in ("xgboost", "buy_and_hold", "oracle"):
        own = rng.normal(better, 0.001, 300) if name == "xgboost" else 0.0
        days[name] = common + own
    return Run(
        key, "__default__", pd.Timestamp("2026-01-01", tz="UTC"), "go", "xgboost",
        {"seed": "7", "trading.costs.taker_fee_bps": "5.0", "trading.costs.latency_bars": "0"}, tables.leaderboard,
        tables.holdout_leaderboard, tables.significance, days,
    )  # fmt: skip


def test_only_what_differs_is_shown(tables: ReportTables) -> None:
    first = run(tables, "aaaa", 2)
    second = replace(
        first, key="bbbb", parameters={**first.parameters, "seed": "8", "trading.costs.taker_fee_bps": "9.0"}
    )
    rows = list(parameter_rows(first, second))
    assert [tuple(row.values()) for row in rows] == [("seed", "7", "8"), ("trading.costs.taker_fee_bps", "5.0", "9.0")]
    assert not list(parameter_rows(first, first))


def test_parameters_of_stages_that_one_run_left_out_are_a_row_a_stage(tables: ReportTables) -> None:
    second = run(tables, "bbbb", 2)
    trained = {f"classifier.lightgbm.tuning.{name}": "1" for name in ("n_trials", "row_stride", "max_rounds")}
    first = replace(second, key="aaaa", parameters={**second.parameters, **trained})
    (row,) = parameter_rows(first, second)
    assert tuple(row.values()) == ("classifier ...", "3 recorded", "not run, or another version")
    (row,) = parameter_rows(second, first)
    assert tuple(row.values()) == ("classifier ...", "not run, or another version", "3 recorded")


def test_noise_is_called_noise_and_a_difference_is_not(tables: ReportTables) -> None:
    first = run(tables, "aaaa", 2)
    noisy, better = run(tables, "bbbb", 3), run(tables, "cccc", 3, 0.001)
    told = [next(r for r in strategy_rows(first, other) if r["strategy"] == "XGBoost") for other in (noisy, better)]
    assert [row["so it is"] for row in told] == ["not told apart", "more than noise"]
    same = {row["strategy"]: row["so it is"] for row in strategy_rows(first, noisy)}
    assert same["buy and hold"] == "the same"


def test_the_page_is_whole_and_escaped(tables: ReportTables) -> None:
    first = run(tables, "aaaa", 2)
    second = replace(first, key="bbbb", name="<script>alert(1)</script>")
    page = render_comparison(first, second)
    assert "<script>alert(1)" not in page and "&lt;script&gt;" in page
    assert "No recorded parameter differs" in page
    assert [row[""] for row in fact_rows(first, second)][:3] == ["started", "verdict", "judged"]


def test_the_interval_of_a_difference_holds_the_truth_nine_times_in_ten() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(200):
        common = rng.normal(0, 0.01, 250)
        pair = common + rng.normal(0, 0.004, 250), common + rng.normal(0, 0.004, 250)
        _, low, high = sharpe_difference(*pair, np.random.default_rng(1), n_resamples=200, block_days=3)
        covered += low <= 0 <= high
    assert covered / 200 == pytest.approx(0.9, abs=0.07)


def test_what_was_judged_is_what_the_run_says_and_not_the_best(tables: ReportTables) -> None:
    first = run(tables, "aaaa", 2)
    told = {row[""]: row["A aaaa"] for row in fact_rows(replace(first, judged="buy_and_hold"), first)}
    board = tables.leaderboard.set_index("strategy")["sharpe"]
    assert told["judged"] == "buy and hold"
    assert told["Sharpe ratio, net"] == f"{board['buy_and_hold']:.2f}" != f"{board['xgboost']:.2f}"


def test_runs_without_a_common_day_are_not_compared(tables: ReportTables) -> None:
    first = run(tables, "aaaa", 2)
    later = first.daily_returns.assign(day=first.daily_returns["day"] + pd.Timedelta(days=1000))
    rows = list(strategy_rows(first, replace(first, daily_returns=later)))
    assert {(row["B less A"], row["90 % interval"], row["so it is"]) for row in rows} == {
        ("–", "–", "no day in common")
    }
