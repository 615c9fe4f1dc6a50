"""Binance's public streams: closed candles, trades and synchronised books, with holes filled over REST.

One owner of the connection. A silent socket is closed and opened anew, with growing waits; a book whose sequence breaks
is fetched again; nothing is invented. The venue's own closed flag decides when a candle is closed. Written against the
protocol of https://developers.binance.com/docs/binance-spot-api-docs (streams `kline`, `trade`, `depth`; REST
`exchangeInfo`, `klines`, `depth`, `time`).
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from tradewind.data.feeds.book import LocalBook
from tradewind.data.feeds.exchange_info import instruments_of
from tradewind.data.feeds.items import BookChanged, ClosedBar, Item, Note, PublicTrade, Published, VenueTime
from tradewind.errors import BadData, TemporaryOutage

REST, STREAM = "https://api.binance.com", "wss://stream.binance.com:9443"
SIDE = "!side"  # the stream of side series that the simulated exchange has
PAGE = 1000
LONGEST_WAIT_S = 60.0
MOST_TRIES = 6
BEHIND_MS, ASK_AGAIN_MS = 1000, 10_000  # a candle that is so late is asked for over REST; if it is not there, again


class BinanceRest:
    """The few public calls that a feed needs. Waits as long as the venue says where it is asked too often."""

    def __init__(self, base: str = REST, sleep: Callable[[float], Any] = asyncio.sleep) -> None:
        """Calls of one venue.

        Args:
            base: address without path.
            sleep: how waiting is done.
        """
        self._client, self._sleep = httpx.AsyncClient(base_url=base, timeout=10.0), sleep

    async def get(self, path: str, **query: Any) -> Any:
        """The answer to a question that may be asked again.

        Raises:
            TemporaryOutage: no answer after several tries.
            BadData: the venue refuses the question.
        """
        failure = ""
        for attempt in range(MOST_TRIES):
            try:
                answer = await self._client.get(path, params={name: one for name, one in query.items() if one})
            except httpx.HTTPError as error:
                failure = str(error) or type(error).__name__
                await self._sleep(min(0.2 * 2**attempt, LONGEST_WAIT_S))
                continue
            if answer.status_code in (418, 429):
                failure = f"asked too often ({answer.status_code})"
                await self._sleep(min(float(answer.headers.get("Retry-After", 1)), LONGEST_WAIT_S))
            elif answer.status_code >= 500:
                failure = f"status {answer.status_code}"
                await self._sleep(min(0.2 * 2**attempt, LONGEST_WAIT_S))
            elif answer.status_code >= 400:
                raise BadData(f"the venue refuses {path}: {answer.status_code} {answer.text[:200]}")
            else:
                return answer.json()
        raise TemporaryOutage(f"the venue does not answer {path} after {MOST_TRIES} tries: {failure}")

    async def now_ms(self) -> int:
        """The venue's time."""
        return int((await self.get("/api/v3/time"))["serverTime"])

    async def klines(self, symbol: str, interval: str, start_ms: int, end_ms: int) -> list[ClosedBar]:
        """Closed candles that opened from `start_ms` on and closed by `end_ms`, oldest first.

        Args:
            symbol: in the exchange's spelling, such as BTCUSDT.
            interval: such as 1h.
            start_ms: the earliest opening time, UTC milliseconds.
            end_ms: the latest closing time, UTC milliseconds.

        Returns:
            Oldest first; none twice.
        """
        bars: list[ClosedBar] = []
        while start_ms < end_ms:
            rows = await self.get(
                "/api/v3/klines", symbol=symbol, interval=interval, startTime=start_ms, endTime=end_ms, limit=PAGE
            )
            candles = [ClosedBar(symbol, int(one[0]), int(one[6]) + 1, *(float(x) for x in one[1:6])) for one in rows]
            bars += [one for one in candles if one.timestamp <= end_ms]
            if len(rows) < PAGE:
                break
            start_ms = candles[-1].timestamp
        return bars

    async def published(self, after_ms: int, until_ms: int) -> list[Published]:
        """Values of side series that became known after `after_ms` and by `until_ms`, oldest first; the simulated
        exchange alone has them.

        Args:
            after_ms: UTC milliseconds, left out.
            until_ms: UTC milliseconds.
        """
        rows = await self.get("/sim/side", startTime=after_ms + 1, endTime=until_ms)
        return [Published(series, symbol, int(known), _number(value)) for known, series, symbol, value in rows]

    async def instruments(self, symbols: Sequence[str]) -> dict[str, dict[str, float]]:
        """Steps and limits of each symbol, by the names of `risk.limits.Instrument`.

        Raises:
            BadData: the venue does not trade one of them.
        """
        return instruments_of(await self.get("/api/v3/exchangeInfo"), symbols)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


@dataclass
class _Sync:
    """A book on its way to being whole: the last update that it holds, -1 before the snapshot."""

    book: LocalBook = field(default_factory=LocalBook)
    last: int = -1


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


class BinanceFeed:
    """The feed of some symbols."""

    def __init__(
        self, symbols: Sequence[str], interval: str, bar_ms: int, rest: BinanceRest, stream: str = STREAM,
        silent_after_s: float = 20.0, extra: Sequence[str] = (), first_wait_s: float = 0.5,
    ) -> None:  # fmt: skip
        """A feed; nothing is opened before `items` is read.

        Args:
            symbols: as the venue writes them.
            interval: of the candles, such as 1h; `bar_ms` is its length.
            bar_ms: in milliseconds.
            rest: for holes and snapshots.
            stream: address of the streams.
            silent_after_s: a socket that says nothing for so long is given up.
            extra: names of further streams.
            first_wait_s: before the first new try; it doubles up to a minute.
        """
        self._symbols, self._interval, self._bar_ms, self._rest = tuple(symbols), interval, bar_ms, rest
        self._extra, self._silent_after_s, self._first_wait_s = tuple(extra), silent_after_s, first_wait_s
        names = [f"{name.lower()}@{kind}" for name in symbols for kind in (f"kline_{interval}", "trade", "depth@100ms")]
        self._url = f"{stream}/stream?streams={'/'.join([*names, *extra])}"
        self._closed: dict[str, int] = {}
        self._published: dict[tuple[str, str], int] = {}
        self._books: dict[str, _Sync] = {}
        self._at_ms, self._ask_ms = 0, 0
        self.reconnects = 0

    def begin_after(self, closed: Mapping[str, int], published: Mapping[tuple[str, str], int] | None = None) -> None:
        """What is known: what comes between it and the stream is fetched.

        Args:
            closed: closes of the newest bars by symbol, UTC milliseconds.
            published: when the newest values of side series became known, by series and symbol.
        """
        self._closed, self._published = dict(closed), dict(published or {})

    async def items(self) -> AsyncGenerator[Item, None]:
        """Items in the order in which they came; it never ends by itself."""
        wait, is_first = self._first_wait_s, True
        while True:
            try:
                async with connect(self._url, max_size=2**22, open_timeout=10, close_timeout=1) as socket:
                    if not is_first:
                        self.reconnects += 1
                        yield self._note("", "resubscribed", "the stream was opened anew")
                    async for item in self._caught_up():
                        yield item
                    yield Item(self._at_ms, Note("", "fresh", "the stream is up to date"), is_fetched=True)
                    is_first = False
                    async for item in self._read(socket):
                        wait = self._first_wait_s
                        yield item
            except (OSError, WebSocketException, TimeoutError, TemporaryOutage) as error:
                is_first = False
                detail = str(error) or type(error).__name__
                yield self._note("", "stale", f"the stream broke: {detail[:200]}; next try in {wait:.1f} s")
                await asyncio.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT_S)

    def _note(self, symbol: str, what: str, detail: str) -> Item:
        return Item(self._at_ms, Note(symbol, what, detail))

    async def _caught_up(self) -> AsyncIterator[Item]:
        """Bars that closed and values that were published while nobody listened, in the order of time; every book is
        begun anew."""
        self._books = {name: _Sync() for name in self._symbols}
        now_ms = await self._rest.now_ms()
        missed: list[ClosedBar] = []
        for symbol in self._symbols:
            if symbol in self._closed:
                candles = await self._rest.klines(symbol, self._interval, self._closed[symbol], now_ms)
                missed += [one for one in candles if one.timestamp > self._closed[symbol]]
        side: list[Published] = []
        if SIDE in self._extra and self._closed:
            side = [one for one in await self._rest.published(min(self._closed.values()), now_ms) if self._is_new(one)]
        if missed:  # what they lead to is decided on prices that are over
            yield self._note("", "stale", "bars that closed meanwhile are fetched")
            yield self._note("", "backfilled", f"{len(missed)} bars over REST")
        for bar in sorted(missed, key=lambda one: (one.timestamp, one.symbol)):
            while side and side[0].known_at <= bar.timestamp:
                yield Item(side[0].known_at, side.pop(0), is_fetched=True)
            self._closed[bar.symbol] = bar.timestamp
            yield Item(bar.timestamp, bar, is_fetched=True)
        for value in side:
            yield Item(value.known_at, value, is_fetched=True)
        self._at_ms = max(self._at_ms, now_ms)

    def _is_new(self, value: Published) -> bool:
        """Whether it came after all of its series and symbol; it is remembered then."""
        key = (value.series, value.symbol)
        if value.known_at <= self._published.get(key, -1):
            return False
        self._published[key] = value.known_at
        return True

    async def _read(self, socket: ClientConnection) -> AsyncIterator[Item]:
        while True:
            try:
                # Not `wait_for`: before Python 3.12 it forgets that it was cancelled if a message has come meanwhile,
                # and on a stream that never rests the feed would never end.
                async with asyncio.timeout(self._silent_after_s):
                    text = await socket.recv()
            except TimeoutError:
                raise TimeoutError(f"silent for {self._silent_after_s:g} s") from None
            try:
                message = json.loads(text)
                message = message.get("data", message)
                kind, at_ms = message["e"], int(message["E"])
            except (ValueError, KeyError, TypeError, AttributeError):
                yield self._note("", "refused", f"a message that is none: {str(text)[:100]}")
                continue
            leap, self._at_ms = at_ms - self._at_ms, at_ms
            try:
                async for item in self._parse(kind, message, at_ms):
                    yield item
                if abs(leap) < self._bar_ms // 2:  # else the message's time is doubtful
                    async for item in self._behind(at_ms):
                        yield item
            except (ValueError, KeyError, TypeError) as error:
                yield self._note(str(message.get("s", "")), "refused", f"{kind}: {type(error).__name__} {error}"[:200])

    async def _parse(self, kind: str, message: Mapping[str, Any], at_ms: int) -> AsyncIterator[Item]:
        if kind == "kline":
            async for item in self._kline(message["s"], message["k"], at_ms):
                yield item
        elif kind == "trade":
            yield Item(at_ms, PublicTrade(message["s"], float(message["p"]), float(message["q"])))
        elif kind == "depthUpdate":
            async for item in self._depth(message, at_ms):
                yield item
        elif kind == "side":
            value = Published(message["n"], message["s"], int(message["t"]), _number(message["v"]))
            if self._is_new(value):
                yield Item(at_ms, value)
        elif kind == "time":
            yield Item(at_ms, VenueTime())

    async def _kline(self, symbol: str, candle: Mapping[str, Any], at_ms: int) -> AsyncIterator[Item]:
        if not candle["x"]:
            return
        prices = (float(candle[name]) for name in ("o", "h", "l", "c", "v"))
        bar = ClosedBar(symbol, int(candle["t"]), int(candle["T"]) + 1, *prices)
        last = self._closed.get(symbol, bar.open_time)
        if bar.open_time > last:
            missing = (bar.open_time - last) // self._bar_ms
            yield Item(at_ms, Note(symbol, "gap", f"{missing} bars did not come"))
            candles = await self._rest.klines(symbol, self._interval, last, bar.open_time)
            for one in candles:
                yield Item(at_ms, one)
            yield Item(at_ms, Note(symbol, "backfilled", f"{len(candles)} of {missing} bars over REST"))
            yield Item(at_ms, Note(symbol, "fresh", "up to date"))
        self._closed[symbol] = max(last, bar.timestamp)
        yield Item(at_ms, bar)  # one that came before is repeated: listeners know its time

    async def _behind(self, at_ms: int) -> AsyncIterator[Item]:
        """Candles that closed a while ago and did not come: asked for over REST, so that decisions need not wait."""
        due = at_ms // self._bar_ms * self._bar_ms
        late = [name for name in self._symbols if self._closed.get(name, due) < due]
        if not late or at_ms < max(due + BEHIND_MS, self._ask_ms):
            return
        self._ask_ms = at_ms + ASK_AGAIN_MS
        for symbol in late:
            candles = await self._rest.klines(symbol, self._interval, self._closed[symbol], due)
            if candles:
                yield Item(at_ms, Note(symbol, "backfilled", f"{len(candles)} late bars over REST"))
            for one in candles:
                self._closed[symbol] = max(self._closed[symbol], one.timestamp)
                yield Item(at_ms, one)

    async def _depth(self, message: Mapping[str, Any], at_ms: int) -> AsyncIterator[Item]:
        symbol, sync = message["s"], self._books[message["s"]]
        first, last = int(message["U"]), int(message["u"])
        bids, asks = ([(float(p), float(q)) for p, q in message[side]] for side in ("b", "a"))
        if sync.last >= 0 and first > sync.last + 1:
            yield Item(at_ms, Note(symbol, "gap", f"updates {sync.last + 1} to {first - 1} of the book did not come"))
            sync.last = -1
        if sync.last < 0:
            shot = await self._rest.get("/api/v3/depth", symbol=symbol, limit=1000)
            levels = {side: [(float(p), float(q)) for p, q in shot[side]] for side in ("bids", "asks")}
            sync.book.replace(levels["bids"], levels["asks"], at_ms)
            sync.last = int(shot["lastUpdateId"])
            if first > sync.last + 1:
                sync.last = -1  # the snapshot is older than the updates: the next one asks again
                yield Item(at_ms, Note(symbol, "gap", "the snapshot is older than the updates"))
                return
            yield Item(at_ms, Note(symbol, "fresh", "the book is whole"))
        if last <= sync.last:
            return
        sync.book.update(bids, asks, at_ms)
        sync.last = last
        if not sync.book.is_whole:
            sync.last = -1
            yield Item(at_ms, Note(symbol, "gap", "the book crosses itself: fetched anew"))
            return
        yield Item(at_ms, BookChanged(symbol, sync.book))
