"""What a store keeps beside its bars, and the law of each: a union, in which every content counts once.

Pure, like `deliveries.merge_rows`: a database obeys these laws by its keys, a folder of files by these functions.
"""

from collections.abc import Iterable, Sequence

import pandas as pd

from tradewind.data.files.deliveries import Delivery, Receipt, Span
from tradewind.errors import BadData

REJECTED = {
    "venue": "str", "symbol": "str", "timeframe": "str", "source_row": "int64", "reason": "str", "content": "str",
}  # fmt: skip
# By the names that stores keep them under, which stay so that stores made earlier can be read.
LEDGER = {
    "source": "str", "venue": "str", "symbol": "str", "timeframe": "str", "received_at": "int64",
    "rows_received": "int64", "rows_new": "int64", "rows_known": "int64", "rows_refused": "int64",
}  # fmt: skip
VINTAGE_KEY = ["series", "symbol", "reference_at", "known_at"]

_REJECTED_IDENTITY = ["venue", "symbol", "timeframe", "reason", "content"]


def rejected_rows(rows: Sequence[Sequence[object]] | pd.DataFrame) -> pd.DataFrame:
    """Rejected rows (`schema.Quarantine`), each content once where it first stood in its source, sorted."""
    table = pd.DataFrame(rows, columns=list(REJECTED)).astype(REJECTED)
    first = table.sort_values(list(REJECTED), kind="stable").drop_duplicates(_REJECTED_IDENTITY)
    return first.reset_index(drop=True)


def ledger_rows(rows: Sequence[Sequence[object]]) -> pd.DataFrame:
    """Lines of the ledger in the order of `received_at`; the stored `rows_refused` is called `rows_rejected`."""
    table = pd.DataFrame(rows, columns=list(LEDGER)).astype(LEDGER).rename(columns={"rows_refused": "rows_rejected"})
    return table.sort_values(["received_at", *table.columns], kind="stable").reset_index(drop=True)


def ledger_line(delivery: Delivery, receipt: Receipt) -> tuple[str | int, ...]:
    """The delivery's line of the ledger, in the order of `LEDGER`."""
    key = delivery.key
    return (
        delivery.source, key.venue, key.symbol, key.timeframe, delivery.received_at_ms,
        receipt.rows_received, receipt.rows_new, receipt.rows_known, receipt.rows_rejected,
    )  # fmt: skip


def covered_spans(answers: Iterable[tuple[int, int, int]]) -> list[tuple[Span, int]]:
    """Spans with when they were asked for, from (since, until, asked at), each once and in this order."""
    return [(Span(since, until), asked_at) for since, until, asked_at in sorted(set(answers))]


def check_vintages(vintages: pd.DataFrame) -> pd.DataFrame:
    """The vintages, each once, in the order of `VINTAGE_KEY`.

    Raises:
        BadData: they are not of the shape `schema.SideVintages`, or give one moment two values.
    """
    # Here, since all that knows a store imports this module, and pandera takes 0.3 s.
    from pandera.errors import SchemaErrors

    from tradewind.market.schema import SideVintages

    try:
        checked = SideVintages.validate(vintages.drop_duplicates(), lazy=True)
    except SchemaErrors as error:
        failed = error.failure_cases[["column", "check", "failure_case"]].head(5).to_dict("records")
        raise BadData(f"side series must have the shape SideVintages (market/schema.py), found {failed}") from error
    return checked[list(SideVintages.to_schema().columns)].sort_values(VINTAGE_KEY).reset_index(drop=True)


def merge_vintages(tables: Sequence[pd.DataFrame], where: str) -> pd.DataFrame:
    """The union of checked vintages, in the order of `VINTAGE_KEY`.

    Raises:
        BadData: two of them give one moment different values; what was known then is one value.
    """
    union = pd.concat([no_vintages(), *tables], ignore_index=True).drop_duplicates()
    union = union.sort_values(VINTAGE_KEY, kind="stable").reset_index(drop=True)
    differing = union[union.duplicated(VINTAGE_KEY, keep=False)]
    if len(differing):
        first = differing.iloc[0]
        values = differing["value"].iloc[:2].tolist()
        raise BadData(
            f"{where}: {first['series']} {first['symbol'] or '(market-wide)'} of {first['reference_at']}, known at "
            f"{first['known_at']}, has two values, {values[0]} and {values[1]}: give a revision its own known_at"
        )
    return union


def no_vintages() -> pd.DataFrame:
    """An empty table of vintages."""
    instants = pd.DatetimeIndex([], tz="UTC").as_unit("ms")
    return pd.DataFrame(
        {
            "series": pd.Series(dtype="str"), "symbol": pd.Series(dtype="str"),
            "reference_at": instants, "known_at": instants, "value": pd.Series(dtype="float64"),
        }
    )  # fmt: skip
