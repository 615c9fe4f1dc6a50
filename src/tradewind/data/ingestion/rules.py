"""What ingestion asks again, in how large pieces, and how much at once."""

from typing import Annotated, Literal

from pydantic import Field

from tradewind.parameters import Parameters

Recheck = Literal["settling", "gaps", "all"]


class IngestionRules(Parameters):
    """How a store is brought up to date.

    `settling_hours`: a source that has no bar may have it later. An answer without the bar, given within this time
    after the bar's close, is asked for again; later answers make a known gap. `request_bars`: what one request
    brings; holes are asked for together where that makes fewer requests. `recheck`: `settling` as above, `gaps` asks
    again for every known gap (another source may fill it), `all` for stored bars too (a source may have corrected
    them). `side_overlap_days`: how much of a side series before its last value is asked for again. `workers`: how
    many symbols at once; the source keeps its rate limit whatever their number.
    """

    settling_hours: Annotated[float, Field(ge=0, le=24 * 366)] = 24.0
    request_bars: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    recheck: Recheck = "settling"
    side_overlap_days: Annotated[float, Field(ge=0, le=3660)] = 7.0
    workers: Annotated[int, Field(ge=1, le=64)] = 4

    @property
    def settling_ms(self) -> int:
        """`settling_hours` in milliseconds."""
        return int(self.settling_hours * 3_600_000)
