"""What the service tells while it answers, to whoever listens."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

KEPT = 256


class Telemetry:
    """One sender, any number of listeners. A listener that does not keep up loses the oldest events and gets a note."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[dict[str, Any] | None]] = set()
        self._lost: dict[int, int] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def publish(self, event: dict[str, Any]) -> None:
        """Send an event, from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver, event)

    def _deliver(self, event: dict[str, Any]) -> None:
        for queue in self._listeners:
            if queue.full():
                queue.get_nowait()
                self._lost[id(queue)] = self._lost.get(id(queue), 0) + 1
            queue.put_nowait(event)

    async def listen(self, heartbeat_s: float = 5.0) -> AsyncIterator[dict[str, Any]]:
        """Events from now on; one of kind `heartbeat` where there was none for so long."""
        self._loop = asyncio.get_running_loop()
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(KEPT)
        self._listeners.add(queue)
        try:
            yield {"kind": "begun"}
            while True:
                try:
                    async with asyncio.timeout(heartbeat_s):  # `wait_for` may forget that it was cancelled
                        event = await queue.get()
                except TimeoutError:
                    event = {"kind": "heartbeat"}
                if event is None:
                    return
                if lost := self._lost.pop(id(queue), 0):
                    yield {"kind": "lost", "events": lost}
                yield event
        finally:
            self._listeners.discard(queue)
            self._lost.pop(id(queue), None)

    def end(self) -> None:
        """Let all listeners go."""
        for queue in self._listeners:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(None)


def sse(event: dict[str, Any]) -> bytes:
    """An event as a server-sent event."""
    return f"event: {event['kind']}\ndata: {json.dumps(event, allow_nan=False)}\n\n".encode()
