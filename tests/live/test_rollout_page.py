"""The page Rollout says what `tradewind rollout status` says, to anybody's eyes only as text."""

import datetime as dt
import json
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from tests.live.conftest import run_bars, session_of, simulated
from tests.live.test_dashboard import Balanced
from tests.operations.rollout.accounts import DAY_MS, write_account
from tests.operations.rollout.worlds import ADA, BOB, PASSED, plan_of
from tradewind.console import main as console
from tradewind.data.feeds.items import Feed
from tradewind.live.dashboard.app import dashboard
from tradewind.live.process import PacedClock, Process
from tradewind.live.runtime import Runtime
from tradewind.live.stages import RolloutView, StageSource
from tradewind.operations.rollout.plan import read_rollout
from tradewind.operations.rollout.rollout import Rollout

EVIL = "<script>alert('x')</script>"


def written_plan(project: Path, run: str) -> Path:
    path = project / "rollout.yml"
    path.write_text(json.dumps(plan_of(run=run, state="rollout").model_dump(mode="json")))
    return path


@pytest.fixture
def process(make_runtime: Callable[..., Runtime]) -> Process:
    bars, _ = simulated(days=4, outages=0)
    first = sorted({one.timestamp for one in bars})[60]
    runtime = make_runtime(session_of(("SIM1", "SIM2", "SIM3")), [one for one in bars if one.timestamp <= first])
    run_bars(runtime, [one for one in bars if one.timestamp > first][:9])
    feed: Feed = None  # type: ignore[assignment]
    return Process(runtime, runtime.broker, feed, PacedClock(3_600_000))  # type: ignore[arg-type]


@pytest.fixture
def rollout(process: Process) -> Rollout:
    """Of an account that was 31 days on paper; the process shows it and is held to it."""
    project = process.runtime.folder.parent
    now = int(dt.datetime.now(dt.UTC).timestamp() * 1000)
    flat = [10_000.0] * (31 * 24)
    write_account(project / "month" / "journal.jsonl", flat, flat, begin_ms=now - 31 * DAY_MS)
    path = written_plan(project, "month")
    process.rollout, process.runtime.stage = RolloutView(project, path), StageSource(project, path)
    return Rollout(project, read_rollout(path))


def advanced(rollout: Rollout) -> str:
    rollout.record_drill(ADA, PASSED)
    evidence = rollout.collect(ADA)
    rollout.approve(ADA, evidence)
    rollout.approve(BOB, evidence)
    rollout.advance(BOB)
    return evidence


def shown(process: Process) -> str:
    answer = TestClient(dashboard(process), base_url="http://127.0.0.1:1").get("/rollout")
    assert answer.status_code == 200
    page = Balanced()
    page.feed(answer.text)
    assert page.open == [] and "<b>PAPER</b>" in answer.text and "HALT</button>" in answer.text
    return answer.text.split('<main id="main">')[1].split("</main>")[0]


def cells(text: str, title: str) -> list[list[str]]:
    """The rows of the card whose title begins so, as plain words."""
    found = re.search(rf"<h2>{title}.*?</section>", text, flags=re.S)
    assert found, title
    rows = re.findall(r"<tr>(.*?)</tr>", found[0], flags=re.S)[1:]
    return [[unescape(re.sub("<.*?>", "", one)) for one in re.findall(r"<td.*?>(.*?)</td>", row)] for row in rows]


def tile_of(text: str, name: str) -> tuple[str, str]:
    found = re.search(rf"<small>{name}</small><strong>(.*?)</strong><small>(.*?)</small>", text)
    assert found, name
    return found[1], found[2]


def test_without_a_rollout_a_sentence_says_so(process: Process) -> None:
    text = shown(process)
    assert "No rollout is configured for this run" in text and "<table>" not in text


def test_stage_gates_evidence_approvals_and_history(process: Process, rollout: Rollout) -> None:
    text = shown(process)
    assert tile_of(text, "Stage")[0] == "paper" and tile_of(text, "Capital")[0] == "none"
    assert "None was collected in this stage" in text and "nobody has approved" in text and "has not moved" in text
    evidence = advanced(rollout)
    process.runtime.watch_stage()
    text = shown(process)
    assert tile_of(text, "Stage")[0] == "micro" and tile_of(text, "Next stage")[0] == "small"
    assert tile_of(text, "Days in the stage")[0] == "0.0"
    assert tile_of(text, "Capital")[0] == "100 to 500" and tile_of(text, "Symbols") == ("1", "SIM1")
    assert tile_of(text, "The account is held to") == ("micro", "at most 500")
    moves = cells(text, "History")
    assert [one[2:] for one in moves] == [["forward", "paper", "micro", "bob", f"evidence {evidence[:12]}"]]
    again = rollout.collect(BOB)
    rollout.approve(BOB, again)
    text = shown(process)  # at once: a file of the rollout has changed
    assert again in text and evidence not in text
    assert [one[0] for one in cells(text, "Approvals")] == ["bob"]
    gates = {one[0]: one[1:] for one in cells(text, "Gates to small: 3 of 9 passed")}  # no bar has closed in it yet
    assert (gates["days in stage"][0], gates["days in stage"][2]) == ("at least 3 days", "closed")
    assert gates["people"] == ["2 people", "bob", "closed", "rollout's journal, record 7", "bob", "closed"]
    assert gates["drawdown"][:3] == ["at most 0.05", "nothing", "closed"] and "to record 745" in gates["drawdown"][3]
    assert gates["drawdown"][4:] == ["nothing", "closed"]
    assert gates["drill days"][2:4] == ["passed", "rollout's journal, record 1: passed"]


def test_what_was_found_is_beside_what_is_wanted(process: Process, rollout: Rollout) -> None:
    gates = {one[0]: one[1:] for one in cells(shown(process), "Gates to micro: 7 of 9 passed")}
    assert gates["drawdown"][:3] == ["at most 0.05", "0", "passed"] and gates["drawdown"][4:] == ["none", ""]
    assert gates["paper days"][:3] == ["at least 30 days", "31 days", "passed"]
    assert gates["drill days"][:4] == ["at most 7", "nothing", "closed", "no drill was held"]
    assert gates["people"][:4] == ["2 people", "nobody", "closed", "no approval is recorded"]


def test_the_page_says_what_the_command_says(process: Process, rollout: Rollout) -> None:
    advanced(rollout)
    rows = cells(shown(process), "Gates to small")
    project = process.runtime.folder.parent
    where = ["--plan", str(project / "rollout.yml"), "--project", str(project)]
    printed = CliRunner().invoke(console, ["rollout", "status", *where]).output
    said = re.findall(r"^  (open  |CLOSED)  (\w+) +(.*); needed: (.*)$", printed, flags=re.M)
    assert "no capital" not in printed and "capital 100 to 500, the first 1 symbols" in printed

    def still(words: str) -> str:  # ages go on between the two
        return re.sub(r"^[\d.e-]+ days$|^[\d.]+e-\d+$", "", words)

    assert [(one[0].replace(" ", "_"), one[1], still(one[2]), one[3] == "passed") for one in rows] == [
        (name, needed, still(found), state == "open  ") for state, name, found, needed in said
    ]


def test_what_others_wrote_is_shown_as_text(process: Process, rollout: Rollout) -> None:
    advanced(rollout)
    rollout.back(EVIL, f"because {EVIL}")
    text = shown(process)
    assert "<script" not in text
    newest = cells(text, "History")[0]
    assert newest[2:] == ["back", "micro", "paper", EVIL, f"because {EVIL}"]


def test_a_refused_try_is_in_the_history(process: Process, rollout: Rollout) -> None:
    rollout.record_drill(ADA, PASSED)
    rollout.collect(ADA)
    with pytest.raises(Exception, match="2 named people"):
        rollout.advance(ADA)
    assert cells(shown(process), "History")[0][2:6] == ["refused", "", "", "ada"]


def test_who_lets_a_halted_account_go_on_is_in_the_history(process: Process, rollout: Rollout) -> None:
    advanced(rollout)
    rollout.allow_resume(BOB, "looked at")
    assert cells(shown(process), "History")[0][2:] == ["may go on", "", "", "bob", "looked at"]


def test_a_forged_journal_is_named_and_the_page_lives_on(process: Process, rollout: Rollout) -> None:
    advanced(rollout)
    assert "not what was written" not in shown(process)
    content = rollout.path.read_bytes()
    rollout.path.write_bytes(content.replace(b'"to":"micro"', b'"to":"small"'))
    assert "not what was written" in shown(process)
    rollout.path.write_bytes(content)
    assert "not what was written" not in shown(process)


def test_another_runs_evidence_is_said_to_be(process: Process, rollout: Rollout) -> None:
    assert "month, which is not this run" in shown(process)
    process.runtime.folder = process.runtime.folder.with_name("month")
    assert "which is not this run" not in shown(process)


def test_the_journal_is_not_measured_at_each_look(
    process: Process, rollout: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    real = Rollout.status
    monkeypatch.setattr(Rollout, "status", lambda self: reads.append(1) or real(self))
    for _ in range(3):
        shown(process)
    assert len(reads) == 1
    rollout.record_drill(ADA, PASSED)
    shown(process)
    assert len(reads) == 2
