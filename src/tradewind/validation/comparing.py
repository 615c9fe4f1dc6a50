"""Two tables of one product, value by value, as far as both were known at a cut."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from tradewind.validation.research_run import Tables

RELATIVE = 1e-6  # features are single precision
KEYS = {
    "bars": ["symbol", "timestamp"], "features": ["symbol", "timestamp"], "labels": ["symbol", "timestamp"],
    "model_input": ["symbol", "timestamp"], "forecasts": ["model", "fold", "symbol", "timestamp"],
    "positions": ["symbol", "timestamp"], "decisions": ["symbol", "timestamp"], "accounts": ["timestamp"],
    "fills": ["timestamp"], "regimes": ["symbol", "timestamp"],
}  # fmt: skip


@dataclass(frozen=True)
class Leak:
    """A value at or before the cut that moved: where, and how the history after the cut was other."""

    product: str
    name: str  # column, or strategy
    history: str
    cut: pd.Timestamp
    first: pd.Timestamp
    symbol: str
    detail: str


@dataclass(frozen=True)
class Choice:
    """A future that makes one candidate the best: what a choice by the test would follow.

    `could_flip` False says that the candidate could not be made the best, so that nothing was tested.
    """

    step: str
    candidate: str
    could_flip: bool
    flipped: bool


@dataclass
class Findings:
    """All leaks, and how many values were compared, by product and name.

    Attributes:
        leaks: all that moved, or was read from outside.
        compared: values by product and name.
        cuts: instants after which whole runs were repeated.
        places: how many cuts of bars, features and labels lie on what, by the kind of place.
        choices: what would flip a choice, and whether it did.
    """

    leaks: list[Leak] = field(default_factory=list)
    compared: dict[tuple[str, str], int] = field(default_factory=dict)
    cuts: tuple[pd.Timestamp, ...] = ()
    places: dict[str, int] = field(default_factory=dict)
    choices: list["Choice"] = field(default_factory=list)

    def add(self, rows: Iterable["Row"]) -> None:
        """What one comparison came to."""
        for product, name, compared, leak in rows:
            self.compared[product, name] = self.compared.get((product, name), 0) + compared
            if leak is not None:
                self.leaks.append(leak)

    @property
    def leaking(self) -> dict[tuple[str, str], Leak]:
        """The first leak of each product and name."""
        first: dict[tuple[str, str], Leak] = {}
        for leak in self.leaks:
            first.setdefault((leak.product, leak.name), leak)
        return first


Row = tuple[str, str, int, Leak | None]


def moved(
    product: str, whole: Tables, found: Tables, cut: pd.Timestamp, until: pd.Timestamp, history: str,
    ended: bool = False,
) -> Iterator[Row]:  # fmt: skip
    """Column by column over all partitions; the first difference of each.

    Args:
        product: what the tables are, of `KEYS`.
        whole: those of the unchanged history.
        found: those of the other one.
        cut: the last instant at which both histories are the same.
        until: rows up to here are compared.
        history: how the other history is other.
        ended: compare only rows whose label had ended at the cut.

    Yields:
        Product, column, values compared, and the first of them that moved.
    """
    keys, compared = KEYS[product], dict[str, int]()
    leaks: dict[str, Leak] = {}
    for partition, table in whole.items():
        mine, theirs = (_known(one, until, cut, ended).set_index(keys) for one in (table, found[partition]))
        lacking = mine.index.symmetric_difference(theirs.index)
        if len(lacking):
            at = _at(keys, lacking[0])
            detail = f"{len(lacking)} rows are in one of the two histories only"
            leaks.setdefault("rows", Leak(product, "rows", history, cut, at["timestamp"], _symbol(at), detail))
        both = mine.index.intersection(theirs.index)
        mine, theirs = mine.loc[both], theirs.loc[both]
        for column in theirs.columns.difference(mine.columns):
            detail = "the column is in one of the two histories only"
            leaks.setdefault(column, Leak(product, column, history, cut, cut, partition, detail))
            compared.setdefault(column, 0)
        for column in mine.columns:
            compared[column] = compared.get(column, 0) + len(both)
            if column not in theirs:
                detail = "the column is in one of the two histories only"
                leaks.setdefault(column, Leak(product, column, history, cut, cut, partition, detail))
                continue
            row = _first_difference(mine[column], theirs[column])
            if row is not None:
                at = _at(keys, both[row])
                detail = f"{_text(theirs[column].iloc[row])} instead of {_text(mine[column].iloc[row])}"
                leaks.setdefault(column, Leak(product, column, history, cut, at["timestamp"], _symbol(at), detail))
    if "rows" in leaks:
        yield product, "rows", 0, leaks["rows"]
    for column, count in compared.items():
        yield product, column, count, leaks.get(column)


def _at(keys: list[str], value: Any) -> dict[str, Any]:
    return dict(zip(keys, value if len(keys) > 1 else (value,), strict=True))


def _symbol(at: dict[str, Any]) -> str:
    return str(at.get("symbol", "all symbols"))


def _known(table: pd.DataFrame, until: pd.Timestamp, cut: pd.Timestamp, ended: bool) -> pd.DataFrame:
    known = table["timestamp"] <= until
    return table[known & (table["horizon_end"] <= cut)] if ended else table[known]


def _first_difference(mine: pd.Series, theirs: pd.Series) -> int | None:
    if pd.api.types.is_float_dtype(mine.dtype):
        a, b = mine.to_numpy(dtype=np.float64), theirs.to_numpy(dtype=np.float64)
        same = (a == b) | (np.abs(a - b) <= RELATIVE * np.abs(a)) | (np.isnan(a) & np.isnan(b))
    else:
        same = (mine.eq(theirs) | (mine.isna() & theirs.isna())).to_numpy()
    return None if same.all() else int(np.argmin(same))


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)
