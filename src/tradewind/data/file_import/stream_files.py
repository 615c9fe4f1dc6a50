"""A raw exchange stream (Binance; a line is the receive time in ns and a message) as depth, best bid/offer, trades."""

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from tradewind.data.files.cells import EARLIEST_MS, LATEST_MS

_NS_PER_MS = 1_000_000
_DEPTH = ("recv_ns", "exch_ms", "first_update_id", "final_update_id", "is_snapshot", "side", "price", "qty")
_BBO = ("recv_ns", "exch_ms", "update_id", "bid_px", "bid_qty", "ask_px", "ask_qty")
_TRADES = ("recv_ns", "exch_ms", "trade_id", "price", "qty", "buyer_maker")
_RANGE_NS = (EARLIEST_MS * _NS_PER_MS, LATEST_MS * _NS_PER_MS)
_KINDS = {"side": "int8", "is_snapshot": "bool", "buyer_maker": "bool"}


@dataclass
class StreamFound:
    """What a stream holds: rows of `depth`, `bbo` and `trades`, and the lines that are no such message, with why.

    A line is one message; a depth message is a row for each price level. `timestamp` is the exchange's time, the
    receive time where the message has none (`exch_ms` 0).
    """

    depth: list[tuple[Any, ...]] = field(default_factory=list)
    bbo: list[tuple[Any, ...]] = field(default_factory=list)
    trades: list[tuple[Any, ...]] = field(default_factory=list)
    symbols: set[str] = field(default_factory=set)
    lines: int = 0
    rejected: list[tuple[int, str, str]] = field(default_factory=list)

    def tables(self) -> dict[str, pd.DataFrame]:
        """The three tables."""
        return {
            name: _framed(rows, columns)
            for name, rows, columns in (
                ("depth", self.depth, _DEPTH), ("bbo", self.bbo, _BBO), ("trades", self.trades, _TRADES),
            )
        }  # fmt: skip


def read_stream(content: bytes) -> StreamFound:
    """The messages of a stream, line by line."""
    stream = StreamFound()
    for number, line in enumerate(content.splitlines()):
        if not line.strip():
            continue
        stream.lines += 1
        received, _, message = line.partition(b" ")
        try:
            received_ns = int(received)
            if not _RANGE_NS[0] <= received_ns < _RANGE_NS[1]:
                raise ValueError("the receive time is not between 1990 and 2100 in nanoseconds")
            _take(stream, received_ns, json.loads(message))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, OverflowError) as error:
            why = f"no message that is known ({type(error).__name__}: {str(error)[:80]})"
            stream.rejected.append((number, why, line[:500].decode("utf-8", "replace")))
    return stream


def _take(stream: StreamFound, received_ns: int, message: dict[str, Any]) -> None:
    """Add a message's rows: all of them or, if anything in it is wrong, none."""
    event = message.get("data", message)
    kind = event.get("e") or ("snapshot" if "lastUpdateId" in event else "bookTicker" if "B" in event else "")
    symbol = str(event.get("s") or event.get("ps") or "")
    if kind == "depthUpdate":
        head = (received_ns, _instant(event["E"]), _whole(event["U"]), _whole(event["u"]), False)
        stream.depth += [*_levels(head, 1, event["b"]), *_levels(head, -1, event["a"])]
    elif kind == "snapshot":
        update = _whole(event["lastUpdateId"])
        head = (received_ns, _instant(event.get("E", 0)), update, update, True)
        stream.depth += [*_levels(head, 1, event["bids"]), *_levels(head, -1, event["asks"])]
    elif kind == "bookTicker":
        sides = (_number(event["b"]), _number(event["B"]), _number(event["a"]), _number(event["A"]))
        stream.bbo.append((received_ns, _instant(event.get("E", 0)), _whole(event["u"]), *sides))
    elif kind in ("trade", "aggTrade"):
        if not isinstance(event["m"], bool):
            raise ValueError("buyer_maker is neither true nor false")
        identity = _whole(event["t"] if kind == "trade" else event["a"])
        row = (received_ns, _instant(event["T"]), identity, _number(event["p"]), _number(event["q"]), event["m"])
        stream.trades.append(row)
    else:
        raise ValueError(f"message of the kind {str(kind)[:40]!r}")
    if symbol:
        stream.symbols.add(symbol)


def _levels(head: tuple[Any, ...], side: int, levels: list[list[str]]) -> list[tuple[Any, ...]]:
    return [(*head, side, _number(price), _number(quantity)) for price, quantity in levels]


def _number(text: str | float) -> float:
    value = float(text)
    if not np.isfinite(value) or value < 0 or isinstance(text, bool):
        raise ValueError(f"{str(text)[:40]!r} is no price or quantity")
    return value


def _whole(number: int) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or not -(2**63) <= number < 2**63:
        raise ValueError(f"{str(number)[:40]!r} is no whole number")
    return number


def _instant(number: int) -> int:
    """Epoch milliseconds, or 0 where the venue says none."""
    if _whole(number) != 0 and not EARLIEST_MS <= number < LATEST_MS:
        raise ValueError(f"{number} is no instant between 1990 and 2100")
    return number


def _framed(rows: list[tuple[Any, ...]], columns: tuple[str, ...]) -> pd.DataFrame:
    cells = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    table = {}
    for name, values in zip(columns, cells, strict=True):
        is_whole = name.endswith(("_ns", "_ms", "_id"))
        table[name] = np.array(values, dtype=_KINDS.get(name, "int64" if is_whole else "float64"))
    stamp = np.where(table["exch_ms"] > 0, table["exch_ms"], table["recv_ns"] // _NS_PER_MS)
    return pd.DataFrame({"timestamp": pd.DatetimeIndex(stamp.astype("datetime64[ms]"), tz="UTC"), **table})
