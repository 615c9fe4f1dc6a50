"""An order book as one would write it down: dicts of deques, the oldest order at the left."""

from collections import deque

BUY, SELL = 1, -1
LIMIT, MARKET, CANCEL = range(3)


class SlowBook:
    """Price-time priority, one order at a time.

    Attributes:
        queues: side -> price -> orders [number, lots, owner], the oldest first.
        trades: [resting number, arriving number, price, lots, side of the arriving order].
        own: lots and value that owner 1 took, and that it made; what is sold counts negative.
    """

    def __init__(self, ticks: int) -> None:
        self.ticks = ticks
        self.queues: dict[int, dict[int, deque[list[int]]]] = {BUY: {}, SELL: {}}
        self.places: dict[int, tuple[int, int]] = {}
        self.trades: list[list[int]] = []
        self.own = [0, 0, 0, 0]
        self.number = self.sent = self.withdrawn = self.unfilled = 0

    def best(self, side: int) -> int | None:
        """Highest purchase or lowest sale, None where there is none."""
        prices = self.queues[side]
        if not prices:
            return None
        return max(prices) if side == BUY else min(prices)

    def act(self, message: list[int]) -> None:
        """One message: kind, side, price, lots, owner, number to be cancelled."""
        kind, side, price, lots, owner, target = message
        if kind == CANCEL:
            self._cancel(target, lots)
            return
        number = self.number
        self.number += 1
        self.sent += lots
        left = self._trade(side, price if kind == LIMIT else None, lots, owner, number)
        if kind == MARKET:
            self.unfilled += left
        elif left:
            self.queues[side].setdefault(price, deque()).append([number, left, owner])
            self.places[number] = (side, price)

    def top(self) -> list[int]:
        """Best bid and its lots, best ask and its lots, trades so far."""
        out = []
        for side, nothing in ((BUY, -1), (SELL, self.ticks)):
            best = self.best(side)
            out += [nothing, 0] if best is None else [best, sum(order[1] for order in self.queues[side][best])]
        return [*out, len(self.trades)]

    def _trade(self, side: int, limit: int | None, lots: int, owner: int, number: int) -> int:
        while lots:
            best = self.best(-side)
            if best is None or (limit is not None and (best - limit) * side > 0):
                break
            queue = self.queues[-side][best]
            oldest = queue[0]
            if owner and oldest[2] == owner:  # nobody trades with himself: the resting order is taken back
                self._cancel(oldest[0], oldest[1])
                continue
            traded = min(lots, oldest[1])
            self.trades.append([oldest[0], number, best, traded, side])
            for place, (who, sign) in enumerate(((owner, side), (oldest[2], -side))):
                if who == 1:
                    self.own[2 * place] += sign * traded
                    self.own[2 * place + 1] += sign * traded * best
            lots -= traded
            oldest[1] -= traded
            if not oldest[1]:
                self._remove(oldest[0])
        return lots

    def _cancel(self, number: int, lots: int) -> None:
        if number not in self.places:
            return
        side, price = self.places[number]
        order = next(order for order in self.queues[side][price] if order[0] == number)
        gone = min(lots, order[1])
        order[1] -= gone
        self.withdrawn += gone
        if not order[1]:
            self._remove(number)

    def _remove(self, number: int) -> None:
        side, price = self.places.pop(number)
        queue = self.queues[side][price]
        self.queues[side][price] = deque(order for order in queue if order[0] != number)
        if not self.queues[side][price]:
            del self.queues[side][price]
