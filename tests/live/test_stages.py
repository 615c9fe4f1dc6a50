"""A rollout's stage limits an account: in its targets, at the gate, after a kill, and when it is stepped back."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.live.conftest import session_of, simulated
from tests.live.test_session import by_time, killed_and_back, records, step_bars
from tests.operations.rollout.worlds import ADA, World, go, plan_of, rollout_of
from tradewind.errors import BadData
from tradewind.learning.features.assembly import Bar
from tradewind.live.runtime import Runtime
from tradewind.live.session import session as session_module
from tradewind.live.session import trading
from tradewind.live.session.events import StageLimits
from tradewind.live.stages import StageSource
from tradewind.trading.risk.limits import RiskLimits
from tradewind.trading.risk.stages import narrowed
from tradewind.trading.risk.states import ACTIVE, HALTED, REDUCING, RiskState

Make = Callable[..., Runtime]
SYMBOLS = ("SIM1", "SIM2", "SIM3")
MICRO = StageLimits("micro", 500.0, 1, False)


def opened(make: Make) -> tuple[Runtime, list[list[Bar]]]:
    bars, _ = simulated(days=8, outages=0)
    first = sorted({one.timestamp for one in bars})[60]
    runtime = make(session_of(SYMBOLS), [one for one in bars if one.timestamp <= first])
    return runtime, by_time([one for one in bars if one.timestamp > first])


def live(runtime: Runtime, rest: Sequence[list[Bar]]) -> tuple[float, set[str]]:
    """The largest value that was held, and the symbols."""
    most, held = 0.0, set()
    for now in rest:
        step_bars(runtime, now)
        values = {
            name: abs(units) * runtime.state.paper.marks[name] for name, units in runtime.state.paper.units.items()
        }
        most, held = max(most, sum(values.values())), held | {name for name, value in values.items() if value}
    return most, held


def test_a_stage_limits_capital_and_symbols(make_runtime: Make) -> None:
    runtime, rest = opened(make_runtime)
    runtime.stage = lambda: MICRO
    runtime.watch_stage()
    runtime.watch_stage()  # nothing has changed: nothing is written
    most, held = live(runtime, rest[:40])
    assert 100 < most <= 500 * 1.01 and held == {"SIM1"}  # what is held moves by its price
    assert len(records(runtime, "stage")) == 1
    assert {one["guardrail"] for one in records(runtime, "guardrail")} >= {"stage"}
    used, allowed = trading.used_of_limits(runtime.session, runtime.state)["max_gross"]
    assert used <= allowed * 1.01 and allowed * runtime.state.paper.equity == pytest.approx(500 * 1.5)


def test_the_gate_alone_holds_the_stage(make_runtime: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: targets that do not know of the stage."""
    monkeypatch.setattr(session_module, "within_stage", lambda targets, risk, equity: dict(targets))
    runtime, rest = opened(make_runtime)
    runtime.stage = lambda: MICRO
    runtime.watch_stage()
    assert runtime.operate("override", "ada", "more", {"code": "max_gross", "minutes": 900}) == ""
    assert runtime.operate("override", "ada", "more", {"code": "max_position", "minutes": 900}) == ""
    assert runtime.operate("override", "ada", "more", {"code": "max_value", "minutes": 900}) == ""
    most, held = live(runtime, rest[:12])
    assert most == 0.0 and not held and {one["code"] for one in records(runtime, "risk_rejected")} == {"balance"}


def test_without_either_the_stage_is_exceeded(make_runtime: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "within_stage", lambda targets, risk, equity: dict(targets))
    monkeypatch.setattr(trading, "narrowed", lambda limits, risk, equity, symbol="": limits)
    runtime, rest = opened(make_runtime)
    runtime.stage = lambda: MICRO
    runtime.watch_stage()
    most, held = live(runtime, rest[:40])
    assert most > 500 * 1.2 and len(held) > 1


def test_a_step_back_reduces_and_outlives_a_kill(make_runtime: Make) -> None:
    runtime, rest = opened(make_runtime)
    stage = StageLimits("small", 5000.0, 2, False)
    runtime.stage = lambda: stage
    runtime.watch_stage()
    _, held = live(runtime, rest[:30])
    assert held == {"SIM1", "SIM2"} and runtime.state.risk.mode == ACTIVE
    stage = StageLimits("micro", 500.0, 1, True)
    runtime.watch_stage()
    assert runtime.state.risk.mode == REDUCING
    state = runtime.state.to_bytes(runtime.session.decider)
    runtime = killed_and_back(make_runtime, runtime)
    assert runtime.state.to_bytes(runtime.session.decider) == state
    runtime.stage = lambda: stage
    runtime.watch_stage()
    assert len(records(runtime, "stage")) == 2
    live(runtime, rest[30:45])
    units = runtime.state.paper.units
    assert not units.get("SIM2") and abs(units.get("SIM1", 0.0)) * runtime.state.paper.marks["SIM1"] <= 500 * 1.01
    assert runtime.operate("resume", "ada", "looked at it") == "" and runtime.state.risk.stage == "micro"


def test_the_source_follows_the_journal_and_a_forged_one_halts(
    make_runtime: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    rollout = rollout_of(tmp_path, world)
    monkeypatch.setattr("tradewind.live.stages.read_rollout", lambda path: plan_of())
    source = StageSource(tmp_path, tmp_path / "rollout.yml")
    assert source() == StageLimits("paper", None, None, False)
    go(rollout, world)
    assert source() == StageLimits("micro", 500.0, 1, False, 2)
    go(rollout, world)
    rollout.back("ada", "a try")
    rollout.allow_resume(ADA, "looked at")
    assert source() == StageLimits("micro", 500.0, 1, True, 2, (("ada", world.now),))
    runtime, rest = opened(make_runtime)
    runtime.stage = source
    runtime.watch_stage()
    step_bars(runtime, rest[0])
    assert runtime.state.risk.stage == "micro"
    content = rollout.path.read_bytes()
    rollout.path.write_bytes(content.replace(b'"to":"micro"', b'"to":"small"'))
    runtime.watch_stage()
    runtime.watch_stage()
    assert runtime.state.risk.mode == HALTED and "not what was written" in runtime.state.risk.reason
    assert len(records(runtime, "fault")) == 1


def test_beyond_paper_nobody_leads_a_halted_account_on_alone(make_runtime: Make) -> None:
    runtime, rest = opened(make_runtime)
    allowed: list[tuple[str, int]] = []
    runtime.stage = lambda: StageLimits("micro", 500.0, 1, False, 2, tuple(allowed))
    runtime.watch_stage()
    step_bars(runtime, rest[0])
    runtime.operate("halt", "ada", "drill")
    since = runtime.state.risk.since_ms
    for early in ([], [("ada", since)], [("ada", since), ("bob", since - 1)]):  # what bob said before does not count
        allowed[:] = early
        why = runtime.operate("resume", "ada", "over")
        assert why.startswith("403: to leave HALTED in the stage micro takes 2 named people")
        assert why.endswith(f"since the halt {'ada' if early else 'nobody'} has")
        assert runtime.state.risk.mode == HALTED and not runtime.may_resume()
    refused = records(runtime, "refused_operator")
    assert len(refused) == 3 and "403" in refused[0]["why"]
    runtime = killed_and_back(make_runtime, runtime)
    assert runtime.state.risk.mode == HALTED
    runtime.stage = lambda: StageLimits("micro", 500.0, 1, False, 2, (("ada", since), ("bob", since + 1)))
    assert runtime.may_resume() and runtime.operate("resume", "ada", "over") == ""
    assert runtime.state.risk.mode == ACTIVE
    step_bars(runtime, rest[1])
    runtime.operate("halt", "bob", "again")  # the next halt asks both anew
    assert "nobody has" in runtime.operate("resume", "ada", "over")


def test_a_rollout_that_is_not_to_be_believed_lets_nothing_go_on(make_runtime: Make) -> None:
    def forged() -> StageLimits:
        raise BadData("record 3 was not signed by ada: it is forged")

    runtime, rest = opened(make_runtime)
    step_bars(runtime, rest[0])
    runtime.operate("halt", "ada", "drill")
    assert runtime.operate("pause", "ada", "no rollout: one person does") == ""
    runtime.stage = forged
    assert "it is forged" in runtime.operate("resume", "ada", "over") and not runtime.may_resume()
    runtime.stage = lambda: StageLimits("paper", None, None, False)
    assert runtime.operate("resume", "ada", "over") == ""


def test_a_journal_that_has_gone_halts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    rollout = rollout_of(tmp_path, world)
    go(rollout, world)
    monkeypatch.setattr("tradewind.live.stages.read_rollout", lambda path: plan_of())
    source = StageSource(tmp_path, tmp_path / "rollout.yml")
    source()
    rollout.path.unlink()
    with pytest.raises(Exception, match="is gone"):
        source()


def test_limits_only_become_narrower() -> None:
    limits = RiskLimits()
    for capital in (None, 100.0, 1e4, 1e9):
        for symbols in (None, ("A",)):
            for equity in (0.0, 50.0, 5e4):
                for symbol in ("", "A", "B"):
                    state = RiskState(stage="s", stage_capital=capital, stage_symbols=symbols)
                    found = narrowed(limits, state, equity, symbol).model_dump()
                    wide = limits.model_dump()
                    assert all(found[one] <= wide[one] for one in ("max_position", "max_gross", "max_leverage",
                                                                  "max_order_value"))  # fmt: skip
                    if capital is not None and equity > 0:
                        assert found["max_leverage"] * equity <= capital * (1 + 1e-12)
