"""Nodes that judge bars before anybody reads them; the work is in `tradewind.data.quality`."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from plotly.graph_objects import Figure

from tradewind import clock
from tradewind.compute import ComputeRules, lazily
from tradewind.data import quality
from tradewind.data.files import cleaning
from tradewind.data.files.bar_key import BarKey
from tradewind.data.quality.agreement import compare_bars, no_agreement, others_of
from tradewind.data.quality.examination import Examination, examine, score
from tradewind.data.quality.gate import require_good
from tradewind.data.quality.rules import QualityRules
from tradewind.market.calendars import Calendar
from tradewind.market.universe import Universe
from tradewind.reports.gaps import gap_heatmap
from tradewind.reports.quality_charts import drift_figure, score_figure
from tradewind.reports.quality_page import QualityTables, render_quality_page

logger = logging.getLogger(__name__)

TableLoaders = Mapping[str, Callable[[], pd.DataFrame]]
WHERE = "data/08_reporting (data_quality.html), data/03_primary (quality_scores) and data/02_intermediate (quarantine)"


def compare_tables(
    source_bars: TableLoaders,
    checked_bars: TableLoaders,
    universe: Universe,
    rules: QualityRules,
    compute: ComputeRules,
) -> pd.DataFrame:
    """How far every symbol's bars agree with the other tables that the rules name, where the source has them.

    Args:
        source_bars: by partition a function that loads the rows of the source.
        checked_bars: by partition a function that loads checked bars.
        universe: symbols, venue, timeframe and side series.
        rules: with what to compare, and the tolerance.
        compute: executor and workers.

    Returns:
        `schema.QualityAgreement`; no rows where there is nothing to compare with.
    """
    work = {}
    for partition in universe.partitions:
        others = others_of(BarKey.from_partition(partition), source_bars, rules.agreement)
        for other in others:
            name = f"{partition} {other}"
            work[name] = (checked_bars[partition], other, source_bars[other], rules.agreement.tolerance_bps)
    for judged, other in rules.agreement.pairs:
        if f"{judged} {other}" not in work:
            logger.warning("data_engineering.quality.agreement.pairs: there is no %s to compare %s with", other, judged)
    return quality.join_rows([no_agreement(), *(call() for call in lazily(_compared, work, compute).values())])


def describe_quality(
    checked_bars: TableLoaders,
    row_counts: pd.DataFrame,
    quarantine: pd.DataFrame,
    agreement: pd.DataFrame,
    rules: QualityRules,
    compute: ComputeRules,
    universe: Universe,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, pd.DataFrame], pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame,
           Figure, Figure, Figure, str]:  # fmt: skip
    """The quality of every symbol: counts and scores, scores in long form, flagged bars by symbol, runs, missing bars
    by day, drift between months, scores of each day's end; figures of missing bars, scores and drift; all as a page.

    Args:
        checked_bars: by partition a function that loads checked bars.
        row_counts: of every symbol.
        quarantine: rejected rows of all symbols.
        agreement: comparisons of all symbols.
        rules: limits of the scores, outliers, runs and drift.
        compute: executor and workers.
        universe: when its market trades.
    """
    work = {}
    for partition, load in checked_bars.items():
        key = BarKey.from_partition(partition)
        work[partition] = (load, *(_of(table, key) for table in (row_counts, quarantine, agreement)), rules,
                           universe.trading_calendar)  # fmt: skip
    examined = {partition: call() for partition, call in lazily(_examined, work, compute).items()}
    newest_ms = max(one.last_ms for one in examined.values())
    as_of_ms = newest_ms if rules.as_of == "latest" else int(clock.now().timestamp() * 1000)
    ends_ms = universe.ends_ms  # a symbol that has left is as new as it can be
    rows, scores = zip(
        *(
            score(one, min(as_of_ms, ends_ms.get(one.key.symbol, as_of_ms)), rules, universe.trading_calendar)
            for one in examined.values()
        ),
        strict=True,
    )

    def joined(name: str) -> pd.DataFrame:
        return quality.join_rows([getattr(one, name) for one in examined.values()])

    flags = {name: one.flags for name, one in examined.items()}
    tables = QualityTables(
        quality.join_rows(rows), quality.join_rows(scores), flags, joined("runs"), joined("days"), joined("drift"),
        agreement, quarantine,
    )  # fmt: skip
    return (
        tables.quality, tables.scores, flags, tables.runs, tables.calendar, tables.drift, joined("series"),
        gap_heatmap(joined("months")), score_figure(tables.scores), drift_figure(tables.drift),
        render_quality_page(tables, rules),
    )  # fmt: skip


def require_quality(checked_bars: TableLoaders, quality_scores: pd.DataFrame) -> TableLoaders:
    """The bars, if none of their scores is below its limit.

    The scores come from the node that writes the page, so that it is there before the run stops.

    Raises:
        BadData: a score is below its limit; the message has the causes, and where the tables lie.
    """
    require_good(quality_scores, WHERE)
    return checked_bars


def _compared(
    load: Callable[[], pd.DataFrame], other: str, load_other: Callable[[], pd.DataFrame], tolerance_bps: float
) -> pd.DataFrame:
    key = BarKey.from_partition(other)
    typed, _ = cleaning.type_bars(load_other(), key)
    bars, _ = cleaning.check_bars(typed, key, clock.now())
    return compare_bars(load(), bars, tolerance_bps)


def _examined(
    load: Callable[[], pd.DataFrame],
    counts: pd.DataFrame,
    rejected: pd.DataFrame,
    agreement: pd.DataFrame,
    rules: QualityRules,
    calendar: Calendar,
) -> Examination:
    return examine(load(), counts, rejected, agreement, rules, calendar)


def _of(table: pd.DataFrame, key: BarKey) -> pd.DataFrame:
    """The rows of one symbol."""
    is_key = np.logical_and.reduce([table[name] == value for name, value in key.model_dump().items()])
    return table.loc[is_key].reset_index(drop=True)


def list_report(*made: Any) -> list[str]:
    """The stage's tables in the report, once all that it makes for people has been made."""
    return ["data_quality"]
