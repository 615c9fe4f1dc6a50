"""A venue that holds known bars and answers as a source does, page by page."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import Span
from tradewind.data.sources.base import Page, SidePage
from tradewind.errors import TradewindError

HOUR = 3_600_000
START = int(datetime(2024, 1, 30, tzinfo=UTC).timestamp() * 1000)  # two days before a month ends
NOW = datetime(2024, 3, 1, tzinfo=UTC)


def key(symbol: str) -> BarKey:
    return BarKey(venue="venue", symbol=symbol, timeframe="1h")


def at(bar: float) -> datetime:
    """When the bar of this place opens."""
    return datetime.fromtimestamp((START + bar * HOUR) / 1000, UTC)


def bars_of(symbol: str, places: range | list[int], shift: float = 0.0) -> pd.DataFrame:
    """Bars at these places, each with prices of its own; `shift` makes it another row for the same bar."""
    place = np.array(places, dtype=np.int64)
    close = 100.0 + place + len(symbol) + shift
    return pd.DataFrame(
        {
            "open_time": START + place * HOUR, "open": close, "high": close + 1, "low": close - 1, "close": close,
            "volume": 1.0 + place % 7,
        }
    )  # fmt: skip


@dataclass
class Venue:
    """`bars` by symbol, in pages of `page_bars`, `refuses` instead of an answer, and whatever is asked, in `asked`.

    `before_page` is called with the number of pages given so far before each page.
    """

    bars_by_symbol: dict[str, pd.DataFrame]
    page_bars: int = 24
    refuses: dict[str, TradewindError] = field(default_factory=dict)
    funding: list[int] = field(default_factory=list)
    before_page: Callable[[int], None] = lambda _: None
    asked: list[tuple[str, Span]] = field(default_factory=list)
    pages: int = 0
    name: str = "test.venue"
    venue: str = "venue"

    def bars(self, key: BarKey, span: Span) -> Iterator[Page]:
        """Complete pages."""
        self.asked.append((key.symbol, span))
        rows = self.bars_by_symbol[key.symbol]
        for since in range(span.since_ms, span.until_ms, self.page_bars * HOUR):
            page = Span(since, min(since + self.page_bars * HOUR, span.until_ms))
            self.before_page(self.pages)
            self.pages += 1
            if key.symbol in self.refuses and self.pages > 1:
                raise self.refuses[key.symbol]
            inside = (rows["open_time"] >= page.since_ms) & (rows["open_time"] < page.until_ms)
            yield Page(rows.loc[inside].reset_index(drop=True), page)

    def side_series(self, series: str, symbol: str, span: Span) -> Iterator[SidePage]:
        """Funding at the places of `funding`, the rate of each its place."""
        self.asked.append((f"{series} {symbol}", span))
        self.before_page(self.pages)
        self.pages += 1
        places = [place for place in self.funding if span.since_ms <= START + place * HOUR < span.until_ms]
        instants = pd.DatetimeIndex([at(place) for place in places], tz="UTC").as_unit("ms")
        yield SidePage(
            pd.DataFrame(
                {
                    "series": pd.Series([series] * len(places), dtype="str"),
                    "symbol": pd.Series([symbol] * len(places), dtype="str"),
                    "reference_at": instants,
                    "known_at": instants,
                    "value": np.array(places, dtype=np.float64),
                }
            ),
            span,
        )

    def close(self) -> None:
        """Nothing."""

    @property
    def bars_asked(self) -> int:
        """How many bars were asked for so far."""
        return sum((span.until_ms - span.since_ms) // HOUR for _, span in self.asked)
