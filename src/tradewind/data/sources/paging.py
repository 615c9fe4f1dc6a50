"""What all sources share about spans and pages: what has settled, what was asked for, what cannot be true."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from tradewind.data.files.deliveries import Span
from tradewind.data.sources.base import Page, SidePage
from tradewind.data.sources.timing import RetryableError
from tradewind.errors import BadData
from tradewind.market.timeframes import bar_anchor_ms, bar_duration_ms

MINUTE_MS = 60_000
DAY_MS = 86_400_000
# How long after it was measured an open interest is taken to be known, whichever source tells it.
OPEN_INTEREST_DELAY_MS = 5 * MINUTE_MS
# Clocks differ by seconds; a bar that opens later than this from now was made up by a wrong one.
_CLOCK_TOLERANCE_MS = 2 * MINUTE_MS


def settled_bars(span: Span, timeframe: str, now_ms: int, settle_s: float) -> Span | None:
    """The part of `span` whose bars closed at least `settle_s` ago by our own clock.

    A source is not asked for younger bars: they may be open, or missing only because they are young.

    Args:
        span: of opening times, UTC milliseconds, the end not included.
        timeframe: such as `1h`.
        now_ms: by our own clock, UTC milliseconds.
        settle_s: seconds.

    Returns:
        None if there is none.
    """
    bar_ms = bar_duration_ms(timeframe)
    latest_ms, anchor_ms = now_ms - int(settle_s * 1000), bar_anchor_ms(bar_ms)
    until_ms = min(span.until_ms, (latest_ms - anchor_ms) // bar_ms * bar_ms + anchor_ms)
    return Span(span.since_ms, until_ms) if span.since_ms < until_ms else None


def settled_instants(span: Span, now_ms: int, settle_s: float) -> Span | None:
    """The part of `span` that lies at least `settle_s` in the past.

    Args:
        span: of instants, UTC milliseconds, the end not included.
        now_ms: by our own clock, UTC milliseconds.
        settle_s: seconds.

    Returns:
        None if there is none.
    """
    until_ms = min(span.until_ms, now_ms - int(settle_s * 1000))
    return Span(span.since_ms, until_ms) if span.since_ms < until_ms else None


def windows(span: Span, length_ms: int) -> Iterator[Span]:
    """`span` cut into pieces of `length_ms`, the last one shorter, oldest first."""
    for since_ms in range(span.since_ms, span.until_ms, length_ms):
        yield Span(since_ms, min(since_ms + length_ms, span.until_ms))


def overlap(one: Span, other: Span) -> Span:
    """What lies in both; they must meet.

    Raises:
        BadData: they do not.
    """
    return Span(max(one.since_ms, other.since_ms), min(one.until_ms, other.until_ms))


def within(rows: pd.DataFrame, span: Span, column: str = "open_time") -> pd.DataFrame:
    """The rows whose time (epoch ms) lies in `span`, in order of time.

    Args:
        rows: with a column of times, UTC milliseconds.
        span: whose end is not included.
        column: of the times.

    Returns:
        In order of time, numbered anew.
    """
    is_inside = (rows[column] >= span.since_ms) & (rows[column] < span.until_ms)
    return rows.loc[is_inside].sort_values(column, kind="stable", ignore_index=True)


def require_no_future(times_ms: pd.Series, now_ms: int, where: str) -> None:
    """Nothing, if no time lies ahead of our own clock; a server's `Date` is never asked.

    Args:
        times_ms: opening times of an answer, UTC milliseconds.
        now_ms: by our own clock, UTC milliseconds.
        where: who answered, for the message.

    Raises:
        BadData: one does: the server's clock is wrong, or ours.
    """
    latest_ms = times_ms.max() if len(times_ms) else now_ms
    if latest_ms > now_ms + _CLOCK_TOLERANCE_MS:
        raise BadData(
            f"{where} answers with a bar that opens at {instant(int(latest_ms))}, but it is {instant(now_ms)}: its "
            "clock or ours is wrong. Compare this machine's clock with another, then fetch again"
        )


def answered(
    rows: pd.DataFrame, asked: Span, bar_ms: int, now_ms: int, where: str, *, has_end: bool = True
) -> pd.DataFrame:
    """The bars of an answer that lie in what was asked for, in order of time.

    Args:
        rows: the answer.
        asked: what was asked for.
        bar_ms: the duration of a bar.
        now_ms: now.
        where: which source and bars, for messages.
        has_end: whether the server was told where to end, so that later bars are wrong too.

    Raises:
        RetryableError: the answer holds bars, but those of another question: a stale page.
        BadData: a bar lies in the future.
    """
    if rows.empty:
        return rows
    require_no_future(rows["open_time"], now_ms, where)
    inside = within(rows, asked)
    is_before, is_after = rows["open_time"] < asked.since_ms - bar_ms, rows["open_time"] > asked.until_ms + bar_ms
    if inside.empty and (is_before.any() or (has_end and is_after.any())):
        raise RetryableError(
            f"{where}: asked for bars from {instant(asked.since_ms)} to {instant(asked.until_ms)}, the answer has bars "
            f"from {instant(int(rows['open_time'].min()))}: a stale page"
        )
    return inside


def instant(epoch_ms: int) -> str:
    """`2024-01-31 23:00:00`, UTC."""
    return str(np.datetime64(epoch_ms, "ms").astype("datetime64[s]")).replace("T", " ")


def vintages(series: str, symbol: str, reference_ms: pd.Series, known_ms: pd.Series, values: pd.Series) -> pd.DataFrame:
    """Values of one side series (`schema.SideVintages`), by time, each once; those that are missing are left out.

    Args:
        series: name of the series.
        symbol: in the project's spelling; "" for a series of the market.
        reference_ms: what time each value is of, UTC milliseconds.
        known_ms: when it became known, UTC milliseconds.
        values: NaN and infinite ones are left out.

    Returns:
        Of two with the same times the later in order is kept.
    """
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


def closes_page(series: str, symbol: str, pages: Sequence[Page], bar_ms: int) -> SidePage:
    """The closes of bars as values of a side series, or of two (mark and index) the first over the second, less one.

    A close is known, and refers to, the moment when its bar closes.

    Args:
        series: name of the series.
        symbol: in the project's spelling; "" for a series of the market.
        pages: of bars: one, or two of which the first is divided by the second.
        bar_ms: length of a bar, milliseconds.

    Returns:
        Covered only where all pages cover the same.
    """
    closes = [page.rows.drop_duplicates("open_time", keep="last").set_index("open_time")["close"] for page in pages]
    values = closes[0] if len(closes) == 1 else (closes[0] / closes[1] - 1).dropna()
    closed = pd.Series(values.index.to_numpy(dtype=np.int64)) + bar_ms
    covered = pages[0].covered if all(page.covered == pages[0].covered for page in pages) else None
    if covered is not None:
        covered = Span(covered.since_ms + bar_ms, covered.until_ms + bar_ms)
    return SidePage(vintages(series, symbol, closed, closed, values), covered)


def _instants(epoch_ms: pd.Series) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(epoch_ms.to_numpy(dtype=np.int64).astype("datetime64[ms]"), tz="UTC")
