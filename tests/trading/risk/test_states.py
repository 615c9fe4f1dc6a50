"""Loss limits reduce at once and halt on a second reading; only a person resumes."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.errors import BadParameters
from tradewind.trading.risk.limits import RiskLimits
from tradewind.trading.risk.states import (
    ACTIONS,
    ACTIVE,
    DAY_MS,
    HALTED,
    REDUCING,
    RiskState,
    fault,
    operate,
    positions_closed,
    read_equity,
)

LIMITS = RiskLimits(daily_loss=0.03, drawdown=0.10)
NOON = 20_000 * DAY_MS + DAY_MS // 2


def after(*equities: float, limits: RiskLimits = LIMITS, state: RiskState | None = None) -> RiskState:
    found = state or RiskState()
    for number, equity in enumerate(equities):
        found, _ = read_equity(found, equity, NOON + number, limits)
    return found


def test_one_reading_reduces_and_a_second_halts() -> None:
    assert after(100.0, 97.1).mode == ACTIVE
    assert after(100.0, 96.9).mode == REDUCING
    assert after(100.0, 96.9, 100.0).mode == REDUCING, "only a person leads back"
    assert after(100.0, 96.9, 100.0, 96.0).mode == REDUCING, "not twice in a row"
    halted = after(100.0, 96.9, 96.8)
    assert halted.mode == HALTED and "daily_loss" in halted.reason
    assert after(100.0, 96.9, 96.8, 130.0).mode == HALTED


def test_a_reading_that_is_no_number_is_beyond_every_limit() -> None:
    assert after(100.0, float("nan")).mode == REDUCING
    assert after(100.0, float("nan"), float("nan")).mode == HALTED
    assert after(100.0, float("nan")).equity == 100.0


def test_the_day_begins_at_what_the_account_was_worth_and_the_peak_stays() -> None:
    state = after(100.0, 98.0)
    state, broken = read_equity(state, 96.0, NOON + DAY_MS, LIMITS)
    assert broken == () and state.day_start == 98.0 and state.peak == 100.0
    state, broken = read_equity(state, 89.0, NOON + 2 * DAY_MS, LIMITS)
    assert broken == ("daily_loss", "drawdown")


def test_a_trip_may_close_everything_and_then_halts() -> None:
    limits = LIMITS.model_copy(update={"on_trip": "flatten"})
    state = after(100.0, 96.0, 95.0, limits=limits)
    assert state.mode == REDUCING and state.flattening
    assert positions_closed(state, NOON).mode == HALTED
    assert positions_closed(after(100.0), NOON).mode == ACTIVE


def test_all_is_closed_before_it_halts_however_much_more_is_lost() -> None:
    """A halt in between would refuse the very orders that close the rest."""
    limits = LIMITS.model_copy(update={"on_trip": "flatten"})
    closing = after(100.0, 96.9, 96.8, limits=limits)
    for state in (
        after(96.0, state=closing, limits=limits),
        after(90.0, 80.0, float("nan"), state=closing, limits=limits),
    ):
        assert state.flattening and state.mode == REDUCING and state.since_ms == closing.since_ms
        assert positions_closed(state, NOON + 9).mode == HALTED


def test_resuming_says_what_begins_anew() -> None:
    halted = after(100.0, 96.9, 96.8)
    with pytest.raises(BadParameters, match="reason"):
        operate(halted, "resume", "ann", " ", NOON)
    with pytest.raises(BadParameters, match="daily_loss is still broken"):
        operate(halted, "resume", "ann", "looked at it", NOON)
    state = operate(halted, "resume", "ann", "looked at it", NOON, {"reset": ["daily_loss"]})
    assert state.mode == ACTIVE and state.day_start == 96.8 and state.peak == 100.0 and state.who == "ann"
    assert after(96.7, state=state).mode == ACTIVE


def test_overrides_are_few_and_end() -> None:
    state = operate(after(100.0), "override", "ann", "block trade", NOON, {"code": "max_value", "minutes": 5})
    assert state.overridden(NOON + 299_999) == {"max_value"} and state.overridden(NOON + 300_000) == set()
    for detail in ({"code": "halted", "minutes": 5}, {"code": "max_value", "minutes": 0}, {"code": "max_value"}):
        with pytest.raises(BadParameters):
            operate(state, "override", "ann", "no", NOON, detail)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(BadParameters, match="not 'sell'"):
        operate(RiskState(), "sell", "ann", "so", NOON)
    with pytest.raises(BadParameters, match="stricter"):
        operate(fault(RiskState(), "disk full", NOON), "reduce", "ann", "so", NOON)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(ACTIONS), st.floats(50, 150), st.just(float("nan"))), max_size=40))
def test_only_resume_leads_back_and_the_state_survives_its_bytes(history: list[str | float]) -> None:
    state = RiskState()
    strictness = {ACTIVE: 0, REDUCING: 1, HALTED: 2}
    for number, one in enumerate(history):
        before = state
        if isinstance(one, float):
            state, _ = read_equity(state, one, NOON + number * DAY_MS // 4, LIMITS)
        else:
            try:
                state = operate(state, one, "ann", "so", NOON + number, {"reset": ["daily_loss", "drawdown"]})
            except BadParameters:
                continue
        if one not in ("resume", "flatten"):
            assert strictness[state.mode] >= strictness[before.mode]
        assert RiskState.from_body(json.loads(json.dumps(state.to_body()))) == state
