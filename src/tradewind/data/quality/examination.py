"""One symbol's bars looked at once, for everything that is said of them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from tradewind.data.files.bar_key import BarKey
from tradewind.data.quality.counts import describe_bars, missing_by_day, missing_by_month
from tradewind.data.quality.daily import daily_scores
from tradewind.data.quality.drift import drift_by_month
from tradewind.data.quality.grid import epoch_ms, grid_of, key_of
from tradewind.data.quality.outliers import find_outliers, flag_table
from tradewind.data.quality.rules import QualityRules, Score
from tradewind.data.quality.runs import find_runs
from tradewind.data.quality.scores import Evidence, Measure, measure_bars, score_table, timeliness
from tradewind.market.timeframes import bar_duration_ms

_STATES = ("pass", "warn", "stop")


@dataclass(frozen=True)
class Examination:
    """What one symbol's bars are found to be: tables in the shapes of `tables`, and five of the six scores.

    `months` counts missing bars by month, `series` are the scores of each day's end (`daily`).
    """

    key: BarKey
    last_ms: int
    counts: pd.DataFrame
    measures: Mapping[Score, Measure]
    flags: pd.DataFrame
    runs: pd.DataFrame
    drift: pd.DataFrame
    days: pd.DataFrame
    months: pd.DataFrame
    series: pd.DataFrame


def examine(
    bars: pd.DataFrame, counts: pd.DataFrame, rejected: pd.DataFrame, agreement: pd.DataFrame, rules: QualityRules
) -> Examination:
    """All that can be said of one symbol's checked bars, its row counts, rejected rows and comparisons.

    Timeliness is missing: it depends on when the other symbols end.

    Args:
        bars: one symbol's checked bars.
        counts: its row of `RowCounts`.
        rejected: its rejected rows.
        agreement: its rows of `QualityAgreement`.
        rules: the span that was asked for, limits of outliers, runs and drift.

    Returns:
        Tables and measures of the symbol.
    """
    asked = None
    if rules.since is not None or rules.until is not None:
        own = grid_of(bars)
        asked = rules.asked_ms(own.first_ms, own.end_ms)
    grid = grid_of(bars, asked)
    described = describe_bars(bars, counts, rejected, grid)
    outliers = find_outliers(bars, rules.outliers)
    evidence = Evidence(bars, grid, described.iloc[0], Counter(rejected["reason"]), outliers, agreement)
    return Examination(
        key=key_of(bars),
        last_ms=int(epoch_ms(bars["timestamp"].iloc[-1:])[0]),
        counts=described,
        measures=measure_bars(evidence),
        flags=flag_table(bars, outliers),
        runs=find_runs(bars, rules.runs, grid),
        drift=drift_by_month(bars, rules.drift),
        days=missing_by_day(bars, grid),
        months=missing_by_month(bars, grid),
        series=daily_scores(bars, outliers),
    )


def score(examined: Examination, as_of_ms: int, rules: QualityRules) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The symbol's row of `DataQuality` and its rows of `QualityScores`.

    Args:
        examined: of the symbol.
        as_of_ms: when it should be up to date, UTC milliseconds.
        rules: limits of each score, and when bars are late.

    Returns:
        One row, and one row a score.
    """
    bar_ms = bar_duration_ms(examined.key.timeframe)
    late = timeliness(examined.last_ms, as_of_ms, bar_ms, rules)
    scores = score_table(examined.key, {**examined.measures, "timeliness": late}, rules)
    values = dict(zip(scores["score"], scores["value"], strict=True))
    row = examined.counts.assign(**values)
    worst = max(scores["state"], key=_STATES.index)
    row["state"] = pd.Series([worst], dtype="str")
    return row, scores
