"""Any exchange that ccxt knows: bars and side series of spot markets and perpetual swaps, page by page.

Bars are asked for in windows that an answer always holds whole, so that it does not matter in which order an exchange
answers, nor where it has holes. What the exchanges are known to do stands in `ccxt_session.CAPABILITIES`.
"""

import threading
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any, TypeVar

import pandas as pd

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import Span
from tradewind.data.sources import ccxt_side
from tradewind.data.sources.base import Page, SidePage
from tradewind.data.sources.ccxt_session import (
    CAPABILITIES,
    CcxtSession,
    ExchangeCapabilities,
    Rules,
    is_confirmed_empty,
    make_exchange,
    without_queries,
)
from tradewind.data.sources.paging import answered, require_no_future, settled_bars, within
from tradewind.data.sources.timing import RateLimiter, RetryableError, Timing, retry
from tradewind.data.sources.transport import Transport
from tradewind.errors import BadData, BadParameters, TradewindError
from tradewind.market.timeframes import bar_duration_ms

Result = TypeVar("Result")

_COLUMNS = ("open_time", "open", "high", "low", "close", "volume")
_FEWEST_BARS = 100
# What ccxt calls the markets that a kind of ours stands for, in the option that says which to load.
_TYPES = {"spot": {"spot"}, "swap": {"swap", "linear", "inverse", "contract"}}


class CcxtSource:
    """An exchange through ccxt; see `sources.base.Source`. Threads share its markets and its rate limit."""

    def __init__(self, rules: Rules, timing: Timing) -> None:
        self.rules, self.timing = rules, timing
        self.name = f"ccxt.{rules.exchange}"
        self.venue = rules.venue or rules.exchange + ("" if rules.market == "spot" else "_swap")
        self.capabilities = CAPABILITIES.get(rules.exchange, ExchangeCapabilities())
        self._transport = Transport(rules.retry_policy, timing, RateLimiter(0.0, timing))
        for secret in (rules.api_key, rules.api_secret, rules.api_password):
            if secret is not None:
                self._transport.redact(secret)
        self._local, self._lock = threading.local(), threading.Lock()
        self._loaded: Any = None
        self._make().close()  # an unknown exchange is refused at once

    def __repr__(self) -> str:
        return f"CcxtSource({self.rules!r})"

    def bars(self, key: BarKey, span: Span) -> Iterator[Page]:
        """The bars that open within the span, by windows; see `Source.bars`."""
        settled = settled_bars(span, key.timeframe, self.timing.now_ms, self.rules.settle_s)
        if settled is None:
            return
        market = self.market(key.symbol)
        self._require_timeframe(key.timeframe)
        yield from self.price_bars(market, key.timeframe, settled)

    def side_series(self, series: str, symbol: str, span: Span) -> Iterator[SidePage]:
        """funding, open_interest, mark_price, index_price, premium or basis of a swap; see `Source.side_series`.

        Args:
            series: name of the series.
            symbol: in the project's spelling; "" for a series of the market.
            span: of reference times, UTC milliseconds, the end not included.

        Returns:
            Pages, oldest first.

        Raises:
            BadParameters: no such series, no swaps, or ccxt cannot fetch it here.
        """
        return ccxt_side.side_series(self, series, symbol, span)

    def close(self) -> None:
        """Give back connections."""
        self._transport.close()

    @property
    def exchange(self) -> Any:
        """ccxt's exchange of this thread, its markets loaded once for all threads."""
        if not hasattr(self._local, "exchange"):
            exchange = self._local.exchange = self._make()
            try:
                with self._lock:
                    if self._loaded is None:
                        self._transport.limiter.interval_s = exchange.rateLimit / 1000
                        self.ask(exchange.load_markets)
                        self._loaded = exchange
                    else:
                        exchange.set_markets(self._loaded.markets, self._loaded.currencies)
            except BaseException:
                del self._local.exchange  # without markets it is of no use: the next call tries again
                raise
        return self._local.exchange

    def market(self, symbol: str) -> str:
        """ccxt's name of our symbol: `BTC/USDT` or `BTC/USDT:USDT` of `BTCUSDT`.

        Raises:
            BadParameters: the exchange has none, or several, of this name.
        """
        exchange = self.exchange
        if symbol in self.rules.symbols:
            markets = [self.rules.symbols[symbol]] if self.rules.symbols[symbol] in exchange.markets else []
        else:
            markets = [m["symbol"] for m in self._markets() if symbol.upper() in _names(m)]
        if len(markets) == 1:
            return markets[0]
        if markets:
            raise BadParameters(
                f"{self.name}: {symbol} may be any of {sorted(markets)}; say which, source.symbols: {{{symbol}: ...}}"
            )
        names = {name for market in self._markets() for name in _names(market)}
        near = get_close_matches(symbol.upper(), sorted(names), n=5)
        raise BadParameters(
            f"{self.name} has no {self.rules.market} market {self.rules.symbols.get(symbol, symbol)!r}; near it: "
            f"{near or 'nothing'} (of {len(names)} names)"
        )

    def price_bars(
        self, market: str, timeframe: str, span: Span, price: str | None = None, *, may_leap: bool = True
    ) -> Iterator[Page]:
        """Bars of trades or of another price, complete for each window.

        Args:
            market: in ccxt's spelling.
            timeframe: such as `1h`.
            span: of opening times, UTC milliseconds, the end not included.
            price: mark, index or premiumIndex; None for trades.
            may_leap: whether a hole of many windows is passed in one step; if not, the windows are the same for every
                price.

        Yields:
            One page a window, with the span that it answers for.

        Raises:
            TemporaryOutage: the exchange does not answer, however often it is asked.
        """
        bar_ms = bar_duration_ms(timeframe)
        since_ms, bars_asked = span.since_ms, self._page_bars(market, price)
        if self.capabilities.history_limit is not None:
            kept_from = self.timing.now_ms // bar_ms * bar_ms - (self.capabilities.history_limit - 1) * bar_ms
            since_ms = max(since_ms, kept_from)
        # ccxt gives coin-margined swaps an end where none was asked for.
        may_leap = may_leap and self.capabilities.answers_onwards and not self.exchange.market(market)["inverse"]
        while since_ms < span.until_ms:
            window = Span(since_ms, min(since_ms + bars_asked * bar_ms, span.until_ms))
            rows, until_ms = self._window(market, timeframe, window, price), window.until_ms
            if may_leap and rows.empty and until_ms < span.until_ms:
                found_ms = self._next_bar(market, timeframe, Span(until_ms, span.until_ms), price)
                # That there is none is no proof: from here on window by window.
                may_leap, until_ms = found_ms is not None, found_ms or until_ms
            yield Page(rows, self._covered(rows, Span(since_ms, until_ms), bar_ms))
            since_ms = until_ms

    def ask(self, call: Callable[..., Result], *arguments: Any, **named: Any) -> Result:
        """What ccxt's `call` answers, its errors as ours.

        Args:
            call: a method of ccxt's exchange.
            arguments: of the method.
            named: of the method.

        Returns:
            Its answer, retried while the error may pass.

        Raises:
            TemporaryOutage, BadParameters, BadData: as `Source` says.
        """
        return retry(lambda: self._ask_once(call, *arguments, **named), self.rules.retry_policy, self.timing)

    def _make(self) -> Any:
        rules = self.rules
        keys = {"apiKey": rules.api_key, "secret": rules.api_secret, "password": rules.api_password}
        settings = {name: value.get_secret_value() for name, value in keys.items() if value is not None}
        session = CcxtSession(self._transport, rules.base_url or "")
        exchange = make_exchange(rules.exchange, {**settings, "options": rules.options}, session)
        exchange.has["fetchCurrencies"] = False  # nothing here needs currencies, and some exchanges want a key for them
        loads = exchange.options.get("fetchMarkets")
        if isinstance(loads, dict) and "types" in loads:
            loads["types"] = [kind for kind in loads["types"] if kind in _TYPES[rules.market]] or loads["types"]
        return exchange

    def _markets(self) -> list[Any]:
        return [market for market in self.exchange.markets.values() if market["type"] == self.rules.market]

    def _require_timeframe(self, timeframe: str) -> None:
        offered = self.exchange.timeframes or {}
        if timeframe not in offered:
            raise BadParameters(f"{self.name} has no {timeframe} bars; it has {sorted(offered, key=bar_order)}")

    def _page_bars(self, market: str, price: str | None) -> int:
        exchange = self.exchange
        allowed = exchange.feature_value(market, "fetchOHLCV", "limit", None)
        if price is not None:
            allowed = exchange.feature_value(market, "fetchOHLCV", "mark", None) or allowed
        return min(int(allowed or _FEWEST_BARS), self.rules.page_bars or 1 << 30)

    def _window(self, market: str, timeframe: str, window: Span, price: str | None) -> pd.DataFrame:
        """The bars of a window; where its first or last ones are missing, they are asked for by themselves.

        An exchange that answers with fewer bars than it says would else leave holes that are none.
        """
        bar_ms = bar_duration_ms(timeframe)
        pieces, gaps = [], [window]
        while gaps:
            gap = gaps.pop()
            rows = self._answer(market, timeframe, gap, price)
            if rows.empty:
                continue
            pieces.append(rows)
            first_ms, last_ms = int(rows["open_time"].iloc[0]), int(rows["open_time"].iloc[-1])
            if first_ms - gap.since_ms >= bar_ms:
                gaps.append(Span(gap.since_ms, first_ms))
            if last_ms + bar_ms < gap.until_ms:
                gaps.append(Span(last_ms + bar_ms, gap.until_ms))
        joined = pd.concat(pieces, ignore_index=True) if pieces else rows
        return within(joined, window)

    def _answer(self, market: str, timeframe: str, window: Span, price: str | None) -> pd.DataFrame:
        bars = -(-(window.until_ms - window.since_ms) // bar_duration_ms(timeframe))
        extra = {"until": window.until_ms - 1} | ({"price": price} if price else {})
        where = f"{self.name} {market} {timeframe}"

        def ask() -> pd.DataFrame:
            call = self.exchange.fetch_ohlcv
            rows = self._table(self._ask_once(call, market, timeframe, window.since_ms, bars, extra))
            has_end = self.capabilities.answers_windows
            return answered(rows, window, bar_duration_ms(timeframe), self.timing.now_ms, where, has_end=has_end)

        return retry(ask, self.rules.retry_policy, self.timing)

    def _next_bar(self, market: str, timeframe: str, rest: Span, price: str | None) -> int | None:
        """When the first bar after a hole opens (no later than the end of `rest`): over years in one step."""
        extra = {"price": price} if price else {}
        first_rows = self._table(self.ask(self.exchange.fetch_ohlcv, market, timeframe, rest.since_ms, 1, extra))
        require_no_future(first_rows["open_time"], self.timing.now_ms, f"{self.name} {market} {timeframe}")
        onwards = first_rows.loc[first_rows["open_time"] >= rest.since_ms, "open_time"]
        return min(int(onwards.min()), rest.until_ms) if len(onwards) else None

    def _covered(self, rows: pd.DataFrame, window: Span, bar_ms: int) -> Span | None:
        if self.capabilities.answers_windows:
            return window
        if rows.empty:
            return None
        first_ms, last_ms = int(rows["open_time"].iloc[0]), int(rows["open_time"].iloc[-1])
        return Span(first_ms, min(last_ms + bar_ms, window.until_ms))

    def _table(self, bars: list[list[Any]]) -> pd.DataFrame:
        named = [*_COLUMNS, *self.capabilities.raw_columns]
        if not bars and not is_confirmed_empty(self.exchange.last_json_response):
            raise BadData(f"{self.name} answers neither with bars nor with none: its protocol has changed")
        if any(bar[0] is None for bar in bars):
            raise BadData(f"{self.name} answers with bars that have no opening time: its protocol has changed")
        width = len(bars[0]) if bars else len(named)
        return pd.DataFrame(bars, columns=named[:width]).astype({"open_time": "int64"})

    def _ask_once(self, call: Callable[..., Result], *arguments: Any, **named: Any) -> Result:
        import ccxt

        try:
            return call(*arguments, **named)
        except (TradewindError, RetryableError):
            raise
        except ccxt.BaseError as error:
            raise self._as_ours(error) from None
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise BadData(
                f"{self.name} answers in another shape than ccxt reads ({type(error).__name__}): its protocol has "
                "changed. A newer ccxt may know it"
            ) from error

    def _as_ours(self, error: Exception) -> Exception:
        import ccxt

        reason = f"{self.name}: {type(error).__name__}: {self._transport.words(without_queries(str(error)))}"
        refused = 400 <= self._local.exchange.session.last_status < 500
        if isinstance(error, ccxt.AuthenticationError | ccxt.AccountNotEnabled):
            return BadParameters(
                f"the exchange refuses the credentials: {reason}. Correct source.api_key and api_secret"
            )
        if isinstance(error, ccxt.RateLimitExceeded) or (isinstance(error, ccxt.OperationFailed) and not refused):
            return RetryableError(reason)
        if isinstance(error, ccxt.BadResponse | ccxt.NullResponse) or (
            type(error) is ccxt.ExchangeError and not refused
        ):
            return BadData(f"the exchange answers with what ccxt does not know: {reason}")
        return BadParameters(f"the exchange refuses the request: {reason}")


def bar_order(timeframe: str) -> int:
    """By duration; what is no bar of ours (1s, 1M) comes first."""
    try:
        return bar_duration_ms(timeframe)
    except BadParameters:
        return 0


def _names(market: Any) -> set[str]:
    """What we may call a market: its two assets in one word or with a hyphen, or the exchange's own name for it."""
    base, quote = str(market["base"]).upper(), str(market["quote"]).upper()
    return {base + quote, f"{base}-{quote}", str(market["id"]).upper()}
