"""Binance's public archive of files, data.binance.vision: no key, no rate limit to speak of, years in minutes.

Protocol: github.com/binance/binance-public-data. A ZIP for each month that is over and for each day that is over, each
beside a `.CHECKSUM` (SHA-256), which is checked before the ZIP is opened. Files of spot have no header, newer ones of
futures have; times of spot are microseconds from 2025 on. A month whose file is not there yet is read day by day; what
the archive does not have is not covered.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import pandas as pd
from pydantic import Field

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import Span
from tradewind.data.sources.archive_files import Archive, Shelf, as_ms
from tradewind.data.sources.base import Page, SidePage
from tradewind.data.sources.paging import (
    OPEN_INTEREST_DELAY_MS,
    closes_page,
    overlap,
    require_no_future,
    settled_bars,
    settled_instants,
    vintages,
    within,
)
from tradewind.data.sources.timing import RateLimiter, RetryPolicy, Timing
from tradewind.data.sources.transport import Address, Transport
from tradewind.errors import BadData, BadParameters
from tradewind.market.timeframes import bar_duration_ms
from tradewind.parameters import Parameters

_KLINES = (
    "open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "trades", "taker_volume",
    "taker_quote_volume", "ignore",
)  # fmt: skip
_FUNDING = ("calc_time", "funding_interval_hours", "last_funding_rate")
_METRICS = (
    "create_time", "symbol", "sum_open_interest", "sum_open_interest_value", "count_toptrader_long_short_ratio",
    "sum_toptrader_long_short_ratio", "count_long_short_ratio", "sum_taker_long_short_vol_ratio",
)  # fmt: skip
_KEPT = ["open_time", "open", "high", "low", "close", "volume", "quote_volume", "trades"]
_FOLDERS = {"spot": "spot", "um": "futures/um", "cm": "futures/cm"}
_VENUES = {"spot": "binance", "um": "binance_usdm", "cm": "binance_coinm"}
_INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w")
_PRICES = {"mark_price": "markPriceKlines", "index_price": "indexPriceKlines", "premium": "premiumIndexKlines"}
_SERIES = {
    "spot": (),
    "um": ("basis", "funding", "index_price", "mark_price", "open_interest", "premium"),
    "cm": ("basis", "funding", "index_price", "mark_price", "premium"),
}


class Rules(Parameters):
    """The archive (`source.kind: binance_archive`): `market` is spot, um (USD-margined) or cm (coin-margined).

    `venue` is what its bars are called (default: binance, binance_usdm or binance_coinm). `side_timeframe` is the step
    of marks and basis. `unpacked_limit_mb` bounds what one ZIP may hold.
    """

    renamed: ClassVar[Mapping[str, str]] = {"patience": "retry_policy"}

    market: Literal["spot", "um", "cm"] = "spot"
    venue: str = ""
    side_timeframe: str = "1h"
    requests_per_s: float = Field(default=20.0, gt=0)
    unpacked_limit_mb: float = Field(default=1024.0, gt=0)
    base_url: Address = "https://data.binance.vision"
    retry_policy: RetryPolicy = RetryPolicy(body_limit_mb=512.0)


class BinanceArchiveSource:
    """The archive; see `sources.base.Source`."""

    def __init__(self, rules: Rules, timing: Timing) -> None:
        self.rules, self.timing = rules, timing
        self.name, self.venue = f"binance_archive.{rules.market}", rules.venue or _VENUES[rules.market]
        self._transport = Transport(rules.retry_policy, timing, RateLimiter(1 / rules.requests_per_s, timing))
        self._archive = Archive(self._transport, rules.base_url, rules.unpacked_limit_mb)

    def __repr__(self) -> str:
        return f"BinanceArchiveSource({self.rules!r})"

    def bars(self, key: BarKey, span: Span) -> Iterator[Page]:
        """The bars that open within the span, a page for each file; see `Source.bars`."""
        if key.timeframe not in _INTERVALS:
            raise BadParameters(f"{self.name} has no {key.timeframe} bars; it has {list(_INTERVALS)}")
        yield from self._klines("klines", key.symbol, key.timeframe, span)

    def side_series(self, series: str, symbol: str, span: Span) -> Iterator[SidePage]:
        """funding, open_interest (um), mark_price, index_price, premium or basis; see `Source.side_series`.

        Args:
            series: name of the series.
            symbol: in the project's spelling; "" for a series of the market.
            span: of reference times, UTC milliseconds, the end not included.

        Returns:
            Pages, oldest first.

        Raises:
            BadParameters: this market has no such series.
        """
        if series not in _SERIES[self.rules.market]:
            has = list(_SERIES[self.rules.market])
            raise BadParameters(f"{self.name} has no side series {series!r}; it has {has or 'none'}")
        if series == "funding":
            return self._funding(symbol, span)
        if series == "open_interest":
            return self._open_interest(symbol, span)
        return self._prices(series, symbol, span)

    def close(self) -> None:
        """Give back connections."""
        self._transport.close()

    def _klines(self, kind: str, symbol: str, timeframe: str, span: Span) -> Iterator[Page]:
        settled = settled_bars(span, timeframe, self.timing.now_ms, 0.0)
        if settled is None:
            return
        shelf = self._shelf(f"{kind}/{symbol}/{timeframe}", f"{symbol}-{timeframe}", _KLINES)
        for file, rows in self._archive.tables(shelf, settled, self.timing.now_ms):
            bars = rows[_KEPT].assign(open_time=as_ms(rows["open_time"]))
            if self.rules.market == "cm":  # volume counts contracts there, quote_volume the base asset
                bars = bars.drop(columns="volume").rename(columns={"quote_volume": "volume"})
            require_no_future(bars["open_time"], self.timing.now_ms, file.path)
            if len(bars) and within(bars, file.span).empty:
                raise BadData(f"{file.path} holds bars of another time than its name says")
            part = overlap(file.span, settled)
            yield Page(within(bars, part), part)

    def _funding(self, symbol: str, span: Span) -> Iterator[SidePage]:
        settled = settled_instants(span, self.timing.now_ms, 0.0)
        if settled is None:
            return
        shelf = self._shelf(f"fundingRate/{symbol}", f"{symbol}-fundingRate", _FUNDING, has_days=False)
        for file, rows in self._archive.tables(shelf, settled, self.timing.now_ms):
            part = overlap(file.span, settled)
            rates = within(rows.assign(calc_time=as_ms(rows["calc_time"])), part, "calc_time")
            at = rates["calc_time"]
            yield SidePage(vintages("funding", symbol, at, at + 1, rates["last_funding_rate"]), part)

    def _open_interest(self, symbol: str, span: Span) -> Iterator[SidePage]:
        """Every five minutes, known five minutes later; a day's file also holds the midnight after it."""
        settled = settled_instants(span, self.timing.now_ms, 0.0)
        if settled is None:
            return
        shelf = self._shelf(f"metrics/{symbol}", f"{symbol}-metrics", _METRICS, has_months=False)
        for file, rows in self._archive.tables(shelf, settled, self.timing.now_ms):
            at = pd.to_datetime(rows["create_time"], utc=True).dt.as_unit("ms").astype("int64")
            settled_rows = within(rows.assign(create_time=at), settled, "create_time")
            at = settled_rows["create_time"]
            page = vintages("open_interest", symbol, at, at + OPEN_INTEREST_DELAY_MS, settled_rows["sum_open_interest"])
            yield SidePage(page, overlap(file.span, settled))

    def _prices(self, series: str, symbol: str, span: Span) -> Iterator[SidePage]:
        """The closes of mark, index or premium bars, of the basis mark over index less one; known at the close."""
        timeframe = self.rules.side_timeframe
        bar_ms = bar_duration_ms(timeframe)
        opened = Span(span.since_ms - bar_ms, span.until_ms - bar_ms)
        kinds = ["mark_price", "index_price"] if series == "basis" else [series]
        by_price = [
            {page.covered: page for page in self._klines(_PRICES[kind], symbol, timeframe, opened)} for kind in kinds
        ]
        for covered in by_price[0]:
            if all(covered in pages for pages in by_price):
                yield closes_page(series, symbol, [pages[covered] for pages in by_price], bar_ms)

    def _shelf(self, folder: str, name: str, columns: tuple[str, ...], **has: bool) -> Shelf:
        return Shelf(_FOLDERS[self.rules.market], folder, name, columns, **has)
