"""A lost account stays lost."""

import numpy as np
import pytest

from tradewind.trading.engine.backtest import History, backtest
from tradewind.trading.execution.costs import Costs

COSTS = Costs(taker_fee_bps=5, half_spread_bps=1, slippage_share_of_volatility=0.02)


@pytest.mark.parametrize("seed", range(200))
def test_a_lost_account_stays_empty(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 40
    close = 100 * np.exp(np.cumsum(0.35 * rng.standard_normal(n)))
    opening = np.concatenate([[100.0], close[:-1]])
    funding = np.where(np.arange(n) % 8 == 0, 0.01, 0.0)
    history = History(opening, close, np.full(n, 0.01), funding, np.zeros(n, dtype=np.int32))
    account = backtest(history, -np.round(rng.uniform(0.5, 1, n), 1), COSTS)
    lost = np.flatnonzero(account["net"] <= -1 + 1e-9)
    if len(lost):
        after = account[lost[0] :]
        assert (after["equity"] == 0.0).all()
        assert (after["net"][1:] == 0.0).all()
