"""Moves are all or nothing, one of many racers wins, history stays, and the way back leads to a version that loads."""

import json
import multiprocessing
import os
import signal
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.operations.bundles import bundle_files, made_later
from tradewind.errors import BadModel, BadParameters
from tradewind.operations.bundle import contents
from tradewind.operations.bundle.sealing import place_of
from tradewind.operations.registry.comparison import compare
from tradewind.operations.registry.gate import GateRules, missing_evidence
from tradewind.operations.registry.records import GateClosed, Reason, Roles, UnknownVersion, VersionDiffers
from tradewind.operations.registry.registry import BUNDLES, DATABASE, Registry

ME = Reason("operator", "test")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Three versions, the first of which is the champion of production."""
    made = Registry(tmp_path / "registry", GateRules(row_p99_ms=1000))
    for seed in (1, 2, 3):
        made.register(bundle_files(seed=seed))
    made.move("production", "champion", 1, None, ME)
    return made


def test_the_same_bundle_keeps_its_version(registry: Registry) -> None:
    assert registry.register(bundle_files(seed=2)).version == 2
    assert [one.label for one in registry.versions()] == ["linear@1", "linear@2", "linear@3"]


def test_a_bundle_that_was_made_anew_of_the_same_keeps_its_version(registry: Registry) -> None:
    later = made_later(bundle_files(seed=2), 1)
    assert later != bundle_files(seed=2) and registry.register(later).version == 2
    assert registry.read(2) == bundle_files(seed=2)
    other = later | {contents.GRAPH: bundle_files(seed=4)[contents.GRAPH]}
    moved = json.loads(later[contents.LATENCY])
    moved["machine"]["cores"] = 1 + (moved["machine"]["cores"] or 0)
    elsewhere = later | {contents.LATENCY: json.dumps(moved).encode()}
    assert [registry.register(one).version for one in (other, elsewhere)] == [4, 5]


def test_a_new_champion_makes_the_old_one_previous_and_ends_its_own_trial(registry: Registry) -> None:
    assert registry.move("production", "canary", 2, None, ME) == Roles(1, 2, None)
    assert registry.move("production", "champion", 2, 1, ME) == Roles(2, None, 1)
    assert registry.roles("staging") == Roles()
    last = registry.history("production")[-1]
    assert (last.action, last.role, last.before, last.after) == ("move", "champion", 1, 2)
    assert (last.who, last.why, last.overridden) == ("operator", "test", "") and len(last.evidence_sha256) == 64


def test_a_move_that_expects_another_version_changes_nothing(registry: Registry) -> None:
    before = registry.history()
    with pytest.raises(VersionDiffers, match="version 1, not 3") as refused:
        registry.move("production", "champion", 2, 3, ME)
    assert refused.value.present == 1 and registry.roles("production") == Roles(1) and registry.history() == before


def test_of_twenty_racing_moves_one_wins(registry: Registry) -> None:
    def race(number: int) -> str:
        try:
            Registry(registry._folder, GateRules(row_p99_ms=1000)).move(
                "production", "champion", 2 + number % 2, 1, Reason(f"racer {number}", "race")
            )
        except VersionDiffers:
            return "lost"
        return "won"

    with ThreadPoolExecutor(20) as on:
        assert sorted(on.map(race, range(20))) == ["lost"] * 19 + ["won"]
    assert len(registry.history("production")) == 2


def test_rollback_goes_to_the_last_good_one_that_loads(registry: Registry, tmp_path: Path) -> None:
    registry.move("production", "champion", 2, 1, ME)
    registry.move("production", "champion", 3, 2, ME)
    assert registry.rollback("production", 3, ME) == Roles(2, None, 1)
    # Version 3 was rolled back from: it is not good, even once 2 has gone bad, too.
    place = place_of(registry._folder / BUNDLES, registry.version(2).identity)
    (place / contents.GRAPH).write_bytes(b"broken")
    assert registry.rollback("production", 2, ME) == Roles(1)
    with pytest.raises(UnknownVersion, match="no earlier champion"):
        registry.rollback("production", 1, ME)
    assert [move.action for move in registry.history("production")] == ["move"] * 3 + ["rollback"] * 2


def test_who_was_rolled_back_from_is_good_no_more_however_often_it_was_champion(registry: Registry) -> None:
    for to, expected in ((2, 1), (1, 2), (3, 1)):
        registry.move("production", "champion", to, expected, ME)
    assert registry.rollback("production", 3, ME) == Roles(1, None, 2)
    assert registry.rollback("production", 1, ME) == Roles(2)
    with pytest.raises(UnknownVersion, match="no earlier champion"):
        registry.rollback("production", 2, ME)


def test_a_version_whose_bundle_was_touched_cannot_be_moved(registry: Registry) -> None:
    place = place_of(registry._folder / BUNDLES, registry.version(2).identity)
    (place / contents.GRAPH).write_bytes(b"broken")
    with pytest.raises(BadModel, match="decision.onnx was altered"):
        registry.move("staging", "champion", 2, None, ME)
    assert registry.roles("staging") == Roles() and registry.load(registry.roles("production").champion or 0)


def test_an_older_bundle_in_the_place_of_a_newer_one_is_refused(registry: Registry) -> None:
    old, new = (place_of(registry._folder / BUNDLES, registry.version(number).identity) for number in (1, 2))
    for file in new.iterdir():
        file.unlink()
    for file in old.iterdir():
        (new / file.name).write_bytes(file.read_bytes())
    with pytest.raises(BadModel, match="not the one that was registered"):
        registry.load(2)


def test_nothing_enters_production_without_evidence_unless_an_operator_says_so(registry: Registry) -> None:
    doubtful = registry.register(bundle_files(seed=4, verdict="watch")).version
    with pytest.raises(GateClosed, match=r"verdict go \(it is watch\)") as refused:
        registry.move("production", "champion", doubtful, 1, ME)
    assert len(refused.value.missing) == 1
    with pytest.raises(GateClosed):
        registry.move("production", "canary", doubtful, None, ME)
    assert registry.move("staging", "champion", doubtful, None, ME) == Roles(doubtful)
    registry.move("production", "champion", doubtful, 1, Reason("Ada", "the venue closes"), override=True)
    assert registry.history("production")[-1].overridden == "verdict go (it is watch)"
    assert registry.is_overridden("production", doubtful) and not registry.is_overridden("production", 1)


def test_a_slow_or_differing_bundle_does_not_pass_the_gate(registry: Registry) -> None:
    bundle = registry.load(1)
    assert missing_evidence(bundle, GateRules(row_p99_ms=1000)) == ()
    assert "99th percentile" in missing_evidence(bundle, GateRules(row_p99_ms=1e-6))[0]
    planted = dict(bundle.files)
    planted[contents.EXPECTED] = contents.array_file(bundle.array(contents.EXPECTED) + 2e-6)
    altered = type(bundle)(bundle.identity, bundle.spec, bundle.forecaster, planted)
    assert "probe equal" in missing_evidence(altered, GateRules(row_p99_ms=1000))[0]


def test_what_is_no_number_is_no_evidence(registry: Registry) -> None:
    bundle, floor = registry.load(1), GateRules(row_p99_ms=1000)
    latency = bundle.document(contents.LATENCY)
    latency = {**latency, "wall_ms": {**latency["wall_ms"], "p99": float("nan")}}
    nothing = contents.array_file(np.full_like(bundle.array(contents.EXPECTED), np.nan))
    for name, content, told in (
        (contents.LATENCY, json.dumps(latency).encode(), "99th percentile"),
        (contents.EXPECTED, nothing, "probe equal"),
    ):
        altered = type(bundle)(bundle.identity, bundle.spec, bundle.forecaster, bundle.files | {name: content})
        (missing,) = missing_evidence(altered, floor)
        assert told in missing


@pytest.mark.parametrize("reason", [Reason("", "why"), Reason("who", " ")])
def test_a_move_without_who_or_why_is_refused(registry: Registry, reason: Reason) -> None:
    with pytest.raises(BadParameters, match="who makes it and why"):
        registry.move("production", "champion", 2, 1, reason)


def test_a_canary_can_be_withdrawn(registry: Registry) -> None:
    registry.move("production", "canary", 2, None, ME)
    with pytest.raises(VersionDiffers):
        registry.withdraw("production", 3, ME)
    assert registry.withdraw("production", 2, ME) == Roles(1)
    with pytest.raises(BadParameters, match="needs a champion"):
        registry.move("staging", "canary", 2, None, ME)


def test_no_version_has_two_roles(registry: Registry) -> None:
    registry.move("production", "champion", 2, 1, ME)
    assert registry.move("production", "champion", 2, 2, ME) == Roles(2, None, 1)  # its own successor: 1 stays previous
    with pytest.raises(BadParameters, match="needs a champion that it is not"):
        registry.move("production", "canary", 2, None, ME)
    assert registry.move("production", "canary", 1, None, ME) == Roles(2, 1, 1)
    assert registry.rollback("production", 2, ME) == Roles(1)  # who answers again is on trial no more


def test_moves_can_neither_be_changed_nor_removed(registry: Registry) -> None:
    with sqlite3.connect(registry._folder / DATABASE) as base:
        for statement in ("DELETE FROM moves", "UPDATE moves SET who = 'another'"):
            with pytest.raises(sqlite3.IntegrityError, match="moves are kept"):
                base.execute(statement)


def test_two_versions_are_compared_line_by_line(registry: Registry) -> None:
    table = {row.what: row for row in compare(registry.load(1), registry.load(2))}
    assert table["identity"].differs and table["evidence.data_sha256"].differs
    assert not table["universe.timeframe"].differs and table["features"].first == "3"


def _kill_movers(registry: Registry, times: int) -> None:
    """Start a process that moves without end, kill it at another moment each time, and look at what it left."""
    context = multiprocessing.get_context("fork")
    for number in range(times):
        process = context.Process(target=_move_for_ever, args=(str(registry._folder),))
        before = len(registry.history("production"))
        process.start()
        while len(registry.history("production")) == before:
            assert process.is_alive()
        time.sleep(0.0037 * (number % 20))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        roles = Registry(registry._folder, GateRules(row_p99_ms=1000)).roles("production")
        assert roles.champion in (1, 2)
        assert registry.load(roles.champion).probe_error() <= 1e-6
        champions = [move.after for move in registry.history("production") if move.role == "champion"]
        assert champions[-1] == roles.champion  # a move and its record are one


def _move_for_ever(folder: str) -> None:
    registry = Registry(Path(folder), GateRules(row_p99_ms=1000))
    while True:
        present = registry.roles("production").champion
        registry.move("production", "champion", 3 - (present or 1), present, Reason("mover", "again"))


def test_a_killed_mover_leaves_exactly_one_champion_that_loads(registry: Registry) -> None:
    _kill_movers(registry, 4)
    assert len(registry.history("production")) > 4


@pytest.mark.depth
def test_a_hundred_killed_movers_leave_exactly_one_champion_that_loads(registry: Registry) -> None:
    _kill_movers(registry, 100)
