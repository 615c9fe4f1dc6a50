"""What is reported of side series beside their values: rejected rows, row counts, coverage."""

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.typing import Series

from tradewind.market.schema import Instant

_TEXT = {"series": "str", "symbol": "str"}
_INSTANT = "datetime64[ms, UTC]"
_COLUMNS = {
    "vintages": {**_TEXT, "reference_at": _INSTANT, "known_at": _INSTANT, "value": "float64"},
    "quarantine": {**_TEXT, "file": "str", "source_row": "int64", "reason": "str", "content": "str"},
    "counts": {**_TEXT, "file": "str", "rows_received": "int64", "rows_accepted": "int64", "rows_rejected": "int64",
               "vintages": "int64"},
    "coverage": {**_TEXT, "unit": "str", "periods": "int64", "revisions": "int64", "first_reference_at": _INSTANT,
                 "last_reference_at": _INSTANT, "first_known_at": _INSTANT, "last_known_at": _INSTANT,
                 "median_delay_hours": "float64", "longest_silence_hours": "float64", "bar_share": "float64"},
}  # fmt: skip


class SideQuarantine(pa.DataFrameModel):
    """Rejected rows: of which series, where each stood (`file` is empty for a table), why, and what it held (JSON)."""

    series: Series[str]
    symbol: Series[str]
    file: Series[str]
    source_row: Series[np.int64] = pa.Field(ge=0)
    reason: Series[str]
    content: Series[str]

    class Config:
        strict = True


class SideCounts(pa.DataFrameModel):
    """What became of the rows of each series and symbol; received is accepted plus rejected.

    `vintages` is how many values the accepted rows make: one each, but for a calendar, whose hours are counted.
    """

    series: Series[str]
    symbol: Series[str]
    file: Series[str]
    rows_received: Series[np.int64] = pa.Field(ge=0)
    rows_accepted: Series[np.int64] = pa.Field(ge=0)
    rows_rejected: Series[np.int64] = pa.Field(ge=0)
    vintages: Series[np.int64] = pa.Field(ge=0)

    class Config:
        strict = True
        unique = ["series", "symbol"]

    @pa.dataframe_check(name="received = accepted + rejected")
    def adds_up(cls, counts: pd.DataFrame) -> Series[bool]:  # noqa: N805
        """No row is lost or made up."""
        return counts["rows_received"] == counts["rows_accepted"] + counts["rows_rejected"]


class SideCoverage(pa.DataFrameModel):
    """One row a series and symbol: how much there is of it, and when.

    `periods` are distinct reference times, `revisions` later values for one of them, `median_delay_hours` from the
    reference to the first publication, `longest_silence_hours` between two publications, and `bar_share` the share of
    bars at whose close a value is known and not stale.
    """

    series: Series[str]
    symbol: Series[str]
    unit: Series[str]
    periods: Series[np.int64] = pa.Field(ge=1)
    revisions: Series[np.int64] = pa.Field(ge=0)
    first_reference_at: Series[Instant]
    last_reference_at: Series[Instant]
    first_known_at: Series[Instant]
    last_known_at: Series[Instant]
    median_delay_hours: Series[float]
    longest_silence_hours: Series[float] = pa.Field(ge=0)
    bar_share: Series[float] = pa.Field(ge=0, le=1)

    class Config:
        strict = True
        unique = ["series", "symbol"]


def empty_table(kind: str) -> pd.DataFrame:
    """An empty table: `vintages`, `quarantine`, `counts` or `coverage`."""
    return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in _COLUMNS[kind].items()})


def join_tables(kind: str, tables: list[pd.DataFrame]) -> pd.DataFrame:
    """The tables as one, with the right columns also where there is none."""
    filled = [table for table in tables if len(table)]
    joined = pd.concat(filled, ignore_index=True) if filled else empty_table(kind)
    return joined[list(_COLUMNS[kind])].astype(_COLUMNS[kind])
