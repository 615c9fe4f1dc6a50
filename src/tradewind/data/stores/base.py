"""What every store of market data does; the law book in `tests/laws/test_stores.py` holds for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import Delivery, Receipt, Span


@dataclass(frozen=True)
class Fingerprint:
    """What the rows of one month add up to; equal fingerprints mean equal rows.

    `received_sum` and `hash_sum` are the sums of `received_at` and of `content_hash & 0x7fffffff`: a row that comes,
    or comes again later, changes one of them.
    """

    rows: int
    received_sum: int
    hash_sum: int


class Store(Protocol):
    """Bars, side series and the ledger of what was delivered. Safe to use from several threads and processes.

    Every call raises `TemporaryOutage` where the store does not answer, `BadParameters` where it is set up wrongly
    (with what to do), and `BadData` where what it holds is damaged.
    """

    def append(self, delivery: Delivery) -> Receipt:
        """Add the delivery's rows, its rejected rows, its covered span and a line of the ledger.

        Durable when it returns. Killed before, it has added all of it, or a part that the same delivery, made again,
        completes; a reader never sees a torn row.
        """

    def keys(self) -> list[BarKey]:
        """Which bars there are, sorted."""

    def read(self, key: BarKey, span: Span | None = None) -> pd.DataFrame:
        """The stored rows (`deliveries.stored_columns`) in `deliveries.reading_order`; empty where there are none."""

    def fingerprints(self, key: BarKey) -> dict[str, Fingerprint]:
        """What each month (`2024-01`, of the opening time, UTC) adds up to, computed where the data is."""

    def covered(self, key: BarKey) -> list[tuple[Span, int]]:
        """The spans that a source has answered for, each with when it was asked (epoch ms), in order of both."""

    def rejected(self) -> pd.DataFrame:
        """Every rejected row (`schema.Quarantine`), each content once, sorted by all columns."""

    def ledger(self) -> pd.DataFrame:
        """Every delivery: source, venue, symbol, timeframe, received_at (ms), rows_received, rows_new, rows_known,
        rows_rejected; in the order of received_at."""

    def append_side(self, vintages: pd.DataFrame) -> int:
        """Add values of side series (`schema.SideVintages`); how many are new. The same rows twice count once."""

    def read_side(self, series: Sequence[str] | None = None) -> pd.DataFrame:
        """The stored vintages of the named series (default: all), by series, symbol, reference_at and known_at."""

    def close(self) -> None:
        """Give back connections."""
