"""Files whose rows are of several markets under one name: by expiry, strike, side, or bars of several durations."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from tradewind.data.file_import.raw_table import RawTable
from tradewind.data.files.cells import FloatArray
from tradewind.data.files.findings import ImportNotes
from tradewind.errors import BadData

_MOST_MARKETS = 200
_SHOWN = 4


def require_one_market(
    table: RawTable, groups: Mapping[tuple[str, str], npt.NDArray[np.int64]], opened: FloatArray,
    values: Mapping[str, FloatArray], used: set[str], notes: ImportNotes,
) -> None:  # fmt: skip
    """Nothing, unless several rows of one time differ and a column that is not read tells them apart.

    Without such a column they are versions of one bar, of which the last counts.

    Args:
        table: the cells.
        groups: rows by venue and symbol.
        opened: the time of each row, NaN where unknown.
        values: what would be stored of each row, by name.
        used: the columns that are read.
        notes: names the file.

    Raises:
        BadData: the rows of one venue and symbol are those of several markets.
    """
    content = np.column_stack(list(values.values()))
    for (venue, symbol), rows in groups.items():
        rows = rows[np.isfinite(opened[rows])]
        times = opened[rows]
        known, counts = np.unique(times, return_counts=True)
        if len(known) == len(times):
            continue
        distinct = pd.DataFrame(content[rows]).assign(time=times).drop_duplicates()["time"]
        crowded = int((distinct.value_counts() > 1).sum())
        apart = _column_apart(table, rows, times, used) if crowded > 1 else None
        if apart is not None:
            name, found = apart
            shown = ", ".join(found[:_SHOWN]) + (" and more" if len(found) > _SHOWN else "")
            raise BadData(
                f"{notes.where}: {crowded:,} of {len(counts):,} times of {venue}/{symbol} have several rows that "
                f"differ, and the column {name!r} tells them apart ({shown}): they are bars of several markets or "
                "durations. Split the file by it, or take the column out if the last row of a time counts"
            )


def _column_apart(
    table: RawTable, rows: npt.NDArray[np.int64], times: FloatArray, used: set[str]
) -> tuple[str, list[str]] | None:
    """The first column with few values, several rows each, in which no time comes twice; and its values."""
    for name, cells in table.columns.items():
        if name in used:
            continue
        words = cells.take(rows).to_pandas().astype("str").to_numpy()
        found, counts = np.unique(words, return_counts=True)
        if not 2 <= len(found) <= _MOST_MARKETS or counts.min() < 2:
            continue
        if not pd.DataFrame({"time": times, "word": words}).duplicated().any():
            return name, [str(one) for one in found]
    return None
