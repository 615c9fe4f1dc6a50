"""Routes ccxt requests through `Transport`: retries, rate limit, size limits and redaction of secrets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, SecretStr

from tradewind.data.sources.timing import RetryableError, RetryPolicy, retry
from tradewind.data.sources.transport import Address, Request, Response, Transport
from tradewind.errors import BadParameters
from tradewind.parameters import Parameters


class Rules(Parameters):
    """An exchange (`source.kind: ccxt`): `exchange` is ccxt's name for it; `market` is spot or swap (perpetual).

    `venue` is what its bars are called (default: the exchange, with `_swap`). `symbols` names the markets that our
    names do not determine, such as `{BTCUSD: BTC/USD:BTC}`. History is public: keys are needed by few exchanges.
    `side_timeframe` is the step of open interest, marks and basis. Bars younger than `settle_s` are not asked for.
    """

    renamed: ClassVar[Mapping[str, str]] = {"patience": "retry_policy"}

    exchange: str
    market: Literal["spot", "swap"] = "spot"
    venue: str = ""
    symbols: dict[str, str] = {}
    side_timeframe: str = "1h"
    settle_s: float = Field(default=30.0, ge=0)
    page_bars: int | None = Field(default=None, ge=1, description="at most; default: what the exchange allows")
    base_url: Address | None = None
    api_key: SecretStr | None = None
    api_secret: SecretStr | None = None
    api_password: SecretStr | None = None
    options: dict[str, Any] = {}
    retry_policy: RetryPolicy = RetryPolicy()


@dataclass(frozen=True)
class ExchangeCapabilities:
    """What an exchange supports, as far as tests cover it; an unlisted exchange is assumed to support nothing.

    `answers_windows`: asked from and until, it answers with all bars between, so that no bar means that there is none.
    `answers_onwards`: asked without an end, it answers with the first bars from there on, over any hole.
    `history_limit`: so many of the latest bars are all it has, whatever it is asked for.
    `funding_days`, `open_interest_days`: how far back those go.
    `raw_columns`: where a raw bar has what ccxt leaves out; `end_name`: what it calls the end of a funding history.
    """

    answers_windows: bool = False
    answers_onwards: bool = False
    history_limit: int | None = None
    funding_days: int | None = None
    open_interest_days: int | None = None
    raw_columns: Mapping[str, int] = field(default_factory=dict)
    end_name: str = "until"


_BINANCE = ExchangeCapabilities(True, True, open_interest_days=30, raw_columns={"quote_volume": 7, "trades": 8})
CAPABILITIES = {
    # developers.binance.com: Kline/Candlestick data, Get Funding Rate History, Open Interest Statistics
    "binance": _BINANCE,
    "binanceusdm": _BINANCE,
    "binancecoinm": ExchangeCapabilities(True, False, open_interest_days=30),
    # okx.com/docs-v5: Get candlesticks history, Get funding rate history
    "okx": ExchangeCapabilities(True, False, funding_days=90, raw_columns={"quote_volume": 7}, end_name="after"),
    # bybit-exchange.github.io/docs/v5: Get Kline, Get Funding Rate History
    "bybit": ExchangeCapabilities(True, False, raw_columns={"quote_volume": 6}),
    # docs.cdp.coinbase.com: Get Public Product Candles
    "coinbase": ExchangeCapabilities(True, False),
    # docs.kraken.com: Get OHLC Data
    "kraken": ExchangeCapabilities(False, False, history_limit=720, raw_columns={"trades": 7}),
}


class _Jar:
    """ccxt clears the cookies of its session before each request; there are none."""

    def clear(self) -> None:
        """Nothing."""


class CcxtResponse:
    """An answer in the shape that ccxt reads."""

    def __init__(self, response: Response) -> None:
        self.status_code, self.headers, self.content = response.status, response.headers, response.body
        self.reason = HTTPStatus(response.status).phrase if response.status in set(HTTPStatus) else ""
        self.encoding = "utf-8"

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode(self.encoding, "replace")

    def raise_for_status(self) -> None:
        """Nothing, unless the server refuses: ccxt then reads its words."""
        if self.status_code >= 400:
            from requests.exceptions import HTTPError

            raise HTTPError(f"{self.status_code} {self.reason}")


class CcxtSession:
    """What ccxt takes for its `requests` session.

    Args:
        transport: who asks.
        base_url: scheme and host that every request goes to instead of the exchange's own; empty to leave them.
    """

    def __init__(self, transport: Transport, base_url: str = "") -> None:
        self.transport, self.cookies = transport, _Jar()
        self.headers: dict[str, str] = {}
        self._base = urlsplit(base_url)
        self.last_status = 0

    def request(self, method: str, url: str, **how: Any) -> CcxtResponse:
        """The response, asked for again as long as it may pass; ccxt's throttle has counted it already.

        Args:
            method: of HTTP.
            url: as ccxt makes it; its host is replaced where a base is set.
            how: `data` and `headers` are used, the rest is ours to decide.

        Returns:
            Status, headers and text, as ccxt reads them.

        Raises:
            TemporaryOutage: no answer, or one that is not JSON, however often it is asked.
        """
        request = self.translated(method, url, how)

        def ask() -> Response:
            response = self.transport.ask_once(request)
            if response.status == HTTPStatus.OK and response.body.strip()[:1] not in (b"{", b"["):
                raise RetryableError(f"{request} answered {self.transport.words(response.body)!r}, which is not JSON")
            return response

        response = retry(ask, self.transport.rules, self.transport.timing)
        self.last_status = response.status
        self.transport.require_no_redirect(request, response)
        return CcxtResponse(response)

    def translated(self, method: str, url: str, how: Mapping[str, Any]) -> Request:
        """The request as the transport takes it.

        Args:
            method: of HTTP.
            url: as ccxt makes it; its host is replaced where a base is set.
            how: see `request`.
        """
        parts = urlsplit(url)
        if self._base.netloc:
            url = urlunsplit((self._base.scheme, self._base.netloc, *parts[2:]))
        return Request(url, None, method, how.get("headers") or {}, how.get("data") or None, weight=0)

    def close(self) -> None:
        """Nothing: the transport is its owner's to close."""


def make_exchange(name: str, settings: Mapping[str, Any], session: CcxtSession) -> Any:
    """ccxt's exchange of this name, which asks through `session`, waits for its limiter, and hides no row.

    ccxt cuts what comes before the asked time from an answer; here it stays, so that a stale page is not taken for
    an empty one.

    Args:
        name: of an exchange in ccxt.
        settings: handed to ccxt: keys, options.
        session: that carries its requests.

    Returns:
        An instance of ccxt's class.

    Raises:
        BadParameters: ccxt has no such exchange.
    """
    import ccxt

    if name not in ccxt.exchanges:
        from difflib import get_close_matches

        near = ", ".join(get_close_matches(name, ccxt.exchanges)) or "binance, okx or kraken, among a hundred"
        raise BadParameters(f"source.exchange must be an exchange of ccxt, found {name!r}; there is {near}")
    raw_columns = CAPABILITIES.get(name, ExchangeCapabilities()).raw_columns

    class Exchange(getattr(ccxt, name)):  # type: ignore[misc]
        def throttle(self, cost: float | None = None) -> None:
            session.transport.limiter.acquire(1.0 if cost is None else cost)

        def parse_ohlcv(self, ohlcv: Any, market: Any = None) -> list[Any]:
            bar: list[Any] = super().parse_ohlcv(ohlcv, market)
            if isinstance(ohlcv, list) and not (market or {}).get("inverse"):
                bar += [float(ohlcv[place]) if len(ohlcv) > place else None for place in raw_columns.values()]
            return bar

        def filter_by_since_limit(self, array: Any, *_: Any, **__: Any) -> list[Any]:
            return list(self.to_array(array))

        def filter_by_symbol_since_limit(self, array: Any, symbol: Any = None, *_: Any, **__: Any) -> list[Any]:
            return [entry for entry in self.to_array(array) if symbol is None or entry["symbol"] == symbol]

    ours = {"enableRateLimit": True, "enableLastJsonResponse": True, "session": session, "logger": _Silence()}
    return Exchange({**settings, **ours})


def is_confirmed_empty(response: Any) -> bool:
    """Whether an answer has an empty list somewhere: one of another shape reads as no rows too."""
    if isinstance(response, list):
        return not response or any(is_confirmed_empty(part) for part in response)
    return isinstance(response, dict) and any(is_confirmed_empty(part) for part in response.values())


def without_queries(text: str) -> str:
    """`text` with the query cut from every address in it."""
    return re.sub(r"(https?://[^\s?]+)\?\S*", r"\1", text)


class _Silence:
    """ccxt logs whole requests, keys included: it does not here."""

    def debug(self, *_: Any) -> None:
        """Nothing."""
