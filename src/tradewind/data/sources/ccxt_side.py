"""Side series of an exchange through ccxt: funding, open interest, and the prices that funding rests on.

When a value was known: a funding rate once it was settled (one millisecond after); an open interest five
minutes after it was measured; a mark, an index or a basis when its bar closed.
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

import numpy as np
import pandas as pd

from tradewind.data.files.deliveries import Span
from tradewind.data.sources.base import Page, SidePage
from tradewind.data.sources.ccxt_session import ExchangeCapabilities, Rules
from tradewind.data.sources.paging import (
    DAY_MS,
    OPEN_INTEREST_DELAY_MS,
    closes_page,
    require_no_future,
    settled_bars,
    settled_instants,
    vintages,
    windows,
    within,
)
from tradewind.data.sources.timing import Timing
from tradewind.errors import BadData, BadParameters
from tradewind.market.timeframes import bar_duration_ms

_HOUR_MS = 3_600_000
# An answer of so many settlements may be cut off; the longest window asked for, in hours.
_FULL_ANSWER, _LONGEST_WINDOW = 100, 500
_PRICES = {"mark_price": "mark", "index_price": "index", "premium": "premiumIndex"}
# What ccxt must have: an exchange without a price of its own kind would answer with bars of trades.
_NEEDS = {
    "basis": ("fetchMarkOHLCV", "fetchIndexOHLCV"),
    "funding": ("fetchFundingRateHistory",),
    "index_price": ("fetchIndexOHLCV",),
    "mark_price": ("fetchMarkOHLCV",),
    "open_interest": ("fetchOpenInterestHistory",),
    "premium": ("fetchPremiumIndexOHLCV",),
}
SERIES = tuple(_NEEDS)
Result = TypeVar("Result")


class CcxtClient(Protocol):
    """The part of `ccxt_exchange.CcxtSource` that side series are fetched with."""

    name: str
    rules: Rules
    timing: Timing
    capabilities: ExchangeCapabilities

    @property
    def exchange(self) -> Any:
        """ccxt's exchange of this thread, with its markets loaded."""

    def market(self, symbol: str) -> str:
        """ccxt's name of a symbol."""

    def ask(self, call: Callable[..., Result], *arguments: Any, **named: Any) -> Result:
        """What ccxt's `call` returns, retried, its errors as ours.

        Args:
            call: a method of ccxt's exchange.
            arguments: of the method.
            named: of the method.
        """

    def price_bars(
        self, market: str, timeframe: str, span: Span, price: str | None = None, *, may_leap: bool = True
    ) -> Iterator[Page]:
        """Bars of trades, or of a mark, index or premium price.

        Args:
            market: in ccxt's spelling.
            timeframe: such as `1h`.
            span: of opening times, UTC milliseconds, the end not included.
            price: mark, index or premiumIndex; None for trades.
            may_leap: whether a hole of many windows is passed in one step.
        """


def side_series(source: CcxtClient, series: str, symbol: str, span: Span) -> Iterator[SidePage]:
    """The pages of a side series of one swap.

    Args:
        source: asked for swaps.
        series: name of the series.
        symbol: in the project's spelling.
        span: of reference times, UTC milliseconds, the end not included.

    Returns:
        Pages, oldest first.

    Raises:
        BadParameters: no such series, or the source is not asked for swaps.
    """
    if series not in SERIES:
        raise BadParameters(f"{source.name} has no side series {series!r}; it has {list(SERIES)}")
    if source.rules.market != "swap":
        raise BadParameters(f"{source.name}: {series} belongs to swaps; set source.market: swap")
    lacking = [name for name in _NEEDS[series] if not source.exchange.has.get(name)]
    if lacking:
        raise BadParameters(
            f"{source.name}: ccxt cannot fetch the history of {series} from this exchange ({lacking[0]})"
        )
    if series == "funding":
        return _funding(source, symbol, span)
    if series == "open_interest":
        return _open_interest(source, symbol, span)
    return _prices(source, series, symbol, span)


def _funding(source: CcxtClient, symbol: str, span: Span) -> Iterator[SidePage]:
    """By windows that hold an hourly settlement; a fuller answer is asked for again in halves."""
    market = source.market(symbol)
    settled = _kept(source, settled_instants(span, source.timing.now_ms, source.rules.settle_s), "funding_days")
    limit = int(source.exchange.feature_value(market, "fetchFundingRateHistory", "limit", _FULL_ANSWER) or _FULL_ANSWER)
    limit = min(limit, _LONGEST_WINDOW)
    for window in windows(settled, limit * _HOUR_MS) if settled else ():
        rates = pd.concat(list(_funding_rows(source, market, window, limit)), ignore_index=True)
        at = rates["timestamp"]
        yield SidePage(vintages("funding", symbol, at, at + 1, rates["value"]), _trusted(source, window))


def _funding_rows(source: CcxtClient, market: str, window: Span, limit: int) -> Iterator[pd.DataFrame]:
    extra = {source.capabilities.end_name: window.until_ms - 1}
    call = source.exchange.fetch_funding_rate_history
    rows = _instants(source.ask(call, market, window.since_ms, limit, extra), "fundingRate", source)
    if len(rows) >= min(limit, _FULL_ANSWER) and window.until_ms - window.since_ms > _HOUR_MS:
        middle = (window.since_ms + window.until_ms) // 2
        yield from _funding_rows(source, market, Span(window.since_ms, middle), limit)
        yield from _funding_rows(source, market, Span(middle, window.until_ms), limit)
    else:
        yield within(rows, window, "timestamp")


def _open_interest(source: CcxtClient, symbol: str, span: Span) -> Iterator[SidePage]:
    market, step_ms = source.market(symbol), bar_duration_ms(source.rules.side_timeframe)
    limit = int(source.exchange.feature_value(market, "fetchOpenInterestHistory", "limit", 100) or 100)
    rows = min(limit, 200)
    settled = _kept(
        source, settled_bars(span, source.rules.side_timeframe, source.timing.now_ms, source.rules.settle_s),
        "open_interest_days",
    )  # fmt: skip
    for window in windows(settled, rows * step_ms) if settled else ():
        call, extra = source.exchange.fetch_open_interest_history, {"until": window.until_ms - 1}
        answer = source.ask(call, market, source.rules.side_timeframe, window.since_ms, rows, extra)
        in_window = within(_instants(answer, "openInterestAmount", source), window, "timestamp")
        if len(in_window) and in_window["value"].isna().all():
            raise BadData(f"{source.name} has its open interest in money alone, not in units of the base asset")
        at = in_window["timestamp"]
        page = vintages("open_interest", symbol, at, at + OPEN_INTEREST_DELAY_MS, in_window["value"])
        yield SidePage(page, window if source.capabilities.open_interest_days is not None else None)


def _prices(source: CcxtClient, series: str, symbol: str, span: Span) -> Iterator[SidePage]:
    """The closes of mark, index or premium bars; of the basis their mark over their index, less one."""
    market, timeframe = source.market(symbol), source.rules.side_timeframe
    bar_ms = bar_duration_ms(timeframe)
    opened = Span(span.since_ms - bar_ms, span.until_ms - bar_ms)
    settled = settled_bars(opened, timeframe, source.timing.now_ms, source.rules.settle_s)
    if settled is None:
        return
    kinds = ["mark", "index"] if series == "basis" else [_PRICES[series]]
    asked = [source.price_bars(market, timeframe, settled, kind, may_leap=len(kinds) == 1) for kind in kinds]
    for pages in zip(*asked, strict=True):
        yield closes_page(series, symbol, pages, bar_ms)


def _instants(answer: Any, name: str, source: CcxtClient) -> pd.DataFrame:
    times = [entry["timestamp"] for entry in answer]
    values = [entry.get(name) if entry.get(name) is not None else np.nan for entry in answer]
    rows = pd.DataFrame({"timestamp": pd.Series(times, dtype="int64"), "value": pd.Series(values, dtype="float64")})
    require_no_future(rows["timestamp"], source.timing.now_ms, source.name)
    return rows


def _kept(source: CcxtClient, span: Span | None, name: str) -> Span | None:
    """The part of `span` that the exchange still has."""
    days = getattr(source.capabilities, name)
    if span is None or days is None:
        return span
    since_ms = max(span.since_ms, source.timing.now_ms - days * DAY_MS)
    return Span(since_ms, span.until_ms) if since_ms < span.until_ms else None


def _trusted(source: CcxtClient, window: Span) -> Span | None:
    return window if source.capabilities.answers_windows else None
