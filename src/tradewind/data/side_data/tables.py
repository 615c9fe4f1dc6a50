"""The contracts of side series: one series' vintages, and what is reported beside: rejected rows, counts, coverage."""

from functools import lru_cache

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.typing import Series

from tradewind.data.side_data.spec import SideSpec
from tradewind.market.schema import Instant, SideVintages


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
