"""Datasets by name: listed, completed by Tab, and loaded as one table."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from tradewind.errors import BadParameters


def one_table(name: str, loaded: Any, symbol: str | None = None, part: str | None = None) -> Any:
    """What a dataset holds as one DataFrame, where it is made of tables; anything else as it is.

    Args:
        name: of the dataset, for the message.
        loaded: what the catalog gave: a table, or tables (or functions that load them) by partition.
        symbol: only the rows of this symbol.
        part: only the partition of this name, or whose name ends so: `linear`.

    Raises:
        BadParameters: there is no such symbol or part; the message says what there is.
    """
    if isinstance(loaded, Mapping) and loaded and all(map(_is_table, loaded.values())):
        loaded = _joined(name, loaded, symbol, part)
    elif part is not None:
        raise BadParameters(f"{name} is one table: leave out part={part!r}")
    if symbol is None:
        return loaded
    if not isinstance(loaded, pd.DataFrame) or "symbol" not in loaded:
        raise BadParameters(f"{name} has no column 'symbol': leave out symbol={symbol!r}")
    there = sorted(loaded["symbol"].unique())
    if symbol not in there:
        raise BadParameters(f"{name} has no symbol {symbol!r}: it has {', '.join(there)}")
    return loaded[loaded["symbol"] == symbol].reset_index(drop=True)


def _is_table(value: Any) -> bool:
    return isinstance(value, pd.DataFrame) or callable(value)


def _joined(
    name: str, tables: Mapping[str, pd.DataFrame | Callable[[], pd.DataFrame]], symbol: str | None, part: str | None
) -> pd.DataFrame:
    chosen = dict(tables)
    if part is not None:
        chosen = {key: table for key, table in tables.items() if part == key or part in key.split("/")}
        if not chosen:
            raise BadParameters(f"{name} has no part {part!r}: it has {', '.join(tables)}")
    if symbol is not None:
        # Partitions of one symbol carry its name: the others need not be read.
        chosen = {key: table for key, table in chosen.items() if symbol in key.split("/")} or chosen
    parts = {key: table() if callable(table) else table for key, table in chosen.items()}
    if len(parts) > 1 and len({tuple(table.columns) for table in parts.values()}) > 1:
        raise BadParameters(f"{name} holds tables of different columns: choose one with part=, of {', '.join(parts)}")
    return pd.concat(parts.values(), ignore_index=True)


class Dataset:
    """One dataset: call it, and it is loaded."""

    def __init__(self, name: str, load: Callable[..., Any]) -> None:
        """`load` takes the name, and a symbol and a part by keyword."""
        self._name, self._load = name, load

    def __call__(self, symbol: str | None = None, part: str | None = None) -> Any:
        """What it holds, as one table; see `NotebookProject.load`."""
        return self._load(self._name, symbol=symbol, part=part)

    def __repr__(self) -> str:
        return f"{self._name}: call it to load it"


class Datasets:
    """The catalog as attributes: `data.bars(symbol="BTCUSDT")`, `data.classifier.lightgbm.fold_metrics()`.

    All are there from the beginning, so that Tab completes them; nothing is read before a dataset is called.
    """

    def __init__(self, names: list[str], load: Callable[..., Any], place: str = "") -> None:
        """The datasets of these names; a dot in a name is a namespace."""
        inner: dict[str, list[str]] = {}
        for name in names:
            first, _, rest = name.partition(".")
            inner.setdefault(first, []).append(rest)
        self._place, self._names = place, names
        for first, rests in inner.items():
            deeper = [rest for rest in rests if rest]
            whole = f"{place}{first}"
            found = Datasets(deeper, load, f"{whole}.") if deeper else Dataset(whole, load)
            setattr(self, first, found)

    def __repr__(self) -> str:
        return "\n".join(f"{self._place}{name}" for name in self._names)
