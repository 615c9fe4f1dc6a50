"""Messages reach webhook, mail, Slack and SMS; what cannot be delivered is kept, bounded, and stops nobody else."""

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_string
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.operations.alarms.servers import mail_server, webhook
from tradewind.errors import BadParameters
from tradewind.operations.alarms.notifier import Message, Notifier
from tradewind.operations.alarms.receiver import MOST_BYTES, Watcher, message_of, receive
from tradewind.operations.alarms.settings import NotifyRules, read_notify_rules

pytest.importorskip("apprise", reason="pip install 'tradewind[alarms]'")
PAGE = Message("Tradewind: TradingHalted (1 firing)", "Trading is halted.\nWhat to do: docs/runbook.md#tradinghalted")
ALERT = {
    "status": "firing", "labels": {"alertname": "TradingHalted", "severity": "page", "job": "paper"},
    "annotations": {"summary": "Trading is halted.", "runbook": "docs/runbook.md#tradinghalted"},
}  # fmt: skip


@contextmanager
def notifier_of(folder: Path, *urls: str, **rules: Any) -> Iterator[Notifier]:
    targets = [{"name": f"target-{at}", "url": url} for at, url in enumerate(urls)]
    settings = {"targets": targets, "retry_s": 0.1, "timeout_s": 2.0, "journal": str(folder / "alarms.jsonl"), **rules}
    notifier = Notifier(NotifyRules.model_validate(settings))
    try:
        yield notifier
    finally:
        notifier.close()


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(is_so: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.02)
    return is_so()


def test_a_webhook_and_a_mail_arrive(tmp_path: Path) -> None:
    with webhook() as (port, came), mail_server() as (smtp, mails):
        mail = f"mailto://a.org:{smtp}/?from=ops@a.org&to=ann@b.org&smtp=127.0.0.1"
        with notifier_of(tmp_path, f"json://127.0.0.1:{port}/hook", mail) as notifier:
            assert notifier.send(PAGE) == 2
            assert notifier.wait(20)
    assert (came[0]["title"], came[0]["message"]) == (PAGE.title, PAGE.body)
    mailed = message_from_string(mails[0])
    assert mailed["Subject"] == PAGE.title and "ann@b.org" in mailed["To"]
    assert any("halted" in str(part.get_payload(decode=True)) for part in mailed.walk() if not part.is_multipart())
    lines = [json.loads(line) for line in (tmp_path / "alarms.jsonl").read_text().splitlines()]
    assert [one["what"] for one in lines] == ["alarm", "delivered", "delivered"]


def test_slack_and_sms_are_asked_as_they_want_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing leaves this machine: the request is caught where it would be sent."""
    asked: list[tuple[str, Any]] = []

    def request(method: str, url: str, data: Any = None, **_: Any) -> requests.Response:
        asked.append((url, data))
        answer = requests.Response()
        answer.status_code, answer._content = 200, b"ok"
        return answer

    monkeypatch.setattr(requests, "request", request)
    monkeypatch.setattr(requests, "post", partial(request, "post"))
    slack = "slack://TAAAAAAAA/BAAAAAAAA/cccccccccccccccccccccccc/#alarms"
    sms = f"twilio://AC{'a' * 32}:{'b' * 32}@15551234567/15557654321"
    with notifier_of(tmp_path, slack, sms) as notifier:
        notifier.send(PAGE)
        assert notifier.wait(20)
        assert [one["delivered"] for one in notifier.counts.values()] == [1, 1]
    found = {url.split("/")[2]: str(data) for url, data in asked}
    assert set(found) == {"hooks.slack.com", "api.twilio.com"}
    assert all("halted" in data for data in found.values()) and "15557654321" in found["api.twilio.com"]


def test_one_that_is_down_stops_no_other_and_gets_it_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    down = closed_port()
    with (
        webhook() as (port, came),
        notifier_of(tmp_path, f"json://127.0.0.1:{down}/x", f"json://127.0.0.1:{port}/x") as notifier,
    ):
        began = time.monotonic()
        notifier.send(PAGE)
        assert time.monotonic() - began < 0.5, "sending waits for nobody"
        assert until(lambda: len(came) == 1)
        assert until(lambda: notifier.counts["target-0"]["failed"] >= 2)
        assert notifier.counts["target-0"]["waiting"] == 1
        assert "ALARM not delivered to target-0" in caplog.text
        with webhook(port=down) as (_, late):
            assert until(lambda: len(late) == 1), "it is told once it is back"
            assert notifier.wait(5)


def test_what_waits_is_bounded_and_what_is_dropped_is_counted(tmp_path: Path) -> None:
    with notifier_of(tmp_path, f"json://127.0.0.1:{closed_port()}/x", keep=5, retry_s=60.0) as notifier:
        for number in range(1000):
            notifier.send(Message(f"alarm {number}", "text"))
        counts = notifier.counts["target-0"]
        assert counts["waiting"] == 5 and counts["dropped"] == 995 and counts["delivered"] == 0


def test_an_answer_that_never_comes_is_given_up(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"json://127.0.0.1:{silent.getsockname()[1]}/x"
        with notifier_of(tmp_path, url, timeout_s=0.3) as notifier:
            notifier.send(PAGE)
            assert until(lambda: notifier.counts["target-0"]["failed"] >= 1, 10)


def test_tickets_wake_nobody(tmp_path: Path) -> None:
    with webhook() as (port, came):
        targets = [{"name": "phone", "url": f"json://127.0.0.1:{port}/x", "severities": ["page"]}]
        rules = NotifyRules.model_validate({"targets": targets, "journal": str(tmp_path / "a.jsonl")})
        notifier = Notifier(rules)
        assert notifier.send(Message("a", "b", "ticket")) == 0 and notifier.send(Message("c", "d", "page")) == 1
        assert notifier.wait(10)
        notifier.close()
    assert [one["title"] for one in came] == ["c"]


def test_a_full_disk_stops_no_alarm(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    with (
        webhook() as (port, came),
        notifier_of(tmp_path, f"json://127.0.0.1:{port}/x", journal=str(tmp_path / "file/a.jsonl")) as notifier,
    ):
        notifier.send(PAGE)
        assert until(lambda: len(came) == 1)
    assert "cannot be kept" in caplog.text


SECRET = "canary-secret-of-the-test"


def test_secrets_are_shown_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"json://user:{SECRET}@127.0.0.1:{closed_port()}/x"
    with notifier_of(tmp_path, url) as notifier:
        notifier.send(PAGE)
        assert until(lambda: notifier.counts["target-0"]["failed"] >= 1)
        shown = repr(notifier.rules)
    shown += caplog.text + (tmp_path / "alarms.jsonl").read_text()
    with pytest.raises(BadParameters) as refused, notifier_of(tmp_path, f"nosuch://{SECRET}/x"):
        pass
    path = tmp_path / "notify.yml"
    path.write_text(f"targets:\n  - name: a b\n    url: mailto://{SECRET}\n    urll: {SECRET}\n")
    path.chmod(0o600)
    with pytest.raises(BadParameters, match=r"notify\.yml line 2: .*line 4: ") as misspelt:
        read_notify_rules(path)
    assert SECRET not in shown + str(refused.value) + str(misspelt.value)


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notify.yml"
    path.write_text("targets:\n  - {name: hook, url: 'json://127.0.0.1/x'}\n")
    path.chmod(0o644)
    with pytest.raises(BadParameters, match="others may read it: chmod 600"):
        read_notify_rules(path)
    path.chmod(0o600)
    assert read_notify_rules(path).targets[0].name == "hook"
    path.write_text("targets:\n  - {name: a, url: 'json://127.0.0.1/x'}\n  - {name: a, url: 'json://127.0.0.1/y'}\n")
    with pytest.raises(BadParameters, match="line 3: .*a is there twice"):
        read_notify_rules(path)
    with pytest.raises(BadParameters, match=r"docs/operations\.md has an example"):
        read_notify_rules(tmp_path / "gone.yml")


def test_a_group_of_alerts_is_one_message() -> None:
    many = [ALERT | {"labels": {**ALERT["labels"], "instance": str(at)}} for at in range(30)]  # type: ignore[dict-item]
    message = message_of({"alerts": many, "commonLabels": {"alertname": "TradingHalted"}})
    assert message.title == "Tradewind: TradingHalted (30 firing)" and message.severity == "page"
    assert message.body.count("\n") == 11 and "and 20 more" in message.body
    assert message.body.endswith("What to do: docs/runbook.md#tradinghalted")
    over = message_of({"alerts": [ALERT | {"status": "resolved"}]})
    assert over.title == "Tradewind: TradingHalted (over)"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"alerts": []}', b'{"alerts": [3]}', b'{"alerts": 3}'])
def test_the_receiver_takes_only_what_alertmanager_sends(tmp_path: Path, body: bytes) -> None:
    with webhook() as (port, came), notifier_of(tmp_path, f"json://127.0.0.1:{port}/x") as notifier:
        listener = receive(notifier, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{listener.port}"
        try:
            assert requests.post(address + "/alerts", data=body, timeout=10).status_code == 422
            assert requests.post(address + "/else", data=b"{}", timeout=10).status_code == 404
            with socket.create_connection(("127.0.0.1", listener.port), timeout=10) as long:
                long.sendall(f"POST /alerts HTTP/1.0\r\nContent-Length: {MOST_BYTES + 1}\r\n\r\n".encode())
                assert b" 413 " in long.recv(100)
            assert requests.get(address, timeout=10).status_code == 200
            assert requests.post(address + "/alerts", json={"alerts": [ALERT]}, timeout=10).status_code == 200
            assert until(lambda: len(came) == 1)
            with pytest.raises(BadParameters, match="cannot be opened"):
                receive(notifier, "127.0.0.1", listener.port)
        finally:
            listener.close()


def test_the_watcher_tells_once_that_the_switch_is_silent_and_once_that_it_is_back(tmp_path: Path) -> None:
    at = [0.0]
    with webhook() as (port, came), notifier_of(tmp_path, f"json://127.0.0.1:{port}/x") as notifier:
        watcher = Watcher(notifier, 120.0, lambda: at[0])
        switch = {"alerts": [{"status": "firing", "labels": {"alertname": "DeadMansSwitch"}}]}
        for at[0] in (60.0, 119.0):
            watcher.hear(switch)
            assert not watcher.look()
        for at[0] in (240.0, 500.0):
            watcher.look()
        with pytest.raises(ValueError, match="no firing DeadMansSwitch"):
            watcher.hear({"alerts": [ALERT]})
        assert watcher.look(), "another alert is no sign of life of the switch"
        watcher.hear(switch)
        assert not watcher.look()
        assert notifier.wait(10)
    assert [one["title"] for one in came] == [
        "Tradewind: the chain of alarms is broken", "Tradewind: the chain of alarms works again"
    ]  # fmt: skip
    assert "docs/runbook.md#deadmansswitch" in came[0]["message"]
