"""A run goes on with the code and the settings that it was begun with, or a person has said so."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import tradewind
from tests.live.conftest import CALM
from tests.live.test_session import by_time, opened, records, step_bars
from tradewind.cli.errors import plainly
from tradewind.console import main as console
from tradewind.errors import BadData, BadParameters, FolderInUse, TemporaryOutage
from tradewind.live.origin import CODE, code_of
from tradewind.live.runtime import Runtime
from tradewind.provenance.code import Code
from tradewind.service_command import FAILED, PERSON_NEEDED, Service

Make = Callable[..., Runtime]


@pytest.fixture
def begun(make_runtime: Make) -> Runtime:
    """A run of some bars that has ended in order: a snapshot is all that a start would read."""
    runtime, bars = opened(make_runtime)
    for now in by_time(bars)[:3]:
        step_bars(runtime, now)
    runtime.end("test")
    runtime.broker.close()  # type: ignore[attr-defined]
    return runtime


@pytest.fixture
def updated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let a file of the package be another one."""

    def update(file: str) -> None:
        copy = tmp_path / "package"
        if not copy.is_dir():
            shutil.copytree(Path(tradewind.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
        (copy / file).write_text((copy / file).read_text() + "\n# an update\n")
        monkeypatch.setattr("tradewind.live.origin.Code", lambda: Code(copy))

    return update


def test_changed_code_refuses_to_go_on_until_a_person_says_so(
    make_runtime: Make, begun: Runtime, updated: Callable[[str], None]
) -> None:
    updated("trading/risk/gate.py")
    with pytest.raises(BadParameters, match=r"was changed since .* \(trading/risk\).*--updated.*--new-run"):
        make_runtime(begun.session)
    runtime = make_runtime(begun.session, is_updated=True)
    assert [one["changed"] for one in records(runtime, "program_updated")] == [["trading/risk"]]
    assert records(runtime, "recovered")[-1]["from_snapshot"] == 0, "all of it was replayed"
    assert runtime.state.to_bytes(runtime.session.decider) == begun.state.to_bytes(begun.session.decider)
    runtime.end("test")
    runtime.broker.close()  # type: ignore[attr-defined]
    make_runtime(begun.session).close()  # known from now on


def test_an_update_that_decides_otherwise_is_refused_by_the_replay_of_the_whole_run(
    make_runtime: Make, begun: Runtime, updated: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: the snapshot at the end hides it from a start that believes the code to be the same."""
    from tradewind.live.session import guardrails, session

    def other(targets, account, rules):  # type: ignore[no-untyped-def]
        left, actions = guardrails.guard(targets, account, rules)
        return {name: one * 0.5 for name, one in left.items()}, actions

    monkeypatch.setattr(session, "guard", other)
    unseen = make_runtime(begun.session)
    unseen.close()
    unseen.broker.close()  # type: ignore[attr-defined]
    updated("live/session/guardrails.py")
    with pytest.raises(BadData, match="other commands"):
        make_runtime(begun.session, is_updated=True)


def test_what_turns_no_event_into_a_command_may_change(
    make_runtime: Make, begun: Runtime, updated: Callable[[str], None]
) -> None:
    for file in ("live/dashboard/pages.py", "data/feeds/binance.py", "reports/__init__.py"):
        updated(file)
    make_runtime(begun.session).close()


def test_the_code_of_a_rule_its_features_and_the_gate_counts(begun: Runtime, tmp_path: Path) -> None:
    folders = code_of(begun.session)
    assert {"live/session", "trading/risk", "trading/decision", "trading/strategy", "learning/features"} <= set(folders)
    assert records(begun, "run_started")[0][CODE] == folders
    copy = tmp_path / "package"
    shutil.copytree(Path(tradewind.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    rule = copy / "trading/strategy/baselines.py"
    rule.write_text(rule.read_text() + "\n# another rule\n")
    again = code_of(begun.session, Code(copy))
    assert [name for name in folders if folders[name] != again[name]] == ["trading/strategy"]


def test_another_setting_is_named(make_runtime: Make, begun: Runtime) -> None:
    rules = begun.session.rules.model_copy(update={"limits": CALM.model_copy(update={"drawdown": 0.5})})
    with pytest.raises(BadParameters, match=r"\(params:live changed\).*--new-run"):
        make_runtime(replace(begun.session, rules=rules))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadParameters("another code"), PERSON_NEEDED), (BadData("a journal was edited"), PERSON_NEEDED),
        (TemporaryOutage("the venue does not answer"), FAILED), (FolderInUse("another run"), FAILED),
        (OSError(5, "Input/output error", "journal.jsonl"), FAILED),
        (click.UsageError("no such option"), PERSON_NEEDED),
    ],
)  # fmt: skip
def test_a_service_says_whether_starting_it_again_helps(error: Exception, code: int) -> None:
    @click.command(cls=Service)
    def service() -> None:
        raise error

    result = CliRunner().invoke(plainly(service), [])
    assert result.exit_code == code and result.output.startswith("Error: ") and result.output.count("\n") == 1
    wrong = CliRunner().invoke(plainly(service), ["--no-such-option"])
    assert wrong.exit_code == PERSON_NEEDED


def test_the_service_without_its_registry_needs_a_person(tmp_path: Path) -> None:
    result = CliRunner().invoke(console, ["serve", "--registry", str(tmp_path / "none")])
    assert result.exit_code == PERSON_NEEDED and "there is no registry" in result.output
    assert CliRunner().invoke(console, ["serve", "--no-such-option"]).exit_code == PERSON_NEEDED
