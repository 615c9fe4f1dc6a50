"""Who is not let in is counted, and told now and then without what was sent."""

import logging

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tradewind.operations.prometheus.denials import EVERY_S, IN_WORDS, WHY, Denials


def counted(denials: Denials, door: str, scope: str, why: str) -> float:
    return float(denials.count.labels(door, scope, why)._value.get())


def test_a_storm_is_counted_whole_and_told_in_a_line_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    now = [100.0]
    denials = Denials(lambda: now[0])
    with caplog.at_level(logging.WARNING):
        lines = [denials.note("rest", "predict", "unknown") for _ in range(1000)]
        assert denials.note("dashboard", "control", "unknown"), "a storm at one door hides no other"
        now[0] += EVERY_S
        lines.append(denials.note("rest", "operate", "scope"))
    assert counted(denials, "rest", "predict", "unknown") == 1000 and counted(denials, "rest", "operate", "scope") == 1
    told = [line for line in lines if line]
    assert told == [
        "not let in at the rest door (predict): a token that is not known",
        "not let in at the rest door (operate): a token without the scope, 1000 since the last line",
    ]
    assert len(caplog.records) == 3


def test_all_series_are_there_from_the_start_and_none_comes_later() -> None:
    registry, denials = CollectorRegistry(), Denials()
    registry.register(denials.count)
    before = generate_latest(registry).count(b"failures_total{")
    assert before == 4 * 4 + 2 * 3 + 2 * 2 == sum(len(scopes) * len(why) for scopes, why in WHY.values())
    for door, (scopes, reasons) in WHY.items():
        for scope in scopes:
            for why in reasons:
                denials.note(door, scope, why)
    assert generate_latest(registry).count(b"failures_total{") == before
    assert {why for _, reasons in WHY.values() for why in reasons} == set(IN_WORDS)
