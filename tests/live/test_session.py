"""A session trades what the gate lets pass, halts when told, and comes back from a kill as it was."""

import errno
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.live.conftest import CALM, HOUR_MS, run_bars, session_of, simulated, whole_book
from tradewind.errors import BadData, BadParameters, TemporaryOutage
from tradewind.learning.features.assembly import Bar
from tradewind.live.orders.executors import Quote
from tradewind.live.orders.states import Report
from tradewind.live.runtime import JOURNAL, Runtime
from tradewind.live.session.events import feed_event, market_event, report_event
from tradewind.live.session.guardrails import lent
from tradewind.live.session.trading import whole_lots
from tradewind.live.settings import ExecutorRules
from tradewind.live.venue.paper import PaperVenue
from tradewind.operations.journal.anchors import verify
from tradewind.operations.journal.halt_file import write_halt_file
from tradewind.operations.journal.journal import read
from tradewind.trading.risk.limits import Instrument
from tradewind.trading.risk.states import ACTIVE, HALTED, REDUCING

Make = Callable[..., Runtime]


def records(runtime: Runtime, kind: str) -> list[Any]:
    return [one.body for one in read(runtime.folder / JOURNAL) if one.kind == kind]


def opened(make: Make, days: int = 8, **settings: Any) -> tuple[Runtime, list[Bar]]:
    bars, _ = simulated(days=days, outages=0)
    first = sorted({one.timestamp for one in bars})[60]
    session = session_of(("SIM1", "SIM2", "SIM3"), **settings)
    return make(session, [one for one in bars if one.timestamp <= first]), [
        one for one in bars if one.timestamp > first
    ]


def step_book(runtime: Runtime, prices: dict[str, float], now_ms: int) -> None:
    """The books move to these prices, and the session is told."""
    venue = runtime.broker
    assert isinstance(venue, PaperVenue)
    for symbol, price in prices.items():
        venue.on_book(symbol, whole_book(price), now_ms)
    for report in venue.poll():
        runtime.handle(report_event(report))
    quotes = {name: Quote(round(one - 0.01, 2), round(one + 0.01, 2), one, now_ms) for name, one in prices.items()}
    runtime.handle(market_event(now_ms, quotes=quotes))


def step_bars(runtime: Runtime, bars: Sequence[Bar]) -> None:
    """One timestamp: the bars close, then the books show their closes twice."""
    at = bars[0].timestamp
    prices = {one.symbol: round(one.close, 2) for one in bars}
    quotes = {name: Quote(round(one - 0.01, 2), round(one + 0.01, 2), one, at) for name, one in prices.items()}
    runtime.handle(market_event(at, bars, quotes=quotes))
    for later in (1_000, 400_000, 800_000, 1_200_000):
        step_book(runtime, prices, at + later)


def by_time(bars: Sequence[Bar]) -> list[list[Bar]]:
    return [[one for one in bars if one.timestamp == at] for at in sorted({one.timestamp for one in bars})]


def test_orders_are_whole_lots_towards_zero() -> None:
    """What a fee in the coin itself leaves can be sold as far as there are lots."""
    assert [whole_lots(one, 0.001) for one in (0.0999, -0.0999, 0.1, -0.3, 0.0009, 0.0)] == [
        0.099, -0.099, 0.1, -0.3, 0.0, 0.0
    ]  # fmt: skip


def test_a_spot_market_lends_nothing() -> None:
    """An order that would sell more than is held is refused there whole: the target is nothing, and that is said."""
    spot = Instrument(symbol="A", tick_size=0.01, lot_size=0.001, can_be_short=False)
    other = Instrument(symbol="B", tick_size=0.01, lot_size=0.001)
    left, actions = lent({"A": -0.4, "B": -0.2}, {"A": spot, "B": other})
    assert left == {"A": 0.0, "B": -0.2}
    assert [(one.guardrail, one.value) for one in actions] == [("no_short", -0.4)] and "A: " in actions[0].effect
    assert lent({"A": 0.4, "B": -0.2}, {"A": spot, "B": other}) == ({"A": 0.4, "B": -0.2}, ())


@pytest.mark.parametrize("kind", ["market", "limit", "twap", "bracket"])
def test_every_executor_brings_the_position_to_its_target(make_runtime: Make, kind: str) -> None:
    runtime, bars = opened(make_runtime, executor=ExecutorRules(kind=kind, patience_s=300, duration_s=900, slices=3))
    for now in by_time(bars)[:20]:
        step_bars(runtime, now)
    state = runtime.state
    assert state.counts["fills"] > 10 and state.risk.mode == ACTIVE
    for symbol in runtime.session.symbols:
        if kind != "bracket":
            assert state.paper.units.get(symbol, 0.0) == pytest.approx(state.wanted[symbol], abs=2e-3)
    there = runtime.broker.standing()
    for symbol in runtime.session.symbols:
        assert there.positions.get(symbol, 0.0) == pytest.approx(state.paper.units.get(symbol, 0.0), abs=1e-9)
    sent = [one["purpose"] for one in records(runtime, "intent")]
    kinds = {one["kind"] for one in records(runtime, "intent")}
    assert ("limit" in kinds) == (kind == "limit")
    assert kind != "twap" or len(sent) > 2 * state.number
    maker = [one for one in records(runtime, "report") if one["what"] == "fill" and one["is_maker"]]
    assert not maker or kind == "limit"


def test_every_bar_and_symbol_has_a_decision_with_a_reason(make_runtime: Make) -> None:
    from tradewind.live.dashboard.pages import reasons

    runtime, bars = opened(make_runtime)
    run_bars(runtime, bars[:60])
    decisions = records(runtime, "decision")
    assert {(one["symbol"], one["timestamp"]) for one in decisions} == {
        (one.symbol, one.timestamp) for one in bars[:60]
    }
    assert all(reasons(one) for one in decisions)
    assert any(not one["acts"] for one in decisions) and any(one["acts"] for one in decisions)


def test_the_halt_file_stops_orders_that_are_decided_already(make_runtime: Make) -> None:
    runtime, bars = opened(make_runtime)
    times = by_time(bars)
    step_bars(runtime, times[0])
    write_halt_file(runtime.folder, "drill")
    before = len(runtime.broker._history)  # type: ignore[attr-defined]
    for now in times[1:6]:
        step_bars(runtime, now)
    assert len(runtime.broker._history) == before, "an order reached the venue after the HALT file"  # type: ignore[attr-defined]
    assert runtime.state.risk.mode == HALTED and runtime.state.risk.reason == "drill"
    assert "remove" in runtime.operate("resume", "ann", "drill is over")
    (runtime.folder / "HALT").unlink()
    assert runtime.operate("resume", "ann", "") != ""
    assert runtime.operate("resume", "ann", "drill is over") == "" and runtime.state.risk.mode == ACTIVE


def test_a_halt_outlives_the_process(make_runtime: Make) -> None:
    runtime, bars = opened(make_runtime)
    step_bars(runtime, by_time(bars)[0])
    runtime.operate("halt", "ann", "going home")
    runtime.close()
    runtime.broker.close()  # type: ignore[attr-defined]
    again = make_runtime(runtime.session)
    assert again.recovered and again.state.risk.mode == HALTED and again.state.risk.who == "ann"
    step_bars(again, by_time(bars)[1])
    assert records(again, "intent") == records(runtime, "intent")


def test_flattening_closes_everything_and_then_halts(make_runtime: Make) -> None:
    runtime, bars = opened(make_runtime)
    times = by_time(bars)
    for now in times[:3]:
        step_bars(runtime, now)
    assert any(runtime.state.paper.units.values())
    runtime.operate("flatten", "ann", "end of the week")
    prices = {one.symbol: round(one.close, 2) for one in times[2]}
    for minute in range(25, 30):
        step_book(runtime, prices, times[2][0].timestamp + minute * 60_000)
    assert not any(runtime.state.paper.units.values()) and runtime.state.risk.mode == HALTED


def test_losses_reduce_then_halt(make_runtime: Make) -> None:
    runtime, bars = opened(make_runtime, limits=CALM.model_copy(update={"daily_loss": 0.01}), rule="buy_and_hold")
    times = by_time(bars)
    step_bars(runtime, times[0])
    at, low = times[0][0].timestamp + 1_300_000, {one.symbol: round(one.close * 0.95, 2) for one in times[0]}
    step_book(runtime, low, at)
    assert runtime.state.risk.mode == REDUCING
    step_book(runtime, low, at + 6_000)
    assert runtime.state.risk.mode == HALTED and records(runtime, "limit_tripped")


def killed_and_back(make: Make, runtime: Runtime) -> Runtime:
    """The files as a kill leaves them: nothing is closed in order, the last record is torn."""
    runtime.close()
    runtime.broker.close()  # type: ignore[attr-defined]
    with (runtime.folder / JOURNAL).open("ab") as file:
        file.write(b"abc half a record")
    return make(runtime.session)


def test_a_run_that_is_killed_at_any_bar_comes_back_as_it_was(make_runtime: Make) -> None:
    bars, _ = simulated(days=6, outages=0)
    first = sorted({one.timestamp for one in bars})[60]
    session = session_of(("SIM1", "SIM2", "SIM3"))
    past = [one for one in bars if one.timestamp <= first]
    rest = by_time([one for one in bars if one.timestamp > first])[:30]
    whole = make_runtime(session, past, name="whole")
    for now in rest:
        step_bars(whole, now)
    runtime = make_runtime(session, past, name="killed")
    for number, now in enumerate(rest):
        step_bars(runtime, now)
        if number % 7 == 3:
            if number % 2:
                runtime.snapshot()
            state = runtime.state.to_bytes(session.decider)
            runtime = killed_and_back_named(make_runtime, runtime, "killed")
            assert runtime.state.to_bytes(session.decider) == state
    ours, theirs = runtime.state, whole.state
    assert ours.paper == theirs.paper and ours.twin.equity == theirs.twin.equity and ours.counts == theirs.counts
    assert [one["client_id"] for one in records(runtime, "intent")] == [
        one["client_id"] for one in records(whole, "intent")
    ]
    assert verify(runtime.folder / JOURNAL, runtime.anchors).records > 100


def killed_and_back_named(make: Make, runtime: Runtime, name: str) -> Runtime:
    runtime.close()
    runtime.broker.close()  # type: ignore[attr-defined]
    with (runtime.folder / JOURNAL).open("ab") as file:
        file.write(b"abc half a record")
    return make(runtime.session, name=name)


def test_an_order_that_never_reached_the_venue_is_sent_once_more_as_another(make_runtime: Make) -> None:
    runtime, bars = opened(make_runtime)
    times = by_time(bars)
    venue = runtime.broker
    lost: list[str] = []
    venue.submit = lambda order, now_ms: lost.append(order["client_id"])  # type: ignore[method-assign]
    step_bars(runtime, times[0])
    assert lost
    again = killed_and_back(make_runtime, runtime)
    assert {one["client_id"] for one in records(again, "order_missing")} | {
        one["client_id"] for one in records(again, "report") if one["what"] == "missing"
    } >= set(lost)
    for now in times[1:3]:
        step_bars(again, now)
    told = again.broker._history  # type: ignore[attr-defined]
    assert not set(lost) & set(told) and again.state.counts["fills"] > 0
    there = again.broker.standing().positions
    assert there == pytest.approx({name: one for name, one in again.state.paper.units.items() if one})


def test_fills_that_happened_while_it_was_dead_are_told_once(make_runtime: Make) -> None:
    runtime, bars = opened(make_runtime)
    now = by_time(bars)[0]
    quotes = {one.symbol: Quote(one.close * 0.9999, one.close * 1.0001, one.close, one.timestamp) for one in now}
    runtime.handle(market_event(now[0].timestamp, now, quotes=quotes))
    sent = len(records(runtime, "intent"))
    venue = runtime.broker
    assert sent and isinstance(venue, PaperVenue)
    for one in now:  # filled at the venue; the session is killed before it is told
        venue.on_book(one.symbol, whole_book(round(one.close, 2)), one.timestamp + 1000)
    again = killed_and_back(make_runtime, runtime)
    assert again.broker.standing().positions == pytest.approx(again.state.paper.units)
    assert again.state.counts["fills"] >= sent and again.state.risk.mode == ACTIVE
    third = killed_and_back(make_runtime, again)
    assert third.state.paper == again.state.paper


def test_a_fill_told_twice_or_before_its_answer_counts_once(make_runtime: Make) -> None:
    runtime, bars = opened(make_runtime)
    now = by_time(bars)[0]
    runtime.broker.submit = lambda order, now_ms: None  # type: ignore[method-assign]
    quotes = {one.symbol: Quote(one.close * 0.9999, one.close * 1.0001, one.close, one.timestamp) for one in now}
    runtime.handle(market_event(now[0].timestamp, now, quotes=quotes))
    intent = records(runtime, "intent")[0]
    fill = Report(
        intent["client_id"], "fill", now[0].timestamp + 5, intent["units"], intent["price"], 1.0, intent["price"], "f1"
    )
    for report in (fill, fill, Report(intent["client_id"], "accepted", now[0].timestamp + 6), fill):
        runtime.handle(report_event(report))
    assert runtime.state.paper.units[intent["symbol"]] == intent["units"] and runtime.state.paper.fees == 1.0
    assert runtime.state.counts["fills_told_twice"] == 2
    assert runtime.state.orders[intent["client_id"]].status == "filled"
    # One that nobody knows is not ours to trade through.
    runtime.handle(report_event(fill._replace(client_id="9-9-other", fill_id="f2")))
    assert runtime.state.risk.mode == HALTED


def test_an_order_without_an_answer_freezes_its_symbol_and_is_asked_for(make_runtime: Make) -> None:
    runtime, bars = opened(make_runtime)
    times = by_time(bars)
    runtime.broker.submit = lambda order, now_ms: None  # type: ignore[method-assign]
    asked: list[str] = []
    runtime.broker.history = lambda client_id: asked.append(client_id) or []  # type: ignore[method-assign,func-returns-value]
    step_bars(runtime, times[0])
    assert asked and runtime.state.counts["unknown"] == len(set(asked))
    sent = len(records(runtime, "intent"))
    step_bars(runtime, times[1])
    frozen = {one.symbol for one in runtime.state.orders.values() if one.status == "unknown"}
    later = records(runtime, "intent")[sent:]
    assert not frozen & {one["symbol"] for one in later}


def test_a_position_changed_by_hand_halts(make_runtime: Make) -> None:
    runtime, bars = opened(make_runtime)
    step_bars(runtime, by_time(bars)[0])
    runtime.broker._positions["SIM1"] = 77.0  # type: ignore[attr-defined]
    runtime._reconcile(0)
    assert runtime.state.risk.mode == HALTED and "77" in runtime.state.risk.reason


def test_what_cannot_be_is_put_aside_with_its_reason(make_runtime: Make) -> None:
    runtime, bars = opened(make_runtime)
    times = by_time(bars)
    step_bars(runtime, times[0])
    one = times[1][0]
    wrong = [
        one._replace(close=0.0), one._replace(open=-1.0), one._replace(close=1e12, high=1e12),
        one._replace(high=one.low / 2), one._replace(volume=-1.0), times[0][0], one._replace(symbol="OTHER"),
        one._replace(timestamp=one.timestamp + 9 * HOUR_MS, open_time=one.open_time + 9 * HOUR_MS),
    ]  # fmt: skip
    runtime.handle(market_event(one.timestamp, wrong))
    assert len(records(runtime, "quarantined")) == len(wrong)
    runtime.handle(market_event(one.timestamp, [*times[1], *times[1]]))
    assert len(records(runtime, "quarantined")) == len(wrong) + 3
    decided = [(one["symbol"], one["timestamp"]) for one in records(runtime, "decision")]
    assert len(decided) == len(set(decided)) == 6


def test_clocks_far_apart_let_no_order_pass_and_halt_the_second_time(make_runtime: Make) -> None:
    runtime, bars = opened(make_runtime)
    now = by_time(bars)[0]
    quotes = {one.symbol: Quote(one.close * 0.9999, one.close * 1.0001, one.close, one.timestamp) for one in now}
    runtime.handle(market_event(now[0].timestamp, now, quotes=quotes, skew_ms=-HOUR_MS))
    assert {one["code"] for one in records(runtime, "risk_rejected")} == {"clock"} and not records(runtime, "intent")
    assert runtime.state.risk.mode == ACTIVE
    runtime.handle(market_event(now[0].timestamp + 1, skew_ms=-HOUR_MS))
    assert runtime.state.risk.mode == HALTED


def test_a_full_disk_halts_before_anything_is_sent(make_runtime: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, bars = opened(make_runtime)
    times = by_time(bars)
    step_bars(runtime, times[0])
    sent = dict(runtime.broker._history)  # type: ignore[attr-defined]

    def fails(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(os, "fdatasync", fails)
    for now in times[1:4]:
        with pytest.raises(TemporaryOutage):
            step_bars(runtime, now)
    assert runtime.broker._history == sent  # type: ignore[attr-defined]


def test_another_configuration_does_not_go_on_with_the_run(make_runtime: Make) -> None:
    runtime, bars = opened(make_runtime)
    step_bars(runtime, by_time(bars)[0])
    runtime.close()
    runtime.broker.close()  # type: ignore[attr-defined]
    rules = runtime.session.rules.model_copy(update={"limits": CALM.model_copy(update={"drawdown": 0.5})})
    with pytest.raises(BadParameters, match="--new-run"):
        make_runtime(replace(runtime.session, rules=rules))


def test_code_that_decides_otherwise_is_caught_by_the_replay(
    make_runtime: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tradewind.live.session import guardrails, session

    runtime, bars = opened(make_runtime)
    step_bars(runtime, by_time(bars)[0])
    runtime.close()
    runtime.broker.close()  # type: ignore[attr-defined]

    def other(targets, account, rules):  # type: ignore[no-untyped-def]
        left, actions = guardrails.guard(targets, account, rules)
        return {name: one * 0.5 for name, one in left.items()}, actions

    monkeypatch.setattr(session, "guard", other)
    with pytest.raises(BadData, match="other commands"):
        make_runtime(runtime.session)


def test_the_state_survives_its_bytes(make_runtime: Make) -> None:
    runtime, bars = opened(make_runtime)
    for now in by_time(bars)[:3]:
        step_bars(runtime, now)
    state, decider = runtime.state, runtime.session.decider
    again = type(state).from_bytes(state.to_bytes(decider), decider)
    assert again.to_bytes(decider) == state.to_bytes(decider)
    assert again.paper == state.paper and again.orders == state.orders and again.gap == state.gap
    np.testing.assert_array_equal(again.twin.account.symbols, state.twin.account.symbols)
    json.dumps(again.paper.to_body())


def test_folder_of_journal_is_exported_as_it_is(
    make_runtime: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tradewind.__main__ import main

    runtime, bars = opened(make_runtime)
    step_bars(runtime, by_time(bars)[0])
    head = runtime.end("test")
    assert main(["journal", "verify", str(runtime.folder), "--anchors", str(runtime.anchors)]) == 0
    assert head[1] in capsys.readouterr().out
    assert (
        main(["journal", "export", str(runtime.folder), "--kind", "decision", "--output", str(tmp_path / "out")]) == 0
    )
    assert len((tmp_path / "out").read_bytes().splitlines()) == 3
    assert main(["journal", "show", str(runtime.folder), "--kind", "intent"]) == 0
    content = (runtime.folder / JOURNAL).read_bytes()
    (runtime.folder / JOURNAL).write_bytes(content[:200] + b"9" + content[201:])
    assert main(["journal", "verify", str(runtime.folder)]) == 1
    assert "record 1" in capsys.readouterr().err
    assert main(["halt", "--reason", "drill", "--folder", str(runtime.folder)]) == 0
    assert "drill" in (runtime.folder / "HALT").read_text()
    assert main(["halt", "--reason", "drill", "--folder", str(tmp_path / "none")]) == 1
    assert main(["status", "--folder", str(tmp_path)]) == 1


def resting_order(make: Make) -> tuple[Runtime, list[Bar], str, int]:
    """A limit order that nobody meets, and the time it is."""
    runtime, bars = opened(make, executor=ExecutorRules(kind="limit", patience_s=1e6))
    now = by_time(bars)[0]
    at = now[0].timestamp
    quotes = {one.symbol: Quote(round(one.close - 0.5, 2), round(one.close + 0.5, 2), one.close, at) for one in now}
    runtime.handle(market_event(at, now, quotes=quotes))
    return runtime, now, records(runtime, "intent")[0]["symbol"], at


def test_what_rests_is_taken_back_where_the_venue_hears_nothing_of_us(make_runtime: Make) -> None:
    runtime, bars, symbol, at = resting_order(make_runtime)
    venue, price = runtime.broker, next(one.close for one in bars if one.symbol == symbol)
    assert isinstance(venue, PaperVenue)
    assert symbol in {runtime.state.orders[name].symbol for name in venue.standing().orders}
    venue.on_book(symbol, whole_book(round(price, 2)), at + 899_000)
    assert venue.standing().orders and not [one for one in venue.poll() if one.what == "cancelled"]
    again = killed_and_back(make_runtime, runtime)  # it comes back later than the heartbeat
    venue = again.broker
    assert isinstance(venue, PaperVenue)
    venue.on_book(symbol, whole_book(round(price, 2)), at + 2_000_000)
    assert not venue.standing().orders
    told = [one for one in venue.poll() if one.what == "cancelled"]
    assert told and {one.reason for one in told} == {"no heartbeat"}
    for report in told:
        again.handle(report_event(report))
    assert not [one for one in again.state.orders.values() if one.is_open and one.kind == "limit"]


def test_what_rests_is_taken_back_where_the_stream_breaks(make_runtime: Make) -> None:
    runtime, bars, _, at = resting_order(make_runtime)
    assert runtime.broker.standing().orders
    for symbol in ("", bars[0].symbol):
        runtime.feed(feed_event(at + 1, symbol, "stale", "the stream broke"))
    assert not runtime.broker.standing().orders
    asked = [one["client_id"] for one in records(runtime, "cancel")]
    assert len(asked) == len(set(asked)) == len(records(runtime, "intent"))


def test_a_decision_that_takes_too_long_raises_an_alarm(make_runtime: Make) -> None:
    runtime, bars = opened(make_runtime)
    step_bars(runtime, by_time(bars)[0])
    assert not records(runtime, "alarm")
    rules = runtime.session.rules.model_copy(update={"slow_decision_ms": 1e-6})
    runtime.session = replace(runtime.session, rules=rules)
    step_bars(runtime, by_time(bars)[1])
    assert {one["what"] for one in records(runtime, "alarm")} == {"slow_decision"}
