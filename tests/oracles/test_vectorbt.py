"""The account and its measures against vectorbt, on what vectorbt can express."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tradewind.metrics.risk import MEASURES, measure
from tradewind.trading.engine.backtest import History, backtest, run
from tradewind.trading.engine.trades import trade_table
from tradewind.trading.execution.costs import Costs

FEE_BPS = 10.0


@pytest.fixture(scope="module")
def vbt() -> Any:
    """Imported by who asks for it: it takes seconds, and every worker collects this file."""
    return pytest.importorskip("vectorbt")


@pytest.mark.parametrize("seed", range(4))
def test_fees_and_next_open_fills_agree_with_vectorbt(seed: int, vbt: Any) -> None:
    rng = np.random.default_rng(seed)
    n = 400
    close = 100 * np.exp(np.cumsum(0.01 * rng.standard_normal(n)))
    opening = np.concatenate([[100.0], close[:-1]]) * np.exp(0.001 * rng.standard_normal(n))
    # Below 1, so that vectorbt, which cannot owe a fee, never cuts an order.
    drawn = np.round(rng.uniform(-0.8, 0.8, n), 2)
    target = drawn[np.maximum.accumulate(np.where(rng.random(n) < 0.1, np.arange(n), 0))]
    costs = Costs(taker_fee_bps=FEE_BPS, half_spread_bps=0, slippage_share_of_volatility=0)
    ours = backtest(History(opening, close, np.zeros(n), np.zeros(n), np.zeros(n, dtype=np.int32)), target, costs)

    filled = np.concatenate([[0.0], target[:-1]])
    size = np.where(np.diff(filled, prepend=0.0) != 0, filled, np.nan)
    index = pd.date_range("2024-01-01", periods=n, freq="h")
    theirs = vbt.Portfolio.from_orders(
        close=pd.Series(close, index),
        size=pd.Series(size, index),
        size_type="targetpercent",
        direction="both",
        price=pd.Series(opening, index),
        val_price=pd.Series(opening, index),
        fees=FEE_BPS * 1e-4,
        init_cash=1.0,
        freq="h",
    )
    np.testing.assert_allclose(ours["equity"], theirs.value().to_numpy(), rtol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_trades_agree_with_vectorbt_one_by_one(seed: int, vbt: Any) -> None:
    rng = np.random.default_rng(seed)
    n = 500
    close = 100 * np.exp(np.cumsum(0.01 * rng.standard_normal(n)))
    opening = np.concatenate([[100.0], close[:-1]]) * np.exp(0.001 * rng.standard_normal(n))
    target = np.repeat(rng.choice([-0.8, 0.0, 0.5], n // 10), 10)
    costs = Costs(taker_fee_bps=FEE_BPS, half_spread_bps=0, slippage_share_of_volatility=0)
    past = History(opening, close, np.zeros(n), np.zeros(n), np.zeros(n, dtype=np.int32))
    ours = trade_table(run(past, target, costs), past)
    filled = np.concatenate([[0.0], target[:-1]])
    size = np.where(np.diff(filled, prepend=0.0) != 0, filled, np.nan)
    index = pd.RangeIndex(n)
    theirs = vbt.Portfolio.from_orders(
        close=pd.Series(close, index), size=pd.Series(size, index), size_type="targetpercent", direction="both",
        price=pd.Series(opening, index), val_price=pd.Series(opening, index), fees=FEE_BPS * 1e-4, init_cash=1.0,
    ).trades.records  # fmt: skip
    assert len(ours) == len(theirs) > 10
    np.testing.assert_array_equal(ours["entry_row"], theirs["entry_idx"])
    np.testing.assert_array_equal(ours["exit_row"], theirs["exit_idx"])
    np.testing.assert_array_equal(ours["side"], np.where(theirs["direction"] == 0, 1, -1))
    np.testing.assert_allclose(ours["entry_price"], theirs["entry_price"], rtol=1e-9)
    np.testing.assert_allclose(ours["exit_price"], theirs["exit_price"], rtol=1e-9)
    equity = np.r_[1.0, run(past, target, costs).account["equity"].to_numpy()[:-1]][ours["entry_row"]]
    np.testing.assert_allclose(ours["net"] * equity, theirs["pnl"], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_measures_agree_with_vectorbt(seed: int, vbt: Any) -> None:
    daily = 0.02 * np.random.default_rng(seed).standard_t(4, 400) + 0.001
    ours = dict(zip(MEASURES, measure(daily), strict=True))
    index = pd.date_range("2024-01-01", periods=len(daily), freq="D")
    theirs = pd.Series(daily, index).vbt.returns(freq="D", year_freq="365.25 days")
    assert ours["total_return"] == pytest.approx(theirs.total(), rel=1e-9)
    assert ours["annual_return"] == pytest.approx(theirs.annualized(), rel=1e-9)
    assert ours["annual_volatility"] == pytest.approx(theirs.annualized_volatility(), rel=1e-9)
    assert ours["sharpe"] == pytest.approx(theirs.sharpe_ratio(), rel=1e-9)
    assert ours["sortino"] == pytest.approx(theirs.sortino_ratio(), rel=1e-9)
    assert ours["max_drawdown"] == pytest.approx(-theirs.max_drawdown(), rel=1e-9)
