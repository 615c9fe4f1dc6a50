"""A store brought up to date from a source: planned from what is stored, page by page, resumed by being run again."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import numpy as np
import pandas as pd

from tradewind.compute import executor
from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import STILL_OPEN, Receipt, Span, receive
from tradewind.data.ingestion import planning
from tradewind.data.ingestion.progress import Progress
from tradewind.data.ingestion.rules import IngestionRules
from tradewind.data.sources.base import Source
from tradewind.data.stores.base import Store
from tradewind.data.stores.tables import no_vintages
from tradewind.errors import BadData, BadParameters, TradewindError
from tradewind.market.timeframes import bar_duration_ms

Now = Callable[[], datetime]
Page = TypeVar("Page")


@dataclass(frozen=True)
class SideKey:
    """A side series of one symbol; `symbol` is empty for a market-wide one."""

    series: str
    symbol: str = ""

    def __str__(self) -> str:
        return f"{self.series} {self.symbol}".strip()


@dataclass(frozen=True)
class Wanted:
    """Bars and side series in [since, until); `until` None is now."""

    bars: tuple[BarKey, ...]
    since: datetime
    until: datetime | None = None
    side: tuple[SideKey, ...] = ()


@dataclass(frozen=True)
class Task:
    """What a source is to be asked for one key, span by span in this order; `amount` counts bars, or pieces."""

    key: BarKey | SideKey
    spans: tuple[Span, ...]
    amount: int


@dataclass(frozen=True)
class Outcome:
    """What became of a task: rows received = new + known + rejected; bars still missing in what was asked for.

    `missing` is None for a side series, whose missing values nobody can tell. `error` is why the task ended early;
    what was received before it is stored, and the next run goes on from there.
    """

    key: BarKey | SideKey
    requested: int
    rows_received: int = 0
    rows_new: int = 0
    rows_known: int = 0
    rows_rejected: int = 0
    missing: int | None = None
    error: TradewindError | None = None


def plan(store: Store, wanted: Wanted, rules: IngestionRules, now: datetime) -> list[Task]:
    """What to ask a source for, a task for each key, in the order of `wanted`; a task without spans asks nothing.

    Args:
        store: what is there already.
        wanted: keys of bars and of side series, and the span.
        rules: how long answers settle, what is asked for again, pages and workers.
        now: bars that have not closed by then are not asked for.

    Returns:
        One task a key.

    Raises:
        BadParameters: the end of what is wanted is not after its beginning.
    """
    since, until = wanted.since, min(wanted.until or now, now)
    if until <= since:
        raise BadParameters(
            f"until (or now) must be after since, found {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M}"
        )
    tasks = [_plan_bars(store, key, wanted, rules, now) for key in wanted.bars]
    if not wanted.side:
        return tasks
    stored = store.read_side(sorted({key.series for key in wanted.side}))
    span = Span(planning.epoch_ms(since), planning.epoch_ms(until))
    return tasks + [_plan_side(stored, key, span, rules) for key in wanted.side]


def backfill(source: Source, store: Store, wanted: Wanted, rules: IngestionRules, now: Now) -> list[Outcome]:
    """Ask the source for what the store lacks and store each page before the next; what became of each key.

    Keys are worked on side by side by `rules.workers` threads. An error of the source or of one delivery ends that
    key alone and stands in its outcome. Killed at any point, nothing is lost that was stored, and running it again
    asks only for the rest.

    Args:
        source: who is asked.
        store: where the pages go.
        wanted: keys of bars and of side series, and the span.
        rules: how long answers settle, what is asked for again, pages and workers.
        now: gives the time.

    Returns:
        What became of each key, in the order of `wanted`.

    Raises:
        BadParameters: the end of what is wanted is not after its beginning.
    """
    tasks = plan(store, wanted, rules, now())
    stop = threading.Event()
    on = executor("threads", rules.workers)
    try:
        with Progress(sum(task.amount for task in tasks), f"asking {source.name}") as progress:
            run = _Run(source, store, now, progress, stop)
            futures: list[Future[Outcome]] = [on.submit(run.fetch, task) for task in tasks]
            return [future.result() for future in futures]
    finally:
        stop.set()  # on an interrupt, threads end after the page at hand
        on.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Run:
    source: Source
    store: Store
    now: Now
    progress: Progress
    stop: threading.Event

    def fetch(self, task: Task) -> Outcome:
        """What became of the task."""
        tally = _Tally()
        error: TradewindError | None = None
        missing: int | None = None
        try:
            if isinstance(task.key, BarKey):
                self._fetch_bars(task, task.key, tally)
            else:
                self._fetch_side(task, task.key, tally)
        except TradewindError as raised:
            error = raised
        if error is None:
            error = tally.nothing_usable(task.key)
        try:
            missing = self._count_missing(task)
        except TradewindError as raised:
            error = error or raised
        return Outcome(task.key, task.amount, tally.received, tally.new, tally.known, tally.rejected, missing, error)

    def _fetch_bars(self, task: Task, key: BarKey, tally: "_Tally") -> None:
        bar_ms = bar_duration_ms(key.timeframe)
        for span in task.spans:
            done = 0
            for asked_at, page in self._pages(self.source.bars(key, span)):
                delivery = receive(page.rows, key, self.source.name, asked_at, page.covered)
                tally.add(self.store.append(delivery))
                tally.reasons.update(delivery.rejected["reason"].tolist())
                reached = _reached(delivery.rows, page.covered, bar_ms, span)
                self.progress.advance(max(0, reached - done))
                done = max(done, reached)
            self.progress.advance(planning.count_bars([span], bar_ms) - done)

    def _fetch_side(self, task: Task, key: SideKey, tally: "_Tally") -> None:
        stored = _stored_range(self.store.read_side([key.series]), key)
        for span in task.spans:
            pages = [page for _, page in self._pages(self.source.side_series(key.series, key.symbol, span))]
            if self.stop.is_set():
                return
            # A piece is stored whole, so that a killed run leaves no hole that the next one would not see.
            rows = pd.concat([no_vintages(), *(page.rows for page in pages if len(page.rows))], ignore_index=True)
            new = self.store.append_side(rows) if len(rows) else 0
            tally.add(Receipt(len(rows), new, len(rows) - new, 0))
            self.progress.advance(1)
            is_complete = bool(pages) and all(page.covered is not None for page in pages)
            if rows.empty and is_complete and stored is not None and span.until_ms <= stored[0]:
                return  # a year without a value: before it the series had not begun

    def _pages(self, answers: Iterator[Page]) -> Iterator[tuple[datetime, Page]]:
        """Each page with the moment before it was asked for: what was still open then is not final in it."""
        while not self.stop.is_set():
            asked_at = self.now()
            try:
                page = next(answers)
            except StopIteration:
                return
            yield asked_at, page

    def _count_missing(self, task: Task) -> int | None:
        """Bars of the task that are still not stored."""
        if not isinstance(task.key, BarKey):
            return None
        if not task.spans:
            return 0
        bar_ms = bar_duration_ms(task.key.timeframe)
        stored = _stored(self.store, task.key, Span(task.spans[0].since_ms, task.spans[-1].until_ms))
        return sum(planning.count_bars(planning.holes(span, bar_ms, stored), bar_ms) for span in task.spans)


@dataclass
class _Tally:
    received: int = 0
    new: int = 0
    known: int = 0
    rejected: int = 0

    reasons: Counter[str] = field(default_factory=Counter)

    def nothing_usable(self, key: BarKey | SideKey) -> BadData | None:
        """What to say if every row was rejected, other than for not having closed yet."""
        counts = {why: count for why, count in self.reasons.items() if why != STILL_OPEN}
        if not counts or self.new or self.known:
            return None
        listed = "; ".join(f"{count:,} of {self.received:,} rows: {why}" for why, count in counts.items())
        return BadData(f"{key}: none of the rows received becomes a bar: {listed}; correct the timeframe or the source")

    def add(self, receipt: Receipt) -> None:
        self.received += receipt.rows_received
        self.new += receipt.rows_new
        self.known += receipt.rows_known
        self.rejected += receipt.rows_rejected


def _plan_bars(store: Store, key: BarKey, wanted: Wanted, rules: IngestionRules, now: datetime) -> Task:
    bar_ms = bar_duration_ms(key.timeframe)
    span = planning.wanted_span(wanted.since, wanted.until or now, bar_ms, now)
    if span is None:
        return Task(key, (), 0)
    covered = store.covered(key)
    open_questions = planning.unanswered_spans(span, bar_ms, covered, rules)
    if not open_questions:
        return Task(key, (), 0)
    # Only there does it matter what is stored: the rest is answered, and reading it would cost more than asking.
    stored = _stored(store, key, Span(open_questions[0].since_ms, open_questions[-1].until_ms))
    spans = planning.missing_spans(span, bar_ms, stored, covered, rules)
    return Task(key, tuple(spans), planning.count_bars(spans, bar_ms))


def _plan_side(stored: pd.DataFrame, key: SideKey, span: Span, rules: IngestionRules) -> Task:
    spans = planning.side_spans(span, _stored_range(stored, key), rules)
    return Task(key, tuple(spans), len(spans))


def _stored(store: Store, key: BarKey, span: Span) -> planning.Instants:
    return store.read(key, span)["open_time"].to_numpy(dtype=np.int64)


def _stored_range(stored: pd.DataFrame, key: SideKey) -> tuple[int, int] | None:
    """The first and the last stored reference time of a side series, epoch milliseconds."""
    rows = stored.loc[(stored["series"] == key.series) & (stored["symbol"] == key.symbol), "reference_at"]
    instants = rows.to_numpy("datetime64[ms]").astype(np.int64)
    return (int(instants.min()), int(instants.max())) if len(instants) else None


def _reached(rows: pd.DataFrame, covered: Span | None, bar_ms: int, span: Span) -> int:
    """How many bars of the span the page and those before it have gone through."""
    ends = [covered.until_ms] if covered is not None else []
    ends += [int(rows["open_time"].max()) + bar_ms] if len(rows) else []
    return (min(max(ends, default=span.since_ms), span.until_ms) - span.since_ms) // bar_ms
