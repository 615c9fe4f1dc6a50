"""Trades against backtesting.py, which fills at the next open too."""

import numpy as np
import pandas as pd
import pytest

from tradewind.trading.engine.backtest import History, run
from tradewind.trading.engine.trades import trade_table
from tradewind.trading.execution.costs import Costs

peer = pytest.importorskip("backtesting")


@pytest.mark.parametrize("seed", range(3))
def test_trades_agree_one_by_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 400
    close = 100 * np.exp(np.cumsum(0.01 * rng.standard_normal(n)))
    opening = np.concatenate([[100.0], close[:-1]]) * np.exp(0.001 * rng.standard_normal(n))
    high, low = np.maximum(opening, close), np.minimum(opening, close)
    wanted = np.repeat(rng.choice([0.0, 1.0, -1.0], n // 10), 10)
    wanted[:10] = 0.0  # it looks from the second bar on
    target = wanted * 0.5

    class Given(peer.Strategy):  # type: ignore[misc, name-defined]
        def init(self) -> None: ...

        def next(self) -> None:
            row = len(self.data) - 1
            if wanted[row] != wanted[row - 1]:
                self.position.close()
                if wanted[row]:
                    (self.buy if wanted[row] > 0 else self.sell)(size=units[row])

    # Its sizes are whole units of the equity at the decision: ours are given to it, so that the rest is compared.
    costs = Costs(taker_fee_bps=10, half_spread_bps=0, slippage_share_of_volatility=0)
    past = History(opening, close, np.zeros(n), np.zeros(n), np.zeros(n, dtype=np.int32))
    ours = trade_table(run(past, target, costs), past)
    equity = run(past, target, costs).account["equity"].to_numpy()
    scale = 1e9
    units = {int(row) - 1: int(size * scale) for row, size in zip(ours["entry_row"], ours["size"], strict=True)}
    table = pd.DataFrame(
        {"Open": opening, "High": high, "Low": low, "Close": close},
        index=pd.date_range("2024-01-01", periods=n, freq="h"),
    )
    found = peer.Backtest(table, Given, cash=scale, commission=1e-3, finalize_trades=False).run()
    theirs = found["_trades"].sort_values("EntryBar")
    closed = ours[~ours["is_open"]]
    assert len(closed) == len(theirs) > 10
    np.testing.assert_array_equal(closed["entry_row"], theirs["EntryBar"])
    np.testing.assert_array_equal(closed["exit_row"], theirs["ExitBar"])
    np.testing.assert_allclose(closed["entry_price"], theirs["EntryPrice"], rtol=1e-9)
    np.testing.assert_allclose(closed["exit_price"], theirs["ExitPrice"], rtol=1e-9)
    before = np.r_[1.0, equity[:-1]][closed["entry_row"]]
    np.testing.assert_allclose(closed["net"] * before, theirs["PnL"] / scale, rtol=1e-5, atol=1e-9)
