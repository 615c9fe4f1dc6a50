"""What the size of a trade counts: coins, money or contracts. Money divided by coins is the price: the proof."""

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradewind.data.file_import.raw_table import RawTable
from tradewind.data.file_import.tables import optional_cells
from tradewind.data.files.cells import FloatArray
from tradewind.data.files.dialect import ImportSettings
from tradewind.data.files.findings import ImportNotes, share

_TOLERANCE = 1e-6
_HALF_SATOSHI = 0.5e-8  # coins are written with eight decimals
_ENOUGH = 0.9
# Contracts of inverse perpetuals are worth 1, 10 or 100 of the quote currency.
_CONTRACT_SIZES = (1.0, 10.0, 100.0)
# Contracts that are settled in the coin, as BitMEX, Deribit, Binance, OKX, Kraken and ccxt call them.
_INVERSE = re.compile(
    r"(^XBTUSD$)|(-PERPETUAL$)|(USD_PERP$)|(-USD-SWAP$)|(^PI_)|(^(?P<coin>[A-Z]+)[/-]?USD[:-]?(?P=coin)(-\d{6})?$)"
)


@dataclass(frozen=True)
class TradeSizes:
    """Coins and money of each trade, and the rows that contradict the file's own proof, with why."""

    amount: FloatArray
    cost: FloatArray
    faults: dict[str, npt.NDArray[np.bool_]]


def read_sizes(
    table: RawTable, columns: dict[str, str], price: FloatArray, size: FloatArray, symbol: str,
    settings: ImportSettings, notes: ImportNotes,
) -> TradeSizes | None:  # fmt: skip
    """What each trade's size is in coins and in money; None where a setting is needed.

    A file that says both (`homeNotional` and `foreignNotional`, `base_qty`, or a cost) proves what its sizes count. One
    that says neither counts coins, unless its symbol is that of an inverse contract: then it is asked for.

    Args:
        table: the file's cells.
        columns: the file's names by role.
        price: of each trade.
        size: of each trade, in the file's unit.
        symbol: what is traded, in the file's or the user's words; empty where unknown.
        settings: `volume_unit` says the unit where it is not proven.
        notes: what is found is added.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if "home" in columns:
            return _stated(table, columns, price, size, notes)
        if "cost" in columns:
            return _proven_by_cost(table, columns["cost"], price, size, notes)
        unit = settings.volume_unit
        if unit in (None, "none") and _INVERSE.search(symbol.upper()):
            notes.add_missing(
                "volume_unit=quote", f"{symbol} is settled in its coin: sizes may count money (quote) or coins (base)"
            )
            return None
        if unit == "quote":
            notes.add_finding("amount", "size / price", "given: sizes count money")
            return TradeSizes(size / price, size, {})
        return TradeSizes(size, price * size, {})


def _stated(
    table: RawTable, columns: dict[str, str], price: FloatArray, size: FloatArray, notes: ImportNotes
) -> TradeSizes:
    """Coins in a column of their own."""
    name = columns["home"]
    amount, wrong = optional_cells(table.columns[name], name, notes.where)
    cost = price * amount
    faults = {f"{name} is no positive number": wrong | ~(amount > 0)}
    if "foreign" in columns:
        money_name = columns["foreign"]
        money, is_text = optional_cells(table.columns[money_name], money_name, notes.where)
        is_off = is_text | ~_agree(money, cost, price)
        faults[f"{money_name} is not price x {name}"] = is_off
        notes.add_finding(
            "cost", money_name, f"price x {name} in {share(int((~is_off).sum()), len(is_off))}"
        )  # fmt: skip
        cost = money
    counts = "coins" if np.mean(_agree(size, amount, np.ones(len(price)))) > _ENOUGH else "contracts or money"
    notes.add_finding("amount", name, f"the coins of each trade; {columns.get('amount', 'size')} counts {counts}")
    return TradeSizes(amount, cost, faults)


def _proven_by_cost(table: RawTable, name: str, price: FloatArray, size: FloatArray, notes: ImportNotes) -> TradeSizes:
    money, wrong = optional_cells(table.columns[name], name, notes.where)
    is_off = wrong | (np.abs(money - price * size) > _TOLERANCE * np.abs(price * size))
    for worth in _CONTRACT_SIZES:
        is_coin = _agree(size * worth, money * price, price)
        if np.mean(is_off) > 1 - _ENOUGH and np.mean(is_coin) > _ENOUGH:
            agreeing = share(int(is_coin.sum()), len(is_coin))
            notes.add_finding("amount", name, f"size x {worth:g} / price in {agreeing}: an inverse contract")
            return TradeSizes(money, size * worth, {f"{name} is not size x {worth:g} / price": wrong | ~is_coin})
    notes.add_finding("cost", name, f"price x amount in {share(int((~is_off).sum()), len(is_off))}")
    return TradeSizes(size, price * size, {"cost is not price x amount": is_off})


def _agree(money: FloatArray, cost: FloatArray, price: FloatArray) -> npt.NDArray[np.bool_]:
    """Whether the money is what the coins cost, give or take the rounding of coins to eight decimals."""
    return np.asarray(np.abs(money - cost) <= _TOLERANCE * np.abs(cost) + 2 * _HALF_SATOSHI * price)
