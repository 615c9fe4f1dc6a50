"""How fast the service answers, in a process of its own: wall time as clients see it, CPU time beside it.

The bounds are of a machine that does nothing else; the CPU time tells whether it did.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pandas as pd
import pytest

from tests.operations.bundles import NAMES, bundle_files, model_rows
from tests.serving.conftest import ME, price
from tradewind.learning.ensemble.onnx_graph import to_onnx
from tradewind.learning.models import catalogue
from tradewind.learning.models.onnx_forecaster import OnnxForecaster
from tradewind.learning.models.walk_forward import TrainingRules
from tradewind.operations.bundle.making import Procedure, refit
from tradewind.operations.bundle.measuring import latency_baseline
from tradewind.operations.bundle.past import past_inputs
from tradewind.operations.registry.registry import Registry
from tradewind.serving.rpc import prediction_pb2 as messages
from tradewind.serving.rpc import prediction_pb2_grpc as stubs
from tradewind.serving.tokens import add_token

pytestmark = pytest.mark.benchmark
TICKS = os.sysconf("SC_CLK_TCK")
WRK = shutil.which("wrk")
# Each token may ask 2,000 times a second: wrk asks with several in turn.
SCRIPT = """
local tokens, body, turn = {%s}, %s, 0
request = function()
  turn = turn %% #tokens + 1
  local headers = {["Authorization"] = "Bearer " .. tokens[turn], ["Content-Type"] = "application/json"}
  return wrk.format("POST", "/v1/predict/price", headers, body)
end
"""


@dataclass
class Running:
    """A service in a process of its own."""

    process: subprocess.Popen[str]
    port: int
    grpc_port: int
    request: bytes
    tokens: list[str]
    registry: Registry

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("service")
    registry = Registry(folder / "registry")
    for seed in (1, 2):
        registry.register(bundle_files("lightgbm", seed=seed))
    registry.move("development", "champion", 1, None, ME)
    tokens = [add_token(folder / "tokens.json", f"bench{number}", ("admin",)) for number in range(4)]
    command = [sys.executable, "-m", "tradewind.console", "serve", "--registry", str(folder / "registry"), "--tokens",
               str(folder / "tokens.json"), "--port", "0", "--grpc-port", "0", "--metrics-port", "0"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = int(process.stdout.readline().split(":")[2].split("/")[0])
    grpc_port = int(process.stdout.readline().rpartition(":")[2])
    body = json.dumps(price()).encode()
    head = f"POST /v1/predict/price HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {tokens[0]}\r\n" + (
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    while httpx.get(f"http://127.0.0.1:{port}/readyz").status_code != 200:
        time.sleep(0.2)  # kernels are compiled first
    yield Running(process, port, grpc_port, head.encode() + body, tokens, registry)
    process.terminate()
    process.wait(30)


async def answered(
    running: Running, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter]
) -> tuple[int, float]:
    """Status and seconds of one request."""
    reader, writer = connection
    began = time.perf_counter()
    writer.write(running.request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    await reader.readexactly(length)
    return int(head.split(b" ")[1]), time.perf_counter() - began


async def at_rate(running: Running, rate: float, seconds: float, clients: int) -> list[tuple[int, float]]:
    """Requests at a rate whatever the service does; the time counts from when each should have been sent."""
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(clients):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", running.port))
    got, began = list[tuple[int, float]](), time.perf_counter()

    async def one(due: float) -> None:
        connection = await free.get()
        status, _ = await answered(running, connection)
        got.append((status, time.perf_counter() - due))
        free.put_nowait(connection)

    tasks = []
    for number in range(int(rate * seconds)):
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(due)))
    await asyncio.gather(*tasks)
    return got


def told(what: str, got: list[tuple[int, float]], cpu_s: float) -> float:
    """Says so, and returns the 99th percentile in milliseconds."""
    took = np.array([seconds for _, seconds in got]) * 1e3
    print(
        f"{what}: {len(got)} answers, wall P50 {np.percentile(took, 50):.2f}, P95 {np.percentile(took, 95):.2f}, P99 "
        f"{np.percentile(took, 99):.2f} ms; CPU of the service {cpu_s / len(got) * 1e3:.2f} ms an answer"
    )
    return float(np.percentile(took, 99))


async def one_after_another(running: Running, count: int = 2000) -> list[tuple[int, float]]:
    connection = await asyncio.open_connection("127.0.0.1", running.port)
    return [await answered(running, connection) for _ in range(count)]


def rows_of(features: int, bars: int = 3000) -> pd.DataFrame:
    """Model input of one symbol with as many features as the default run has."""
    rng, rows = np.random.default_rng(1), model_rows(1, bars).query("symbol == 'SIM1'").reset_index(drop=True)
    names = [f"feature_{number}" for number in range(features)]
    values = pd.DataFrame(rng.standard_normal((len(rows), features)).astype(np.float32), columns=names)
    values["feature_0"] = rows[NAMES[0]]
    keys = ["symbol", "timestamp"]
    rest = [name for name in rows.columns if name not in (*keys, *NAMES)]
    return pd.concat([rows[keys], values, rows[rest]], axis=1)


@pytest.mark.parametrize(
    ("name", "parameters", "p99_ms"),
    [
        ("lightgbm", {"min_child_weight": 20.0, "n_estimators": 300, "early_stopping_rounds": 300}, 2.0),
        ("xgboost", {"min_child_weight": 20.0, "n_estimators": 300, "early_stopping_rounds": 300}, 2.0),
        ("lstm", {"window_bars": 24, "hidden": 24, "max_rounds": 1}, 20.0),
    ],
)
def test_a_model_alone(name: str, parameters: dict[str, Any], p99_ms: float) -> None:
    """As it is deployed, with the default's 222 features: what the gate of production asks for."""
    rows, kind = rows_of(222), catalogue.model(name)
    rules = TrainingRules(max_rounds=300, early_stopping_rounds=300)
    model = refit(Procedure(name, kind.parameters_class(**parameters), rules, 7), rows)
    forecaster = OnnxForecaster.from_bytes(to_onnx(model), model.features)
    timed = latency_baseline(forecaster.predict_row, past_inputs(rows, model, forecaster.reads_windows))
    wall, cpu = timed["wall_ms"], timed["cpu_ms"]
    print(f"{name} alone: wall P50 {wall['p50']:.3f}, P95 {wall['p95']:.3f}, P99 {wall['p99']:.3f} ms; CPU P50 "
          f"{cpu['p50']:.3f}, P99 {cpu['p99']:.3f} ms")  # fmt: skip
    assert wall["p99"] < p99_ms


def test_one_client(service: Running) -> None:
    before = service.cpu_s()
    got = asyncio.run(one_after_another(service))
    assert told("REST, one client", got, service.cpu_s() - before) < 20
    assert {status for status, _ in got} == {200}


def test_one_client_over_grpc(service: Running) -> None:
    request = messages.PriceRequest(
        symbol="SIM1", horizon_bars=4, bars=[messages.Bar(features=dict.fromkeys(NAMES, 0.5))]
    )
    metadata, got = (("authorization", f"Bearer {service.tokens[0]}"),), list[tuple[int, float]]()
    with grpc.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel:
        stub = stubs.PredictionStub(channel)
        stub.PredictPrice(request, metadata=metadata)  # connects
        before = service.cpu_s()
        for _ in range(2000):
            began = time.perf_counter()
            answer = stub.PredictPrice(request, metadata=metadata)
            got.append((round(answer.version), time.perf_counter() - began))
    assert told("gRPC, one client", got, service.cpu_s() - before) < 10
    assert {version for version, _ in got} == {1}


def test_clients_that_send_their_headers_slowly_keep_nobody_waiting(service: Running) -> None:
    """Fifty that never finish a header beside one that asks: its 99th percentile stays, and the fifty are closed."""

    async def run() -> tuple[list[tuple[int, float]], list[tuple[int, float]], float]:
        quiet, began = await one_after_another(service), time.perf_counter()
        slow = [await asyncio.open_connection("127.0.0.1", service.port) for _ in range(50)]
        for _, writer in slow:
            writer.write(b"POST /v1/predict/price HTTP/1.1\r\nHost")
        beside = await one_after_another(service)
        closed = [await asyncio.wait_for(reader.read(), 30) for reader, _ in slow]
        assert closed == [b""] * 50
        return quiet, beside, time.perf_counter() - began

    quiet, beside, took = asyncio.run(run())
    alone, among = (float(np.percentile([seconds for _, seconds in got], 99)) * 1e3 for got in (quiet, beside))
    print(f"P99 of one client {alone:.2f} ms, beside fifty slow ones {among:.2f} ms; these were closed in {took:.1f} s")
    assert among < 2 * alone + 1.0 and took < 15
    assert {status for status, _ in quiet + beside} == {200}


def test_a_large_body_is_refused_within_fifty_milliseconds(service: Running) -> None:
    took = []
    with httpx.Client(headers={"Authorization": f"Bearer {service.tokens[0]}"}) as client:
        for _ in range(50):
            began = time.perf_counter()
            address = f"http://127.0.0.1:{service.port}/v1/predict/price"
            answer = client.post(address, content=b" " * (256 * 1024 + 1), headers={"Content-Type": "application/json"})
            took.append(time.perf_counter() - began)
            assert answer.status_code == 413
    print(f"413 after a median of {np.median(took) * 1e3:.1f}, at most {max(took) * 1e3:.1f} ms")
    assert np.percentile(took, 95) < 0.05


@pytest.mark.skipif(WRK is None, reason="wrk is not installed: apt-get install wrk")
def test_as_many_as_wrk_can_ask(service: Running, tmp_path: Path) -> None:
    """Eight connections that never wait: the most that one process answers, and nothing but answers."""
    script, body = tmp_path / "price.lua", json.dumps(json.dumps(price()))
    script.write_text(SCRIPT % (", ".join(json.dumps(one) for one in service.tokens), body))
    before = service.cpu_s()
    command = [str(WRK), "-t1", "-c8", "-d10s", "--latency", "-s", str(script), f"http://127.0.0.1:{service.port}"]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    cpu_s, count = service.cpu_s() - before, int(re.search(r"(\d+) requests in", said).group(1))  # type: ignore[union-attr]
    spread = " ".join(f"P{level} {took}" for level, took in re.findall(r"^ +(50|75|90|99)% +(\S+)$", said, re.M))
    print(f"wrk, 8 connections: {count / 10:.0f} answers a second, {spread}; CPU of the service "
          f"{cpu_s / count * 1e3:.2f} ms an answer")  # fmt: skip
    assert "Non-2xx" not in said and "Socket errors" not in said, said
    assert count > 5000, said


def test_plans_for_one_client(service: Running) -> None:
    """How to execute an order: 99 of 100 plans within 20 ms."""
    order = {"symbol": "SIM1", "side": "buy", "quantity": 6.0, "price": 100.0, "deadline_s": 600.0, "urgency": 0.5}
    head, _, _ = service.request.partition(b"\r\n\r\n")
    body = json.dumps(order).encode()
    lines = [line for line in head.split(b"\r\n")[1:] if not line.lower().startswith(b"content-length")]
    lines = [b"POST /v1/execution/plan HTTP/1.1", *lines, b"Content-Length: %d" % len(body)]
    planning = replace(service, request=b"\r\n".join(lines) + b"\r\n\r\n" + body)

    async def run() -> list[tuple[int, float]]:
        connection = await asyncio.open_connection("127.0.0.1", service.port)
        return [await answered(planning, connection) for _ in range(1000)]

    before = service.cpu_s()
    got = asyncio.run(run())
    told("plans", got, service.cpu_s() - before)
    assert {status for status, _ in got} == {200}
    assert np.percentile([seconds for _, seconds in got], 99) < 0.02


def test_five_hundred_requests_a_second_while_a_model_is_swapped_and_a_canary_starts(service: Running) -> None:
    async def run() -> list[tuple[int, float]]:
        load = asyncio.create_task(at_rate(service, 500, 30, 16))
        await asyncio.sleep(8)
        await asyncio.to_thread(service.registry.move, "development", "canary", 2, None, ME)
        await asyncio.sleep(8)
        await asyncio.to_thread(service.registry.move, "development", "champion", 2, 1, ME)
        await asyncio.sleep(6)
        await asyncio.to_thread(service.registry.rollback, "development", 2, ME)
        return await load

    before = service.cpu_s()
    got = asyncio.run(run())
    assert told("REST, 500 requests a second", got, service.cpu_s() - before) < 50
    assert {status for status, _ in got} == {200}
