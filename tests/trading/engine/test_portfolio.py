"""Symbols that share their cash, and the sweep: the same account as one by one."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.trading.engine.test_orders import random_history
from tradewind.errors import BadData
from tradewind.metrics.returns import daily_returns
from tradewind.metrics.risk import MEASURES, measure
from tradewind.trading.engine.backtest import portfolio, run
from tradewind.trading.engine.sweep import sweep
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules

COSTS = Costs(slippage_share_of_volatility=0.1)
HOURS = pd.date_range("2024-01-01 01:00", periods=150, freq="h", tz="UTC", unit="ms")


def targets(seed: int) -> np.ndarray:
    return np.repeat(np.round(np.random.default_rng(seed).uniform(-0.5, 0.5, 30), 1), 5)


def test_one_symbol_is_a_portfolio_of_one() -> None:
    past = random_history(1)
    _, together = portfolio({"A": past}, {"A": targets(1)}, {"A": HOURS.to_numpy()}, COSTS)
    pd.testing.assert_frame_equal(together.account, run(past, targets(1), COSTS).account)


def test_shared_cash_is_that_of_a_ledger() -> None:
    pasts = {name: random_history(seed) for name, seed in (("A", 1), ("B", 2), ("C", 3))}
    wanted = {name: targets(seed) for seed, name in enumerate(pasts)}
    late = HOURS[20:].to_numpy()  # C is listed later
    cut = {"open", "close", "volatility", "funding_rate", "segment", "high", "low", "volume", "usual_volume"}
    pasts["C"] = replace(pasts["C"], **{name: getattr(pasts["C"], name)[20:] for name in cut})
    wanted["C"] = wanted["C"][20:]
    times = {"A": HOURS.to_numpy(), "B": HOURS.to_numpy(), "C": late}
    instants, result = portfolio(pasts, wanted, times, COSTS)
    assert len(instants) == 150
    cash, units, last = 1.0, np.zeros(3), np.zeros(3)
    before = np.r_[1.0, result.account["equity"].to_numpy()[:-1]]
    for row in range(150):
        for fill in result.fills[result.fills[:, 0] == row]:
            cash -= fill[2] * fill[3] + fill[4]
            units[int(fill[1])] += fill[2]
        for at, past in enumerate(pasts.values()):
            place = row - 20 if at == 2 else row
            last[at] = past.close[place] if place >= 0 else 0.0
        cash -= result.account["funding"].iloc[row] * before[row]
        assert cash + units @ last == pytest.approx(result.account["equity"].iloc[row], rel=1e-9)
    assert not np.allclose(result.positions[2, 20:], 0) and (result.positions[2, :20] == 0).all()


def test_more_than_the_leverage_is_scaled_down_in_proportion() -> None:
    pasts = {name: random_history(seed) for name, seed in (("A", 1), ("B", 2))}
    full = {"A": np.full(150, 0.9), "B": np.full(150, -0.6)}
    times = dict.fromkeys(pasts, HOURS.to_numpy())
    half = {"A": np.full(150, 0.6), "B": np.full(150, -0.4)}
    free = Costs(taker_fee_bps=0, half_spread_bps=0, slippage_share_of_volatility=0)
    flat = {name: replace(past, segment=np.zeros(150, dtype=np.int32)) for name, past in pasts.items()}
    scaled, asked = (portfolio(flat, wanted, times, free)[1].account for wanted in (full, half))
    np.testing.assert_allclose(scaled["equity"], asked["equity"], rtol=1e-12)


def test_a_target_that_cannot_be_is_named_with_its_symbol() -> None:
    past = random_history(1)
    with pytest.raises(BadData, match="B: targets must lie in"):
        portfolio({"B": past}, {"B": np.full(150, 1.5)}, {"B": HOURS.to_numpy()}, COSTS)


@pytest.mark.parametrize("rules", [OrderRules(stop_loss=0.03), OrderRules()], ids=["folded", "skimmed"])
@pytest.mark.parametrize("latency", [0, 3])
def test_the_sweep_is_the_backtest_many_times(rules: OrderRules, latency: int) -> None:
    past, base = random_history(4), targets(4)
    grid = [{"scale": scale, "sign": sign} for scale in (0.2, 1.0) for sign in (-1, 1)]
    costs = COSTS.model_copy(update={"latency_bars": latency, "impact_coefficient": 0.2})
    found = sweep(past, pd.Series(HOURS), lambda scale, sign: base * scale * sign, grid, costs, rules)
    for row in found.itertuples():
        account = run(past, base * row.scale * row.sign, costs, rules)
        daily = daily_returns(pd.Series(HOURS), account.account["net"].to_numpy())
        expected = dict(zip(MEASURES, measure(daily), strict=True))
        for name in MEASURES:
            assert getattr(row, name) == pytest.approx(expected[name], rel=1e-9, abs=1e-12)
        assert row.fills == len(account.fills)
    with pytest.raises(BadData, match="a target is needed for each bar: 150 bars, 3 targets"):
        sweep(past, pd.Series(HOURS), lambda: base[:3], [{}], COSTS)


def test_a_short_that_may_be_lost_is_folded_bar_by_bar() -> None:
    past = random_history(5)
    wild = replace(past, high=past.high * np.where(np.arange(150) == 60, 3.0, 1.0))  # type: ignore[operator]
    short = np.full(150, -1.0)
    found = sweep(wild, pd.Series(HOURS), lambda: short, [{}], COSTS)
    assert found["total_return"].iloc[0] == -1.0 == run(wild, short, COSTS).account["equity"].iloc[-1] - 1


@pytest.mark.parametrize("at", [(7, 6), (7, 5)], ids=["twice", "backwards"])
def test_timestamps_that_do_not_rise_are_named(at: tuple[int, int]) -> None:
    wrong = HOURS.to_numpy().copy()
    wrong[at[0]] = wrong[at[1]]
    with pytest.raises(BadData, match="A: timestamps must rise, the bar at row 7"):
        portfolio({"A": random_history(1)}, {"A": np.zeros(150)}, {"A": wrong}, COSTS)


def test_one_bar_and_none_have_defined_results() -> None:
    whole = random_history(1)
    for n in (0, 1):
        short = whole.rows(np.arange(150) < n)
        result = run(short, np.ones(n), COSTS)
        assert len(result.account) == n and len(result.fills) == 0
        assert (result.account["equity"] == 1.0).all()
        daily = daily_returns(pd.Series(HOURS[:n]), result.account["net"].to_numpy())
        assert measure(daily).tolist() == [0.0] * len(MEASURES)
