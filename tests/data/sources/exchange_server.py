"""A local server that trades a small made-up market and speaks what exchanges and vendors speak, or misbehaves.

    with serve(Market()) as server:
        source = open_source({"kind": "ccxt", "exchange": "binance", "base_url": server.url}, server.timing())
        server.misbehave("429", times=2, retry_after="3")

Nothing sleeps: `server.timing()` has a clock that only waits move. The protocols are in `protocols.py`.
"""

import gzip
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pandas as pd

from tradewind.data.files.deliveries import Span
from tradewind.data.sources.timing import Timing
from tradewind.market.timeframes import bar_duration_ms

HOUR_MS = 3_600_000
START_MS = 1_704_067_200_000  # 2024-01-01, a Monday


@dataclass(frozen=True)
class Market:
    """Bars that anybody can compute: of any symbol and timeframe, from `since_ms`, with hours that are missing.

    A bar is four trades at open, high, low and close, so that trades make the same bars. `now_ms` is the server's
    own clock: it has no bar that opens later, and the last one is still open.
    """

    since_ms: int = START_MS
    now_ms: int = START_MS + 40 * 24 * HOUR_MS + HOUR_MS // 3
    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT")
    holes: tuple[tuple[int, int], ...] = ((50, 57), (500, 501))  # hours from the start
    funding_hours: int = 8

    def bars(self, symbol: str, timeframe: str, span: Span, scale: float = 1.0) -> pd.DataFrame:
        """The bars that open in the span, the open one included; columns as received."""
        step = bar_duration_ms(timeframe)
        first = -(-max(span.since_ms, self.since_ms) // step) * step
        opened = np.arange(first, min(span.until_ms, self.now_ms + 1), step, dtype=np.int64)
        for begin, end in self.holes:
            is_missing = (opened >= self.since_ms + begin * HOUR_MS) & (opened < self.since_ms + end * HOUR_MS)
            opened = opened[~is_missing]
        start, end = self._price(symbol, opened), self._price(symbol, opened + step)
        wide = np.abs(np.sin(opened / 7e6)) * 20 + 1
        table = pd.DataFrame({"open_time": opened, "open": start})
        table["high"] = np.maximum(start, end) + np.round(wide, 1)
        table["low"] = np.minimum(start, end) - np.round(wide, 1)
        table["close"] = end
        prices = table[["open", "high", "low", "close"]] * scale
        table[["open", "high", "low", "close"]] = prices.round(4)
        quarter = np.round(2 + np.cos(opened / 9e6), 1)
        table["volume"] = np.round(4 * quarter, 1)
        table["quote_volume"] = (table[["open", "high", "low", "close"]].sum(axis=1) * quarter).round(4)
        table["trades"] = 4.0
        return table.reset_index(drop=True)

    def trades(self, symbol: str, span: Span, timeframe: str = "1h") -> pd.DataFrame:
        """The trades behind the bars of `timeframe`: at (epoch us), price, amount, side."""
        bars, step = self.bars(symbol, timeframe, span), bar_duration_ms(timeframe)
        offsets = np.array([0, step // 4, step // 2, step - 1])
        at = (bars["open_time"].to_numpy()[:, None] + offsets) * 1000
        price = bars[["open", "high", "low", "close"]].to_numpy()
        amount = np.repeat(np.round(bars["volume"].to_numpy() / 4, 1), 4)
        side = np.tile(["buy", "buy", "sell", "sell"], len(bars))
        table = pd.DataFrame({"at": at.ravel(), "price": price.ravel(), "amount": amount, "side": side})
        return table.loc[table["at"] <= self.now_ms * 1000].reset_index(drop=True)

    def funding(self, symbol: str, span: Span) -> pd.DataFrame:
        """Settled rates: at (epoch ms), value."""
        step = self.funding_hours * HOUR_MS
        at = np.arange(-(-max(span.since_ms, self.since_ms) // step) * step, min(span.until_ms, self.now_ms + 1), step)
        return pd.DataFrame({"at": at, "value": np.round(1e-4 * np.sin(at / 1e8 + len(symbol)), 8)})

    def open_interest(self, symbol: str, timeframe: str, span: Span) -> pd.DataFrame:
        """Contracts open at the start of each step: at (epoch ms), value."""
        step = bar_duration_ms(timeframe)
        at = np.arange(-(-max(span.since_ms, self.since_ms) // step) * step, min(span.until_ms, self.now_ms + 1), step)
        return pd.DataFrame({"at": at, "value": np.round(7e4 + 1e3 * np.sin(at / 5e7 + len(symbol)), 3)})

    def _price(self, symbol: str, at: np.ndarray) -> np.ndarray:
        base = 100.0 * (1 + int(hashlib.sha256(symbol.encode()).hexdigest()[:4], 16) % 400)
        noise = ((at // 60_000 * 2_654_435_761) % 4_294_967_296) / 4_294_967_296 - 0.5
        return np.round(base * (1 + 0.05 * np.sin(at / 4e8) + 0.004 * noise), 1)


@dataclass
class Fault:
    """What the next `times` requests whose path holds `path` meet with."""

    kind: str
    times: int
    path: str
    settings: dict[str, Any]


@dataclass
class Reply:
    """What a protocol answers."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


def as_json(content: Any, status: int = 200, **headers: str) -> Reply:
    return Reply(json.dumps(content).encode(), status, {"Content-Type": "application/json", **headers})


class FakeTime:
    """A clock that waits move, and what was waited."""

    def __init__(self, now_ms: int) -> None:
        self._start_ms, self._gone_s, self._lock = now_ms, 0.0, threading.Lock()
        self.waits: list[float] = []

    def wait(self, seconds: float) -> None:
        with self._lock:
            self.waits.append(seconds)
            self._gone_s += seconds

    def elapsed(self) -> float:
        return self._gone_s

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._start_ms / 1000, UTC)


@dataclass
class Asked:
    """A request as it came."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Clients that hang up on a body that is too long are what some tests are about."""


class ExchangeServer:
    """Serves a market on 127.0.0.1; `url` is where, `asked` what was asked for so far."""

    def __init__(self, market: Market) -> None:
        self.market, self.asked = market, list[Asked]()
        self.keys: set[str] = set()
        """Keys that vendors accept; any if empty."""
        self.absent: set[str] = set()
        """Paths of files that are not there (yet)."""
        self._faults: list[Fault] = []
        self._lock, self._released = threading.Lock(), threading.Event()
        self._last_page: dict[str, bytes] = {}
        self._http = _QuietServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def timing(self, now_ms: int | None = None) -> Timing:
        """Time for a source: it is `now_ms` (default: the server's now) and waits pass at once; see `waited`."""
        self.time = FakeTime(self.market.now_ms if now_ms is None else now_ms)
        return Timing(self.time.wait, self.time.elapsed, self.time.now, np.random.default_rng(7))

    def misbehave(self, kind: str, times: int = 1, path: str = "", **settings: Any) -> None:
        """Let the next `times` requests whose path holds `path` meet a fault.

        Kinds: 429 (retry_after), 500, status (status, text), truncated, torn_gzip, dropped, slow, redirect (to), huge,
        not_json, shape, doubled, stale, reversed, capped, future, open_bar,
        checksum, bomb, torn_file, next_url, file (body).
        """
        self._faults.append(Fault(kind, times, path, settings))

    def behave(self) -> None:
        """No faults any more."""
        self._faults.clear()

    def close(self) -> None:
        self._released.set()
        self._http.shutdown()
        self._http.server_close()

    def page(self, path: str, bars: pd.DataFrame, fault: Fault | None) -> pd.DataFrame:
        """The rows of a page, as the fault has them."""
        if fault is None or bars.empty:
            return bars
        if fault.kind == "doubled":
            return bars.loc[bars.index.repeat(2)].reset_index(drop=True)
        if fault.kind == "reversed":
            return bars.iloc[::-1].reset_index(drop=True)
        if fault.kind == "capped":
            return bars.head(30)
        if fault.kind == "future":
            return bars.assign(open_time=bars["open_time"] + 400 * 24 * HOUR_MS)
        if fault.kind == "open_bar":
            now = self.market.now_ms
            open_bar = bars.iloc[[-1]].assign(open_time=now // HOUR_MS * HOUR_MS, close=1.0)
            return pd.concat([bars, open_bar], ignore_index=True)
        return bars

    def _take_fault(self, path: str) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.times > 0 and (path.endswith(fault.path) if fault.kind == "file" else fault.path in path):
                    fault.times -= 1
                    return fault
        return None

    def _answer(self, asked: Asked) -> tuple[Reply, Fault | None]:
        from tests.data.sources.protocols import answer

        fault = self._take_fault(asked.path)
        if fault is not None and fault.kind == "stale" and asked.path in self._last_page:
            return Reply(self._last_page[asked.path]), None
        reply = answer(self, asked, fault)
        self._last_page.setdefault(asked.path, reply.body)
        return reply, fault

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                """Silent."""

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                asked = Asked(parts.path, dict(parse_qsl(parts.query)), {k.lower(): v for k, v in self.headers.items()})
                server.asked.append(asked)
                reply, fault = server._answer(asked)
                MISCHIEF.get(fault.kind if fault else "", _send)(self, reply, fault, server)

        return Handler


Mischief = Callable[[BaseHTTPRequestHandler, Reply, Fault | None, ExchangeServer], None]


def _send(http: BaseHTTPRequestHandler, reply: Reply, fault: Fault | None, server: ExchangeServer) -> None:
    body = reply.body
    if "date" in reply.headers:
        http.send_response_only(reply.status)
    else:
        http.send_response(reply.status)
    if "gzip" in http.headers.get("Accept-Encoding", "") and "json" in reply.headers.get("Content-Type", ""):
        body = gzip.compress(body, 1)
        http.send_header("Content-Encoding", "gzip")
    for name, value in reply.headers.items():
        http.send_header(name, value)
    http.send_header("Content-Length", str(len(body)))
    http.end_headers()
    http.wfile.write(body)


def _status(http: BaseHTTPRequestHandler, reply: Reply, fault: Fault, server: ExchangeServer) -> None:
    status = {"429": 429, "418": 418, "500": 500}.get(fault.kind) or fault.settings["status"]
    headers = {"Content-Type": "application/json"}
    headers |= fault.settings.get("headers", {})
    if "retry_after" in fault.settings:
        headers["Retry-After"] = str(fault.settings["retry_after"])
    text = fault.settings.get("text", '{"message": "not now"}')
    _send(http, Reply(text.encode(), status, headers), fault, server)


def _truncated(http: BaseHTTPRequestHandler, reply: Reply, fault: Fault, server: ExchangeServer) -> None:
    http.send_response(200)
    http.send_header("Content-Length", str(len(reply.body)))
    http.end_headers()
    http.wfile.write(reply.body[: len(reply.body) // 2])
    http.close_connection = True


def _torn_gzip(http: BaseHTTPRequestHandler, reply: Reply, fault: Fault, server: ExchangeServer) -> None:
    packed = gzip.compress(reply.body)
    torn = packed[: len(packed) // 2] if fault.settings.get("how") != "garbled" else packed[:12] + b"\0" * 20
    http.send_response(200)
    http.send_header("Content-Encoding", "gzip")
    http.send_header("Content-Length", str(len(torn)))
    http.end_headers()
    http.wfile.write(torn)


def _dropped(http: BaseHTTPRequestHandler, reply: Reply, fault: Fault, server: ExchangeServer) -> None:
    http.close_connection = True


def _slow(http: BaseHTTPRequestHandler, reply: Reply, fault: Fault, server: ExchangeServer) -> None:
    server._released.wait(10)
    http.close_connection = True


def _redirect(http: BaseHTTPRequestHandler, reply: Reply, fault: Fault, server: ExchangeServer) -> None:
    _send(http, Reply(b"", 302, {"Location": fault.settings.get("to", "http://elsewhere.invalid/")}), fault, server)


def _huge(http: BaseHTTPRequestHandler, reply: Reply, fault: Fault, server: ExchangeServer) -> None:
    """60 MB of white space, packed into 60 kB."""
    _send(http, Reply(b" " * (60 << 20)), fault, server)


def _not_json(http: BaseHTTPRequestHandler, reply: Reply, fault: Fault, server: ExchangeServer) -> None:
    _send(http, Reply(b"<html>maintenance</html>"), fault, server)


def _shape(http: BaseHTTPRequestHandler, reply: Reply, fault: Fault, server: ExchangeServer) -> None:
    _send(http, as_json(fault.settings.get("content", {"surprise": [1, {"a": "b"}]})), fault, server)


def _file(http: BaseHTTPRequestHandler, reply: Reply, fault: Fault, server: ExchangeServer) -> None:
    _send(http, Reply(fault.settings["body"], 200, {"Content-Type": "application/zip"}), fault, server)


MISCHIEF: dict[str, Mischief] = {
    "429": _status, "418": _status, "500": _status, "status": _status, "truncated": _truncated, "torn_gzip": _torn_gzip,
    "dropped": _dropped, "slow": _slow, "redirect": _redirect, "huge": _huge, "not_json": _not_json, "shape": _shape,
    "file": _file,
}  # fmt: skip


@contextmanager
def serve(market: Market | None = None) -> Iterator[ExchangeServer]:
    """A server while the block runs."""
    server = ExchangeServer(market or Market())
    try:
        yield server
    finally:
        server.close()
