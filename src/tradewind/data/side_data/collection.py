"""What sources deliver of side series, gathered: vintages, rejected rows, row counts."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd

from tradewind.data.files.cells import parse_numbers
from tradewind.data.side_data import cells
from tradewind.data.side_data.catalogue import SERIES
from tradewind.data.side_data.columns import join_tables
from tradewind.data.side_data.delivery import ReadRows, SideDelivery, SideKey, deliver, require_few_rejected
from tradewind.data.side_data.files import SeriesFiles, require_files
from tradewind.data.side_data.readers import READERS, Request
from tradewind.data.side_data.vintages import epoch_ms
from tradewind.errors import BadData, BadParameters

logger = logging.getLogger(__name__)

# A source is a table (simulated market, store), or a function of the symbols for each series (folder).
SideSource: TypeAlias = pd.DataFrame | Mapping[str, Callable[[Sequence[str]], list[SideDelivery]]]

_COLUMNS = ("series", "symbol", "known_at", "value")


def collect_side_series(
    source: SideSource, series: Sequence[str], symbols: Sequence[str], reject_share_limit: float
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Vintages (`schema.SideVintages`) of the named series, rejected rows and row counts (`side.tables`).

    A table without `reference_at` holds values that are of the moment they were known at.

    Args:
        source: a table of values, or by series a function of symbols that reads them.
        series: names of the universe's side series.
        symbols: of the universe.
        reject_share_limit: the largest share of rejected rows of one delivery, from 0 to 1.

    Returns:
        One table each for all series and symbols.

    Raises:
        BadData: the source lacks a named series or a column, or more rows are rejected than the limit allows.
    """
    from tradewind.data.side_data.tables import (
        schema_of,  # here, since every start imports this module, and not pandera
    )

    if isinstance(source, pd.DataFrame):
        deliveries = _of_table(source, series, symbols)
    else:
        _require_named(series, source, symbols)
        deliveries = [one for name in series for one in source[name](symbols)]
    for one in deliveries:
        require_few_rejected(one, reject_share_limit)
        if one.vintages.empty:
            raise BadData(f"{one.key}: none of its {one.rows_received} rows is a value")
        if one.key.series in SERIES:
            schema_of(SERIES[one.key.series]).validate(one.vintages)
            _warn_of_revisions(one)
    deliveries.sort(key=lambda one: (one.key.series, one.key.symbol))
    return (
        join_tables("vintages", [one.vintages for one in deliveries]),
        join_tables("quarantine", [one.rejected for one in deliveries]),
        join_tables("counts", [one.counts() for one in deliveries]),
    )


def read_series(name: str, files: SeriesFiles, folder: Path, now_ms: int, symbols: Sequence[str]) -> list[SideDelivery]:
    """One series of a folder, for each symbol or for the market.

    Args:
        name: of the series.
        files: its entry in the configuration.
        folder: that the files lie in.
        now_ms: values known later than that are rejected, UTC milliseconds.
        symbols: of the universe.

    Returns:
        One delivery a symbol, or one.

    Raises:
        BadData: a file is missing, unreadable, or written otherwise than configured.
        BadParameters: the configuration does not fit the series.
    """
    spec = SERIES[name]
    if spec.reader in ("spread", "ratio") and not files.against:
        raise BadParameters(f"side series {name} compares files: name the others in its `against`")
    has_field = "{" in files.files
    if spec.per_symbol and not has_field and files.of is None:
        raise BadParameters(f"side series {name} is of a symbol: its `files` need {{symbol}}, or its entry `of`")
    chosen = symbols if spec.per_symbol and files.of is None else [files.of or ""]
    deliveries = []
    for symbol in chosen:
        paths = files.paths(folder, symbol)
        require_files(paths, name, symbol)
        kept_for = "" if files.of else symbol
        key = SideKey(name, kept_for, paths[0].relative_to(folder).as_posix())
        deliveries.append(READERS[spec.reader](Request(spec, key, files, folder, paths, now_ms)))
    return deliveries


def _require_named(
    series: Sequence[str], available: Mapping[str, object] | Sequence[str], symbols: Sequence[str]
) -> None:
    absent = sorted(set(series) - set(available))
    if absent:
        raise BadData(
            f"universe.side_series names {absent}, which the source does not have for {list(symbols)}; it "
            f"has {sorted(available)}. Remove them from the universe or add them to the source; a folder is named by "
            "TRADEWIND_SIDE_DATA (docs/side_data.md)"
        )


def _warn_of_revisions(delivery: SideDelivery) -> None:
    if SERIES[delivery.key.series].is_revised and not delivery.vintages["reference_at"].duplicated().any():
        logger.warning(
            "%s is revised by its publisher, but has one value for each period: if that is the last revision, it "
            "looks ahead; use a file with vintages (docs/side_data.md)",
            delivery.key,
        )


def _of_table(received: pd.DataFrame, series: Sequence[str], symbols: Sequence[str]) -> list[SideDelivery]:
    missing_columns = [name for name in _COLUMNS if name not in received]
    if missing_columns:
        raise BadData(
            f"side series need the columns {list(_COLUMNS)}; missing {missing_columns}, found {list(received.columns)}"
        )
    is_wanted = received["series"].isin(series) & received["symbol"].isin(["", *symbols])
    wanted = received.reset_index(drop=True).loc[is_wanted.to_numpy()]
    _require_named(series, sorted(set(wanted["series"])), symbols)
    return [
        _of_rows(SideKey(str(name), str(symbol)), rows)
        for (name, symbol), rows in wanted.groupby(["series", "symbol"], sort=True)
    ]


def _of_rows(key: SideKey, rows: pd.DataFrame) -> SideDelivery:
    reason = cells.begin_reasons(rows)
    instants = {}
    for name in ("reference_at", "known_at"):
        column = rows[name if name in rows else "known_at"]
        is_missing = column.isna().to_numpy()
        cells.reject(reason, is_missing, f"{name} is missing")
        instants[name] = np.where(is_missing, np.nan, epoch_ms(column).astype(np.float64))
    value = parse_numbers(rows["value"])
    cells.reject_numbers(reason, value, rows["value"], "value")
    content = rows.drop(columns=["series", "symbol"])
    read = ReadRows(instants["reference_at"], instants["known_at"], value, reason, content)
    return deliver(key, read, SERIES.get(key.series))
