"""What a side series is."""

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Literal

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.typing import Series

from tradewind.data.side_data.publication import Publication
from tradewind.market.schema import SideVintages

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


@lru_cache(maxsize=256)
def schema_of(spec: SideSpec) -> type[SideVintages]:
    """The contract of one series' vintages: `schema.SideVintages` of that name, within its range, none known early."""

    class Narrowed(SideVintages):
        """Vintages of one series."""

        series: Series[str] = pa.Field(eq=spec.name)
        symbol: Series[str] = pa.Field() if spec.per_symbol else pa.Field(eq="")
        value: Series[float] = pa.Field(ge=spec.low, le=spec.high)

        @pa.dataframe_check(name="reference_at <= known_at")
        def is_not_known_early(cls, vintages: pd.DataFrame) -> Series[bool]:  # noqa: N805
            """No value is known before what it refers to."""
            return vintages["reference_at"] <= vintages["known_at"]

        @pa.dataframe_check(name="values are numbers")
        def is_number(cls, vintages: pd.DataFrame) -> bool:  # noqa: N805
            """Also where the range is open."""
            return bool(np.isfinite(vintages["value"].to_numpy()).all())

    Narrowed.__name__ = f"SideVintages[{spec.name}]"
    return Narrowed
