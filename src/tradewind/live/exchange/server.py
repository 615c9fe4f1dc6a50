"""A simulated exchange that speaks Binance's public protocol over REST and websockets, faster than real time.

Extensions, named so: the stream `!side` tells values of side series, `/sim/side` their past, and while the market is
down the time, which a venue faster than real time has nowhere else.
"""

import asyncio
import json
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tradewind.live.exchange.world import LOT, TICK, Moment, World

FAULTS = (
    "silence", "disconnect", "duplicate", "late", "hole", "sequence_gap", "crossed", "zero_price", "huge_price",
    "nonsense", "clock", "stale_snapshot", "http_429", "http_500",
)  # fmt: skip
QUEUE = 2000
SLOWEST_S = 10.0  # a listener that takes nothing for so long is let go: its connection may be gone without a word


@dataclass
class Exchange:
    """The exchange's time and its listeners.

    Attributes:
        world: what is shown.
        speed: simulated seconds a second, at most; 0: as fast as the listeners read.
        now_ms: its time.
        planned: faults to come, as (from this time on, kind).
        shown: faults that were shown, by kind.
    """

    world: World
    speed: float = 3600.0
    now_ms: int = 0
    planned: deque[tuple[int, str]] = field(default_factory=deque)
    shown: dict[str, int] = field(default_factory=dict)
    _listeners: list[asyncio.Queue[str | None]] = field(default_factory=list)
    _updates: dict[str, int] = field(default_factory=dict)
    _books: dict[str, tuple[list[tuple[float, float]], list[tuple[float, float]]]] = field(default_factory=dict)
    _held: list[tuple[int, str]] = field(default_factory=list)
    _http: list[int] = field(default_factory=list)
    _skip: set[str] = field(default_factory=set)
    _is_old: bool = False

    def __post_init__(self) -> None:
        self.now_ms = self.world.begin_ms

    async def run(self, bars: int | None = None) -> None:
        """Let time pass, for so many bars or to the market's end; begins when someone listens."""
        loop = asyncio.get_running_loop()
        while not self._listeners:
            await asyncio.sleep(0.01)
        began, first_ms, side = loop.time(), self.now_ms, deque(self.world.side)
        while side and side[0][0] <= self.now_ms:
            side.popleft()
        last_ms = min(self.world.end_ms, first_ms + (bars or 10**9) * self.world.bar_ms)
        while self.now_ms < last_ms:
            open_ms = self.now_ms
            for moment in self.world.moments(open_ms):
                await self._pace(began, first_ms, moment.at_ms)
                await self._show(moment)
            if self.now_ms == open_ms:
                for at_ms in self.world.instants(open_ms):
                    await self._pace(began, first_ms, at_ms)
                    self.now_ms = at_ms
                    await self._send({"e": "time", "E": at_ms})
            close_ms = open_ms + self.world.bar_ms
            await self._pace(began, first_ms, close_ms)
            while side and side[0][0] <= close_ms:
                known, series, symbol, value = side.popleft()
                await self._send({"e": "side", "E": known, "n": series, "s": symbol, "t": known, "v": value})
            self.now_ms = close_ms
            await self._close(open_ms)

    async def _pace(self, began: float, first_ms: int, at_ms: int) -> None:
        # As fast as the listeners read: while none is there, and one waits before it tries again, no time passes.
        while not self.speed and not self._listeners:
            await asyncio.sleep(0.01)
        due = began + (at_ms - first_ms) / 1000 / self.speed if self.speed else 0.0
        wait = due - asyncio.get_running_loop().time()
        await asyncio.sleep(max(wait, 0.0))

    def _fault(self, *kinds: str) -> str:
        """The next planned fault if it is one of these and due."""
        if self.planned and self.planned[0][0] <= self.now_ms and self.planned[0][1] in kinds:
            kind = self.planned.popleft()[1]
            self.shown[kind] = self.shown.get(kind, 0) + 1
            return kind
        return ""

    async def _show(self, moment: Moment) -> None:
        self.now_ms, symbol = moment.at_ms, moment.symbol
        for status in [one for one in (self._fault("http_429"), self._fault("http_500")) if one]:
            self._http.append(int(status[-3:]))
        if self._fault("disconnect"):
            await self._drop()
        if self._fault("silence"):
            await asyncio.sleep(1.5)
        if self._fault("nonsense"):
            await self._raw("{this is no message")
        price = {"zero_price": 0.0, "huge_price": 1e12}.get(self._fault("zero_price", "huge_price"), moment.price)
        at_ms = moment.at_ms + (3_600_000 if self._fault("clock") else 0)
        trade = {"e": "trade", "E": at_ms, "s": symbol, "t": at_ms, "p": repr(price), "q": repr(moment.quantity)}
        await self._send({**trade, "T": at_ms, "m": False})
        await self._depth(moment)
        opening, high, low, close, volume = moment.bar
        open_ms = moment.at_ms // self.world.bar_ms * self.world.bar_ms
        await self._send(self._kline(symbol, open_ms, (opening, high, low, close, volume), moment.at_ms, False))

    async def _depth(self, moment: Moment) -> None:
        symbol = moment.symbol
        before = self._books.get(symbol, ([], []))
        bids, asks = moment.bids, moment.asks
        if self._fault("crossed"):
            bids = [(asks[0][0] + TICK, 1.0), *bids]
        changes = []
        for old, new in zip(before, (bids, asks), strict=True):
            gone = [(price, 0.0) for price, _ in old if price not in dict(new)]
            changes.append([[repr(price), repr(size)] for price, size in (*gone, *new)])
        self._books[symbol] = (bids, asks)
        first = self._updates.get(symbol, 0) + 1
        self._updates[symbol] = first + 2
        if self._fault("stale_snapshot"):
            self._is_old = True
        has_gap = self._fault("sequence_gap")  # asked first: a fault that waits would hold up those behind it
        if self._is_old or has_gap:
            first += 1
        update = {"e": "depthUpdate", "E": moment.at_ms, "s": symbol, "U": first, "u": self._updates[symbol]}
        await self._send({**update, "b": changes[0], "a": changes[1]})

    async def _close(self, open_ms: int) -> None:
        """The candles that close now, and those that were held back."""
        held, self._held = self._held, []
        for symbol in self.world.symbols:
            for row in self.world.rows(symbol, open_ms, open_ms + self.world.bar_ms):
                candle = self._kline(symbol, open_ms, tuple(row[1:6].tolist()), self.now_ms, True)
                if self._fault("hole"):
                    continue
                if self._fault("late"):
                    self._held.append((self.now_ms, json.dumps({"stream": "", "data": candle})))
                    continue
                await self._send(candle)
                if self._fault("duplicate"):
                    await self._send(candle)
        for _, text in held:
            await self._raw(text)

    def _kline(
        self, symbol: str, open_ms: int, numbers: tuple[float, ...], at_ms: int, is_closed: bool
    ) -> dict[str, Any]:
        names = dict(zip("ohlcv", (repr(one) for one in numbers), strict=True))
        bar = {"t": open_ms, "T": open_ms + self.world.bar_ms - 1, "s": symbol, "i": self.world.interval}
        return {"e": "kline", "E": at_ms, "s": symbol, "k": {**bar, **names, "n": 0, "x": is_closed}}

    async def _send(self, event: dict[str, Any]) -> None:
        await self._raw(json.dumps({"stream": f"{str(event.get('s', '')).lower()}@{event['e']}", "data": event}))

    async def _raw(self, text: str) -> None:
        for queue in list(self._listeners):
            try:  # a listener that is slow slows the exchange down: nothing is left out
                async with asyncio.timeout(SLOWEST_S):
                    await queue.put(text)
            except TimeoutError:
                if queue in self._listeners:
                    self._listeners.remove(queue)

    async def stop(self) -> None:
        """Let every listener go."""
        for queue in list(self._listeners):
            while not queue.empty():
                queue.get_nowait()
            queue.put_nowait(None)

    async def _drop(self) -> None:
        for queue in list(self._listeners):
            await queue.put(None)
        self._listeners.clear()

    def app(self) -> Starlette:
        """The exchange as an application."""
        paths = {
            "/api/v3/ping": self._ping, "/api/v3/time": self._time, "/api/v3/exchangeInfo": self._info,
            "/api/v3/klines": self._klines, "/api/v3/depth": self._snapshot, "/sim/side": self._side,
        }  # fmt: skip
        routes = [Route(path, self._guarded(answer)) for path, answer in paths.items()]
        return Starlette(routes=[*routes, WebSocketRoute("/stream", self._stream)])

    def _guarded(self, answer: Any) -> Any:
        async def guarded(request: Request) -> Response:
            if self._http:
                return Response("planned", status_code=self._http.pop(), headers={"Retry-After": "0.05"})
            return JSONResponse(answer(request))

        return guarded

    def _ping(self, request: Request) -> Any:
        return {}

    def _time(self, request: Request) -> Any:
        return {"serverTime": self.now_ms}

    def _info(self, request: Request) -> Any:
        filters = [
            {"filterType": "PRICE_FILTER", "tickSize": str(TICK)},
            {"filterType": "LOT_SIZE", "stepSize": str(LOT), "minQty": str(LOT), "maxQty": "100000"},
            {"filterType": "NOTIONAL", "minNotional": "5"},
        ]
        symbols = [{"symbol": one, "status": "TRADING", "filters": filters} for one in self.world.symbols]
        return {"timezone": "UTC", "serverTime": self.now_ms, "symbols": symbols}

    def _klines(self, request: Request) -> Any:
        query = request.query_params
        start, end = int(query.get("startTime", 0)), int(query.get("endTime", self.now_ms))
        rows = self.world.rows(query["symbol"], start, min(end, self.now_ms))[: int(query.get("limit", 500))]
        last = self.world.bar_ms - 1
        return [
            [int(one[0]), *(repr(x) for x in one[1:6].tolist()), int(one[0]) + last, "0", 0, "0", "0", "0"]
            for one in rows
        ]

    def _snapshot(self, request: Request) -> Any:
        symbol = request.query_params["symbol"]
        bids, asks = self._books.get(symbol, ([], []))
        last, self._is_old = self._updates.get(symbol, 0), False
        levels = [[[repr(price), repr(size)] for price, size in side] for side in (bids, asks)]
        return {"lastUpdateId": last, "bids": levels[0], "asks": levels[1]}

    def _side(self, request: Request) -> Any:
        start, end = (
            int(request.query_params.get(name, at)) for name, at in (("startTime", 0), ("endTime", self.now_ms))
        )
        return [list(one) for one in self.world.side if start <= one[0] <= min(end, self.now_ms)]

    async def _stream(self, socket: WebSocket) -> None:
        await socket.accept()
        queue: asyncio.Queue[str | None] = asyncio.Queue(QUEUE)
        self._listeners.append(queue)
        # A client that has gone is noticed at once, not at the next message: nobody listens then.
        tasks = [asyncio.create_task(_send_all(socket, queue)), asyncio.create_task(socket.receive())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if queue in self._listeners:
                self._listeners.remove(queue)
            while not queue.empty():  # whoever waits to put goes on
                queue.get_nowait()


async def _send_all(socket: WebSocket, queue: asyncio.Queue[str | None]) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):
        while (text := await queue.get()) is not None:
            await socket.send_text(text)
        await socket.close()
