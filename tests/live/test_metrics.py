"""What Prometheus reads is what the account is, stays small, and stops nothing when it fails."""

import logging
import time
import urllib.request
from collections.abc import Callable
from datetime import timedelta

import pytest
from prometheus_client import generate_latest

from tests.live.conftest import run_bars, session_of, simulated
from tradewind import clock
from tradewind.errors import BadParameters, TemporaryOutage
from tradewind.live.metrics import OUTCOMES, AccountMetrics
from tradewind.live.runtime import JOURNAL, Runtime
from tradewind.live.session.events import Output
from tradewind.operations.journal.journal import read

Make = Callable[..., Runtime]
SYMBOLS = ("SIM1", "SIM2", "SIM3")


@pytest.fixture
def account(make_runtime: Make) -> tuple[Runtime, AccountMetrics]:
    """An account that has lived through thirty bars."""
    bars, _ = simulated(days=6, outages=0)
    first = sorted({one.timestamp for one in bars})[60]
    runtime = make_runtime(session_of(SYMBOLS), [one for one in bars if one.timestamp <= first])
    metrics = AccountMetrics(runtime, 3600.0)
    run_bars(runtime, [one for one in bars if one.timestamp > first][:90])
    metrics.look()
    return runtime, metrics


def value(metrics: AccountMetrics, name: str, **labels: str) -> float:
    found = metrics.registry.get_sample_value(f"tradewind_{name}", labels)
    assert found is not None, f"{name} {labels} is not shown"
    return found


def test_figures_are_those_of_the_account_and_its_journal(account: tuple[Runtime, AccountMetrics]) -> None:
    runtime, metrics = account
    state, records = runtime.state, list(read(runtime.folder / JOURNAL))
    decided = [one.body for one in records if one.kind == "decision"]
    for symbol in SYMBOLS:
        for acts in (True, False):
            count = sum(one["symbol"] == symbol and one["acts"] == acts for one in decided)
            assert value(metrics, "decisions_total", symbol=symbol, acts=str(acts).lower()) == count
    assert len(decided) == 90
    fills = sum(one.kind == "report" and one.body["what"] == "fill" for one in records)
    assert value(metrics, "orders_total", outcome="filled") == fills > 0
    assert value(metrics, "orders_total", outcome="sent") == sum(one.kind == "intent" for one in records)
    assert value(metrics, "equity") == state.paper.equity
    assert value(metrics, "twin_equity") == state.twin.equity * runtime.session.capital
    parts = sum(value(metrics, "gap", part=name) for name in state.gap.parts)
    assert parts == pytest.approx(state.paper.equity - state.twin.equity * runtime.session.capital, abs=1e-6)
    assert value(metrics, "limit_used_ratio", limit="drawdown") == pytest.approx(value(metrics, "drawdown_ratio") / 0.9)
    assert value(metrics, "trading_state", state="ACTIVE") == 1.0
    assert value(metrics, "journal_records") == records[-1].seq
    steps = [value(metrics, "step_seconds_count", step=step) for step in ("decide", "journal", "act")]
    assert steps[0] == steps[1] == steps[2] > 0
    assert value(metrics, "metrics_errors_total") == 0.0


def test_a_halt_and_a_rejection_are_seen(account: tuple[Runtime, AccountMetrics]) -> None:
    runtime, metrics = account
    runtime.operate("halt", "ann", "drill")
    metrics.look()
    assert value(metrics, "trading_state", state="HALTED") == 1.0
    assert value(metrics, "trading_state", state="ACTIVE") == 0.0
    metrics.observe([], [Output("risk_rejected", {"code": "max_gross"})], {})
    assert value(metrics, "rejections_total", code="max_gross") == 1.0
    assert value(metrics, "orders_total", outcome="rejected") == 1.0


def test_a_storm_of_labels_adds_one_series_each(account: tuple[Runtime, AccountMetrics]) -> None:
    _, metrics = account
    before = generate_latest(metrics.registry).count(b"\n")
    storm = [Output("decision", {"symbol": f"COIN{at}", "acts": True}) for at in range(20_000)]
    storm += [Output("risk_rejected", {"code": f"code {at}"}) for at in range(20_000)]
    metrics.observe([], storm, {})
    added = generate_latest(metrics.registry).count(b"\n") - before
    assert added == 4, "a total and a creation time each for an other symbol and an other code"
    assert value(metrics, "label_others_total", label="symbol") == 20_000
    assert value(metrics, "label_others_total", label="code") == 20_000
    assert value(metrics, "decisions_total", symbol="other", acts="true") == 20_000
    assert before < 500


def test_the_account_goes_on_when_its_figures_fail(
    account: tuple[Runtime, AccountMetrics], caplog: pytest.LogCaptureFixture
) -> None:
    runtime, metrics = account
    metrics.decisions = None  # type: ignore[assignment] # planted
    seq = runtime.journal.head[0]
    bars, _ = simulated(days=6, outages=0)
    run_bars(runtime, [one for one in bars if one.timestamp > runtime.state.done_ms][:6])
    assert runtime.journal.head[0] > seq and runtime.state.counts["decisions"] == 96
    assert value(metrics, "metrics_errors_total") > 0
    assert len([one for one in caplog.records if "figures for Prometheus fail" in one.message]) == 1


def test_a_loop_that_stands_still_and_a_disk_that_hangs_are_seen_from_outside(
    account: tuple[Runtime, AccountMetrics], monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, metrics = account
    end, port = metrics.serve("127.0.0.1", 0)
    seen: list[str] = []

    def scrape() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    def slow(*_: object) -> None:
        time.sleep(0.3)
        seen.append(scrape())  # from within the write: the account's own thread is here
        raise TemporaryOutage("planted")

    try:
        metrics.turn()
        monkeypatch.setattr(runtime.journal, "append", slow)
        with pytest.raises(TemporaryOutage):
            runtime.operate("pause", "ann", "drill")
    finally:
        end()
    figures = {line.split(" ")[0]: float(line.split(" ")[1]) for line in seen[0].splitlines() if line[0] != "#"}
    assert figures["tradewind_journal_lag_seconds"] >= 0.3
    assert figures["tradewind_heartbeat_age_seconds"] >= 0.3
    assert value(metrics, "journal_lag_seconds") > figures["tradewind_journal_lag_seconds"], "it was never written"


@pytest.mark.parametrize("days", [-400, 400])
def test_setting_the_clock_changes_no_age(
    account: tuple[Runtime, AccountMetrics], monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    _, metrics = account
    wall, steady, jump = time.time, time.monotonic, 86_400 * days
    ages = ("decision_age_seconds", "feed_silence_seconds", "heartbeat_age_seconds")
    present = clock.now()
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: wall() + jump)
        patched.setattr(clock, "now", lambda: present + timedelta(days=days))
        metrics.look()
        assert all(0.0 <= value(metrics, name) < 600.0 for name in ages)
    # Planted: were they of a clock that somebody sets, every one of them would be wrong.
    monkeypatch.setattr(time, "monotonic", lambda: steady() + jump)
    assert not any(0.0 <= value(metrics, name) < 600.0 for name in ages)


def test_a_watcher_that_stops_asking_is_missed(
    account: tuple[Runtime, AccountMetrics], caplog: pytest.LogCaptureFixture
) -> None:
    _, metrics = account
    caplog.set_level(logging.WARNING)
    metrics._warn_if_unscraped(time.monotonic() + 1000)
    assert caplog.records == [], "nobody ever asked: there is no Prometheus here"
    generate_latest(metrics.registry)
    for later in (10, 1000, 2000):
        metrics._warn_if_unscraped(time.monotonic() + later)
    assert [one.levelname for one in caplog.records] == ["ERROR"] and "unwatched" in caplog.text


def test_a_port_in_use_is_refused_with_the_remedy(account: tuple[Runtime, AccountMetrics]) -> None:
    _, metrics = account
    end, port = metrics.serve("127.0.0.1", 0)
    try:
        with pytest.raises(BadParameters, match=rf"port {port} for Prometheus .*paper\.metrics_port"):
            metrics.serve("127.0.0.1", port)
    finally:
        end()


def test_every_outcome_is_there_before_it_happens(make_runtime: Make) -> None:
    metrics = AccountMetrics(make_runtime(session_of(SYMBOLS)), 3600.0)
    assert all(value(metrics, "orders_total", outcome=one) == 0.0 for one in OUTCOMES[:-1])
