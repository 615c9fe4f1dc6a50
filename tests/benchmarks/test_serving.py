"""How fast the service answers, in a process of its own: wall time as clients see it, CPU time beside it."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.operations.bundles import bundle_files
from tests.serving.conftest import ME, price
from tradewind.operations.registry.registry import Registry
from tradewind.serving.tokens import add_token

pytestmark = pytest.mark.benchmark
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Running:
    """A service in a process of its own."""

    process: subprocess.Popen[str]
    port: int
    request: bytes
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
    token = add_token(folder / "tokens.json", "bench", ("admin",))
    command = [sys.executable, "-m", "tradewind.console", "serve", "--registry", str(folder / "registry"), "--tokens",
               str(folder / "tokens.json"), "--port", "0", "--grpc-port", "0", "--metrics-port", "0"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = int(process.stdout.readline().split(":")[2].split("/")[0])
    body = json.dumps(price()).encode()
    head = f"POST /v1/predict/price HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n" + (
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    while httpx.get(f"http://127.0.0.1:{port}/readyz").status_code != 200:
        time.sleep(0.2)  # kernels are compiled first
    yield Running(process, port, head.encode() + body, registry)
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


def told(what: str, got: list[tuple[int, float]], cpu_s: float) -> None:
    took = np.array([seconds for _, seconds in got]) * 1e3
    print(
        f"{what}: {len(got)} answers, wall P50 {np.percentile(took, 50):.2f}, P95 {np.percentile(took, 95):.2f}, P99 "
        f"{np.percentile(took, 99):.2f} ms; CPU of the service {cpu_s / len(got) * 1e3:.2f} ms an answer"
    )


def test_one_client(service: Running) -> None:
    async def run() -> list[tuple[int, float]]:
        connection = await asyncio.open_connection("127.0.0.1", service.port)
        return [await answered(service, connection) for _ in range(2000)]

    before = service.cpu_s()
    got = asyncio.run(run())
    told("one client", got, service.cpu_s() - before)
    assert {status for status, _ in got} == {200}


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
    told("500 requests a second", got, service.cpu_s() - before)
    assert {status for status, _ in got} == {200}
