"""Validators for sets of tables: each partition must satisfy the contract of its table.

The catalog binds them by name (`validator: tradewind.datasets.contracts.bars`). Tables are checked at once;
functions that load a table are wrapped, so that each table is checked when it is loaded.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pandas as pd
from pandera.errors import SchemaError, SchemaErrors
from pandera.pandas import DataFrameModel

from tradewind.data.order_book.tables import BookSeconds
from tradewind.data.quality.tables import BarFlags
from tradewind.errors import BadData
from tradewind.market import schema

_SHOWN = 5

Partitions = Mapping[str, pd.DataFrame | Callable[[], pd.DataFrame]]


def typed_bars(tables: Partitions) -> dict[str, Any]:
    """The tables, each a valid `TypedBars`."""
    return _checked(schema.TypedBars, tables)


def quarantine(tables: Partitions) -> dict[str, Any]:
    """The tables, each a valid `Quarantine`."""
    return _checked(schema.Quarantine, tables)


def bars(tables: Partitions) -> dict[str, Any]:
    """The tables, each a valid `Bars`."""
    return _checked(schema.Bars, tables)


def bar_flags(tables: Partitions) -> dict[str, Any]:
    """The tables, each a valid `BarFlags`."""
    return _checked(BarFlags, tables)


def book_seconds(tables: Partitions) -> dict[str, Any]:
    """The tables, each a valid `BookSeconds`."""
    return _checked(BookSeconds, tables)


def features(tables: Partitions) -> dict[str, Any]:
    """The tables, each a valid `Features`."""
    return _checked(schema.Features, tables)


def regimes(tables: Partitions) -> dict[str, Any]:
    """The tables, each a valid `Regimes`."""
    return _checked(schema.Regimes, tables)


def labels(tables: Partitions) -> dict[str, Any]:
    """The tables, each a valid `Labels`."""
    return _checked(schema.Labels, tables)


def horizon_returns(tables: Partitions) -> dict[str, Any]:
    """The tables, each a valid `HorizonReturns`."""
    return _checked(schema.HorizonReturns, tables)


def model_input(tables: Partitions) -> dict[str, Any]:
    """The tables, each a valid `ModelInput`."""
    return _checked(schema.ModelInput, tables)


def positions(tables: Partitions) -> dict[str, Any]:
    """The tables, each a valid `Positions`."""
    return _checked(schema.Positions, tables)


def backtests(tables: Partitions) -> dict[str, Any]:
    """The tables, each a valid `Backtest`."""
    return _checked(schema.Backtest, tables)


def _checked(model: type[DataFrameModel], tables: Partitions) -> dict[str, Any]:
    if not isinstance(tables, Mapping):
        raise BadData(f"{model.__name__}: expected tables by partition, found {type(tables).__name__}")
    return {
        partition: partial(_load_checked, model, partition, table)
        if callable(table)
        else _check(model, partition, table)
        for partition, table in tables.items()
    }


def _load_checked(model: type[DataFrameModel], partition: str, load: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    return _check(model, partition, load())


def _check(model: type[DataFrameModel], partition: str, table: pd.DataFrame) -> pd.DataFrame:
    try:
        return model.validate(table, lazy=True, inplace=True)  # else a copy of the table is made
    except SchemaErrors as error:
        failures = _describe_failures(error.failure_cases)
    except SchemaError as error:
        failures = str(error)
    raise BadData(f"partition {partition} breaks the contract {model.__name__}: {failures}")


def _describe_failures(cases: pd.DataFrame) -> str:
    """One clause for each column and check that failed, with the count and an example."""
    clauses = []
    for (column, check), group in cases.groupby(["column", "check"], dropna=False, sort=False):
        where = "the table" if pd.isna(column) else f"column {column}"
        example = group["failure_case"].iloc[0]
        row = group["index"].iloc[0]
        at = "" if pd.isna(row) else f" at row {row}"
        clauses.append(f"{where} fails `{check}` {len(group)} times, first{at}: {example}")
    more = f"; and {len(clauses) - _SHOWN} checks more" if len(clauses) > _SHOWN else ""
    return "; ".join(clauses[:_SHOWN]) + more
