"""Measures of daily returns, and that one added in `risk` reaches the leaderboard and its contract."""

import numpy as np
import pandas as pd
import pytest
from pandera.errors import SchemaError

from tradewind.market import schema
from tradewind.metrics import risk
from tradewind.metrics.ranking import StatisticsRules, leaderboard
from tradewind.reports import boards

DAYS = 400


@pytest.fixture(scope="module")
def board() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    instants = pd.date_range("2022-01-01", periods=DAYS, freq="D", tz="UTC").as_unit("ms")
    rows = pd.DataFrame(
        {
            "strategy": pd.Series(["held"] * DAYS, dtype="str"),
            "timestamp": instants,
            "net": rng.normal(0.001, 0.01, DAYS),
            **dict.fromkeys(("turnover", "cost", "funding", "exposure"), 0.0),
            "trades": 0,
        }
    )
    return leaderboard(rows, {"held": "baseline"}, StatisticsRules(n_resamples=100), 1)


def test_every_measure_stands_in_the_leaderboard_with_its_interval_and_in_the_report(board: pd.DataFrame) -> None:
    schema.Leaderboard.validate(board)
    row = board.iloc[0]
    written = next(boards.board_rows(board)) | next(boards.more_board_rows(board))
    for described in risk.DESCRIBED:
        assert row[f"{described.name}_low"] <= row[described.name] <= row[f"{described.name}_high"]
        assert described.title in written


def test_a_misspelt_or_incomplete_column_is_refused(board: pd.DataFrame) -> None:
    for damaged in (
        board.rename(columns={"sharpe": "sharp"}),
        board.rename(columns={"calmar_low": "calmer_low"}),
        board.drop(columns="sortino_high"),
        board.assign(sharpe_low=board["sharpe_high"] + 1.0),
    ):
        with pytest.raises(SchemaError):
            schema.Leaderboard.validate(damaged)


def test_the_calmar_ratio_is_the_annual_return_over_the_largest_drawdown() -> None:
    daily = np.array([0.10, -0.05, 0.02, -0.10, 0.08])
    equity = np.cumprod(1 + daily)
    drawdown = np.max(1 - equity / np.maximum.accumulate(np.r_[1.0, equity])[1:])
    annual = equity[-1] ** (risk.YEAR_DAYS / len(daily)) - 1
    assert risk.measures_of(daily)["calmar"] == pytest.approx(annual / drawdown, rel=1e-12)
    assert risk.measures_of(np.full(5, 0.01))["calmar"] == 0.0
