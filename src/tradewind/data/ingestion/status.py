"""What a store holds: a row for each kind of bars, and for each side series."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import Span
from tradewind.data.ingestion import planning
from tradewind.data.ingestion.rules import IngestionRules
from tradewind.data.stores.base import Store
from tradewind.market.timeframes import bar_duration_ms

BAR_COLUMNS = (
    "key", "rows", "bars", "first", "last", "missing_bars", "known_missing", "gaps", "bars_since", "last_delivery",
)  # fmt: skip
SIDE_COLUMNS = ("series", "symbol", "values", "revisions", "first", "last")


def describe_bars(store: Store, rules: IngestionRules, now: datetime) -> pd.DataFrame:
    """One row for each key (`BAR_COLUMNS`), read one key at a time.

    `bars` are distinct opening times among the stored `rows`, `first` and `last` the outermost. Between these,
    `missing_bars` are not stored, in `gaps` runs; for `known_missing` of them a source has answered for good.
    `bars_since` have closed after the last. `last_delivery` is when a source was last heard, be it without rows.

    Args:
        store: that is described.
        rules: when an answer is final.
        now: bars that have closed by then count.

    Returns:
        `BAR_COLUMNS`, one row a key.
    """
    ledger = store.ledger()
    described = []
    for key in store.keys():  # noqa: SIM118 - a store is no mapping
        is_key = np.logical_and.reduce([ledger[name] == value for name, value in key.model_dump().items()])
        delivered = ledger.loc[is_key, "received_at"]
        heard = _instant(int(delivered.max())) if len(delivered) else None
        described.append((str(key), *_describe(store, key, rules, now), heard))
    return pd.DataFrame(described, columns=list(BAR_COLUMNS))


def describe_side(store: Store) -> pd.DataFrame:
    """One row for each side series and symbol (`SIDE_COLUMNS`); `revisions` are further values of one reference."""
    described = []
    for (series, symbol), rows in store.read_side().groupby(["series", "symbol"]):
        values = rows["reference_at"].nunique()
        first, last = rows["reference_at"].min(), rows["reference_at"].max()
        described.append((series, symbol, values, len(rows) - values, first, last))
    return pd.DataFrame(described, columns=list(SIDE_COLUMNS))


def _describe(store: Store, key: BarKey, rules: IngestionRules, now: datetime) -> tuple[object, ...]:
    bar_ms = bar_duration_ms(key.timeframe)
    opened = store.read(key)["open_time"].to_numpy(dtype=np.int64)
    wanted = Span(int(opened.min()), int(opened.max()) + bar_ms)
    gaps = planning.holes(wanted, bar_ms, opened)
    answered = planning.known_gaps(wanted, bar_ms, opened, store.covered(key), rules)
    since = (planning.epoch_ms(now) - wanted.until_ms) // bar_ms
    return (
        len(opened), len(np.unique(opened)), _instant(wanted.since_ms), _instant(wanted.until_ms - bar_ms),
        planning.count_bars(gaps, bar_ms), planning.count_bars(answered, bar_ms), len(gaps), max(0, since),
    )  # fmt: skip


def _instant(epoch_ms: int) -> datetime:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC)
