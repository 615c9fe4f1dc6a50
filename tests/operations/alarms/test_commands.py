"""`tradewind alarms` as people run it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from tests.operations.alarms.servers import webhook
from tests.operations.alarms.test_notifier import closed_port, until
from tradewind.console import main

pytest.importorskip("apprise", reason="pip install 'tradewind[alarms]'")
PROJECT = Path(__file__).resolve().parents[3]


def notify_file(folder: Path, *ports: int) -> Path:
    path = folder / "notify.yml"
    targets = "".join(f"  - {{name: hook-{one}, url: 'json://127.0.0.1:{one}/x'}}\n" for one in ports)
    path.write_text(f"targets:\n{targets}journal: {folder}/alarms.jsonl\ntimeout_s: 0.5\n")
    path.chmod(0o600)
    return path


def test_the_shipped_rules_are_checked_and_a_wrong_one_ends_with_its_line(tmp_path: Path) -> None:
    runner = CliRunner()
    right = runner.invoke(
        main, ["alarms", "check", str(PROJECT / "deploy/monitoring/rules"), "--project", str(PROJECT)]
    )
    assert right.exit_code == 0 and "35 rules, 35 of them alerts" in right.output
    (tmp_path / "a.yml").write_text("groups:\n  - name: a\n    rulez: []\n")
    wrong = runner.invoke(main, ["alarms", "check", str(tmp_path)])
    assert wrong.exit_code == 1 and "a.yml line 3: groups.0.rulez: there is no such key" in wrong.output


def test_a_test_message_says_who_took_it(tmp_path: Path) -> None:
    runner = CliRunner()
    with webhook() as (port, came):
        done = runner.invoke(main, ["alarms", "test", "--notify", str(notify_file(tmp_path, port))])
        assert done.exit_code == 0 and "delivered" in done.output and len(came) == 1
        down = notify_file(tmp_path, port, closed_port())
        failed = runner.invoke(main, ["alarms", "test", "--notify", str(down)])
    assert failed.exit_code == 1 and failed.output.count("NOT delivered") == 1
    missing = runner.invoke(main, ["alarms", "test", "--notify", str(tmp_path / "gone.yml")])
    assert missing.exit_code == 1 and "docs/operations.md has an example" in missing.output


def test_what_has_failed_is_told(tmp_path: Path) -> None:
    with webhook() as (port, came):
        words = ["alarms", "tell", "tradewind-run.service has failed", "--notify", str(notify_file(tmp_path, port))]
        done = CliRunner().invoke(main, words)
    assert done.exit_code == 0 and "delivered" in done.output
    assert len(came) == 1 and "tradewind-run.service has failed" in str(came[0])


def test_the_watcher_is_a_process_that_misses_the_switch(tmp_path: Path) -> None:
    with webhook() as (port, came):
        path, listens = notify_file(tmp_path, port), closed_port()
        words = [sys.executable, "-m", "tradewind", "alarms", "watch", "--notify", str(path), "--port", str(listens),
                 "--silence", "0.5"]  # fmt: skip
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})
        try:
            assert process.stdout is not None and "alarm after 0.5 s of silence" in process.stdout.readline()
            assert until(lambda: len(came) == 1, 30)
            switch = {"alerts": [{"status": "firing", "labels": {"alertname": "DeadMansSwitch"}}]}
            deadline = time.monotonic() + 30
            while len(came) < 2 and time.monotonic() < deadline:
                assert requests.post(f"http://127.0.0.1:{listens}/alive", json=switch, timeout=10).status_code == 200
                time.sleep(0.1)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
    assert [one["title"].rpartition(" is ")[2].rpartition("Tradewind: ")[2] for one in came[:2]] == [
        "broken", "the chain of alarms works again"
    ]  # fmt: skip
