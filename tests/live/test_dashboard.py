"""Every page answers, says PAPER and lets one halt; nothing comes from elsewhere, and strangers order nothing."""

import re
from html.parser import HTMLParser

import pytest
from starlette.testclient import TestClient

from tradewind.live.dashboard.app import dashboard
from tradewind.live.dashboard.pages import PAGES
from tradewind.live.process import Process
from tradewind.live.session.events import StageLimits
from tradewind.trading.risk.states import ACTIVE, HALTED

VOID = {"meta", "input", "br", "img", "line", "rect", "polyline", "polygon"}


class Balanced(HTMLParser):
    """Fails where tags are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag, tag


@pytest.fixture
def client(lived_process: Process) -> TestClient:
    found = TestClient(dashboard(lived_process), base_url="http://127.0.0.1:1")
    found.process = lived_process  # type: ignore[attr-defined]
    return found


def path_of(name: str) -> str:
    return "/" if name == "Now" else f"/{name.lower()}"


def token_of(client: TestClient) -> str:
    found = re.search(r'name="token" value="([^"]+)"', client.get("/").text)
    assert found
    return found[1]


def test_every_page_says_paper_and_lets_one_halt(client: TestClient) -> None:
    for name in PAGES:
        answer = client.get(path_of(name))
        assert answer.status_code == 200
        assert "<b>PAPER</b>" in answer.text and "HALT</button>" in answer.text and "oldest data" in answer.text
        assert not re.search(r'(src|href|action)="(https?:)?//', answer.text), "something comes from elsewhere"
        assert "nan" not in re.sub(r"<script.*|<style.*?</style>", "", answer.text, flags=re.S).lower().split()
        page = Balanced()
        page.feed(answer.text)
        assert page.open == []


@pytest.mark.parametrize(("broker", "label", "means"), [
    ("paper", "PAPER", "no real money"), ("testnet", "TESTNET", "no real money"), ("live", "LIVE", "REAL MONEY"),
])  # fmt: skip
def test_every_page_says_where_orders_go(client: TestClient, broker: str, label: str, means: str) -> None:
    client.process.runtime.about["broker"] = broker  # type: ignore[attr-defined]
    others = {"PAPER", "TESTNET", "LIVE"} - {label}
    for name in PAGES:
        text = client.get(path_of(name)).text
        head = text[: text.index("<main")]
        assert f"<b>{label}</b>" in head and f"· {label} ·" in head and means in head
        assert not any(f"<b>{other}</b>" in head or f"· {other} ·" in head for other in others)
    told = client.get("/v1/state").json()
    assert told["account"] == label and told["paper"] == (broker == "paper")


def test_the_page_why_has_a_reason_for_every_bar(client: TestClient) -> None:
    rows = re.findall(r"<tr>(.*?)</tr>", client.get("/why").text)[1:]
    assert len(rows) == 60
    assert all(re.findall(r"<td[^>]*>(.*?)</td>", row)[-1].strip() for row in rows)
    only = client.get("/why?symbol=SIM2&acts=no").text
    assert '<td class="">SIM1</td>' not in only and '<td class="">SIM2</td>' in only


def test_what_is_shown_is_escaped(client: TestClient) -> None:
    evil = "<script>alert(1)</script>"
    client.post("/control", data={"token": token_of(client), "action": "pause", "who": evil, "reason": evil})
    for name in PAGES:
        assert evil not in client.get(path_of(name)).text
    assert evil not in client.get(f"/chart?symbol={evil}").text + client.get(f"/journal?kind={evil}&seq={evil}").text


def test_the_halt_button_halts_and_resume_lifts_it(client: TestClient) -> None:
    process: Process = client.process  # type: ignore[attr-defined]
    token = token_of(client)
    answer = client.post("/control", data={"token": token, "action": "halt", "reason": "drill"}, follow_redirects=False)
    assert answer.status_code == 303 and process.runtime.state.risk.mode == HALTED
    assert process.runtime.is_halted_by_file()
    given = {"token": token, "action": "resume", "who": "ann", "reason": "over", "as": "json"}
    assert client.post("/control", data=given).json()["state"] == ACTIVE
    assert not process.runtime.is_halted_by_file()
    wrong = client.post("/control", data={**given, "action": "override", "code": "halted", "minutes": "5"})
    assert wrong.status_code == 409 and "may be overridden" in wrong.json()["refused"]


def test_in_a_stage_one_person_alone_lifts_no_halt(client: TestClient) -> None:
    process: Process = client.process  # type: ignore[attr-defined]
    process.runtime.stage = lambda: StageLimits("micro", 500.0, 1, False, 2, (("ann", 1 << 60),))
    token = token_of(client)
    client.post("/control", data={"token": token, "action": "halt", "reason": "drill"})
    given = {"token": token, "action": "resume", "who": "ann", "reason": "over", "as": "json"}
    answer = client.post("/control", data=given)
    assert answer.status_code == 403 and "takes 2 named people" in answer.json()["refused"]
    assert process.runtime.is_halted_by_file() and process.runtime.state.risk.mode == HALTED
    process.runtime.stage = lambda: StageLimits("micro", 500.0, 1, False, 2, (("ann", 1 << 60), ("bob", 1 << 60)))
    assert client.post("/control", data=given).json()["state"] == ACTIVE
    assert not process.runtime.is_halted_by_file()


def test_strangers_order_nothing(client: TestClient) -> None:
    process: Process = client.process  # type: ignore[attr-defined]
    given = {"action": "halt", "who": "x", "reason": "y"}
    assert client.post("/control", data=given).status_code == 403
    assert client.post("/control", data={**given, "token": "guess"}).status_code == 403
    foreign = client.post("/control", data={**given, "token": token_of(client)}, headers={"host": "evil.example"})
    assert foreign.status_code == 403
    assert client.get("/", headers={"host": "evil.example"}).status_code == 403
    long = client.post("/control", content=b"token=" + b"x" * 20_000)
    assert long.status_code == 413
    # Counted each, told and journalled once in a while, and never with what was sent.
    shown = {tuple(one.labels.values()): one.value for one in process.denials.count.collect()[0].samples
             if one.name.endswith("_total")}  # fmt: skip
    assert shown["dashboard", "control", "unknown"] == 2 and shown["dashboard", "control", "foreign"] == 1
    assert shown["dashboard", "page", "foreign"] == 1
    told = [one.body for one in process.runtime.recent if one.kind == "alarm" and one.body["what"] == "authentication"]
    assert told == [{"what": "authentication",
                     "detail": "not let in at the dashboard door (control): a token that is not known"}]  # fmt: skip
    assert "guess" not in (process.runtime.folder / "journal.jsonl").read_text()
    assert process.runtime.state.risk.mode == ACTIVE
