"""The backtest of the bars that a session has lived through, made afterwards: the twin must be it, bit for bit."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tradewind.learning.features.assembly import Bar, SideValue
from tradewind.learning.features.matrix import epoch_ms
from tradewind.live.session.events import side_values
from tradewind.live.session.session import Session
from tradewind.market.segments import assign_segments
from tradewind.market.volatility import realised_volatility
from tradewind.operations.journal.records import Record
from tradewind.trading.engine.backtest import History, portfolio

COLUMNS = ["open", "high", "low", "close", "volume"]


class Lived(NamedTuple):
    """What a journal says was lived through: bars and side values, the twin's equity by timestamp, and the targets by
    symbol and timestamp."""

    bars: list[Bar]
    side: list[SideValue]
    first_ms: int
    twin: dict[int, float]
    targets: dict[tuple[str, int], float]


def lived_through(records: Iterable[Record]) -> Lived:
    """Bars, side values and the twin's equity (account currency) of a run; bars put aside are left out."""
    received: dict[int, list[Bar]] = {}
    published: dict[int, list[SideValue]] = {}
    first_ms, twin = 0, dict[int, float]()
    targets: dict[tuple[str, int], float] = {}
    for record in records:
        body = record.body
        if record.kind in ("past", "market"):
            received[record.seq] = [Bar(*row) for row in body["bars"]]
            published[record.seq] = side_values(body["side"])
            first_ms = first_ms or body["now_ms"]
        elif record.kind == "quarantined" and len(body["value"]) == len(Bar._fields):
            # Of two of the same in one event the later was put aside.
            came = received[record.cause]
            key = (body["symbol"], body["value"][2])
            wrong = [at for at, one in enumerate(came) if (one.symbol, one.timestamp) == key]
            del came[wrong[-1]]
        elif record.kind == "quarantined" and "series" in body:
            came_side = published[record.cause]
            del came_side[_place(came_side, body["value"], last=True)]
        elif record.kind == "late_side":
            came_side = published[record.cause]
            place = _place(came_side, body["value"])
            came_side[place] = came_side[place]._replace(known_at=body["counts_from"])
        elif record.kind == "decision":
            targets[body["symbol"], body["timestamp"]] = body["target"]
        elif record.kind == "account":
            twin[body["timestamp"]] = body["twin"]
    bars = sorted((one for came in received.values() for one in came), key=lambda one: (one.timestamp, one.symbol))
    return Lived(bars, [one for came_side in published.values() for one in came_side], first_ms, twin, targets)


def _place(values: Sequence[SideValue], row: Sequence[Any], last: bool = False) -> int:
    """Where a value stands among those of one event, by series, symbol and time."""
    places = [at for at, one in enumerate(values) if [one.series, one.symbol, one.known_at] == list(row[:3])]
    return places[-1 if last else 0]


def tables_of(session: Session, bars: Sequence[Bar]) -> dict[str, pd.DataFrame]:
    """Bars as the checked tables of research, by symbol."""
    tables = {}
    for symbol in session.symbols:
        own = sorted((one for one in bars if one.symbol == symbol), key=lambda one: one.timestamp)
        table = pd.DataFrame(own, columns=Bar._fields)
        opened = table["open_time"].to_numpy(dtype=np.int64)
        assembly = session.decider.assembly
        table["segment"] = assign_segments(opened, assembly.bar_ms, assembly.max_gap_bars, assembly.calendar)
        for name in ("open_time", "timestamp"):
            table[name] = pd.to_datetime(table[name], unit="ms", utc=True).astype("datetime64[ms, UTC]")
        tables[symbol] = table
    return tables


def sides_of(session: Session, side: Sequence[SideValue]) -> dict[str, dict[str, pd.DataFrame]]:
    """Side values as the tables of research, by symbol and series."""
    out: dict[str, dict[str, pd.DataFrame]] = {}
    for symbol in session.symbols:
        out[symbol] = {}
        for name in {*session.decider.assembly.side_series, "funding"}:
            rows = [(one.known_at, one.value) for one in side if one.series == name and one.symbol in ("", symbol)]
            table = pd.DataFrame(sorted(rows), columns=["known_at", "value"])
            known = pd.to_datetime(table["known_at"].astype("int64"), unit="ms", utc=True)
            out[symbol][name] = table.assign(known_at=known.astype("datetime64[ms, UTC]"))
    return out


def backtest_again(session: Session, lived: Lived, decides: bool = True) -> dict[int, float]:
    """Equity in account currency by timestamp, of a backtest that begins with nothing after the past.

    Args:
        session: what was run.
        lived: what it lived through.
        decides: make every decision of the whole history anew; else those that are recorded are traded, which takes a
            model milliseconds a bar less.
    """
    tables, sides = tables_of(session, lived.bars), sides_of(session, lived.side)
    read = {*session.decider.assembly.side_series, *session.decider.assembly.settlements}
    wanted: Mapping[str, dict[str, pd.DataFrame]] = {
        symbol: {name: one for name, one in tables_of_one.items() if name in read}
        for symbol, tables_of_one in sides.items()
    }
    decisions = session.decider.decide_history(tables, wanted) if decides else pd.DataFrame()
    histories, targets, times = {}, {}, {}
    window = session.setup.sizing.volatility_window
    for symbol, table in tables.items():
        close, segment = table["close"].to_numpy(dtype=np.float64), table["segment"].to_numpy(dtype=np.int32)
        volatility = realised_volatility(close, segment, window)
        closed = epoch_ms(table["timestamp"])
        lives = closed > lived.first_ms
        funding = sides[symbol]["funding"].dropna()
        histories[symbol] = History.from_bars(table[lives].reset_index(drop=True), volatility[lives], funding)
        if decides:
            own = decisions[decisions["symbol"] == symbol]["target"].to_numpy(dtype=np.float64)[lives]
        else:
            own = np.array([lived.targets.get((symbol, at), np.nan) for at in closed[lives].tolist()])
        targets[symbol], times[symbol] = own * (1.0 / len(session.symbols)), closed[lives]
    instants, result = portfolio(
        histories,
        targets,
        times,
        session.setup.costs,
        session.setup.execution,
        session.bars_per_year,
        session.ends,
    )
    equity = result.account["equity"].to_numpy() * session.capital
    return dict(zip(instants.tolist(), equity.tolist(), strict=True))


def differences(twin: Mapping[int, float], again: Mapping[int, float]) -> list[int]:
    """Timestamps on which the two are not the same number, or only one of them has one."""
    return sorted(at for at in {*twin, *again} if twin.get(at) != again.get(at))
