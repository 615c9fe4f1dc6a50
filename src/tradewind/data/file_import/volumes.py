"""Which volume column counts what: base asset, money, or contracts. Money divided by volume is a price: the proof."""

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradewind.data.file_import.raw_table import RawTable
from tradewind.data.file_import.tables import is_text, optional_cells
from tradewind.data.files.cells import FloatArray
from tradewind.data.files.dialect import ALIASES, ImportSettings, plain_name
from tradewind.data.files.findings import ImportNotes, share
from tradewind.errors import BadData

# Contracts of inverse perpetuals are worth 1, 10 or 100 of the quote currency.
_CONTRACT_SIZES = (1.0, 10.0, 100.0)
_TOLERANCE = 0.01  # prices outside low to high that rounding and odd lots explain
_HALF_CENT = 0.005  # many files round volumes to two decimals
_ENOUGH = 0.9
_OPEN_IS_ABSURD = 2.0

_QUOTE_NAMES = re.compile(r"quote|turnover|usd|eur|gbp|jpy|krw|amount_quote")
_NOT_VOLUME = re.compile(r"taker|trade(?!d)|count|number")
DISAGREE = "the volumes agree with the prices in neither order"
ABSURD_OPEN = "the open agrees with nothing: neither the close before it, nor the bar's mean price, nor its close"


@dataclass(frozen=True)
class Volumes:
    """The base volume of each row, the money where the file says it, and rows whose volumes contradict the prices."""

    base: FloatArray
    quote: FloatArray | None
    disagree: npt.NDArray[np.bool_]
    is_proven: bool
    not_numeric: npt.NDArray[np.bool_]

    def of_rows(self, rows: npt.NDArray[np.int64]) -> "Volumes":
        """The volumes of some rows."""
        quote = None if self.quote is None else self.quote[rows]
        return Volumes(self.base[rows], quote, self.disagree[rows], self.is_proven, self.not_numeric[rows])


def volume_columns(table: RawTable) -> list[str]:
    """The names of columns that are called volumes."""
    known = ALIASES["volume"] | ALIASES["quote_volume"] | {"turnover"}
    found = []
    for name in table.columns:
        plain = plain_name(name)
        is_volume = plain in known or "volume" in plain or plain.startswith("turnover_")
        if is_volume and not _NOT_VOLUME.search(plain):
            found.append(name)
    return found


def read_volumes(
    table: RawTable, prices: dict[str, FloatArray], settings: ImportSettings, notes: ImportNotes, names: list[str]
) -> Volumes | None:
    """The volumes of a table of bars; None where a setting is needed.

    Args:
        table: the raw table of the file.
        prices: by role (open, high, low, close) one number a row.
        settings: what the user has set; it goes before what the file suggests.
        notes: gets findings, assumptions and missing settings.
        names: columns that could be volumes, in the order of the file.

    Returns:
        In units of the base asset, and of the quote currency where the file has them; None where a setting is needed.

    Raises:
        BadData: a column that the settings name is not in the file, or holds no numbers.
    """
    rows = len(prices["close"])
    named = {role: settings.columns.get(role) for role in ("volume", "quote_volume")}
    if named["volume"]:
        names = [name for name in named.values() if name]
    nothing = np.zeros(rows, dtype=bool)
    if settings.volume_unit == "none" or not names:
        if settings.volume_unit != "none":
            notes.add_missing("volume_unit=none", "the file has no volume; with this setting it is imported as 0")
            return None
        notes.add_finding("volume", "0", "given: the file has none")
        return Volumes(np.zeros(rows), None, nothing, False, nothing)
    if len(names) > 2:
        notes.add_missing("columns.volume=NAME", f"{', '.join(map(repr, names[:6]))} could each be the volume")
        return None
    absent = [name for name in names if name not in table.columns]
    if absent:
        raise BadData(
            f"{notes.where}: columns names {absent}, which the file does not have: {list(table.columns)[:12]}"
        )
    read = [optional_cells(table.columns[name], name, notes.where) for name in names]
    cells = [numbers for numbers, _ in read]
    wrong = np.logical_or.reduce([not_numeric for _, not_numeric in read])
    if len(names) == 1:
        column = _Lonely(names[0], cells[0], wrong, bool(named["volume"]), _pair_of(table, settings))
        return _single(column, prices, settings, notes)
    proven = _prove(names, cells, wrong, prices, notes)
    if proven is not None:
        return proven
    if named["volume"]:
        notes.add_finding("volume", named["volume"], "given")
        return Volumes(cells[0], cells[1], nothing, False, wrong)
    quotes = [bool(_QUOTE_NAMES.search(plain_name(name))) for name in names]
    if sum(quotes) == 1 and not any(np.nansum(np.abs(numbers)) > 0 for numbers in cells):
        notes.assume("volume", names[quotes.index(False)], "by its name; all volumes are 0")
        return Volumes(cells[quotes.index(False)], cells[quotes.index(True)], nothing, False, wrong)
    notes.add_missing(
        "columns.volume=NAME",
        f"neither {names[0]!r} nor {names[1]!r} divided by the other is a price between low and high in most rows",
    )
    return None


def absurd_opens(ms: FloatArray, prices: dict[str, FloatArray], volumes: Volumes) -> npt.NDArray[np.bool_]:
    """Rows whose open is over twice, or under half, everything it should be near.

    Only where money and volume prove the bar's mean price. A real jump is near the close before it or after it.

    Args:
        ms: opening times, UTC milliseconds; in any order.
        prices: open and close, one number a row.
        volumes: of the same rows.

    Returns:
        Shape (rows,).
    """
    absurd = np.zeros(len(ms), dtype=bool)
    if not volumes.is_proven or volumes.quote is None:
        return absurd
    with np.errstate(all="ignore"):
        order = np.argsort(ms, kind="stable")
        before = np.full(len(ms), np.nan)
        before[order[1:]] = prices["close"][order[:-1]]
        near = [before, volumes.quote / volumes.base, prices["close"]]
        far = [np.abs(np.log(prices["open"] / price)) > np.log(_OPEN_IS_ABSURD) for price in near]
    # At the file's first bar there is no close before it.
    return (far[0] | ~np.isfinite(before)) & far[1] & far[2]


@dataclass(frozen=True)
class _Lonely:
    """The only volume column; `is_named`: by the settings; `pair`: what is traded, such as btc/usdt."""

    name: str
    numbers: FloatArray
    wrong: npt.NDArray[np.bool_]
    is_named: bool
    pair: str


def _single(
    column: _Lonely, prices: dict[str, FloatArray], settings: ImportSettings, notes: ImportNotes
) -> Volumes | None:
    name, numbers, wrong = column.name, column.numbers, column.wrong
    nothing = np.zeros(len(numbers), dtype=bool)
    plain = plain_name(name)
    unit = "base" if column.is_named else settings.volume_unit or _unit_by_name(plain, column.pair)
    if unit is None:
        notes.add_missing(
            "volume_unit=UNIT",
            f"{name!r} is the only volume, and nothing tells whether it counts money: base, or quote",
        )
        return None
    why = "given" if column.is_named or settings.volume_unit else "by its name"
    if unit == "base":
        notes.add_finding("volume", f"{name} (base asset)", why)
        return Volumes(numbers, None, nothing, False, wrong)
    middle = (prices["open"] + prices["high"] + prices["low"] + prices["close"]) / 4
    with np.errstate(all="ignore"):
        base = np.where(numbers == 0, 0.0, numbers / middle)
        error = float(np.nanmax(np.maximum(prices["high"] / middle, middle / prices["low"]) - 1, initial=0.0))
    notes.add_finding(
        "volume", f"{name} (money) / mean of open, high, low and close",
        f"{why}; the mean price lies between low and high, so it is "
        f"right to within {error:.2%}",
    )  # fmt: skip
    return Volumes(base, numbers, nothing, False, wrong)


def _prove(
    names: list[str],
    cells: list[FloatArray],
    wrong: npt.NDArray[np.bool_],
    prices: dict[str, FloatArray],
    notes: ImportNotes,
) -> Volumes | None:
    """Which is money and which is volume, row by row, with the contract size under which most rows agree."""
    best: tuple[int, float, npt.NDArray[np.bool_], npt.NDArray[np.bool_]] | None = None
    active = np.isfinite(cells[0]) & np.isfinite(cells[1]) & ((cells[0] > 0) | (cells[1] > 0))
    if not active.any():
        return None
    for size in _CONTRACT_SIZES:
        # The first counts money (or contracts), or the second does.
        second_is_money = _is_price(cells[1] * size, cells[0], prices)
        first_is_money = _is_price(cells[0] * size, cells[1], prices)
        agreeing = int((active & (second_is_money | first_is_money)).sum())
        if best is None or agreeing > best[0] * 1.05:
            best = (agreeing, size, second_is_money, first_is_money)
    if best is None or best[0] < _ENOUGH * active.sum():
        return None
    _, size, second, first = best
    if (active & (second != first)).sum() * 2 < active.sum():
        return None  # a price near 1 fits both ways
    is_second = _settle(second, first, active)
    base = np.where(is_second, cells[0], cells[1])
    quote = np.where(is_second, cells[1], cells[0]) * size
    disagree = active & ~second & ~first
    order = np.where(disagree, 0, np.where(is_second, 1, -1))
    _note_proof(names, size, order, active, notes)
    return Volumes(base, quote, disagree, True, wrong)


def _is_price(money: FloatArray, volume: FloatArray, prices: dict[str, FloatArray]) -> npt.NDArray[np.bool_]:
    """Whether money / volume, each give or take its rounding, can lie between low and high."""
    with np.errstate(all="ignore"):
        least = (money - _HALF_CENT) / (volume + _HALF_CENT)
        most = (money + _HALF_CENT) / np.maximum(volume - _HALF_CENT, 1e-12)
        return (most >= prices["low"] * (1 - _TOLERANCE)) & (least <= prices["high"] * (1 + _TOLERANCE))


def _settle(
    second: npt.NDArray[np.bool_], first: npt.NDArray[np.bool_], active: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """For each row whether the second column is the money; rows that fit both ways go with the last clear row."""
    clear = active & (second != first)
    if not clear.any():
        return np.ones(len(second), dtype=bool)
    position = np.maximum.accumulate(np.where(clear, np.arange(len(clear)), -1))
    position = np.where(position < 0, int(np.flatnonzero(clear)[0]), position)
    return second[position]


def _note_proof(
    names: list[str], size: float, order: npt.NDArray[np.int64], active: npt.NDArray[np.bool_], notes: ImportNotes
) -> None:
    """Say which column is what in the rows with volume (`active`), and where the two have changed places.

    `order` is 1 where the second column is the money, -1 where the first is, 0 where neither can be.
    """
    usual = 1 if (order[active] > 0).sum() >= (order[active] < 0).sum() else -1
    base, money = names[::usual]
    factor = f" x {size:.0f}" if size != 1 else ""
    agreeing = share(int((active & (order != 0)).sum()), int(active.sum()))
    evidence = f"{money}{factor} / {base} lies between low and high in {agreeing} with volume"
    swapped = np.flatnonzero(active & (order == -usual))
    if len(swapped):
        evidence += (
            f"; in {len(swapped):,} of them, within rows {swapped[0]:,} to {swapped[-1]:,}, the two have changed places"
        )
    notes.add_finding("volume", base, evidence)
    notes.add_finding("quote volume", f"{money}{factor}{' (contracts)' if factor else ''}", evidence)


def _unit_by_name(plain: str, pair: str) -> str | None:
    """Whether a volume is called after the base asset or the money of its pair."""
    if "quote" in plain or plain == "turnover":
        return "quote"
    if plain in ALIASES["volume"] and "base" in plain:
        return "base"
    asset = plain.removeprefix("volume_")
    if asset == plain or not pair:
        return None
    base, slash, money = pair.partition("/")
    if slash:
        return "base" if asset == base else "quote" if asset == money else None
    return "base" if pair.startswith(asset) else "quote" if pair.endswith(asset) else None


def _pair_of(table: RawTable, settings: ImportSettings) -> str:
    """What is traded, in lower case, where a symbol column or the settings say it; otherwise nothing."""
    if settings.symbol:
        return settings.symbol.lower()
    for name, cells in table.columns.items():
        if plain_name(name) in ("symbol", "pair") and is_text(cells) and len(cells):
            return (cells[0].as_py() or "").lower()
    return ""
