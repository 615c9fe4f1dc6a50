"""A private spot account at Binance through ccxt: one call is one request, and its answer is proven or it is unknown.

ccxt signs, paces and addresses the requests; every field of them is ours (its unified methods round amounts and may
turn a market order with a price into one for money). What an answer means is read from HTTP and Binance's code, not
from ccxt's classes of errors (developers.binance.com, Spot API: General API Information, Error Codes).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from tradewind.data.sources.ccxt_session import CcxtResponse, CcxtSession, make_exchange, without_queries
from tradewind.data.sources.order_answers import Answer, Assets, VenueOrder, VenueTrade, classify
from tradewind.data.sources.timing import RateLimiter, RetryableError, RetryPolicy, Timing
from tradewind.data.sources.transport import Address, Transport
from tradewind.errors import BadParameters, TemporaryOutage, TradewindError
from tradewind.parameters import Parameters

Network = Literal["testnet", "live"]
# Where ccxt sends signed requests; any other host is refused before anything leaves.
HOSTS: Mapping[Network, str] = {"testnet": "testnet.binance.vision", "live": "api.binance.com"}
_PAGE = 1000
Call = Callable[[dict[str, Any]], Any]


class Keys(Parameters):
    """What signs the requests (an entry of credentials.yml, or a file that systemd hands over)."""

    api_key: SecretStr = Field(min_length=1)
    api_secret: SecretStr = Field(min_length=1)


class Access(Parameters):
    """How to reach the account.

    Attributes:
        network: testnet has no real money.
        base_url: another server that speaks the same; empty: the network's own.
        recv_window_ms: a request that arrives so much later than it was signed is refused by the venue.
        answer_s: longest wait for an answer.
    """

    network: Network = "testnet"
    base_url: Address | None = None
    recv_window_ms: int = Field(default=5000, ge=100, le=60_000)
    answer_s: float = Field(default=10.0, gt=0, le=120)


class _OneTry(CcxtSession):
    """Sends each request once, to the one host that is allowed, and remembers how it was answered."""

    def __init__(self, transport: Transport, base_url: str, host: str) -> None:
        super().__init__(transport, base_url)
        self._host = host
        self.forget()

    def forget(self) -> None:
        """A new call begins."""
        self.was_sent, self.status, self.body, self.wait_s = False, 0, b"", 0.0

    def request(self, method: str, url: str, **how: Any) -> CcxtResponse:
        """The response to one try.

        Args:
            method: of HTTP.
            url: as ccxt makes it.
            how: see `CcxtSession.request`.

        Raises:
            RetryableError: no whole answer, or the venue is busy or broken.
            BadParameters: the request would go to another host.
        """
        request = self.translated(method, url, how)
        found = urlsplit(request.url).netloc
        if found != self._host:
            raise BadParameters(f"a request to {found} was stopped: this account is at {self._host}")
        self.was_sent = True
        try:
            response = self.transport.ask_once(request)
        except RetryableError as error:
            self.status, self.wait_s = error.status, error.wait_s or 0.0
            raise
        self.status, self.body = response.status, response.body
        self.transport.require_no_redirect(request, response)
        return CcxtResponse(response)


class CcxtAccount:
    """One account. Not for several threads: the one that opened it calls it."""

    def __init__(self, access: Access, keys: Keys, timing: Timing) -> None:
        """Nothing is asked before `open`.

        Args:
            access: which network and server.
            keys: of the account there.
            timing: clock, waits and jitter.
        """
        self.access = access
        # A hold that the venue asks for is the caller's to keep: it must stay able to end.
        policy = RetryPolicy(
            tries=1, connect_timeout_s=access.answer_s, read_timeout_s=access.answer_s, answer_limit_s=access.answer_s,
            max_retry_after_s=0.0, body_limit_mb=32.0,
        )  # fmt: skip
        self._transport = Transport(policy, timing, RateLimiter(0.0, timing))
        for secret in (keys.api_key, keys.api_secret):
            self._transport.redact(secret)
        host = urlsplit(access.base_url).netloc if access.base_url else HOSTS[access.network]
        self._session = _OneTry(self._transport, access.base_url or "", host)
        settings = {
            "apiKey": keys.api_key.get_secret_value(), "secret": keys.api_secret.get_secret_value(),
            "options": {"recvWindow": access.recv_window_ms},
        }  # fmt: skip
        self._exchange = make_exchange("binance", settings, self._session)
        self._exchange.set_sandbox_mode(access.network == "testnet")
        self._transport.limiter.interval_s = self._exchange.rateLimit / 1000

    def __repr__(self) -> str:
        return f"CcxtAccount({self.access!r})"

    def open(self, symbols: Sequence[str]) -> dict[str, Assets]:
        """Set the clock and learn the coins of each symbol.

        Raises:
            TemporaryOutage: the venue does not answer.
            BadParameters: it refuses the keys, or does not trade a symbol.
        """
        self._require(self.resync(), "the clock")
        request = {"symbols": json.dumps(list(symbols), separators=(",", ":"))}
        assets = self._require(self._ask(self._exchange.public_get_exchangeinfo, request, read=_assets), "its symbols")
        lacking = [name for name in symbols if name not in assets]
        if lacking:
            raise BadParameters(f"the venue does not trade {', '.join(lacking)}: choose other symbols")
        return {name: assets[name] for name in symbols}

    def resync(self) -> Answer:
        """Measure how far this machine's clock is from the venue's; requests are signed by the venue's."""
        return self._ask(lambda _: self._exchange.load_time_difference(), {}, read=int)

    def venue_ms(self) -> int:
        """The venue's time, UTC milliseconds."""
        return int(self._exchange.nonce())

    def place(self, order: Mapping[str, Any]) -> Answer:
        """Send an order (`client_id`, `symbol`, `units`, `price`, `kind`, `sent_ms`); its value is a `VenueOrder`.

        It is signed as of `sent_ms` (venue's time), however long it waits for its turn: `recv_window_ms` later it
        cannot be accepted any more.
        """
        request = {
            "symbol": order["symbol"], "side": "BUY" if order["units"] > 0 else "SELL",
            "type": str(order["kind"]).upper(), "quantity": exact(abs(order["units"])),
            "newClientOrderId": order["client_id"], "newOrderRespType": "FULL", "timestamp": order["sent_ms"],
        }  # fmt: skip
        if order["kind"] == "limit":
            request |= {"price": exact(order["price"]), "timeInForce": "GTC"}
        return self._ask(self._exchange.private_post_order, request, read=_order_of(order["client_id"]))

    def cancel(self, symbol: str, client_id: str) -> Answer:
        """Take an order back; its value is a `VenueOrder`."""
        request = {"symbol": symbol, "origClientOrderId": client_id}
        read = _order_of(client_id, "origClientOrderId")  # the other id is that of the cancellation
        return self._ask(self._exchange.private_delete_order, request, read=read)

    def find(self, symbol: str, client_id: str) -> Answer:
        """What became of an order; its value is a `VenueOrder`."""
        request = {"symbol": symbol, "origClientOrderId": client_id}
        return self._ask(self._exchange.private_get_order, request, read=_order_of(client_id))

    def trades(self, symbol: str, venue_id: str) -> Answer:
        """All trades of an order; its value is a list of `VenueTrade`."""
        found: list[VenueTrade] = []
        while True:
            request: dict[str, Any] = {"symbol": symbol, "orderId": venue_id, "limit": _PAGE}
            if found:
                request["fromId"] = int(found[-1].trade_id) + 1
            answer = self._ask(self._exchange.private_get_mytrades, request, read=_trades)
            if answer.outcome != "accepted":
                return answer
            found += answer.value
            if len(answer.value) < _PAGE:
                return answer._replace(value=found)

    def open_orders(self, symbol: str) -> Answer:
        """Client ids of the orders that are open; whoever sent them."""
        call = self._exchange.private_get_openorders
        return self._ask(call, {"symbol": symbol}, read=lambda got: [str(one["clientOrderId"]) for one in got])

    def balances(self) -> Answer:
        """What the account holds, free or in orders, by coin."""

        def read(got: Any) -> dict[str, float]:
            return {one["asset"]: float(one["free"]) + float(one["locked"]) for one in got["balances"]}

        return self._ask(self._exchange.private_get_account, {"omitZeroBalances": "true"}, read=read)

    def price(self, symbol: str) -> Answer:
        """The last price of a symbol."""
        call = self._exchange.public_get_ticker_price
        return self._ask(call, {"symbol": symbol}, read=lambda got: float(got["price"]))

    def words(self, text: str) -> str:
        """A text without secrets."""
        return self._transport.words(without_queries(text))

    def close(self) -> None:
        """Give back connections."""
        self._transport.close()

    def _require(self, answer: Answer, what: str) -> Any:
        if answer.outcome == "accepted":
            return answer.value
        where = urlsplit(self.access.base_url or f"https://{HOSTS[self.access.network]}").netloc
        if answer.outcome in ("refused", "absent"):
            raise BadParameters(f"{where} refuses to say {what}: {answer.detail}")
        raise TemporaryOutage(f"{where} does not say {what}: {answer.detail}")

    def _ask(self, call: Call, request: Mapping[str, Any], read: Callable[[Any], Any]) -> Answer:
        import ccxt

        self._session.forget()
        try:
            return Answer("accepted", read(call(dict(request))))
        except ccxt.BaseError as error:
            failure: Exception = error
        except (TradewindError, RetryableError) as error:
            failure = error
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            failure = ValueError(f"an answer of another shape ({type(error).__name__})")
        if not self._session.was_sent:
            return Answer("refused", detail=f"not sent: {self.words(str(failure))}")
        code, words = _code_and_message(self._session.body)
        outcome = classify(self._session.status, code, words)
        detail = self.words(f"{code} {words}" if code else str(failure))
        return Answer(outcome, None, code, detail, self._session.wait_s)


def exact(value: float) -> str:
    """A number as the venue reads it: no exponent, nothing behind the tenth decimal."""
    return format(Decimal(repr(round(value, 10))).normalize(), "f")


def _code_and_message(body: bytes) -> tuple[int, str]:
    """Code and message of an error, (0, "") where there is none."""
    try:
        got = json.loads(body)
        return int(got["code"]), str(got.get("msg", ""))
    except (ValueError, TypeError, KeyError):
        return 0, ""


def _order_of(client_id: str, name: str = "clientOrderId") -> Callable[[Any], VenueOrder]:
    """How to read the order of this client id; an answer about another one is none."""

    def read(got: Any) -> VenueOrder:
        if str(got[name]) != client_id:
            raise ValueError("an answer about another order")
        side = {"BUY": 1.0, "SELL": -1.0}[got["side"]]
        trades = tuple(
            VenueTrade(str(one["tradeId"]), side * float(one["qty"]), float(one["price"]), float(one["commission"]),
                       str(one["commissionAsset"]), False)
            for one in got.get("fills", ())
        )  # fmt: skip
        return VenueOrder(
            client_id, str(got["orderId"]), str(got["symbol"]), str(got["status"]), side * float(got["origQty"]),
            side * float(got["executedQty"]), float(got["price"]), str(got["type"]).lower(), trades,
        )  # fmt: skip

    return read


def _assets(got: Any) -> dict[str, Assets]:
    return {one["symbol"]: Assets(one["baseAsset"], one["quoteAsset"]) for one in got["symbols"]}


def _trades(got: Any) -> list[VenueTrade]:
    return [
        VenueTrade(
            str(one["id"]), (1.0 if one["isBuyer"] else -1.0) * float(one["qty"]), float(one["price"]),
            float(one["commission"]), str(one["commissionAsset"]), bool(one["isMaker"]),
        )
        for one in sorted(got, key=lambda one: int(one["id"]))
    ]  # fmt: skip
