"""Champions are swapped and taken back without a failed request; canaries are tried; bars are decided on; telemetry."""

import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.operations.bundles import NAMES, TERMS, bundle_files, walk_bars, with_regimes
from tests.serving.conftest import ME, Service, price, serving
from tradewind.learning.features.assembly import Arrivals, Bar
from tradewind.learning.regimes.base import REGIMES, Bars
from tradewind.operations.bundle import contents
from tradewind.operations.bundle.contents import Bundle
from tradewind.operations.bundle.sealing import place_of
from tradewind.operations.bundle.warming import _bars
from tradewind.operations.canary.rules import CanaryRules
from tradewind.operations.registry.records import Roles
from tradewind.serving.messages import ArrivalsRequest, PriceRequest
from tradewind.serving.rpc import prediction_pb2 as messages

PROJECT = Path(__file__).resolve().parents[2]
HOUR_MS = 3_600_000


@contextmanager
def load(service: Service, clients: int = 3) -> Iterator[list[tuple[int, int | None]]]:
    """Clients that ask without a pause; what they get, as status and version."""
    stop, got = threading.Event(), list[tuple[int, int | None]]()

    def ask() -> None:
        with service.client() as client:
            while not stop.is_set():
                answer = client.post("/v1/predict/price", json=price())
                got.append((answer.status_code, answer.json().get("version")))

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield got
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_champions_are_swapped_and_taken_back_under_load_without_a_failed_request(tmp_path: Path) -> None:
    with serving(tmp_path, bundle_files(seed=1), bundle_files(seed=2)) as service, load(service) as got:
        wait_for(lambda: len(got) > 20)
        move = {"version": 2, "to": "champion", "expected": 1, "reason": "newer"}
        with service.client() as client:
            assert client.post("/v1/models/linear/move", json=move).json()["champion"] == 2
            answered = len(got) + 3  # those that were under way may still be version 1
            wait_for(lambda: len(got) > answered + 20)
            assert {version for _, version in got[answered:]} == {2}
            began = time.monotonic()
            back = client.post("/v1/models/linear/rollback", json={"expected": 2, "reason": "worse"})
            assert back.json()["champion"] == 1 and time.monotonic() - began < 2  # 1 s on a quiet machine
            answered = len(got) + 3
            wait_for(lambda: len(got) > answered + 20)
            assert {version for _, version in got[answered:]} == {1}
        assert {status for status, _ in got} == {200}


def test_of_twenty_moves_at_once_one_is_made_and_nineteen_conflict(tmp_path: Path) -> None:
    with serving(tmp_path, bundle_files(seed=1), bundle_files(seed=2)) as service, service.client() as client:

        def race(number: int) -> int:
            move = {"version": 2, "to": "champion", "expected": 1, "reason": f"racer {number}"}
            return client.post("/v1/models/linear/move", json=move).status_code

        with ThreadPoolExecutor(20) as on:
            assert sorted(on.map(race, range(20))) == [200] + [409] * 19
        assert service.registry.roles("development") == Roles(2, None, 1)


def test_a_version_that_was_touched_is_not_served_and_the_champion_goes_on(tmp_path: Path) -> None:
    with serving(tmp_path, bundle_files(seed=1), bundle_files(seed=2), poll_s=0.05) as service:
        service.registry.move("development", "champion", 2, 1, ME)
        wait_for(lambda: service.functions.models.now.champion.version == 2)
        place = place_of(tmp_path / "registry/bundles", service.registry.version(1).identity)
        kept = (place / contents.GRAPH).read_bytes()
        (place / contents.GRAPH).write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        with service.registry._transaction() as base:  # past the registry's own look at the bundle
            base.execute("UPDATE roles SET version = 1 WHERE role = 'champion'")
        with service.client() as client:
            wait_for(lambda: "decision.onnx was altered" in client.get("/readyz").json()["refused"])
            assert client.post("/v1/predict/price", json=price()).json()["version"] == 2
            (place / contents.GRAPH).write_bytes(kept)
            wait_for(lambda: client.post("/v1/predict/price", json=price()).json()["version"] == 1)


def wait_for(happened: Any, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


class Planted:
    """A forecaster that says something of its own; the champion's twin but for the fault."""

    def __init__(self, forecaster: Any, fault: str) -> None:
        self._forecaster, self._fault, self._asked = forecaster, fault, 0
        self.features, self.window_bars = forecaster.features, forecaster.window_bars
        self.reads_windows = forecaster.reads_windows

    def predict_many(self, x: Any) -> Any:
        return self._forecaster.predict_many(x)

    def predict_row(self, x: Any) -> Any:
        said = self._forecaster.predict_row(x).copy()
        self._asked += 1
        match self._fault:
            case "inverted":
                return said[[2, 1, 0, 3]] * np.array([1, 1, 1, -1])
            case "tripled":
                return said**3 / (said[:3] ** 3).sum()
            case "constant":
                return np.array([0.39, 0.2, 0.41, 0.0])
            case "nan":
                return said * np.nan
            case "failing":
                raise ValueError("planted")
            case "slow":
                time.sleep(0.03)
        return said


def tried(service: Service, fault: str, decisions: int = 200) -> Any:
    """Decisions of champion and canary on rows of noise, until the canary is taken back."""
    service.registry.move("development", "canary", 2, None, ME)
    wait_for(lambda: service.functions.models.now.trial is not None)
    trial = service.functions.models.now.trial
    assert trial is not None
    bundle = trial.canary.bundle
    trial.canary.bundle = replace(bundle, forecaster=Planted(bundle.forecaster, fault))  # type: ignore[arg-type]
    rng = np.random.default_rng(3)
    for _ in range(decisions):
        features = dict(zip(NAMES, rng.standard_normal(len(NAMES)).tolist(), strict=True))
        answer = service.functions.predict_price(PriceRequest(symbol="SIM1", horizon_bars=4, features=features))
        assert np.isfinite([answer.p_down, answer.p_up]).all()
        if trial.has_tripped():
            break
    return trial


@pytest.mark.parametrize("fault", ["inverted", "constant", "nan", "failing", "slow"])
def test_a_faulty_canary_in_service_is_taken_back_and_nobody_gets_its_errors(fault: str, tmp_path: Path) -> None:
    with serving(tmp_path, bundle_files(seed=1), bundle_files(seed=2), poll_s=0.05) as service:
        trial = tried(service, fault)
        assert trial.tripped is not None and trial.tripped.decisions <= 60
        wait_for(lambda: service.registry.roles("development") == Roles(1))
        last = service.registry.history("development")[-1]
        assert (last.action, last.who) == ("withdraw", "service") and last.why.startswith(trial.tripped.check)
        assert service.functions.models.now.trial is None


def test_an_honest_canary_answers_its_symbol_days_and_is_kept(tmp_path: Path) -> None:
    with serving(tmp_path, bundle_files(seed=1), bundle_files(seed=2), poll_s=0.05) as service:
        trial = tried(service, "none", 300)
        assert trial.tripped is None, trial.tripped
        answering = service.functions.models.now.answering
        days = [answering(symbol, day * 24 * HOUR_MS) for symbol in ("SIM1", "SIM2") for day in range(500)]
        assert 0.03 < days.count("canary") / len(days) < 0.07
        described = service.client().get("/v1/models").json()["trial"]
        assert described["canary"] == 2 and described["decisions"] == 300 and described["outcome"] == "undecided"


def test_a_better_canary_is_promoted_by_the_settled_labels_alone(tmp_path: Path) -> None:
    rules = CanaryRules(min_days=1, max_days=30, min_decisions=5000)
    constant = bundle_files(seed=1, edge=0.0)
    better = bundle_files(seed=2, edge=1.0)
    with serving(tmp_path, constant, better, canary=rules, poll_s=0.05) as service, service.client() as client:
        service.registry.move("development", "canary", 2, None, ME)
        wait_for(lambda: service.functions.models.now.trial is not None)
        trial = service.functions.models.now.trial
        assert trial is not None
        rng = np.random.default_rng(1)
        for hour in range(24 * 30):
            x = rng.standard_normal((1, 3)).astype(np.float32)
            drift = x[0, 0] + rng.standard_normal()
            pair = (trial.champion.forecast(x)[0][:3], trial.canary.forecast(x)[0][:3])
            trial._waiting[hour * HOUR_MS] = {"SIM1": pair}
            outcome = {"as_of_ms": hour * HOUR_MS, "labels": {"SIM1": int(np.digitize(drift, [-0.6, 0.6])) - 1}}
            assert client.post("/v1/outcomes", json=outcome).json()["paired"] == 1
            if service.functions.models.now.trial is None or trial.slow.outcome != "undecided":
                break
        wait_for(lambda: service.registry.roles("development").champion == 2)
        assert service.registry.roles("development") == Roles(2, None, 1)
        assert "e-value" in service.registry.history("development")[-1].why


def bars_of(count: int, seed: int = 4) -> list[Arrivals]:
    rng = np.random.default_rng(seed)
    first = 1_700_000_000_000 // HOUR_MS * HOUR_MS
    close = {symbol: 100 * np.exp(np.cumsum(rng.normal(0, 0.01, count))) for symbol in TERMS.universe.symbols}
    out = []
    for at in range(1, count):
        opened = first + at * HOUR_MS
        rows = [(symbol, values[at - 1], values[at]) for symbol, values in close.items()]
        bars = tuple(
            Bar(symbol, opened, opened + HOUR_MS, a, max(a, b) * 1.001, min(a, b) * 0.999, b, 10.0)
            for symbol, a, b in rows
        )
        out.append(Arrivals(opened + HOUR_MS, bars))
    return out


def message(arrivals: Arrivals) -> dict[str, Any]:
    names = ("symbol", "open_time_ms", "close_time_ms", "open", "high", "low", "close", "volume")
    return {"bars": [dict(zip(names, bar, strict=True)) for bar in arrivals.bars]}


def test_bars_are_decided_on_as_evaluation_does(tmp_path: Path) -> None:
    """Bar by bar through REST, and all at once through a decider: the same to 1e-6, features to the bit."""
    bundle, history = Bundle.from_files(bundle_files(), "0" * 64), bars_of(60)
    with serving(tmp_path, bundle_files()) as service, service.client() as client:
        for arrivals in history:
            assert client.post("/v1/bars", json=message(arrivals)).json()["decisions"] == 2
        told = client.get("/v1/decisions").json()
        answer = client.post("/v1/predict/price", json=price(features=None)).json()
        idle = client.get("/v1/decisions?acts=false&symbol=SIM1").json()
    decider = bundle.decider()
    joined = Arrivals(history[-1].now_ms, tuple(bar for one in history for bar in one.bars))
    _, whole = decider.advance(decider.begin(), joined)
    assert len(told) == len(whole)
    for ours, theirs in zip(told, whole, strict=True):
        assert (ours["timestamp"], ours["symbol"], ours["reasons"]) == (
            theirs.timestamp, theirs.symbol, list(theirs.reasons),
        )  # fmt: skip
        np.testing.assert_allclose(
            [np.nan if ours[name] is None else ours[name] for name in ("p_up", "edge", "target")],
            [theirs.p_up, theirs.edge, theirs.target], atol=1e-6,
        )  # fmt: skip
    last = next(one for one in reversed(whole) if one.symbol == "SIM1")
    assert answer["as_of_ms"] == last.timestamp and answer["p_up"] == pytest.approx(last.p_up, abs=1e-6)
    assert answer["reasons"] == list(last.reasons) and idle and all(one["reasons"] for one in idle)


def test_the_regime_is_served_by_both_doors_after_each_bar(tmp_path: Path) -> None:
    longer = {symbol: walk_bars(symbol, 1103, number) for number, symbol in enumerate(TERMS.universe.symbols)}
    with serving(tmp_path, with_regimes(), with_regimes(seed=2)) as service, service.client() as client:
        first = client.post("/v1/predict/regime", json={"symbol": "SIM1"}).json()
        for at in range(1100, 1103):
            bars = [bar for symbol in longer for bar in _bars(symbol, longer[symbol].iloc[at : at + 1])]
            client.post("/v1/bars", json=message(Arrivals(0, tuple(bars))))
        move = {"version": 2, "to": "champion", "expected": 1, "reason": "newer"}
        said = {symbol: client.post("/v1/predict/regime", json={"symbol": symbol}).json() for symbol in longer}
        assert client.post("/v1/models/linear/move", json=move).status_code == 200
        after = client.post("/v1/predict/regime", json={"symbol": "SIM1"}).json()
        over_grpc = service.stub().PredictRegime(messages.RegimeRequest(symbol="SIM1"), metadata=service.metadata())
    models = Bundle.from_files(with_regimes(), "0" * 64).regimes().models  # type: ignore[union-attr]
    for symbol, table in longer.items():
        history = Bars.of_table(table)
        steps = models[symbol].history(history)
        assert list(said[symbol]["probabilities"].values()) == steps.probabilities[-1].tolist()
        assert said[symbol]["regime"] == REGIMES[int(steps.regime[-1])]
        assert said[symbol]["since_ms"] == history.timestamp[-int(steps.run_length[-1])]
    assert first["as_of_ms"] + 3 * HOUR_MS == said["SIM1"]["as_of_ms"] == after["as_of_ms"] == over_grpc.as_of_ms
    assert (said["SIM1"]["model"], said["SIM1"]["version"], after["version"]) == (
        "markov",
        1,
        2,
    )  # a later one caught up
    assert dict(over_grpc.probabilities) == after["probabilities"] and over_grpc.p_leave == after["p_leave"]


def test_a_champion_that_comes_later_has_seen_the_bars_that_arrived_before(tmp_path: Path) -> None:
    with serving(tmp_path, bundle_files(seed=1), bundle_files(seed=2)) as service, service.client() as client:
        for arrivals in bars_of(40):
            client.post("/v1/bars", json=message(arrivals))
        move = {"version": 2, "to": "champion", "expected": 1, "reason": "newer"}
        assert client.post("/v1/models/linear/move", json=move).status_code == 200
        answer = client.post("/v1/predict/price", json=price(features=None))
        assert answer.status_code == 200 and answer.json()["version"] == 2


def test_a_bar_that_cannot_be_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    history = bars_of(4)
    with serving(tmp_path, bundle_files()) as service, service.client() as client:
        client.post("/v1/bars", json=message(history[0]))
        bad = message(history[1])
        bad["bars"][0]["high"] = bad["bars"][0]["low"] / 2
        assert client.post("/v1/bars", json=bad).json()["field"] == "bars.0"
        unknown = message(history[1])
        unknown["bars"][0]["symbol"] = "OTHER"
        assert client.post("/v1/bars", json=unknown).status_code == 422
        assert client.post("/v1/bars", json=message(history[1])).json()["decisions"] == 2


def test_telemetry_is_streamed_by_both_doors(service: Service) -> None:
    stub = service.stub()
    stream = stub.StreamTelemetry(messages.TelemetryRequest(), metadata=service.metadata("reader"))
    assert next(stream).kind == "begun"
    with service.client("reader") as listener, listener.stream("GET", "/v1/stream") as events:
        lines = events.iter_lines()
        assert next(lines) == "event: begun"
        with service.client("predictor") as client:
            answer = client.post("/v1/predict/price", json=price()).json()
        told = json.loads(next(line for line in lines if line.startswith("data:") and "p_up" in line)[5:])
    assert told["p_up"] == answer["p_up"] and told["version"] == 1 and told["variant"] == "champion"
    over_grpc = json.loads(next(event for event in stream if event.kind == "forecast").json)
    assert over_grpc == told
    stream.cancel()


def test_health_metrics_and_the_page_of_calls(service: Service) -> None:
    with service.client("") as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/readyz").json()["status"] == "ready"
        page = client.get("/docs").text
        assert "/v1/predict/price" in page and "https://" not in page  # asks no other host
        assert "In service: <b>linear@1</b>" in page and "is the procedure's" in page and "gate" not in page
        paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1/predict/price", "/v1/predict/regime", "/v1/execution/plan", "/v1/stream"} <= set(paths)
    with service.client() as client:
        client.post("/v1/predict/price", json=price())
    metrics = httpx.get(f"http://127.0.0.1:{service.ports.metrics}/metrics").text
    assert 'tradewind_requests_total{call="/v1/predict/price",door="rest",status="200"}' in metrics
    assert 'tradewind_version{role="champion"} 1.0' in metrics
    assert httpx.get(f"{service.address}/metrics").status_code == 404  # on its own port alone
    checker = health_pb2_grpc.HealthStub(grpc.insecure_channel(f"127.0.0.1:{service.ports.grpc}"))
    wait_for(lambda: checker.Check(health_pb2.HealthCheckRequest()).status == 1)


def test_the_service_loads_neither_kedro_nor_mlflow() -> None:
    loaded = (
        "import sys, tradewind.console.serve, tradewind.console.models, tradewind.serving.server; "
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'kedro', 'mlflow', 'torch', 'xgboost', "
        "'lightgbm', 'kedro_mlflow'}))"
    )
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_console_script_is_light() -> None:
    loaded = "import sys, tradewind.console; print('pandas' in sys.modules, 'fastapi' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"


def test_the_generated_grpc_files_are_current(tmp_path: Path) -> None:
    pytest.importorskip("grpc_tools")
    source = PROJECT / "src"
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", str(source), f"--python_out={tmp_path}",
               f"--grpc_python_out={tmp_path}", str(source / "tradewind/serving/rpc/prediction.proto")]  # fmt: skip
    subprocess.run(command, check=True)
    for made, name in itertools.product(
        [tmp_path / "tradewind/serving/rpc"], ["prediction_pb2", "prediction_pb2_grpc"]
    ):
        assert (made / f"{name}.py").read_text() == (source / f"tradewind/serving/rpc/{name}.py").read_text()


def test_listeners_that_do_not_keep_up_lose_the_oldest_events_and_are_told() -> None:
    import asyncio

    from tradewind.serving.telemetry import KEPT, Telemetry

    async def run() -> list[dict[str, Any]]:
        telemetry, got = Telemetry(), list[dict[str, Any]]()
        events = telemetry.listen()
        got.append(await anext(events))
        task = asyncio.create_task(anext(events))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        for number in range(KEPT + 10):
            telemetry.publish({"kind": "forecast", "number": number})
        await asyncio.sleep(0.05)  # told in the loop's own turn
        got += [await task, await anext(events)]
        telemetry.end()
        return got

    begun, lost, first = asyncio.run(run())
    assert begun == {"kind": "begun"} and lost == {"kind": "lost", "events": 10} and first["number"] == 10


def test_arrivals_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="extra"):
        ArrivalsRequest.model_validate({"bars": [], "trades": []})
