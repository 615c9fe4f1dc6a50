"""Limits that a web server should have: the size of a body, the kind of it, and the time that it may take to arrive."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, TypeAlias

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tradewind.serving.refusals import Refusal, problem_of

Receive: TypeAlias = Callable[[], Awaitable[Any]]
Send: TypeAlias = Callable[[Any], Awaitable[None]]
App: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]
JSON, BINARY = b"application/json", b"application/octet-stream"


class BodyLimit:
    """Refuses a body above the limit before it is read whole, and one that is not JSON."""

    def __init__(self, app: App, body_bytes: int) -> None:
        self._app, self._most = app, body_bytes

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._most:
            await _refuse(send, self._too_large())
            return
        kind = headers.get(b"content-type", JSON).split(b";")[0].strip().lower()
        if scope["method"] == "POST" and kind != JSON and not (scope["path"].startswith("/v2/") and kind == BINARY):
            await _refuse(send, Refusal(415, "the body must be JSON", "send Content-Type: application/json"))
            return
        body = await self._read(receive)
        if body is None:
            await _refuse(send, self._too_large())
            return
        waiting = [{"type": "http.request", "body": body, "more_body": False}]

        async def replayed() -> Any:
            return waiting.pop() if waiting else await receive()

        await self._app(scope, replayed, send)

    async def _read(self, receive: Receive) -> bytes | None:
        """The whole body; None as soon as it is too large."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return b"".join(parts)
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._most:
                return None
            if not message.get("more_body", False):
                return b"".join(parts)

    def _too_large(self) -> Refusal:
        return Refusal(413, f"the body is larger than {self._most} bytes", "send fewer rows at once")


async def _refuse(send: Send, refusal: Refusal) -> None:
    body = json.dumps(problem_of(refusal, "")._asdict()).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode()),
               (b"connection", b"close")]  # fmt: skip
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which ends a connection whose headers or body take too long: uvicorn itself waits."""

    slow_s: ClassVar[float] = 10.0
    _guard: asyncio.TimerHandle | None = None

    def _watch(self, transport: Any) -> None:
        self._release()
        self._guard = self.loop.call_later(self.slow_s, transport.close)

    def _release(self) -> None:
        if self._guard is not None:
            self._guard.cancel()
            self._guard = None

    def connection_made(self, transport: Any) -> None:
        """A connection must say something whole in time."""
        super().connection_made(transport)
        self._watch(transport)

    def on_message_begin(self) -> None:
        """The next request on the same connection must, too."""
        super().on_message_begin()
        self._watch(self.transport)

    def on_headers_complete(self) -> None:
        """The headers are there: its body has as long again."""
        self._watch(self.transport)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole; the answer may take its time."""
        self._release()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._release()
        super().connection_lost(exc)


def guarded(slow_s: float) -> type[GuardedProtocol]:
    """The protocol with this limit."""
    return type("Guarded", (GuardedProtocol,), {"slow_s": slow_s})
