"""What a side series is."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from tradewind.data.side_data.publication import Publication

ReaderName = Literal["values", "published", "spread", "close", "ratio", "hours_to_next", "hours_since_last"]


@dataclass(frozen=True)
class SideSpec:
    """One side series and everything there is to know of it.

    Attributes:
        name: what `universe.side_series` and features call it.
        unit: of its values.
        per_symbol: whether each symbol has its own; a market-wide series has the empty symbol.
        publication: when a value is known.
        low: smallest valid value; a row outside is rejected.
        high: largest valid value.
        stale_after: without a newer value for so long, the series is not known (a source that ended, or fell silent).
        source: who publishes it.
        reader: a key of `readers.READERS`.
        column: names of the value's column in files, the first that is there counts.
        key: which rows of a file in long form are meant, such as FRED's identifier.
        is_revised: whether the publisher corrects past values: a file without vintages then knows them too early.
    """

    name: str
    unit: str
    per_symbol: bool
    publication: Publication
    low: float
    high: float
    stale_after: timedelta
    source: str
    reader: ReaderName
    column: tuple[str, ...] = ("value",)
    key: str = ""
    is_revised: bool = False

    def __str__(self) -> str:
        return self.name

    @property
    def stale_after_ms(self) -> int:
        """`stale_after` in milliseconds."""
        return self.stale_after // timedelta(milliseconds=1)
