"""What a feed fetches after a break comes in the order of time, and nothing of it twice."""

import asyncio
import json
from typing import Any

from tradewind.data.feeds.binance import SIDE, BinanceFeed, BinanceRest
from tradewind.data.feeds.items import ClosedBar, Item, Note, Published

HOUR = 3_600_000


class Rest(BinanceRest):
    """A venue that closed five bars of two symbols and published funding at the end of the second and the fourth."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:1")

    async def get(self, path: str, **query: Any) -> Any:
        if path == "/api/v3/time":
            return {"serverTime": 5 * HOUR + 9}
        if path == "/api/v3/klines":
            opened = range(query["startTime"], query["endTime"] - HOUR + 1, HOUR)
            return [[at, "1", "1", "1", "1", "1", at + HOUR - 1] for at in opened]
        assert path == "/sim/side"
        rows = [[at * HOUR, "funding", name, 0.001 * at] for at in (2, 4) for name in ("A", "B")]
        return [one for one in rows if query["startTime"] <= one[0] <= query["endTime"]]


def feed() -> BinanceFeed:
    made = BinanceFeed(("A", "B"), "1h", HOUR, Rest(), extra=(SIDE,))
    made.begin_after({"A": HOUR, "B": HOUR})
    return made


async def gather(items: Any) -> list[Item]:
    return [one async for one in items]


def test_bars_and_published_values_of_a_break_come_in_the_order_of_time() -> None:
    items = [one for one in asyncio.run(gather(feed()._caught_up())) if not isinstance(one.message, Note)]
    assert all(one.is_fetched for one in items) and [one.at_ms for one in items] == sorted(one.at_ms for one in items)
    told = [(type(one.message), one.message.symbol, one.at_ms // HOUR) for one in items]
    assert len(set(told)) == len(told) == 8 + 4
    for at in (2, 4):  # what is known at a close comes before the bars that close then
        assert told.index((Published, "B", at)) < told.index((ClosedBar, "A", at))


def test_what_was_fetched_is_not_taken_from_the_stream_again() -> None:
    made = feed()

    def streamed(at: int) -> list[Item]:
        message = json.loads(json.dumps({"e": "side", "E": at, "n": "funding", "s": "A", "t": at, "v": None}))
        return asyncio.run(gather(made._parse("side", message, at)))

    assert len(streamed(2 * HOUR)) == 1 and streamed(2 * HOUR) == []
    fetched = [one.message for one in asyncio.run(gather(made._caught_up())) if isinstance(one.message, Published)]
    assert [(one.symbol, one.known_at // HOUR) for one in fetched] == [("B", 2), ("A", 4), ("B", 4)]
    assert streamed(4 * HOUR) == [] and len(streamed(6 * HOUR)) == 1
