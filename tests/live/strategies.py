"""Sessions of several strategies, models and agents: one that expects reversals, and how each is set up and watched."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tests.live import test_twin as twin
from tests.live.conftest import session_of, simulated
from tests.live.test_session import by_time, records, step_bars
from tradewind.live.runtime import Runtime
from tradewind.trading.decision.forecasting import ForecastPolicy
from tradewind.trading.decision.together import Part, TogetherPolicy

Make = Callable[..., Runtime]
SYMBOLS = ("SIM1", "SIM2", "SIM3")


class Reverting:
    """A model that expects what has risen to fall."""

    features = ("rsi_cutler_14",)
    window_bars = 1

    def predict_row(self, x: Any) -> Any:
        up = 1.0 / (1.0 + np.exp((float(x[0]) - 50.0) / 8.0))
        return np.array([1.0 - up, 0.0, up, (up - 0.5) / 10])


def side_by_side(name: str, policy: Any, ruled: Any, rules: Any) -> TogetherPolicy:
    """A policy beside a rule of reversals and the model."""
    model = ForecastPolicy(Reverting(), rules, 0.5)
    parts = [Part(name, 0.4, policy), Part("reversal", 0.3, ruled("last_bar_reversal")), Part("model", 0.3, model)]
    return TogetherPolicy(parts)


def opened(make: Make, wrapped: Any, days: int, begins: int, **of_session: Any) -> tuple[Runtime, list[Any]]:
    """A session that begins after so many bars of past, and the bars that are still to come."""
    bars, _ = simulated(days=days, outages=0)
    first = sorted({one.timestamp for one in bars})[begins]
    session = session_of(SYMBOLS, wrapped=wrapped, **({"features": Reverting.features} | of_session))
    past = [one for one in bars if one.timestamp <= first]
    return make(session, past), by_time([one for one in bars if one.timestamp > first])


def wrap_twin(monkeypatch: pytest.MonkeyPatch, wrapped: Any, **of_session: Any) -> None:
    """The sessions of `test_twin` have this policy."""
    given = {"features": Reverting.features} | of_session

    def wrapping(symbols: Sequence[str], side: Any, costs: Any) -> Any:
        return session_of(symbols, side=side, costs=costs, wrapped=wrapped, **given)

    monkeypatch.setattr(twin, "session_of", wrapping)


def step_netted(runtime: Runtime, times: Sequence[Any], check: Callable[[], None]) -> None:
    """All bars, with one net order a symbol, and books that add up to the account's positions after each."""
    state = runtime.state
    for number, now in enumerate(times):
        before = len(records(runtime, "intent")) if number < 5 else 0
        step_bars(runtime, now)
        if number < 5:
            new = [one["symbol"] for one in records(runtime, "intent")[before:]]
            assert len(new) == len(set(new))
        for symbol in SYMBOLS:
            held = sum(book.units.get(symbol, 0.0) for book in state.books.of.values())
            assert held == pytest.approx(state.paper.units.get(symbol, 0.0), abs=1e-6)
        check()
    decisions = records(runtime, "decision")
    assert all(sum(one["parts"].values()) == pytest.approx(one["target"]) for one in decisions)
