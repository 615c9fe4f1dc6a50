"""The running service: REST, gRPC and metrics in one process, and the look at the registry beside them."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import uvicorn

from tradewind.errors import TradewindError
from tradewind.serving.functions import Functions
from tradewind.serving.limits import guarded
from tradewind.serving.rest import make_app
from tradewind.serving.rpc.server import make_server
from tradewind.serving.settings import ServingSettings
from tradewind.serving.tokens import MAKE_ONE, Tokens

logger = logging.getLogger(__name__)


class Ports(NamedTuple):
    """Where the service answers."""

    rest: int
    grpc: int
    metrics: int


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Whoever runs the service handles its signals."""
        yield


@contextlib.asynccontextmanager
async def running(settings: ServingSettings) -> AsyncIterator[tuple[Functions, Ports]]:
    """The service while the block lasts; then requests under way are finished.

    Raises:
        BadParameters: the file of tokens cannot be read.
        TradewindError: a port cannot be had.
    """
    tokens = Tokens(settings.tokens, settings.requests_a_second)
    if not tokens.check():
        logger.warning("there is no token in %s, so nobody can ask: %s", settings.tokens, MAKE_ONE)
    functions = Functions(settings)
    functions.models.on_change = functions.telemetry.publish
    tokens.denied = functions.metrics.denials.note
    config = uvicorn.Config(
        make_app(functions, tokens), host=settings.host, port=settings.port, http=guarded(settings.slow_s),
        access_log=False, log_level="warning", timeout_keep_alive=30, h11_max_incomplete_event_size=16_384,
        server_header=False, timeout_graceful_shutdown=5,
    )  # fmt: skip
    web = _Uvicorn(config)
    web_task = asyncio.create_task(web.serve())
    rpc, set_health, grpc_port = make_server(functions, tokens)
    await rpc.start()
    metrics, metrics_port = functions.metrics.serve(settings.host, settings.metrics_port)
    watch = asyncio.create_task(_watch(functions, set_health))
    try:
        while not web.started:
            if web_task.done():
                raise TradewindError(f"port {settings.port} of {settings.host} cannot be had: choose another")
            await asyncio.sleep(0.01)
        rest = int(web.servers[0].sockets[0].getsockname()[1])
        yield functions, Ports(rest, grpc_port, metrics_port)
    finally:
        watch.cancel()
        functions.telemetry.end()
        web.should_exit = True
        await rpc.stop(5)
        with contextlib.suppress(asyncio.CancelledError, SystemExit):
            await web_task
        metrics.shutdown()
        metrics.server_close()


async def _watch(functions: Functions, set_health: Callable[[bool], Any]) -> None:
    """Look at the registry again and again; nothing that goes wrong there ends the service."""
    while True:
        try:
            await asyncio.to_thread(functions.models.refresh)
            await asyncio.to_thread(functions.models.end_trial_if_due)
        except TradewindError as error:
            logger.error("the registry cannot be read: %s", error)
        await set_health(functions.readiness[0])
        functions.metrics.turned = time.monotonic()
        await asyncio.sleep(functions.settings.poll_s)


async def serve_until(stop: asyncio.Event, settings: ServingSettings, on_ready: Callable[[Ports], None]) -> None:
    """Run the service until `stop` is set.

    Args:
        stop: set by a signal.
        settings: registry, environment, host and ports.
        on_ready: gets the ports once it answers.
    """
    async with running(settings) as (_, ports):
        on_ready(ports)
        await stop.wait()
