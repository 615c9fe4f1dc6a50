"""A service in this process, as clients see it: real ports, in a thread of its own."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from tests.operations.bundles import NAMES, bundle_files
from tradewind.operations.registry.gate import GateRules
from tradewind.operations.registry.records import Reason
from tradewind.operations.registry.registry import Registry
from tradewind.serving.functions import Functions
from tradewind.serving.rpc import prediction_pb2_grpc as stubs
from tradewind.serving.server import Ports, running
from tradewind.serving.settings import ServingSettings
from tradewind.serving.tokens import add_token

LOOSE = GateRules(row_p99_ms=1000, window_p99_ms=1000)
ME = Reason("operator", "test")


def price(**changes: Any) -> dict[str, Any]:
    """A request that is answered."""
    return {"symbol": "SIM1", "horizon_bars": 4, "features": dict.fromkeys(NAMES, 0.5)} | changes


@dataclass
class Service:
    """A running service and its clients."""

    functions: Functions
    ports: Ports
    registry: Registry
    tokens: dict[str, str]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.ports.rest}"

    def client(self, who: str = "admin") -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who else {}
        return httpx.Client(base_url=self.address, headers=headers, timeout=30)

    def stub(self) -> Any:
        return stubs.PredictionStub(grpc.insecure_channel(f"127.0.0.1:{self.ports.grpc}"))

    def metadata(self, who: str = "admin") -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.tokens[who]}"),)


@contextmanager
def serving(folder: Path, *bundles: Any, **changes: Any) -> Iterator[Service]:
    """A service of a registry with these bundles, the first of which is champion in development."""
    registry = Registry(folder / "registry", LOOSE)
    for files in bundles:
        registry.register(files)
    if bundles:
        registry.move("development", "champion", 1, None, ME)
    scopes = {"admin": ("admin",), "reader": ("read",), "predictor": ("predict",)}
    tokens = {name: add_token(folder / "tokens.json", name, one) for name, one in scopes.items()}
    settings = ServingSettings(
        registry=folder / "registry", tokens=folder / "tokens.json", port=0, grpc_port=0, metrics_port=0, gate=LOOSE,
        **changes,
    )  # fmt: skip
    started, loop, found = threading.Event(), asyncio.new_event_loop(), list[Any]()

    async def run() -> None:
        stop = asyncio.Event()
        try:
            async with running(settings) as (functions, ports):
                found.extend((functions, ports, stop))
                started.set()
                await stop.wait()
        finally:
            started.set()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    assert started.wait(30) and found, "the service did not start"
    deadline = time.monotonic() + 300  # kernels may have to be compiled first
    while bundles and found[0].models.now.roles != registry.roles(settings.environment):
        assert time.monotonic() < deadline, found[0].readiness
        time.sleep(0.02)
    try:
        yield Service(found[0], found[1], registry, tokens)
    finally:
        loop.call_soon_threadsafe(found[2].set)
        thread.join(30)
        assert not thread.is_alive(), "the service did not stop"
        loop.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Two versions; tests that share it move nothing."""
    with serving(tmp_path_factory.mktemp("service"), bundle_files(seed=1), bundle_files(seed=2)) as running_service:
        yield running_service
