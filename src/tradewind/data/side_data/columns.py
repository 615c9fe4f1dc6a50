"""The columns of the tables of side series, and such tables from parts."""

import pandas as pd

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


def empty_table(kind: str) -> pd.DataFrame:
    """An empty table: `vintages`, `quarantine`, `counts` or `coverage`."""
    return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in _COLUMNS[kind].items()})


def join_tables(kind: str, tables: list[pd.DataFrame]) -> pd.DataFrame:
    """The tables as one, with the right columns also where there is none."""
    filled = [table for table in tables if len(table)]
    joined = pd.concat(filled, ignore_index=True) if filled else empty_table(kind)
    return joined[list(_COLUMNS[kind])].astype(_COLUMNS[kind])
