"""What an import plan becomes: deliveries to a store, and a summary of each table of bars before that."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pandas as pd

from tradewind.data.file_import.bar_files import ImportedBars
from tradewind.data.file_import.importer import ImportPlan
from tradewind.data.files.cleaning import DUPLICATE, SUPERSEDED, check_bars, type_bars
from tradewind.data.files.deliveries import Delivery, receive
from tradewind.data.files.grid_hints import explain_off_grid
from tradewind.data.files.quarantine import require_all_rows
from tradewind.errors import BadData

_SEVERAL = 5  # rows of one content at two times that are no chance
NEAR_MS = 2 * 86_400_000  # zones are at most 26 hours apart


@dataclass(frozen=True)
class BarSummary:
    """What the rows of one key would become: rows = bars + rejected; `bars` are checked, oldest first.

    `gaps` are holes in the grid between the first and the last bar, `missing` the bars that they lack. Some of
    `rejected` are `repeated` by an equal row of the file, or `replaced` by a later row with other values.
    """

    rows: int
    bars: pd.DataFrame
    rejected: pd.DataFrame
    gaps: int
    missing: int
    repeated: int
    replaced: int


def summarise(plan: ImportPlan, bars: ImportedBars, now: datetime) -> BarSummary:
    """The summary of one key of bars of a file.

    Args:
        plan: of the file that the bars are from; it holds the rows rejected so far.
        bars: of one key, as read.
        now: a bar that has not closed by then is rejected.

    Returns:
        Rows received, accepted and rejected, gaps, missing bars and repeated ones.

    Raises:
        BadData: the rows do not add up.
    """
    own = plan.quarantine(bars.key)
    rows = len(bars.rows) + len(own)
    if bars.rows.empty:
        return BarSummary(rows, bars.rows, own, 0, 0, 0, 0)
    typed, untyped = type_bars(bars.rows, bars.key)
    checked, rejected = check_bars(typed, bars.key, now, bars.calendar)
    later = [table.assign(source_row=bars.source_row[table["source_row"]]) for table in (untyped, rejected)]
    rejected = _joined([own, *later])
    require_all_rows(bars.key, rows, len(checked), len(rejected))
    missing = np.zeros(0, dtype=np.int64)
    if len(checked):
        opened = checked["open_time"].to_numpy("datetime64[ms]").astype(np.int64)
        missing = bars.calendar.missing_before(opened)
    repeated, replaced = (int((rejected["reason"] == reason).sum()) for reason in (DUPLICATE, SUPERSEDED))
    return BarSummary(rows, checked, rejected, int((missing > 0).sum()), int(missing.sum()), repeated, replaced)


def to_deliveries(plan: ImportPlan, received_at: datetime) -> list[Delivery]:
    """A delivery for each key of bars; together they hold every row of the file.

    Raises:
        BadData: a setting is missing, or the rows do not add up.
    """
    plan.require_complete()
    deliveries = []
    for bars in plan.bars:
        own = plan.quarantine(bars.key)
        source = f"file.{plan.path.name}"
        delivery = receive(
            bars.rows, bars.key, source, received_at, may_end_open=bars.may_end_open, calendar=bars.calendar
        )
        late = delivery.rejected.assign(source_row=bars.source_row[delivery.rejected["source_row"]])
        deliveries.append(
            replace(delivery, rejected=_joined([own, late]), rows_received=delivery.rows_received + len(own))
        )
    return deliveries


def require_unshifted(delivery: Delivery, stored: pd.DataFrame) -> None:
    """Nothing, unless most of the rows are stored already, all of them by the same stretch of time earlier or later.

    The same file read with another time zone, or stamped at the close, would lie beside and over what it gave before.

    Args:
        delivery: of one key of a file.
        stored: what the store has of that key (`deliveries.stored_columns`), from a day before it to a day after.

    Raises:
        BadData: they are; by how much.
    """
    new, old = (
        rows.drop_duplicates("content_hash", keep=False).set_index("content_hash")["open_time"]
        for rows in (delivery.rows, stored)
    )
    common = new.index.intersection(old.index)
    steps, counts = np.unique((new[common] - old[common]).to_numpy(), return_counts=True)
    if len(common) < _SEVERAL or counts.max() * 2 <= len(new):
        return
    step = int(steps[counts.argmax()])
    if step != 0:
        raise BadData(
            f"{delivery.key}: {int(counts.max()):,} of its {len(delivery.rows):,} rows are stored already, "
            f"{abs(step) / 3_600_000:g} h {'earlier' if step > 0 else 'later'}: it was imported before with another "
            "timezone, time_is or date_order. Give the settings of then, or remove the store and import all anew"
        )


def require_usable(deliveries: Iterable[Delivery]) -> None:
    """Nothing, if every key of a file has a row that becomes a bar.

    Raises:
        BadData: one has none; the reasons with their counts, and what would mend them.
    """
    for delivery in deliveries:
        if delivery.rows.empty and delivery.rows_received:
            raise BadData(
                f"{delivery.key}: none of its {delivery.rows_received:,} rows becomes a bar: {rejections(delivery)}"
            )


def rejections(delivery: Delivery) -> str:
    """Why rows of a delivery are no bars: `3 of 3 rows: open_time is off the 1w grid: they open on Fridays; ...`."""
    parts = []
    for reason, count in delivery.rejected["reason"].value_counts().items():
        hint = ""
        if str(reason).startswith("open_time is off"):
            off = delivery.rejected.loc[delivery.rejected["reason"] == reason, "content"]
            opened = pd.to_datetime([json.loads(text)["open_time"] for text in off], utc=True).as_unit("ms")
            hint = f": {explain_off_grid(opened.asi8, delivery.key.timeframe)}"
        parts.append(f"{count:,} of {delivery.rows_received:,} rows: {reason}{hint}")
    return "; ".join(parts)


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [table for table in tables if len(table)] or tables[:1]
    return filled[0].reset_index(drop=True) if len(filled) == 1 else pd.concat(filled, ignore_index=True)
