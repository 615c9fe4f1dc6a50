"""The books of a made-up spot venue with Binance's rules: what it holds, accepts, fills and refuses.

developers.binance.com, Spot API: Filters, Error Codes, Enum Definitions, New order.
"""

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

CLIENT_ID = re.compile(r"^[\.A-Z\:/a-z0-9_-]{1,36}$")
QUOTE = "USDT"


class Refusal(Exception):
    """What the venue answers with instead of doing it: code and message."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code, self.words = code, words


@dataclass
class Placed:
    """An order that was accepted."""

    number: int
    client_id: str
    symbol: str
    side: float
    kind: str
    quantity: float
    price: float
    at_ms: int
    status: str = "NEW"
    done: float = 0.0
    trades: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return self.status in ("NEW", "PARTIALLY_FILLED")

    def body(self) -> dict[str, Any]:
        """As the venue shows it."""
        spent = sum(float(one["price"]) * float(one["qty"]) for one in self.trades)
        return {
            "symbol": self.symbol, "orderId": self.number, "orderListId": -1, "clientOrderId": self.client_id,
            "price": f"{self.price:.8f}", "origQty": f"{self.quantity:.8f}", "executedQty": f"{self.done:.8f}",
            "cummulativeQuoteQty": f"{spent:.8f}", "status": self.status, "timeInForce": "GTC",
            "type": self.kind.upper(), "side": "BUY" if self.side > 0 else "SELL", "time": self.at_ms,
            "transactTime": self.at_ms, "updateTime": self.at_ms, "isWorking": True, "selfTradePreventionMode": "NONE",
        }  # fmt: skip


@dataclass
class VenueLedger:
    """Balances, orders and trades; fees in basis points are taken in the coin bought, in QUOTE, or in BNB."""

    prices: dict[str, float]
    balances: dict[str, float]
    fee_bps: float = 10.0
    fee_coin: str = "bought"  # or quote, BNB
    lot: float = 0.001
    tick: float = 0.01
    min_notional: float = 5.0
    parts: int = 1  # trades that a market order is filled in
    fills_share: float = 1.0  # of a market order; the rest expires
    orders: list[Placed] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _trades: int = 1000

    def __post_init__(self) -> None:
        self.before = dict(self.balances)

    def place(
        self, symbol: str, side: float, kind: str, quantity: float, price: float, client_id: str, at_ms: int = 0
    ) -> Placed:
        """Accept an order, and fill what can be filled at once."""
        with self.lock:
            self._check(symbol, side, kind, quantity, price, client_id)
            order = Placed(5000 + len(self.orders), client_id, symbol, side, kind, quantity, price, at_ms)
            self.orders.append(order)
            if kind == "market":
                share = self.lots(quantity * self.fills_share)
                for part in self._split(share):
                    self._fill(order, part, self.prices[symbol], False)
                if order.done < quantity - 1e-12:
                    order.status = "EXPIRED"
            elif side * self.prices[symbol] < side * price:
                self._fill(order, quantity, self.prices[symbol], False)
            return order

    def lots(self, quantity: float) -> float:
        return round(int(quantity / self.lot + 1e-9) * self.lot, 10)

    def _split(self, quantity: float) -> Iterator[float]:
        left = quantity
        for number in range(self.parts, 0, -1):
            part = left if number == 1 else self.lots(left / number)
            left = round(left - part, 10)
            if part > 0:
                yield part

    def _check(self, symbol: str, side: float, kind: str, quantity: float, price: float, client_id: str) -> None:
        if symbol not in self.prices:
            raise Refusal(-1121, "Invalid symbol.")
        if not CLIENT_ID.match(client_id):
            raise Refusal(-1100, "Illegal characters found in parameter 'newClientOrderId'.")
        if any(one.client_id == client_id and one.is_open for one in self.orders):
            raise Refusal(-2010, "Duplicate order sent.")
        value = quantity * (price if kind == "limit" else self.prices[symbol])
        if abs(quantity / self.lot - round(quantity / self.lot)) > 1e-6 or quantity < self.lot:
            raise Refusal(-1013, "Filter failure: LOT_SIZE")
        if kind == "limit" and abs(price / self.tick - round(price / self.tick)) > 1e-4:
            raise Refusal(-1013, "Filter failure: PRICE_FILTER")
        if value < self.min_notional:
            raise Refusal(-1013, "Filter failure: NOTIONAL")
        coin, needed = (QUOTE, value) if side > 0 else (self.base(symbol), quantity)
        if self.free(coin) < needed - 1e-9:
            raise Refusal(-2010, "Account has insufficient balance for requested action.")

    def base(self, symbol: str) -> str:
        return symbol.removesuffix(QUOTE)

    def free(self, coin: str) -> float:
        return self.balances.get(coin, 0.0) - self.locked(coin)

    def locked(self, coin: str) -> float:
        out = 0.0
        for one in self.orders:
            if one.is_open and coin == (QUOTE if one.side > 0 else self.base(one.symbol)):
                out += (one.quantity - one.done) * (one.price if one.side > 0 else 1.0)
        return out

    def _fill(self, order: Placed, quantity: float, price: float, is_maker: bool) -> None:
        self._trades += 1
        base, fee = self.base(order.symbol), self.fee_bps * 1e-4
        coin, cost = QUOTE, quantity * price * fee
        if self.fee_coin == "BNB":
            coin, cost = "BNB", cost / self.prices.get("BNBUSDT", 500.0)
        elif self.fee_coin == "bought" and order.side > 0:
            coin, cost = base, quantity * fee
        cost = round(cost, 8)
        order.trades.append({
            "id": self._trades, "orderId": order.number, "symbol": order.symbol, "price": f"{price:.8f}",
            "qty": f"{quantity:.8f}", "commission": f"{cost:.8f}", "commissionAsset": coin, "time": order.at_ms,
            "isBuyer": order.side > 0, "isMaker": is_maker, "isBestMatch": True,
        })  # fmt: skip
        for name, change in ((base, order.side * quantity), (QUOTE, -order.side * quantity * price), (coin, -cost)):
            self.balances[name] = round(self.balances.get(name, 0.0) + change, 10)
        order.done = round(order.done + quantity, 10)
        order.status = "FILLED" if order.done >= order.quantity - 1e-12 else "PARTIALLY_FILLED"

    def trade(self, symbol: str, share: float = 1.0) -> int:
        """Others trade through every resting order of a symbol: so much of what is left is filled; how many were."""
        filled = 0
        with self.lock:
            for one in [one for one in self.orders if one.is_open and one.symbol == symbol]:
                part = self.lots((one.quantity - one.done) * share)
                if part > 0:
                    self._fill(one, part, one.price, True)
                    filled += 1
        return filled

    def find(self, symbol: str, client_id: str) -> Placed:
        """The newest order of a client id."""
        with self.lock:
            found = [one for one in self.orders if one.client_id == client_id and one.symbol == symbol]
            if not found:
                raise Refusal(-2013, "Order does not exist.")
            return found[-1]

    def cancel(self, symbol: str, client_id: str) -> Placed:
        """Take it back."""
        with self.lock:
            found = [one for one in self.orders if one.client_id == client_id and one.symbol == symbol and one.is_open]
            if not found:
                raise Refusal(-2011, "Unknown order sent.")
            found[-1].status = "CANCELED"
            return found[-1]

    def positions(self) -> dict[str, float]:
        """Units held beyond the beginning's, by symbol."""
        held = {
            name: round(self.balances.get(self.base(name), 0.0) - self.before.get(self.base(name), 0.0), 8)
            for name in self.prices
        }
        return {name: units for name, units in held.items() if units}
