"""What all sources share about spans and pages: what has settled, what was asked for, what cannot be true."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from tradewind.errors import BadData
from tradewind.market.deliveries import Span
from tradewind.market.resample import bar_anchor_ms
from tradewind.market.timeframes import bar_duration_ms

MINUTE_MS = 60_000
DAY_MS = 86_400_000
# Clocks differ by seconds; a bar that opens later than this from now was made up by a wrong one.
_CLOCK_TOLERANCE_MS = 2 * MINUTE_MS


def settled_bars(span: Span, timeframe: str, now_ms: int, settle_s: float) -> Span | None:
    """The part of `span` whose bars closed at least `settle_s` ago by our own clock, None if there is none.

    A source is not asked for younger bars: they may be open, or missing only because they are young.
    """
    bar_ms = bar_duration_ms(timeframe)
    latest_ms, anchor_ms = now_ms - int(settle_s * 1000), bar_anchor_ms(bar_ms)
    until_ms = min(span.until_ms, (latest_ms - anchor_ms) // bar_ms * bar_ms + anchor_ms)
    return Span(span.since_ms, until_ms) if span.since_ms < until_ms else None


def settled_instants(span: Span, now_ms: int, settle_s: float) -> Span | None:
    """The part of `span` that lies at least `settle_s` in the past, None if there is none."""
    until_ms = min(span.until_ms, now_ms - int(settle_s * 1000))
    return Span(span.since_ms, until_ms) if span.since_ms < until_ms else None


def windows(span: Span, length_ms: int) -> Iterator[Span]:
    """`span` cut into pieces of `length_ms`, the last one shorter, oldest first."""
    for since_ms in range(span.since_ms, span.until_ms, length_ms):
        yield Span(since_ms, min(since_ms + length_ms, span.until_ms))


def within(rows: pd.DataFrame, span: Span, column: str = "open_time") -> pd.DataFrame:
    """The rows whose time (epoch ms) lies in `span`, in order of time."""
    is_inside = (rows[column] >= span.since_ms) & (rows[column] < span.until_ms)
    return rows.loc[is_inside].sort_values(column, kind="stable", ignore_index=True)


def require_no_future(times_ms: pd.Series, now_ms: int, where: str) -> None:
    """Nothing, if no time lies ahead of our own clock; a server's `Date` is never asked.

    Raises:
        BadData: one does: the server's clock is wrong, or ours.
    """
    latest_ms = times_ms.max() if len(times_ms) else now_ms
    if latest_ms > now_ms + _CLOCK_TOLERANCE_MS:
        raise BadData(
            f"{where} answers with a bar that opens at {instant(int(latest_ms))}, but it is {instant(now_ms)}: its "
            "clock or ours is wrong. Compare this machine's clock with another, then fetch again"
        )


def instant(epoch_ms: int) -> str:
    """`2024-01-31 23:00:00`, UTC."""
    return str(np.datetime64(epoch_ms, "ms").astype("datetime64[s]")).replace("T", " ")


def vintages(series: str, symbol: str, reference_ms: pd.Series, known_ms: pd.Series, values: pd.Series) -> pd.DataFrame:
    """Values of one side series (`schema.SideVintages`), by time, each once; those that are missing are left out."""
    table = pd.DataFrame(
        {
            "series": pd.Series([series] * len(values), dtype="str"),
            "symbol": pd.Series([symbol] * len(values), dtype="str"),
            "reference_at": _instants(reference_ms),
            "known_at": _instants(known_ms),
            "value": values.to_numpy(dtype=np.float64),
        }
    )
    finite = table.loc[np.isfinite(table["value"])]
    keys = ["reference_at", "known_at"]
    return finite.drop_duplicates(keys, keep="last").sort_values(keys, kind="stable", ignore_index=True)


def _instants(epoch_ms: pd.Series) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(epoch_ms.to_numpy(dtype=np.int64).astype("datetime64[ms]"), tz="UTC")
