"""Files of trades."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tradewind.data.file_import.raw_table import RawTable
from tradewind.data.file_import.tables import is_text, number_cells
from tradewind.data.file_import.time_columns import read_times
from tradewind.data.file_import.trade_units import read_sizes
from tradewind.data.files.cleaning import DUPLICATE
from tradewind.data.files.dialect import ImportSettings, plain_name
from tradewind.data.files.findings import ImportNotes
from tradewind.data.files.names import require_one_spelling, usable_name
from tradewind.errors import BadData

_NAMES = {
    "price": frozenset({"price", "p", "px"}),
    "amount": frozenset({"amount", "qty", "quantity", "size", "volume", "q"}),
    "side": frozenset({"side", "taker_side", "direction"}),
    "buyer_maker": frozenset({"is_buyer_maker", "isbuyermaker", "buyer_maker"}),
    "id": frozenset(
        {
            "id",
            "trade_id",
            "tradeid",
            "tid",
            "trdmatchid",
            "trd_match_id",
            "agg_trade_id",
            "aggtradeid",
            "exec_id",
            "execid",
        }
    ),
    "cost": frozenset({"cost", "quote_qty", "quoteqty"}),
    "home": frozenset({"homenotional", "home_notional", "base_qty", "baseqty"}),
    "foreign": frozenset({"foreignnotional", "foreign_notional"}),
}
_TIME = frozenset({"trade_time", "transact_time", "created_time", "recv_ns", "exch_ms"})
_SIDES = {"buy": "buy", "b": "buy", "sell": "sell", "s": "sell", "": ""}
_PAIRS = (
    "symbol", "pair", "ticker", "instrument", "instrument_name", "instrument_id", "inst_id", "instid", "product_id",
    "contract", "market",
)  # fmt: skip


@dataclass(frozen=True)
class TradesFound:
    """Trades by symbol (empty where the file names none), in the order of the file: timestamp, id, side (buy, sell or
    empty: who took), price, amount in coins, cost in money; and why each other row is rejected."""

    rows: dict[str, pd.DataFrame]
    reason: npt.NDArray[np.object_]


def trade_columns(table: RawTable) -> dict[str, str]:
    """The file's names of what trades have."""
    column_of = {}
    for role, aliases in _NAMES.items():
        names = [name for name in table.columns if plain_name(name) in aliases]
        if len(names) == 1:
            column_of[role] = names[0]
    return column_of


def read_trades(
    table: RawTable, columns: dict[str, str], settings: ImportSettings, notes: ImportNotes
) -> TradesFound | None:
    """The trades of a table whose columns are known, in the order of the file.

    Args:
        table: the raw table of the file.
        columns: by role (price, amount, and where there is one side, id or cost) the file's name of the column.
        settings: what the user has set; it goes before what the file suggests.
        notes: gets findings, assumptions and missing settings.

    Returns:
        The trades, and why each other row is rejected; None where a setting is needed.

    Raises:
        BadData: a column holds no numbers, or two symbols have one name.
    """
    notes.add_finding("columns", ", ".join(f"{role}={name}" for role, name in columns.items()), "by name or content")
    times = read_times(table, settings, notes, _TIME)
    if times is None:
        return None
    price, size = (
        number_cells(table.columns[columns[name]], columns[name], notes.where) for name in ("price", "amount")
    )
    symbols = _symbols(table, settings, notes)
    named = sorted(set(symbols.tolist()))
    sizes = read_sizes(table, columns, price, size, named[0] if len(named) == 1 else "", settings, notes)
    if sizes is None:
        return None
    amount, cost = sizes.amount, sizes.cost
    side, is_no_side = _sides(table, columns, notes)
    faults = {
        **times.rejected,
        "the time cannot be read": ~np.isfinite(times.ms),
        "the clock shows this time twice": np.isfinite(times.again),
        "price is no positive number": ~(np.isfinite(price) & (price > 0)),
        "amount is no positive number": ~(np.isfinite(amount) & (amount > 0)),
        "side is neither buy nor sell": is_no_side,
        **sizes.faults,
    }
    faults["price x amount is not finite"] = ~np.isfinite(cost)
    reason = np.full(len(price), "", dtype=object)
    for why, rows in reversed(faults.items()):
        reason[rows] = why
    identity = _identities(table, columns, reason, symbols)
    kept = np.flatnonzero(reason == "")
    rows = pd.DataFrame(
        {
            "timestamp": pd.DatetimeIndex(np.floor(times.ms[kept]).astype(np.int64).astype("datetime64[ms]"), tz="UTC"),
            "id": pd.array(identity[kept], dtype="str"),
            "side": pd.array(side[kept], dtype="str"),
            "price": price[kept],
            "amount": amount[kept],
            "cost": cost[kept],
        }
    )
    of_row = symbols[kept]
    return TradesFound({name: rows[of_row == name].reset_index(drop=True) for name in named}, reason)


def _symbols(table: RawTable, settings: ImportSettings, notes: ImportNotes) -> npt.NDArray[np.object_]:
    """What each row trades, by its column or as given; empty where neither says it."""
    rows = len(table.source_row)
    name = next((name for name, cells in table.columns.items() if plain_name(name) in _PAIRS and is_text(cells)), None)
    if name is None:
        return np.full(rows, settings.symbol or "", dtype=object)
    cells = [str(cell or "") for cell in table.columns[name].to_pylist()]
    names = require_one_spelling(cells, usable_name, notes.where)
    found = np.array([names[cell] for cell in cells], dtype=object)
    named = sorted(set(found.tolist()))
    if settings.symbol is None:
        notes.add_finding("symbol", ", ".join(named[:20]), f"column {name!r}")
        return found
    if len(named) > 1:
        raise BadData(
            f"{notes.where} holds trades of {len(named)} symbols ({', '.join(named[:5])}), which are not all "
            f"{settings.symbol}: leave --symbol out, or import them one by one"
        )
    return np.full(rows, settings.symbol, dtype=object)


def _sides(
    table: RawTable, columns: dict[str, str], notes: ImportNotes
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.bool_]]:
    """Who took each trade, and which cells say something else."""
    rows = len(table.source_row)
    if "buyer_maker" in columns:
        maker = table.columns[columns["buyer_maker"]]
        if is_text(maker):
            text = np.array([str(cell).strip().lower() for cell in maker.to_pylist()], dtype=object)
        elif pa.types.is_boolean(maker.type):
            text = np.array([str(cell).lower() for cell in maker.to_pylist()], dtype=object)
        else:
            raise BadData(f"{notes.where}: {columns['buyer_maker']!r} holds {maker.type}: true or false is needed")
        side_of = {"true": "sell", "false": "buy"}  # if the buyer's order rested, the seller took
    elif "side" in columns and is_text(table.columns[columns["side"]]):
        text = np.array(
            [(cell or "").strip().lower() for cell in table.columns[columns["side"]].to_pylist()], dtype=object
        )
        side_of = _SIDES
    else:
        return np.full(rows, "", dtype=object), np.zeros(rows, dtype=bool)
    side = np.array([side_of.get(cell, "?") for cell in text], dtype=object)
    return side, side == "?"


def _identities(
    table: RawTable, columns: dict[str, str], reason: npt.NDArray[np.object_], symbols: npt.NDArray[np.object_]
) -> npt.NDArray[np.object_]:
    """The trades' identities as text, empty where the file has none; one that a symbol has twice counts once."""
    if "id" not in columns:
        return np.full(len(reason), "", dtype=object)
    cells = table.columns[columns["id"]]
    text = cells if is_text(cells) else pc.cast(cells, pa.string(), safe=False)
    identity = np.array([cell or "" for cell in text.to_pylist()], dtype=object)
    sound = np.flatnonzero((reason == "") & (identity != ""))
    repeated = pd.DataFrame({"id": identity[sound], "symbol": symbols[sound]}).duplicated().to_numpy()
    reason[sound[repeated]] = DUPLICATE
    return identity
