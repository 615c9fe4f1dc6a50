"""The contracts of the quality tables."""

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.typing import Series

from tradewind.data.quality.rules import SCORES
from tradewind.market.schema import Instant

STATES = ("pass", "warn", "stop")
RUN_KINDS = ("gap", "stale", "zero_volume")


class RowCounts(pa.DataFrameModel):
    """What became of the rows of each source; received is accepted plus rejected."""

    venue: Series[str]
    symbol: Series[str]
    timeframe: Series[str]
    rows_received: Series[np.int64] = pa.Field(ge=0)
    rows_accepted: Series[np.int64] = pa.Field(ge=0)
    rows_rejected: Series[np.int64] = pa.Field(ge=0)

    class Config:
        strict = True
        unique = ["venue", "symbol", "timeframe"]

    @pa.dataframe_check(name="received = accepted + rejected")
    def adds_up(cls, counts: pd.DataFrame) -> Series[bool]:  # noqa: N805
        """No row is lost or made up."""
        return counts["rows_received"] == counts["rows_accepted"] + counts["rows_rejected"]


class BarCounts(RowCounts):
    """One row a symbol.

    `first` and `last` are bar closes. Expected bars are those the grid has in the span that is asked for, by default
    from the first bar to the last; missing are those of them that are not there, and `completeness` is the share that
    is. A stale bar repeats the close before
    it in all four prices. `largest_abs_return` is the largest absolute log return from close to close within a
    segment.
    """

    first: Series[Instant]
    last: Series[Instant]
    rejected_reasons: Series[str]
    duplicates: Series[np.int64] = pa.Field(ge=0)
    expected_bars: Series[np.int64] = pa.Field(gt=0)
    missing_bars: Series[np.int64] = pa.Field(ge=0)
    completeness: Series[float] = pa.Field(ge=0, le=1)
    gaps: Series[np.int64] = pa.Field(ge=0)
    longest_gap_bars: Series[np.int64] = pa.Field(ge=0)
    segments: Series[np.int64] = pa.Field(ge=1)
    longest_segment_bars: Series[np.int64] = pa.Field(ge=1)
    zero_volume_bars: Series[np.int64] = pa.Field(ge=0)
    stale_bars: Series[np.int64] = pa.Field(ge=0)
    largest_abs_return: Series[float] = pa.Field(ge=0)


class DataQuality(BarCounts):
    """The counts, the other five scores and the worst state of the six, one row a symbol."""

    validity: Series[float] = pa.Field(ge=0, le=1)
    consistency: Series[float] = pa.Field(ge=0, le=1)
    timeliness: Series[float] = pa.Field(ge=0, le=1)
    uniqueness: Series[float] = pa.Field(ge=0, le=1)
    accuracy: Series[float] = pa.Field(ge=0, le=1)
    state: Series[str] = pa.Field(isin=STATES)


class QualityScores(pa.DataFrameModel):
    """Six rows a symbol: `value` = `held` / `looked_at` of the `measure` that is worst; `causes` say what lowers it."""

    venue: Series[str]
    symbol: Series[str]
    timeframe: Series[str]
    score: Series[str] = pa.Field(isin=SCORES)
    value: Series[float] = pa.Field(ge=0, le=1)
    measure: Series[str]
    held: Series[float] = pa.Field(ge=0)
    looked_at: Series[float] = pa.Field(ge=0)
    warn: Series[float] = pa.Field(ge=0, le=1)
    stop: Series[float] = pa.Field(ge=0, le=1)
    state: Series[str] = pa.Field(isin=STATES)
    causes: Series[str]

    class Config:
        strict = True
        unique = ["venue", "symbol", "timeframe", "score"]


class BarFlags(pa.DataFrameModel):
    """Bars whose return or volume is an outlier by at least one rule; all others are left out.

    `log_return` is from the close before, missing across a gap; `deviations` counts it in causal local deviations
    (missing while there are too few bars before). A bad tick is a move that the next bar undid.
    """

    venue: Series[str]
    symbol: Series[str]
    timeframe: Series[str]
    timestamp: Series[Instant]
    log_return: Series[float] = pa.Field(nullable=True)
    deviations: Series[float] = pa.Field(nullable=True)
    volume: Series[float] = pa.Field(ge=0)
    return_z_score: Series[bool]
    return_iqr: Series[bool]
    return_robust: Series[bool]
    bad_tick: Series[bool]
    volume_z_score: Series[bool]
    volume_iqr: Series[bool]
    volume_robust: Series[bool]

    class Config:
        strict = True
        unique = ["venue", "symbol", "timeframe", "timestamp"]


class QualityRuns(pa.DataFrameModel):
    """Runs of missing, stale or volumeless bars: from the opening of the first to the close of the last."""

    venue: Series[str]
    symbol: Series[str]
    timeframe: Series[str]
    kind: Series[str] = pa.Field(isin=RUN_KINDS)
    start: Series[Instant]
    end: Series[Instant]
    bars: Series[np.int64] = pa.Field(ge=1)

    class Config:
        strict = True
        unique = ["venue", "symbol", "timeframe", "kind", "start"]


class QualityCalendar(pa.DataFrameModel):
    """Expected and missing bars of each day (UTC, by opening time) of the span that is asked for."""

    venue: Series[str]
    symbol: Series[str]
    timeframe: Series[str]
    day: Series[Instant]
    expected_bars: Series[np.int64] = pa.Field(ge=1)
    missing_bars: Series[np.int64] = pa.Field(ge=0)

    class Config:
        strict = True
        unique = ["venue", "symbol", "timeframe", "day"]


class QualityAgreement(pa.DataFrameModel):
    """A table against another one, on the bars that both have.

    `kind` is `timeframe` (the slower table against the faster one's bars put together: prices and volume are equal)
    or `venue` (closes agree within `tolerance_bps` of their median distance). Distances are log ratios of the closes
    in basis points. `only_here` and `only_there` are bars of the common span that one of the two lacks.
    """

    venue: Series[str]
    symbol: Series[str]
    timeframe: Series[str]
    other: Series[str]
    kind: Series[str] = pa.Field(isin=["timeframe", "venue"])
    compared: Series[np.int64] = pa.Field(ge=0)
    agreeing: Series[np.int64] = pa.Field(ge=0)
    tolerance_bps: Series[float] = pa.Field(ge=0)
    median_bps: Series[float] = pa.Field(nullable=True)
    q99_bps: Series[float] = pa.Field(nullable=True)
    worst_bps: Series[float] = pa.Field(nullable=True)
    worst_at: Series[Instant] = pa.Field(nullable=True)
    return_correlation: Series[float] = pa.Field(nullable=True)
    only_here: Series[np.int64] = pa.Field(ge=0)
    only_there: Series[np.int64] = pa.Field(ge=0)

    class Config:
        strict = True
        unique = ["venue", "symbol", "timeframe", "other"]


class QualityDrift(pa.DataFrameModel):
    """Each month against the one before, in three quantities.

    `psi` is the population stability index, `ks` the largest distance of the two distribution functions and
    `ks_p_value` its level if rows were independent, which bars are not: it is too small where they cluster.
    """

    venue: Series[str]
    symbol: Series[str]
    timeframe: Series[str]
    month: Series[str]
    before: Series[str]
    quantity: Series[str] = pa.Field(isin=["return", "volume", "range"])
    rows: Series[np.int64] = pa.Field(ge=1)
    rows_before: Series[np.int64] = pa.Field(ge=1)
    psi: Series[float] = pa.Field(ge=0)
    ks: Series[float] = pa.Field(ge=0, le=1)
    ks_p_value: Series[float] = pa.Field(ge=0, le=1)

    class Config:
        strict = True
        unique = ["venue", "symbol", "timeframe", "month", "quantity"]
