"""The compiled account against a ledger of cash and units kept in exact fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.trading.engine.backtest import History, backtest
from tradewind.trading.execution.costs import Costs

COSTS = Costs(taker_fee_bps=5.0, half_spread_bps=1.0, slippage_share_of_volatility=0.05, latency_bars=1)


def make_history(seed: int, n_bars: int = 120, volatility: float = 0.02) -> History:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(volatility * rng.standard_t(4, n_bars)))
    opening = np.concatenate([[100.0], close[:-1]]) * np.exp(0.002 * rng.standard_normal(n_bars))
    funding = np.where(np.arange(n_bars) % 8 == 0, 0.001 * rng.standard_normal(n_bars), 0.0)
    segment = np.cumsum(rng.random(n_bars) < 0.03).astype(np.int32)
    return History(opening, close, volatility * (0.5 + rng.random(n_bars)), funding, segment)


def make_targets(seed: int, n_bars: int = 120) -> np.ndarray:
    rng = np.random.default_rng(seed + 1)
    drawn = np.round(rng.uniform(-1, 1, n_bars), 2) * (rng.random(n_bars) < 0.7)
    return drawn[np.maximum.accumulate(np.where(rng.random(n_bars) < 0.3, np.arange(n_bars), 0))]


def exact_equity(history: History, targets: np.ndarray, costs: Costs) -> list[float]:
    """Equity at each close: cash plus units at the price, every payment out of cash, no shares of anything."""
    cash, units, filled = Fraction(1), Fraction(0), Fraction(0)
    fixed = (Fraction(costs.taker_fee_bps) + Fraction(costs.half_spread_bps)) / 10_000
    slippage = Fraction(costs.slippage_share_of_volatility)
    equity = []
    for i in range(len(history.close)):
        opening, close = Fraction(float(history.open[i])), Fraction(float(history.close[i]))
        decided = i - 1 - costs.latency_bars
        is_known = decided >= 0 and history.segment[decided] == history.segment[i]
        target = Fraction(float(targets[decided])) if is_known else Fraction(0)
        rate = fixed + slippage * (Fraction(float(history.volatility[decided])) if decided >= 0 else 0)
        if i > 0 and history.segment[i] != history.segment[i - 1]:  # a gap is over: closed at the first price there is
            cash += units * opening - abs(units) * opening * rate
            units, filled = Fraction(0), Fraction(0)
        if target != filled:
            wanted = target * (cash + units * opening) / opening
            cash -= (wanted - units) * opening + abs(wanted - units) * opening * rate
            units, filled = wanted, target
        cash -= units * opening * Fraction(float(history.funding_rate[i]))
        # Denominators would double with every trade: 200 bits are 40 digits more than a float has.
        cash, units = cash.limit_denominator(1 << 200), units.limit_denominator(1 << 200)
        equity.append(float(cash + units * close))
    return equity


@pytest.mark.parametrize("seed", range(12))
def test_the_account_is_that_of_an_exact_ledger(seed: int) -> None:
    history, targets = make_history(seed), make_targets(seed)
    account = backtest(history, targets, COSTS)
    np.testing.assert_allclose(account["equity"], exact_equity(history, targets, COSTS), rtol=1e-12)


@pytest.mark.parametrize(
    "fault",
    [{"latency_bars": 0}, {"taker_fee_bps": 5.1}, {"slippage_share_of_volatility": 0.051}],
    ids=lambda fault: next(iter(fault)),
)
def test_the_ledger_notices_another_rule(fault: dict[str, float]) -> None:
    history, targets = make_history(3), make_targets(3)
    account = backtest(history, targets, COSTS.model_copy(update=fault))
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(account["equity"], exact_equity(history, targets, COSTS), rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), volatility=st.floats(0.001, 0.2))
def test_no_money_appears_or_disappears(seed: int, volatility: float) -> None:
    history = make_history(seed, volatility=volatility)
    account = backtest(history, make_targets(seed), COSTS)
    assert (account["net"] == account["gross"] - account["cost"] - account["funding"]).all()
    grown = np.concatenate([[1.0], account["equity"].to_numpy()[:-1]]) * (1 + account["net"].to_numpy())
    np.testing.assert_allclose(account["equity"], np.maximum(grown, 0), rtol=1e-12, atol=1e-15)
    assert (account["cost"] >= 0).all()
    assert (account["equity"] >= 0).all()
