"""What is measured of an account, plans that are wrong, and the commands."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from tests.operations.rollout.accounts import DAY_MS, START_MS, write_account
from tests.operations.rollout.worlds import (
    ADA,
    SHIPPED,
    World,
    rollout_of,
)
from tradewind.console import main as console
from tradewind.errors import BadData, BadParameters, TradewindError
from tradewind.operations.journal.journal import read
from tradewind.operations.rollout.history import day_of
from tradewind.operations.rollout.measuring import measure
from tradewind.operations.rollout.people import make_person, public_key, read_signer
from tradewind.operations.rollout.plan import read_rollout


def test_what_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    equity = [10_000.0, 10_100.0, 9_898.0, 10_000.0]
    write_account(path, equity, [10_000.0, 10_050.0, 9_950.0, 10_000.0], skipped=(5,), events={2: [("fault", {})]})
    end = START_MS + 6 * 3_600_000
    found = measure(path, START_MS, end)
    assert (found.critical, found.equity, found.uptime) == (1, 10_000.0, 4 / 6)
    assert found.drawdown == pytest.approx(0.02) and found.gap == pytest.approx(102 / 10_000 / 2, rel=0.03)
    assert found.days == pytest.approx(0.25)
    assert measure(path, START_MS, end, found.seq) == found
    assert measure(path, START_MS + 3 * 3_600_000, end).critical == 0
    with pytest.raises(BadData, match="its end was cut off"):
        measure(path, START_MS, end, found.seq + 1)
    write_account(tmp_path / "none.jsonl", [], [])
    nothing = measure(tmp_path / "none.jsonl", START_MS, end)
    assert (nothing.gap, nothing.drawdown, nothing.uptime) == (None, None, 0.0)


def test_halts_by_limits_are_critical_and_those_of_people_are_not(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    events = {1: [("state_changed", {"who": "ada"})], 2: [("state_changed", {"who": "limit"})]}
    write_account(path, [1.0] * 4, [1.0] * 4, events=events)
    assert measure(path, START_MS, START_MS + DAY_MS).critical == 1


def changed(old: str, new: str) -> str:
    text = SHIPPED.read_text()
    assert old in text
    return text.replace(old, new)


SMALL = "- {stage: small, capital: [1000, 5000], symbols: 2, days: 4}"
MEDIUM = "- {stage: medium, capital: [10000, 50000], symbols: 4, days: 7}"
FULL = "- {stage: full, capital: target, symbols: all}"
LINES = {text.split("#")[0].strip(): at for at, text in enumerate(SHIPPED.read_text().splitlines(), start=1)}


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("  uptime: 0.995", "  uptimes: 0.995", "go:", "go.uptime: is missing"),
        ("  critical: 0 ", "  critical: 99 ", "critical: 0", "cannot fail"),
        ("  uptime: 0.995", "  uptime: 0.0", "uptime: 0.995", "cannot fail"),
        ("  gap: 0.02 ", "  gap: 9.0 ", "gap: 0.02", "cannot fail"),
        ("  drawdown: 0.05", "  drawdown: 1.0", "drawdown: 0.05", "cannot fail"),
        ("  people: 2", "  people: 1", "people: 2", "cannot fail"),
        ("  paper_days: 30.0", "  paper_days: 0.0", "paper_days: 30.0", "cannot fail"),
        ("  drill_days: 7.0", "  drill_days: 1e9", "drill_days: 7.0", "cannot fail"),
        ("[1000, 5000]", "[400, 5000]", SMALL,
         "overlaps the stage before"),
        (", days: 4}", "}", SMALL, "cannot fail"),
        ("symbols: 4", "symbols: 1", MEDIUM, "fewer symbols"),
        ("stage: medium", "stage: small", MEDIUM,
         "a stage small already"),
        ("symbols: all}", "symbols: all, days: 3}", FULL, "the last one none"),
        ("target_capital:", "target:", "run: data/09_paper/run", "target_capital: is missing"),
        ("  people: 2", "  people: 2\n  luck: 1", "people: 2", "luck: there is no such key"),
    ],
)  # fmt: skip
def test_a_wrong_plan_is_refused_with_line_and_remedy(
    old: str, new: str, line: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "rollout.yml"
    path.write_text(changed(old, new))
    with pytest.raises(BadParameters) as told:
        read_rollout(path)
    at = LINES[line] + ("\n" in new)
    assert any(f"{path} line {at}: " in part and message in part for part in str(told.value).split("; ")), told.value


def test_the_shipped_plan_has_the_stages_that_were_asked_for() -> None:
    plan = read_rollout(SHIPPED)
    stages = [(one.stage, one.days, one.symbols) for one in plan.stages]
    assert stages == [("micro", 3, 1), ("small", 4, 2), ("medium", 7, 4), ("full", None, "all")]
    assert [plan.capital_of(at)[1] for at in range(4)] == [500, 5000, 50_000, 100_000]


def test_a_key_of_a_person(tmp_path: Path) -> None:
    key = make_person(tmp_path / "ada.key")
    signer = read_signer("ada", tmp_path / "ada.key")
    assert public_key(signer.secret) == key
    (tmp_path / "ada.key").chmod(0o644)
    with pytest.raises(BadParameters, match="chmod 600"):
        read_signer("ada", tmp_path / "ada.key")
    with pytest.raises(BadParameters, match="choose another name"):
        make_person(tmp_path / "ada.key")


def test_the_commands(tmp_path: Path) -> None:
    run = CliRunner()
    keys = {}
    for name in ("ada", "bob"):
        told = run.invoke(console, ["rollout", "person", str(tmp_path / f"{name}.key")])
        keys[name] = {"key": told.output.strip(), "expires": "2999-01-01"}
    given = yaml.safe_load(SHIPPED.read_text())
    (tmp_path / "rollout.yml").write_text(json.dumps(given | {"people": keys}))
    parts = {"paper": {"kind": "run", "path": given["run"]}}
    (tmp_path / "backup.yml").write_text(json.dumps({"key": str(tmp_path / "b.key"), "parts": parts}))
    run.invoke(console, ["backup-key", str(tmp_path / "b.key")])
    now = int(dt.datetime.now(dt.UTC).timestamp() * 1000)
    flat = [10_000.0] * (31 * 24)
    write_account(tmp_path / given["run"] / "journal.jsonl", flat, flat, begin_ms=now - 31 * DAY_MS)
    where = ["--plan", str(tmp_path / "rollout.yml"), "--project", str(tmp_path)]

    def signed(name: str, *words: str) -> Any:
        return run.invoke(console, ["rollout", *words, "--as", name, "--key", str(tmp_path / f"{name}.key"), *where])

    drill = signed("ada", "drill", "--backup-plan", str(tmp_path / "backup.yml"))
    assert drill.exit_code == 0 and drill.output.count("passed") == 5, drill.output
    evidence = signed("bob", "collect").output.strip()
    assert signed("ada", "approve", evidence[:12]).exit_code == 0
    alone = signed("ada", "advance")
    assert alone.exit_code == 1 and "so far ada has" in alone.output
    assert "CLOSED  people" in run.invoke(console, ["rollout", "status", *where]).output
    signed("bob", "approve", evidence)
    assert signed("ada", "advance").output == "stage micro\n"
    assert run.invoke(console, ["rollout", "check", *where]).exit_code == 0
    told = run.invoke(console, ["rollout", "status", *where]).output
    assert "stage micro since" in told and "CLOSED  days_in_stage" in told
    assert signed("bob", "allow-resume", "--reason", "looked at").output == "bob allows it to go on\n"
    assert run.invoke(console, ["rollout", "back", "--reason", "a try", *where]).output == "stage paper\n"
    kinds = [one.kind for one in read(tmp_path / given["state"] / "rollout.jsonl")]
    assert kinds == ["drill", "evidence", "approval", "refused", "approval", "advanced", "resume", "went_back"]


def test_a_failed_drill_closes_the_gate(tmp_path: Path) -> None:
    world = World()
    rollout = rollout_of(tmp_path, world)
    assert not rollout.record_drill(ADA, [{"name": "one", "passed": "yes", "detail": ""}])
    assert next(one for one in rollout.status().gates if one.name == "drill_days").is_open is False
    with pytest.raises(TradewindError):
        rollout.advance(ADA)
    assert day_of(START_MS).year == 2026
