"""A retraining from its begin to its end: killed anywhere, stopped by an error, held back, and never without reason."""

import errno
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.operations.bundles import bundle_files, made_later
from tests.operations.retraining.stages import (
    RULES,
    Stages,
    candidate,
    history,
    in_a_process,
    retrain,
    state,
    with_champion,
)
from tradewind import atomic, clock
from tradewind.errors import BadData, BadParameters, StaleInput, TemporaryOutage
from tradewind.operations.bundle import contents
from tradewind.operations.registry.gate import GateRules
from tradewind.operations.registry.records import Reason, Roles
from tradewind.operations.registry.registry import Registry
from tradewind.operations.retraining import course
from tradewind.operations.retraining.course import Asked
from tradewind.operations.retraining.judgement import Judgement, require_log_loss
from tradewind.reports.retraining import render_retraining


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The clock: its only entry is the present."""
    present = [datetime(2026, 3, 1, tzinfo=UTC)]
    monkeypatch.setattr(clock, "now", lambda: present[0])
    return present


def test_an_agent_is_not_retrained_since_no_log_loss_judges_it() -> None:
    require_log_loss("equal_weight")
    with pytest.raises(BadParameters, match="sac is an agent, which has no log loss"):
        require_log_loss("sac")


def test_a_good_result_is_tried_beside_the_champion(tmp_path: Path) -> None:
    stages = Stages(with_champion(tmp_path), candidate())
    ended, said = retrain(stages, Asked("manual", "new exchange fees"))
    assert ended is not None and (ended.outcome, ended.version) == ("canary", 2)
    assert stages.registry.roles("staging") == Roles(1, 2)
    assert stages.registry.roles("production") == Roles()
    (last,) = stages.registry.history("staging")[1:]
    assert (last.role, last.before, last.after, last.who) == ("canary", None, 2, "retraining")
    assert last.why == "manual: new exchange fees" and last.overridden == ""
    assert [line.partition(":")[0] for line in said[1:-1]] == [
        "backfill", "data", "models", "judge", "register", "canary"
    ]  # fmt: skip
    page = render_retraining(history(stages))
    assert "new exchange fees" in page and "**on trial** (version 2)" in page and "go (linear)" in page


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_champion(tmp_path_factory.mktemp("prepared") / "folder")


@pytest.fixture(autouse=True)
def one_look_at_the_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most of the time of a bundle that is loaded again is its list of features, which is always the same here."""
    whole, known = contents.select, dict[str, Any]()

    def once(*given: Any) -> Any:
        if repr(given) not in known:
            known[repr(given)] = whole(*given)
        return known[repr(given)]

    monkeypatch.setattr(contents, "select", once)


def killed_at(folder: Path, points: list[int], prepared: Path) -> dict[str, Any]:
    shutil.copytree(prepared, folder)
    for point in points:
        in_a_process(folder, candidate(), point)
    in_a_process(folder, candidate(), 0)
    return state(folder)


def test_killed_after_any_write_the_same_command_ends_as_if_undisturbed(tmp_path: Path, prepared: Path) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(prepared, whole)
    points = in_a_process(whole, candidate(), 0)
    expected = state(whole)
    assert points > 15 and expected["folders"] == 2 and expected["roles"] == Roles(1, 2)
    for point in range(1, points):
        assert killed_at(tmp_path / f"{point}", [point], prepared) == expected, point


@pytest.mark.depth
def test_killed_fifty_times_at_random_it_ends_as_if_undisturbed(tmp_path: Path, prepared: Path) -> None:
    expected = killed_at(tmp_path / "whole", [], prepared)
    rng = np.random.default_rng(22)
    for world in range(10):
        kills = rng.integers(1, 8, 5).tolist()
        assert killed_at(tmp_path / f"{world}", kills, prepared) == expected, kills


def test_a_registration_that_counts_twice_is_caught(
    tmp_path: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: a registry that knows a bundle by its bytes alone, so by its time and how busy the machine was."""
    whole = killed_at(tmp_path / "whole", [], prepared)
    monkeypatch.setattr(Registry, "_made_before", lambda *_: None)
    folders = (killed_at(tmp_path / f"{point}", [point], prepared)["folders"] for point in range(12, 24))
    assert whole["folders"] == 2 and 3 in folders


NOT_GOOD = [
    (candidate("no-go"), "the verdict is no-go, go is asked: it beats luck"),
    (candidate("watch"), "the verdict is watch, go is asked"),
    (candidate(sharpe=0.1), r"its Sharpe ratio 0.10 is below the champion's interval (0.20 to 2.80)"),
    (candidate(sharpe=float("nan")), "its Sharpe ratio nan is below"),
    (candidate(log_loss=3.0), "its log loss 3.0000 is above the champion's interval"),
]


@pytest.mark.parametrize(("found", "why"), NOT_GOOD)
def test_what_is_not_good_enough_changes_nothing_but_the_report(tmp_path: Path, found: Any, why: str) -> None:
    stages = Stages(with_champion(tmp_path), found)
    ended, said = retrain(stages)
    assert ended is not None and ended.outcome == "kept" and why in ended.why and "version 1 stays" in ended.why
    assert why in said[-1] and why.replace("|", "\\|") in render_retraining(history(stages))
    assert [one.version for one in stages.registry.versions()] == [1]
    assert stages.registry.roles("staging") == Roles(1) and len(stages.registry.history()) == 1


def test_a_rule_that_ignores_the_verdict_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course, "judge", lambda *_: Judgement((), {"verdict": "no-go"}))
    with pytest.raises(AssertionError):
        test_what_is_not_good_enough_changes_nothing_but_the_report(tmp_path, *NOT_GOOD[0])
    assert Registry(tmp_path / "registry").roles("staging").canary == 2


def test_production_asks_for_a_verdict_about_the_very_model_and_for_its_gate(tmp_path: Path) -> None:
    registry = Registry(with_champion(tmp_path) / "registry", GateRules(row_p99_ms=1e6))  # however busy the machine is
    registry.move("production", "champion", 1, None, Reason("test", "passes"))
    rules = RULES.model_copy(update={"environment": "production"})
    other = candidate()._replace(name="lightgbm")
    ended, _ = retrain(Stages(tmp_path, other), rules=rules)
    assert ended is not None and "production asks for the verdict go about lightgbm" in ended.why
    stages = Stages(tmp_path, candidate())
    stages.registry = registry
    registered = registry.register(made_later(bundle_files(seed=3, verdict="none"), 1)).version
    stages.deploy = lambda: registered  # type: ignore[method-assign]
    ended, _ = retrain(stages, rules=rules)
    assert ended is not None and ended.outcome == "registered"
    assert "may not enter production; it lacks: verdict go" in ended.why
    assert registry.roles("production") == Roles(1)


def test_a_role_that_somebody_else_moved_meanwhile_is_left_alone(tmp_path: Path) -> None:
    stages = Stages(with_champion(tmp_path), candidate())
    theirs = stages.registry.register(bundle_files(seed=3)).version

    def moved() -> Any:
        stages.registry.move("staging", "canary", theirs, None, Reason("somebody", "first"))
        return candidate()

    stages.candidate = moved  # type: ignore[method-assign]
    ended, _ = retrain(stages)
    assert ended is not None and ended.outcome == "registered" and "the canary of staging is version 2, not None" in (
        ended.why
    )  # fmt: skip
    assert stages.registry.roles("staging") == Roles(1, theirs)


def test_a_version_that_was_taken_back_is_not_tried_again(tmp_path: Path) -> None:
    stages = Stages(with_champion(tmp_path), candidate())
    retrain(stages)
    stages.registry.withdraw("staging", 2, Reason("service", "signs"))
    ended, _ = retrain(stages)
    assert ended is not None and ended.outcome == "registered" and "by service (signs)" in ended.why
    assert stages.registry.roles("staging") == Roles(1)


def test_the_champions_own_version_and_a_first_one_begin_no_trial(tmp_path: Path) -> None:
    stages = Stages(tmp_path, candidate())
    ended, _ = retrain(stages)
    assert ended is not None and ended.outcome == "registered" and "has no champion (`tradewind models" in ended.why
    stages.registry.move("staging", "champion", 1, None, Reason("test", "by hand"))
    ended, _ = retrain(stages)
    assert ended is not None and ended.outcome == "unchanged" and stages.registry.roles("staging") == Roles(1)


def full_disk(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Exception:
    """The error of a write to a disk without room."""

    def refuse(_: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched, pytest.raises(TemporaryOutage) as told:
        patched.setattr(atomic, "_sync", refuse)
        atomic.write_bytes(folder / "features.parquet", b"rows")
    return told.value


@pytest.mark.parametrize("kind", ["bars", "history", "disk"])
def test_what_stops_a_step_is_kept_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    stages = Stages(with_champion(tmp_path), candidate())
    stages.fault = {
        "bars": lambda: BadData("SIM1: 12 bars have a high below their low"),
        "history": lambda: BadData("40 bars are too few for 5 folds"),
        "disk": lambda: full_disk(monkeypatch, tmp_path),
    }[kind]()  # fmt: skip
    with pytest.raises(type(stages.fault)):
        retrain(stages)
    (attempt,) = history(stages).attempts
    assert attempt.is_open and attempt.step == "data" and attempt.stopped == str(stages.fault)
    assert f"unfinished in data: {stages.fault}" in render_retraining(history(stages))
    assert stages.registry.roles("staging") == Roles(1) and len(stages.registry.versions()) == 1
    stages.fault = None
    ended, said = retrain(stages, Asked("scheduled"))
    assert "going on with retraining 1 (manual" in said[0] and "backfill" not in "".join(said)
    assert ended is not None and ended.outcome == "canary" and len(history(stages).attempts) == 1


def test_data_that_were_made_anew_meanwhile_are_made_and_judged_again(tmp_path: Path) -> None:
    stages = Stages(with_champion(tmp_path), candidate())

    def stale() -> int:
        raise StaleInput("the tables were made anew since they were judged")

    stages.deploy = stale  # type: ignore[method-assign]
    with pytest.raises(StaleInput):
        retrain(stages)
    again = Stages(tmp_path, candidate())
    _, said = retrain(again)
    assert [line.partition(":")[0] for line in said][1:4] == ["backfill", "data", "models"]


def test_an_unfinished_retraining_that_is_too_old_is_given_up(tmp_path: Path, now: list[datetime]) -> None:
    stages = Stages(with_champion(tmp_path), candidate())
    stages.fault = BadData("bad bars")
    with pytest.raises(BadData):
        retrain(stages)
    now[0] += timedelta(hours=49)
    stages.fault = None
    _, said = retrain(stages)
    first, second = history(stages).attempts
    assert "too old to go on with" in said[0] and first.abandoned and second.ended is not None


def test_cool_down_budget_and_a_trial_under_way_hold_back_all_but_a_person(tmp_path: Path, now: list[datetime]) -> None:
    stages = Stages(with_champion(tmp_path), candidate("no-go"))
    stages.summary = {"environment": "staging", "version": 1, "degraded": True, "headline": "DEGRADED"}

    def outcome(because: Any, days: float) -> str:
        now[0] += timedelta(days=days)
        ended, said = retrain(stages, Asked(because))
        return said[-1] if ended is None else ended.outcome

    assert outcome("scheduled", 0) == "kept"
    assert "cool_down_days is 5: from 2026-03-06 00:00 UTC on" in outcome("degraded", 4.9)
    assert outcome("scheduled", 0) == "kept"
    assert outcome("degraded", 5) == "kept"
    assert outcome("manual", 0) == "kept"
    assert "4 retrainings within 30 days" in outcome("scheduled", 6) and "from 2026-03-31 on" in outcome("scheduled", 0)
    assert outcome("manual", 0) == "kept"
    assert outcome("scheduled", 25) == "kept"
    stages.registry.register(bundle_files(seed=3))
    stages.registry.move("staging", "canary", 2, None, Reason("test", "on trial"))
    assert "version 2 is on trial in staging: its end decides first" in outcome("scheduled", 60)
    stages.found = candidate()
    assert outcome("manual", 0) == "canary" and stages.registry.roles("staging") == Roles(1, 3)
    held = history(stages).held_back
    assert len(held) == 4 and held[0].because == "degraded"
    assert "## Held back" in render_retraining(history(stages))
