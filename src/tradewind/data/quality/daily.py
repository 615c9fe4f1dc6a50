"""Scores of each day's end, made only of what was known then: quality as side series that features can join."""

from collections.abc import Collection, Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from tradewind.data.quality.counts import is_stale, join_rows
from tradewind.data.quality.grid import epoch_ms, key_of
from tradewind.data.quality.outliers import Outliers, find_outliers
from tradewind.data.quality.relations import broken_relations
from tradewind.data.quality.rules import OutlierRules
from tradewind.data.side_data.selection import select_side_series
from tradewind.market.series import QUALITY_SERIES
from tradewind.market.universe import Universe

DAY_MS = 86_400_000
WINDOW_DAYS = 30

Floats = npt.NDArray[np.float64]


def quality_series(tables: Iterable[pd.DataFrame], rules: OutlierRules) -> pd.DataFrame:
    """The `daily_scores` of any number of symbols' bars, one below the other (`schema.SideSeries`)."""
    nothing = _side_series("", np.empty(0, dtype=np.int64), {QUALITY_SERIES[0]: np.empty(0)})
    scores = [daily_scores(bars, find_outliers(bars, rules)) for bars in tables]
    return join_rows([table for table in scores if len(table)] or [nothing])


def known_with_quality(vintages: pd.DataFrame, scores: pd.DataFrame, universe: Universe) -> pd.DataFrame:
    """What was known of each series that the universe names, at each moment at which that changed.

    Args:
        vintages: every published value (`schema.SideVintages`).
        scores: the `quality_series` of the universe's bars; used where the universe names one of them.
        universe: which series, for which symbols.
    """
    return join_quality(select_side_series(vintages, universe), scores, universe.side_series)


def join_quality(side_series: pd.DataFrame, scores: pd.DataFrame, names: Collection[str]) -> pd.DataFrame:
    """The side series with those of the scores that are named, sorted by series, symbol and time.

    Args:
        side_series: of the universe.
        scores: of the same shape, one series a measure of quality and day.
        names: of those that join.

    Returns:
        Side series that features may read.
    """
    chosen = scores[scores["series"].isin(names)]
    if chosen.empty:
        return side_series
    joined = pd.concat([side_series, chosen], ignore_index=True) if len(side_series) else chosen
    return joined.sort_values(["series", "symbol", "known_at"], kind="stable").reset_index(drop=True)


def daily_scores(bars: pd.DataFrame, outliers: Outliers) -> pd.DataFrame:
    """The `QUALITY_SERIES` of one symbol's checked bars in the shape of `schema.SideSeries`.

    One value for each UTC day that has ended by the last close, known at its end, of the bars that closed in the
    `WINDOW_DAYS` before it (fewer at first): completeness, the share of the bars from the first one on that are there;
    consistency, the share that break no relation; accuracy, 1 less the share found to be bad ticks; outliers and
    staleness, the shares that are robust outliers and that repeat the close before. A move counts as a bad tick when
    the next bar has closed, since it is not known before; the rules that know the whole table have no part. A window
    without bars has a completeness alone.
    """
    closed_ms = epoch_ms(bars["timestamp"])
    bar_ms = int(closed_ms[0] - epoch_ms(bars["open_time"])[0])
    first_day = (int(closed_ms[0]) - 1) // DAY_MS
    n_days = int(closed_ms[-1]) // DAY_MS - first_day

    def window_sum(instants_ms: npt.NDArray[np.int64]) -> Floats:
        # What closes at midnight belongs to the day that ends with it.
        days = (instants_ms - 1) // DAY_MS - first_day
        sums = np.cumsum(np.bincount(days[days < n_days], minlength=n_days)[:n_days], dtype=np.float64)
        return sums - np.r_[np.zeros(min(WINDOW_DAYS, n_days)), sums[:-WINDOW_DAYS]]

    shows_bad = np.r_[False, outliers.bad_tick[:-1]]
    is_broken = np.logical_or.reduce([broken for broken, _ in broken_relations(bars).values()])
    there = window_sum(closed_ms)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = {
            "quality_completeness": there / window_sum(np.arange(closed_ms[0], closed_ms[-1] + 1, bar_ms)),
            "quality_consistency": 1 - window_sum(closed_ms[is_broken]) / there,
            "quality_accuracy": 1 - window_sum(closed_ms[shows_bad]) / there,
            "quality_outliers": window_sum(closed_ms[outliers.return_robust]) / there,
            "quality_staleness": window_sum(closed_ms[is_stale(bars)]) / there,
        }
    known_ms = (first_day + 1 + np.arange(n_days)) * DAY_MS
    return _side_series(str(key_of(bars).symbol), known_ms, values)


def _side_series(symbol: str, known_ms: npt.NDArray[np.int64], values: dict[str, Floats]) -> pd.DataFrame:
    known_at = pd.DatetimeIndex(known_ms.astype("datetime64[ms]"), tz="UTC")
    table = pd.concat(
        [
            pd.DataFrame(
                {
                    "series": pd.Series([name] * len(known_at), dtype="str"),
                    "symbol": pd.Series([symbol] * len(known_at), dtype="str"),
                    "known_at": known_at,
                    "value": column,
                }
            )
            for name, column in values.items()
        ],
        ignore_index=True,
    )
    return table[np.isfinite(table["value"].to_numpy())].reset_index(drop=True)
