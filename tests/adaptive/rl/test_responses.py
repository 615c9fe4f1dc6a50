"""How an agent answers is counted where it happened."""

import numpy as np
import pytest

from tests.adaptive.rl.conftest import made_history
from tradewind.adaptive.rl.episodes import STEP_FIELDS
from tradewind.adaptive.rl.market import TradingMarket
from tradewind.adaptive.rl.policies import Rollout
from tradewind.adaptive.rl.responses import MULTIPLES, responses
from tradewind.trading.engine.backtest import History


def market_of(history: History) -> TradingMarket:
    return TradingMarket.from_histories({"A": history}, {"A": np.ones((len(history.close), 2), dtype=np.float32)})


def rollout(targets: np.ndarray, net: np.ndarray) -> Rollout:
    measures = np.zeros((len(targets), len(STEP_FIELDS)))
    measures[:, STEP_FIELDS.index("net")] = net
    return Rollout(targets, measures, np.zeros(len(targets)), np.zeros((len(targets), 7), dtype=np.float32))


def test_each_state_of_the_market_has_its_bars() -> None:
    """An agent that follows the trend is long in the upper third, and what it earns there stands there."""
    history = made_history(1, 900, (450,))
    market = market_of(history)
    trend = np.full(900, np.nan)
    for first, last in market.runs:
        close = np.log(history.close[first : last + 1])
        trend[first + 72 : last + 1] = close[72:] - close[:-72]
    low, high = np.nanquantile(trend, (1 / 3, 2 / 3))
    side = np.where(trend >= high, 1.0, np.where(trend < low, -1.0, 0.0))
    net = np.r_[0.0, 1e-3 * side[:-1]]
    table = responses(market, [rollout(side * multiple, net) for multiple in MULTIPLES]).set_index(["kind", "level"])
    held = np.abs(side[np.r_[0:449, 450:899]]).mean()
    assert table.loc["cost", "exposure"].tolist() == pytest.approx([multiple * held for multiple in MULTIPLES])
    assert table.loc[("trend", "high"), "side"] == 1.0 and table.loc[("trend", "high"), "net"] == pytest.approx(1e-3)
    assert table.loc[("trend", "low"), "side"] == -1.0 and table.loc[("trend", "low"), "net"] == pytest.approx(-1e-3)
    assert table.loc["trend", "bars"].sum() == 898 - 144 and table.loc["shock", "bars"].sum() == 898


@pytest.mark.parametrize("cut", [2, 30, 71, 72, 73, 828, 870, 898])
def test_a_run_shorter_than_the_trend_has_none(cut: int) -> None:
    """An outage right after a fold's first bars, or just before its last: each once stopped the training."""
    market = market_of(made_history(1, 900, (cut,)))
    table = responses(market, [rollout(np.ones(900), np.zeros(900))] * 4).set_index(["kind", "level"])
    decided = sum(max(last - first - 72, 0) for first, last in market.runs)
    assert table.loc["trend", "bars"].sum() == decided and table.loc["shock", "bars"].sum() == 898


def test_a_leap_is_seen_after_it_and_not_before() -> None:
    calm = np.full(200, 100.0)
    calm[100:] = 110.0  # ten deviations
    history = History(calm, calm, np.full(200, 0.01), np.zeros(200), np.zeros(200, dtype=np.int32))
    held = np.zeros(200)
    held[88:100] = 0.5
    held[100:112] = -0.25
    table = responses(market_of(history), [rollout(held, np.zeros(200))] * 4).set_index(["kind", "level"])
    assert table.loc["shock", "bars"].to_dict() == {"calm": 175, "before": 12, "after": 12}
    assert table.loc["shock", "side"].to_dict() == {"calm": 0.0, "before": 0.5, "after": -0.25}
