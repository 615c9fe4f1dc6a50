"""A local server that speaks Binance's signed REST protocol over a `VenueLedger`, or misbehaves.

    with serve_orders(VenueLedger(...)) as server:
        server.misbehave("lost_ack", "POST /api/v3/order")

It checks the signature (HMAC SHA256 of the very text), key, timestamp and recvWindow of every private request
(developers.binance.com, Spot API: Endpoint security type).
"""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.live.venue_ledger import QUOTE, Refusal, VenueLedger

KEY, SECRET = "canary-key-31c0de", "canary-secret-8f2a77d1"
SLOW_S = 30.0


@dataclass
class Fault:
    """What the next `times` requests to `where` (method and path) meet with."""

    kind: str
    where: str
    times: int
    code: int = 0
    words: str = ""
    retry_after: str = ""


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Clients hang up."""


class OrderServer:
    """Serves a ledger on 127.0.0.1; `asked` is what was asked for, `refused` how often a signature was wrong."""

    def __init__(self, ledger: VenueLedger, port: int = 0) -> None:
        self.ledger, self.asked, self.refused = ledger, list[str](), 0
        self.offset_ms = 0  # of the venue's clock
        self.signed: dict[str, list[int]] = {}  # as of when requests were signed
        self.klines: dict[str, list[list[Any]]] = {}
        self._faults: list[Fault] = []
        self._released = threading.Event()
        self._http = _Quiet(("127.0.0.1", port), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def now_ms(self) -> int:
        return int(time.time() * 1000) + self.offset_ms

    def misbehave(self, kind: str, where: str, times: int = 1, **settings: Any) -> None:
        """Let the next requests meet a fault.

        Kinds: lost_ack (done, then no answer), slow (done, answered much later), dropped (not done, no answer),
        garbage (done, answered with HTML), 503 (not done), 503_done, 429 and 418 (not done; retry_after), code (not
        done; code, words).
        """
        self._faults.append(Fault(kind, where, times, **settings))

    def close(self) -> None:
        self._released.set()
        self._http.shutdown()
        self._http.server_close()

    def _take(self, where: str) -> Fault | None:
        for fault in self._faults:
            if fault.times > 0 and fault.where == where:
                fault.times -= 1
                return fault
        return None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                """Silent."""

            def do_GET(self) -> None:
                server._serve(self, "GET")

            def do_DELETE(self) -> None:
                server._serve(self, "DELETE")

            def do_POST(self) -> None:
                server._serve(self, "POST")

        return Handler

    def _serve(self, http: BaseHTTPRequestHandler, method: str) -> None:
        parts = urlsplit(http.path)
        body = http.rfile.read(int(http.headers.get("Content-Length") or 0)).decode()
        where, text = f"{method} {parts.path}", "&".join(one for one in (parts.query, body) if one)
        self.asked.append(where)
        fault = self._take(where)
        kind = fault.kind if fault else ""
        if kind == "dropped":
            http.close_connection = True
            return
        if fault and kind in ("429", "418", "503"):
            _send(http, int(kind), {"code": -1003, "msg": "Too many requests."}, fault.retry_after)
            return
        if fault and kind == "code":
            _send(http, 400, {"code": fault.code, "msg": fault.words})
            return
        signed_ms = int(dict(parse_qsl(text)).get("timestamp", 0))
        self.signed.setdefault(where, []).append(signed_ms)
        status, answer = self._answer(method, parts.path, text, http.headers.get("X-MBX-APIKEY", ""))
        if kind == "lost_ack":
            http.close_connection = True
            return
        if kind == "slow":
            self._released.wait(SLOW_S)
        if kind == "503_done":
            status, answer = 503, {"code": -1007, "msg": "Timeout waiting for response from backend server."}
        _send(http, status, "<html>bad gateway</html>" if kind == "garbage" else answer)

    def _answer(self, method: str, path: str, text: str, key: str) -> tuple[int, Any]:
        query = dict(parse_qsl(text))
        try:
            if path in PUBLIC:
                return 200, PUBLIC[path](self, query)
            self._check_signed(text, query, key)
            return 200, PRIVATE[f"{method} {path}"](self, query)
        except Refusal as error:
            return 400, {"code": error.code, "msg": error.words}
        except KeyError as error:
            return 400, {"code": -1102, "msg": f"Mandatory parameter {error} was not sent."}

    def _check_signed(self, text: str, query: dict[str, str], key: str) -> None:
        signed, _, signature = text.rpartition("&signature=")
        wanted = hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).hexdigest()
        if key != KEY:
            self.refused += 1
            raise Refusal(-2015, "Invalid API-key, IP, or permissions for action.")
        if not hmac.compare_digest(signature, wanted):
            self.refused += 1
            raise Refusal(-1022, "Signature for this request is not valid.")
        sent_ms, window_ms = int(query["timestamp"]), int(query.get("recvWindow", 5000))
        if not sent_ms < self.now_ms + 1000 or self.now_ms - sent_ms > window_ms:
            raise Refusal(-1021, "Timestamp for this request is outside of the recvWindow.")


def _info(server: OrderServer, query: dict[str, str]) -> Any:
    ledger = server.ledger
    names = json.loads(query["symbols"]) if "symbols" in query else list(ledger.prices)
    if any(name not in ledger.prices for name in names):
        raise Refusal(-1121, "Invalid symbol.")
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": str(ledger.tick)},
        {"filterType": "LOT_SIZE", "minQty": str(ledger.lot), "maxQty": "9000", "stepSize": str(ledger.lot)},
        {"filterType": "NOTIONAL", "minNotional": str(ledger.min_notional)},
    ]
    symbols = [
        {"symbol": name, "status": "TRADING", "baseAsset": ledger.base(name), "quoteAsset": QUOTE, "filters": filters}
        for name in names
    ]
    return {"timezone": "UTC", "serverTime": server.now_ms, "symbols": symbols}


def _klines(server: OrderServer, query: dict[str, str]) -> Any:
    first, last = int(query.get("startTime", 0)), int(query.get("endTime", 2**60))
    rows = [one for one in server.klines.get(query["symbol"], []) if first <= one[0] <= last]
    return rows[: int(query.get("limit", 500))]


def _place(server: OrderServer, query: dict[str, str]) -> Any:
    order = server.ledger.place(
        query["symbol"], {"BUY": 1.0, "SELL": -1.0}[query["side"]], query["type"].lower(), float(query["quantity"]),
        float(query.get("price", 0)), query["newClientOrderId"], server.now_ms,
    )  # fmt: skip
    fills = [{"price": one["price"], "qty": one["qty"], "commission": one["commission"], "tradeId": one["id"],
              "commissionAsset": one["commissionAsset"]} for one in order.trades]  # fmt: skip
    return order.body() | {"fills": fills}


def _cancelled(server: OrderServer, query: dict[str, str]) -> Any:
    found = server.ledger.cancel(query["symbol"], query["origClientOrderId"])
    return found.body() | {"origClientOrderId": found.client_id, "clientOrderId": "made-up-for-the-cancellation"}


def _trades(server: OrderServer, query: dict[str, str]) -> Any:
    rows = [one for order in server.ledger.orders if order.number == int(query["orderId"]) for one in order.trades]
    return [one for one in rows if one["id"] >= int(query.get("fromId", 0))][: int(query["limit"])]


def _account(server: OrderServer, query: dict[str, str]) -> Any:
    ledger = server.ledger
    rows = [
        {"asset": coin, "free": f"{total - ledger.locked(coin):.8f}", "locked": f"{ledger.locked(coin):.8f}"}
        for coin, total in ledger.balances.items() if total
    ]  # fmt: skip
    return {"canTrade": True, "accountType": "SPOT", "balances": rows}


PUBLIC: dict[str, Any] = {
    "/api/v3/time": lambda server, query: {"serverTime": server.now_ms},
    "/api/v3/exchangeInfo": _info,
    "/api/v3/klines": _klines,
    "/api/v3/ticker/price": lambda server, query: {
        "symbol": query["symbol"], "price": f"{server.ledger.prices[query['symbol']]:.8f}"
    },
}  # fmt: skip
PRIVATE: dict[str, Any] = {
    "POST /api/v3/order": _place,
    "DELETE /api/v3/order": _cancelled,
    "GET /api/v3/order": lambda server, query: server.ledger.find(query["symbol"], query["origClientOrderId"]).body(),
    "GET /api/v3/openOrders": lambda server, query: [
        one.body() for one in server.ledger.orders if one.is_open and one.symbol == query["symbol"]
    ],
    "GET /api/v3/myTrades": _trades,
    "GET /api/v3/account": _account,
}


def _send(http: BaseHTTPRequestHandler, status: int, answer: Any, retry_after: str = "") -> None:
    body = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
    http.send_response(status)
    http.send_header("Content-Type", "application/json")
    if retry_after:
        http.send_header("Retry-After", retry_after)
    http.send_header("Content-Length", str(len(body)))
    http.end_headers()
    http.wfile.write(body)


@contextmanager
def serve_orders(ledger: VenueLedger, port: int = 0) -> Iterator[OrderServer]:
    server = OrderServer(ledger, port)
    try:
        yield server
    finally:
        server.close()
