"""Tables without column names: which column is what, found by their numbers."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tradewind.data.file_import.raw_table import RawTable
from tradewind.data.file_import.tables import is_text, number_cells
from tradewind.data.files.cells import MS_PER_UNIT, FloatArray, epoch_units
from tradewind.data.files.findings import ImportNotes

_SIDES = frozenset({"buy", "sell", "b", "s"})
_KLINE = (
    "open_time", "open", "high", "low", "close", "volume", "close_time", "quote_asset_volume", "number_of_trades",
    "taker_buy_base_volume", "taker_buy_quote_volume", "ignore",
)  # fmt: skip
_CLEARLY = 0.7
_ALL = 0.99


def name_by_position(table: RawTable, notes: ImportNotes) -> RawTable:
    """The table with names for its columns where the numbers prove them; as it was, and a need, where they do not."""
    names = list(table.columns)
    joined = _with_one_time(table)
    found = _names_of_trades(joined, notes) or _names_of_bars(joined, notes)
    if found is None:
        notes.add_missing(
            "column_names=A,B,...", f"the file has no header, and its {len(names)} columns do not prove what they are"
        )
        return table
    renamed = {found.get(name, name): cells for name, cells in joined.columns.items()}
    return replace(table, columns=renamed, has_names=True)


def _numbers(table: RawTable, name: str, notes: ImportNotes) -> FloatArray:
    cells = table.columns[name]
    if is_text(cells) or pa.types.is_integer(cells.type) or pa.types.is_floating(cells.type):
        return number_cells(cells, name, notes.where)
    return np.full(len(cells), np.nan)


def _names_of_bars(table: RawTable, notes: ImportNotes) -> dict[str, str] | None:
    """Time, then open, high, low and close in any order, then volume; or the twelve columns of a Binance kline."""
    names = list(table.columns)
    if len(names) not in (6, 7, 8, 12):
        return None
    prices = [_numbers(table, name, notes) for name in names[1:5]]
    readable = np.isfinite(np.stack(prices)).all(axis=0)
    stacked = np.stack(prices)[:, readable]
    moving = stacked[:, stacked.max(axis=0) > stacked.min(axis=0)] if stacked.size else stacked
    if moving.shape[1] < 3:
        return None
    highs = [index for index in range(4) if (moving[index] == moving.max(axis=0)).mean() > 0.99]
    lows = [index for index in range(4) if (moving[index] == moving.min(axis=0)).mean() > 0.99]
    if len(highs) != 1 or len(lows) != 1 or highs == lows:
        return None
    first, second = (index for index in range(4) if index not in (highs[0], lows[0]))
    instants = _numbers(table, names[0], notes)[readable]
    order = np.argsort(instants, kind="stable") if np.isfinite(instants).all() else np.arange(len(instants))
    ordered = np.log(np.maximum(stacked[:, order], 1e-300))
    gaps = {
        first: float(np.abs(ordered[first, 1:] - ordered[second, :-1]).mean()),
        second: float(np.abs(ordered[second, 1:] - ordered[first, :-1]).mean()),
    }
    opened, closed = sorted(gaps, key=lambda index: gaps[index])
    if not gaps[opened] < _CLEARLY * gaps[closed]:
        return None
    roles = {opened: "open", highs[0]: "high", lows[0]: "low", closed: "close"}
    role_of = {names[0]: "timestamp", **{names[1 + index]: role for index, role in roles.items()}, names[5]: "volume"}
    if len(names) in (7, 8):
        more = _more_of_bars(table, names, stacked[[highs[0], lows[0]]], np.asarray(readable), notes)
        if more is None:
            return None
        role_of = {name: role for name, role in role_of.items() if role != "volume"} | more
    if len(names) == 12:
        if [roles[index] for index in range(4)] != list(_KLINE[1:5]) or not _is_kline(table, names, notes):
            return None
        role_of = dict(zip(names, _KLINE, strict=True))
    notes.add_finding(
        "columns without names", ", ".join(f"{name}: {role}" for name, role in role_of.items()),
        f"the high is never below nor the low above the others; opens lie {gaps[opened]:.2%} from the close before, "
        f"the other way round it would be {gaps[closed]:.2%}",
    )  # fmt: skip
    return role_of


def _is_kline(table: RawTable, names: list[str], notes: ImportNotes) -> bool:
    """Whether the seventh column is one and the same time after the first."""
    lengths = np.floor(_in_ms(_numbers(table, names[6], notes))) - _in_ms(_numbers(table, names[0], notes))
    return bool(len(lengths)) and bool((lengths == lengths[0]).mean() > 0.99) and bool(lengths[0] > 0)


def _in_ms(epochs: FloatArray) -> FloatArray:
    """Epochs in milliseconds, each in the only unit in which it lies between 1990 and 2100."""
    found = np.full(len(epochs), np.nan)
    for unit, rows in epoch_units(epochs).items():
        found[rows] = epochs[rows] * MS_PER_UNIT[unit]
    return found


def _with_one_time(table: RawTable) -> RawTable:
    """A date and a time of day in the first two columns as one."""
    names = list(table.columns)
    if len(names) < 7 or not all(is_text(table.columns[name]) for name in names[:2]):
        return table
    is_clock = pc.match_substring_regex(table.columns[names[1]], r"^\s*\d{1,2}:\d{2}(:\d{2})?\s*$")
    if not pc.all(is_clock).as_py():
        return table
    joined = pc.binary_join_element_wise(table.columns[names[0]], table.columns[names[1]], " ")
    return replace(table, columns={names[0]: joined} | {name: table.columns[name] for name in names[2:]})


def _more_of_bars(
    table: RawTable, names: list[str], bounds: FloatArray, readable: npt.NDArray[np.bool_], notes: ImportNotes
) -> dict[str, str] | None:
    """What stands after the prices: volume, then trades or money; or mean price, volume and trades."""
    high, low = bounds
    after = [_numbers(table, name, notes)[readable] for name in names[5:]]
    with np.errstate(all="ignore"):
        if len(after) == 3:
            is_mean = ((after[0] >= low * 0.999) & (after[0] <= high * 1.001)) | (after[0] == 0)
            return {names[5]: "vwap", names[6]: "volume", names[7]: "trades"} if is_mean.mean() > _ALL else None
        traded = after[0] > 0
        mean = after[1][traded] / after[0][traded]
        is_money = (mean >= low[traded] * 0.999) & (mean <= high[traded] * 1.001)
    if traded.any() and is_money.mean() > _ALL:
        return {names[5]: "volume", names[6]: "quote_volume"}
    is_count = (after[1] == np.floor(after[1])) & ((after[1] > 0) == traded)
    return {names[5]: "volume", names[6]: "trades"} if is_count.mean() > _ALL else None


def _names_of_trades(table: RawTable, notes: ImportNotes) -> dict[str, str] | None:
    """Time, price and amount, and where they are there a side and a cost."""
    names = list(table.columns)
    numbers = {name: _numbers(table, name, notes) for name in names[1:]}
    epochs = _numbers(table, names[0], notes)
    if sum(rows.sum() for rows in epoch_units(epochs).values()) < 0.99 * len(epochs):
        return None
    side = next((name for name in names[1:] if _is_side(table.columns[name])), None)
    measured = [name for name, values in numbers.items() if np.isfinite(values).mean() > 0.99 and name != side]
    if len(names) == 3 and len(measured) == 2:
        price, amount = _price_and_amount(measured[0], measured[1], numbers)
        cost = None
    elif side is not None:
        product = _product(measured, numbers)
        if product is None:
            return None
        price, amount = _price_and_amount(product[0], product[1], numbers)
        cost = product[2]
    else:
        return None
    if price is None or amount is None:
        return None
    role_of = {names[0]: "timestamp", price: "price", amount: "amount"}
    if side and cost:
        role_of |= {side: "side", cost: "cost"}
        identities = [name for name in names[1:] if name not in role_of and _is_distinct(table.columns[name])]
        role_of |= {identities[0]: "id"} if len(identities) == 1 else {}
    notes.add_finding(
        "columns without names", ", ".join(f"{name}: {role}" for name, role in role_of.items()),
        f"from row to row the price moves by {_step(numbers[price]):.2%} (median), the amount by "
        f"{_step(numbers[amount]):.0%}" + (f"; {cost} is their product" if cost else ""),
    )  # fmt: skip
    return role_of


def _is_side(cells: pa.Array) -> bool:
    return is_text(cells) and {str(cell).lower() for cell in cells.unique().to_pylist()} <= _SIDES


def _is_distinct(cells: pa.Array) -> bool:
    return len(cells.unique()) == len(cells) and cells.null_count == 0


def _product(names: list[str], numbers: dict[str, FloatArray]) -> tuple[str, str, str] | None:
    """The two columns whose product a third is."""
    for cost in names:
        for index, first in enumerate(names):
            for second in names[index + 1 :]:
                if cost in (first, second):
                    continue
                product = numbers[first] * numbers[second]
                if np.isclose(product, numbers[cost], rtol=1e-6, atol=0).mean() > 0.99:
                    return first, second, cost
    return None


def _price_and_amount(first: str, second: str, numbers: dict[str, FloatArray]) -> tuple[str | None, str | None]:
    """The one that hardly moves from row to row is the price."""
    moves = {name: _step(numbers[name]) for name in (first, second)}
    price, amount = sorted(moves, key=lambda name: moves[name])
    is_clear = moves[price] < 0.02 and moves[amount] > 10 * moves[price] and moves[amount] > 0.1
    return (price, amount) if is_clear else (None, None)


def _step(values: FloatArray) -> float:
    positive = values[np.isfinite(values) & (values > 0)]
    steps = np.abs(np.diff(np.log(positive)))
    return float(np.median(steps)) if len(steps) else 0.0
