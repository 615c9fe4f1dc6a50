"""Round trips: what was bought is what was sold, and the trades add up to the account."""

import numpy as np
import pandas as pd
import pytest

from tests.trading.engine.test_orders import FLAT, FREE, history, random_history
from tradewind.trading.engine.backtest import run
from tradewind.trading.engine.trades import trade_table
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules


def table(bars: list, target: list[float], costs: Costs = FREE, rules: OrderRules | None = None) -> pd.DataFrame:
    past = history(bars)
    return trade_table(run(past, np.array(target, dtype=float), costs, rules or OrderRules()), past)


def test_a_round_trip_by_hand() -> None:
    bars = [FLAT, (100, 108, 97, 105), (105, 120, 104, 110), (112, 130, 90, 100)]
    costs = Costs(taker_fee_bps=10, half_spread_bps=0, slippage_share_of_volatility=0)
    found = table(bars, [1, 1, 0, 0], costs)
    assert len(found) == 1
    row = found.iloc[0]
    assert (row["entry_row"], row["exit_row"], row["side"], row["bars"]) == (1, 3, 1, 2)
    assert (row["entry_price"], row["exit_price"]) == pytest.approx((100, 112))
    assert row["gross"] == pytest.approx(0.12) and row["cost"] == pytest.approx(0.001 + 0.00112)
    assert row["net"] == pytest.approx(row["gross"] - row["cost"])
    assert (row["mae"], row["mfe"]) == pytest.approx((-0.03, 0.20))  # not what came after the exit's open
    assert row["exit_reason"] == "target" and not row["is_open"]


def test_a_turn_is_two_trades_and_an_addition_none() -> None:
    bars = [FLAT, FLAT, (110, 110, 110, 110), (120, 120, 120, 120), (90, 90, 90, 90)]
    found = table(bars, [0.5, 1.0, -1.0, 0, 0])
    assert found["side"].tolist() == [1, -1]
    assert found["entry_row"].tolist() == [1, 3] and found["exit_row"].tolist() == [3, 4]
    assert 100 < found["entry_price"].iloc[0] < 110


def test_what_is_open_at_the_end_is_said_so() -> None:
    found = table([FLAT, FLAT, (100, 104, 99, 104)], [1, 1, 1])
    assert found["is_open"].tolist() == [True] and found["exit_reason"].tolist() == ["open"]
    assert found["gross"].iloc[0] == pytest.approx(0.04)
    assert table([FLAT] * 3, [0, 0, 0]).empty


@pytest.mark.parametrize("seed", range(8))
def test_the_trades_add_up_to_the_account(seed: int) -> None:
    past = random_history(seed)
    target = np.repeat(np.round(np.random.default_rng(seed).uniform(-1, 1, 30), 1), 5)
    costs = Costs(slippage_share_of_volatility=0.1)
    result = run(past, target, costs, OrderRules(stop_loss=0.03, take_profit=0.05))
    trades = trade_table(result, past)
    before = np.r_[1.0, result.account["equity"].to_numpy()[:-1]]
    money = trades["net"].to_numpy() * before[trades["entry_row"]]
    funding = (result.account["funding"].to_numpy() * before).sum()
    assert 1 + money.sum() - funding == pytest.approx(result.account["equity"].iloc[-1], rel=1e-9)
    assert (trades["mae"] <= 0).all() and (trades["mfe"] >= 0).all()
    assert set(trades["exit_reason"]) >= {"stop", "take profit"}
