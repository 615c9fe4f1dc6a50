"""The whole chain, with real servers: a clean soak is quiet, a fault is told in seconds, trading needs none of it."""

import asyncio
import json
import logging
import math
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import session_of
from tests.operations.alarms.chain import MONITORING, Servers, free_ports, require_programs, servers
from tests.operations.alarms.servers import webhook
from tests.operations.bundles import bundle_files
from tests.serving.conftest import Service, price, serving
from tradewind import clock
from tradewind.live.desk import DeskOptions, Plan, run_desk
from tradewind.live.runtime import JOURNAL
from tradewind.live.settings import PaperRules
from tradewind.market.universe import Universe
from tradewind.operations.alarms.notifier import Notifier
from tradewind.operations.alarms.receiver import Listener, Watcher, receive
from tradewind.operations.alarms.settings import NotifyRules
from tradewind.operations.journal.halt_file import write_halt_file
from tradewind.operations.journal.journal import read

pytest.importorskip("apprise", reason="pip install 'tradewind[alarms]'")
logger = logging.getLogger(__name__)
SYMBOLS = ("SIM1", "SIM2", "SIM3")
SOAK_S, HOUR_MS = 40.0, 3_600_000
MOST_S = 15.0  # from a fault to the webhook
SILENCE_S = 6.0


@dataclass
class Chain:
    """Everything at work.

    Attributes:
        start: Prometheus and Alertmanager.
        service: of forecasts.
        run: folder of the paper account.
        told: messages that people got, and those of the watcher outside.
    """

    start: Callable[[], Servers]
    service: Service
    run: Path
    told: list[dict[str, Any]]
    outside: list[dict[str, Any]]
    watcher: Watcher

    def decisions(self) -> int:
        return sum(one.kind == "decision" for one in read(self.run / JOURNAL))


def plan_of(folder: Path, ports: dict[str, int]) -> Plan:
    session = session_of(SYMBOLS)
    paper = PaperRules(
        folder="run", anchors="anchors.jsonl", port=ports["8710"], speed=3600.0, metrics_port=ports["8473"],
        watched="monitoring.json",
    )  # fmt: skip
    rules = session.rules.model_copy(update={"warmup_bars": 60})
    universe = Universe(venue="simulated", symbols=SYMBOLS, timeframe="1h")
    return Plan(paper, rules, session.setup, universe, session.decider, "a rule", {}, folder)


def summary_of_monitoring() -> str:
    now = clock.now()
    return json.dumps({
        "trained_to": (now - timedelta(days=10)).isoformat(), "watched_to": now.isoformat(), "log_loss": 1.0,
        "expected_loss": {"mean": 1.0, "low": 0.97, "high": 1.03}, "hit_rate": 0.52, "calibration_error": 0.02,
        "e_value": 0.8, "degraded": False, "changed": [], "largest": {"rsi_14": 0.7, "log_return_1": 0.5},
    })  # fmt: skip


def notifier_to(port: int, folder: Path, name: str) -> Notifier:
    target = {"name": name, "url": f"json://127.0.0.1:{port}/hook"}
    return Notifier(NotifyRules.model_validate({"targets": [target], "journal": str(folder / f"{name}.jsonl")}))


def use(service: Service, seconds: float) -> None:
    """Bars and requests, for so long."""
    names = ("symbol", "open_time_ms", "close_time_ms", "open", "high", "low", "close", "volume")
    last = int(clock.now().timestamp() * 1000) // HOUR_MS * HOUR_MS
    with service.client() as client:
        for back in range(30, 0, -1):
            opened = last - back * HOUR_MS
            bars = [
                (one, opened, opened + HOUR_MS, 100.0, 101.0, 99.0, 100.0 + back % 2, 5.0) for one in ("SIM1", "SIM2")
            ]
            body = {"bars": [dict(zip(names, bar, strict=True)) for bar in bars]}
            assert client.post("/v1/bars", json=body).status_code == 200
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert client.post("/v1/predict/price", json=price()).status_code == 200
            time.sleep(0.2)


def queries() -> Iterator[tuple[str, str]]:
    for path in sorted((MONITORING / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{path.stem}: {panel['title']}", target["expr"]


def until(is_so: Callable[[], bool], seconds: float, every_s: float = 0.1) -> float:
    """How long it took until something was so; fails after so many seconds."""
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < seconds, f"not within {seconds} s"
        time.sleep(every_s)
    return time.monotonic() - began


def soak(chain: Chain, running: Servers) -> dict[str, list[dict[str, Any]]]:
    """Live for a while; what each query of the dashboards answers, and which alarms there were."""
    began = time.monotonic()
    use(chain.service, SOAK_S)
    found = {f"{title}: {query}": running.ask(query) for title, query in queries()}
    fired = running.ask('count_over_time(ALERTS{alertstate="firing", alertname!="DeadMansSwitch"}[1h])')
    assert time.monotonic() - began >= SOAK_S
    return found | {"alarms": fired}


def live(chain: Chain) -> dict[str, Any]:
    """A clean soak, a fault, then the loss of what watches."""
    until(lambda: (chain.run / "address.json").is_file(), 300)  # what is not there yet is rightly told to be down
    running = chain.start()
    out: dict[str, Any] = {"answers": soak(chain, running), "told in the soak": [one["title"] for one in chain.told]}
    write_halt_file(chain.run, "planted")
    is_told = "Tradewind: TradingHalted (1 firing)"
    out["fault to webhook s"] = until(lambda: any(one["title"] == is_told for one in chain.told), 60)
    until(lambda: not chain.watcher.look(), 30)
    out["outside before"] = len(chain.outside)
    for program in ("prometheus-alertmanager", "prometheus"):
        running.kill(program)
    before = chain.decisions()
    out["silence to outside s"] = until(lambda: chain.watcher.look() and bool(chain.outside), 60, 0.5)
    until(lambda: chain.decisions() >= before + 6, 60, 0.5)
    return out


def test_a_clean_soak_a_fault_and_the_loss_of_the_watchers(tmp_path: Path) -> None:
    require_programs()
    ports = dict(zip(("9090", "9093", "8473", "8474", "8475", "8710"), free_ports(6), strict=True))
    # The shipped times of the switch, 15 and 30 s, would make this test longer, and nothing else.
    quick = {"group_interval: 15s": "group_interval: 1s", "repeat_interval: 30s": "repeat_interval: 1s"}
    (tmp_path / "monitoring.json").write_text(summary_of_monitoring())
    used = resource.getrusage(resource.RUSAGE_SELF).ru_utime

    async def desk(chain: Chain) -> tuple[dict[str, Any], dict[str, Any]]:
        account = asyncio.create_task(run_desk(plan_of(tmp_path, ports), DeskOptions(), lambda _: None))
        driving = asyncio.create_task(asyncio.to_thread(live, chain))
        await asyncio.wait([account, driving], return_when=asyncio.FIRST_COMPLETED)
        if not account.done():
            os.kill(os.getpid(), signal.SIGTERM)
        return await driving, await account

    with ExitStack() as held:
        service = held.enter_context(serving(tmp_path / "service", bundle_files()))
        (tmp_path / "service/monitoring.json").write_text(summary_of_monitoring())
        hook, told = held.enter_context(webhook())
        other, outside = held.enter_context(webhook())
        people, far = notifier_to(hook, tmp_path, "people"), notifier_to(other, tmp_path, "outside")
        watcher = Watcher(far, SILENCE_S)
        for one in (people, far):
            held.callback(one.close)
        held.callback(receive(people, "127.0.0.1", ports["8474"]).close)
        held.callback(Listener("/alive", watcher.hear, "127.0.0.1", ports["8475"]).close)
        shipped = servers(tmp_path, ports | {"8472": service.ports.metrics}, quick)
        chain = Chain(lambda: held.enter_context(shipped), service, tmp_path / "run", told, outside, watcher)
        found, summary = asyncio.run(desk(chain))
    used = resource.getrusage(resource.RUSAGE_SELF).ru_utime - used
    took = {name: round(value, 1) for name, value in found.items() if name.endswith(" s")}
    logger.info("user CPU %.1f s; %s", used, took)
    answers = found["answers"]
    assert answers.pop("alarms") == [], "a clean soak is quiet"
    assert found["told in the soak"] == []
    empty = [name for name, rows in answers.items() if all(math.isnan(float(one["value"][1])) for one in rows)]
    assert empty == [], "queries of a dashboard without data"
    assert found["fault to webhook s"] < MOST_S
    assert found["outside before"] == 0, "the switch was heard"
    assert [one["title"] for one in outside] == ["Tradewind: the chain of alarms is broken"]
    assert summary["failure"] == "" and summary["twin bars unlike a later backtest"] == 0
