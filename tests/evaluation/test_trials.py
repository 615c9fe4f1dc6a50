"""The ledger counts ideas: not days, not symbols left out, not markets that share nothing."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tradewind.evaluation.traded_market import TradedMarket
from tradewind.evaluation.trials import Counted, configurations, count, market_marks
from tradewind.market.universe import Universe
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules
from tradewind.trading.setup import TradingSetup
from tradewind.trading.strategy.signals import SignalRules
from tradewind.trading.strategy.sizing import SizingRules

SETUP = TradingSetup(costs=Costs(), execution=OrderRules(), signal=SignalRules(), sizing=SizingRules())
PARAMETERS: Mapping[str, Any] = {
    "seed": 7,
    "models": ["xgboost", "lightgbm"],
    "universe": {"symbols": ["A", "B"]},
    "evaluation": {"verdict": {"cost_multiple": 2.0}},
    "feature_engineering": {"labels": {"horizon_bars": 24}},
    "classifier": {"xgboost": {"parameters": {"max_depth": 3}}, "lightgbm": {"parameters": {"max_depth": 3}}},
    "trading": {"costs": {"taker_fee_bps": 5}, "signal": {"entry_threshold": 0.1}, "sizing": {"max_position": 1.0}},
}


def market(seed: int = 1, symbols: str = "AB", days: int = 150, bar: int = 1) -> TradedMarket:
    """Random walks of each symbol, of which bars of `bar` hours are taken."""
    histories = {}
    for at, symbol in enumerate("ABC"):
        if symbol not in symbols:
            continue
        close = 100 * np.exp(np.cumsum(0.01 * np.random.default_rng([seed, at]).standard_normal(24 * 400)))[: 24 * days]
        end = pd.date_range("2024-01-10 01:00", periods=24 * days, freq="h", tz="UTC")
        table = pd.DataFrame({"timestamp": end, "close": close})
        whole = table["timestamp"].dt.hour % bar == 0
        histories[symbol] = (table[whole].reset_index(drop=True), None)
    universe = Universe(venue="made", symbols=tuple(symbols), timeframe="1h")
    return TradedMarket(histories, universe, SETUP)  # type: ignore[arg-type]


def holdout(seed: int = 1) -> pd.DataFrame:
    net = np.random.default_rng(seed).standard_normal(20)
    return pd.DataFrame({"strategy": "xgboost", "timestamp": np.arange(20), "net": net})


def tried(changes: Mapping[str, Any] | None = None) -> dict[str, str]:
    return configurations({**PARAMETERS, **(changes or {})}, ["xgboost", "lightgbm"])


def again(history: list[dict[str, Any]], one: TradedMarket, changes: Mapping[str, Any] | None = None) -> Counted:
    found = count(history, market_marks(one), tried(changes), holdout())
    history += found.entries
    return found


def test_a_day_more_of_history_is_the_same_idea() -> None:
    history: list[dict[str, Any]] = []
    assert {again(history, market(days=150 + more)).trials for more in range(40)} == {2}
    assert count(history, market_marks(market()), tried(), holdout(2)).looks == 2


def test_neither_a_symbol_less_nor_another_bar_begins_the_count_anew() -> None:
    history: list[dict[str, Any]] = []
    again(history, market())
    changed = {"feature_engineering": {"labels": {"horizon_bars": 12}}}
    assert again(history, market(symbols="A"), changed).trials == 4
    assert again(history, market(symbols="BC"), {"seed": 8}).trials == 6
    assert again(history, market(symbols="B", bar=4), {"seed": 9}).trials == 8
    assert again(history, market(symbols="C"), {"seed": 9}).trials == 8  # known through B and C


def test_markets_that_share_no_price_are_told_apart() -> None:
    history: list[dict[str, Any]] = []
    again(history, market(seed=1))
    assert again(history, market(seed=2), {"seed": 8}).trials == 2
    # The planted fault: the names of symbols, by which the two would be one.
    assert market(seed=1).universe == market(seed=2).universe


@pytest.mark.parametrize(
    ("changes", "new"),
    [
        ({"trading": {**PARAMETERS["trading"], "costs": {"taker_fee_bps": 50}}}, 0),
        ({"evaluation": {}}, 0),
        ({"models": ["xgboost"]}, 0),
        ({"trading": {**PARAMETERS["trading"], "signal": {"entry_threshold": 0.2}}}, 2),
        ({"seed": 8}, 2),
        ({"classifier": {**PARAMETERS["classifier"], "xgboost": {"parameters": {"max_depth": 4}}}}, 1),
    ],
)
def test_only_what_changes_the_trades_is_another_idea(changes: Mapping[str, Any], new: int) -> None:
    before, after = tried(), tried(changes)
    assert sum(before[name] != after[name] for name in before) == new


def test_the_same_run_twice_counts_once() -> None:
    history: list[dict[str, Any]] = []
    first, second = again(history, market()), again(history, market())
    assert (first.trials, first.looks) == (second.trials, second.looks) == (2, 1)
    assert {entry["key"] for entry in second.entries} <= {entry["key"] for entry in first.entries}
