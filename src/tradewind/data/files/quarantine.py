"""Rejected rows, kept with their reason, and the two rules on how many there may be."""

import json

import numpy as np
import numpy.typing as npt
import pandas as pd

from tradewind.data.files.bar_key import BarKey
from tradewind.errors import BadData

_SHOWN_REASONS = 6


def quarantine_rows(
    content: pd.DataFrame, key: BarKey, source_row: npt.NDArray[np.int64], reason: npt.NDArray[np.object_]
) -> pd.DataFrame:
    """The rows of `content` that have a reason (`schema.Quarantine`).

    Args:
        content: rows as they came.
        key: venue, symbol and timeframe of all rows.
        source_row: of each row its place in what was received, shape (rows,).
        reason: why it is rejected, "" if it is not, shape (rows,).

    Returns:
        In the order of `content`; the cells as JSON.
    """
    rows = np.flatnonzero(reason != "")
    rejected = content.iloc[rows]
    columns = [rejected[name].to_list() for name in rejected]
    texts = [
        json.dumps(dict(zip(rejected.columns, map(_plain, cells), strict=True)), ensure_ascii=False)
        for cells in zip(*columns, strict=True)
    ]
    return pd.DataFrame(
        {
            **key.columns(len(rows)),
            "source_row": source_row[rows].astype(np.int64),
            "reason": pd.array(reason[rows], dtype="str"),
            "content": pd.array(texts, dtype="str"),
        }
    )


def require_all_rows(key: BarKey, received: int, accepted: int, rejected: int) -> None:
    """Nothing, if no row was lost or made up.

    Args:
        key: for the message.
        received: how many rows came.
        accepted: how many were taken.
        rejected: how many were not.

    Raises:
        BadData: accepted and rejected rows do not add up to those received.
    """
    if received != accepted + rejected:
        raise BadData(
            f"{key}: {received} rows received, but {accepted} accepted and {rejected} rejected: "
            "the cleaning lost or made up rows"
        )


def require_few_rejected(key: BarKey, received: int, rejected: pd.DataFrame, limit: float) -> None:
    """Nothing, if the share of rejected rows is within `limit`.

    Args:
        key: for the message.
        received: how many rows came.
        rejected: rows of `schema.Quarantine`.
        limit: the largest share of rejected rows, from 0 to 1.

    Raises:
        BadData: more was rejected; the message counts the reasons and quotes the first row of each.
    """
    if len(rejected) <= limit * received:
        return
    raise BadData(
        f"{key}: {len(rejected)} of {received} rows ({len(rejected) / received:.2%}) are rejected, more than "
        f"data_engineering.market.reject_share_limit {limit:.2%}: {describe_rejected(rejected)}. Rows "
        "count from 0, without the header. Correct the source or its dialect (columns, time unit, time zone), or "
        "raise the limit if the rest is good enough"
    )


def describe_rejected(rejected: pd.DataFrame) -> str:
    """One clause for each reason, most frequent first: how many rows, and what the first of them held."""
    counts = rejected["reason"].value_counts(sort=True)
    clauses = []
    for reason, count in list(counts.items())[:_SHOWN_REASONS]:
        first = rejected.loc[rejected["reason"] == reason].iloc[0]
        clauses.append(f"{count} x {reason} (first in row {first['source_row']}: {first['content']})")
    return "; ".join(clauses)


def _plain(cell: object) -> object:
    """A cell in JSON's own types; anything else as its text."""
    if cell is None or cell is pd.NaT or cell is pd.NA:
        return None
    if isinstance(cell, float) and not np.isfinite(cell):
        return None if np.isnan(cell) else str(cell)
    if isinstance(cell, pd.Timestamp):
        # Beyond the year 9999 pandas has no ISO text of it.
        return cell.isoformat() if 1 <= cell.year <= 9999 else str(cell.to_datetime64())
    return cell if isinstance(cell, bool | int | float | str) else str(cell)
