"""A store is brought up to date, whatever it holds and wherever it is killed, by asking for what it lacks alone."""

import io
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from tests.data.ingestion.venue import HOUR, NOW, START, Venue, at, bars_of, key
from tests.data.sources.exchange_server import HOUR_MS, START_MS, Market, serve
from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import Span, receive
from tradewind.data.ingestion import report
from tradewind.data.ingestion.backfill import SideKey, Wanted, backfill, plan
from tradewind.data.ingestion.rules import IngestionRules
from tradewind.data.ingestion.status import describe_bars, describe_side
from tradewind.data.sources.catalogue import open_source
from tradewind.data.stores.base import Store
from tradewind.data.stores.catalogue import open_store
from tradewind.errors import BadData, BadParameters, TemporaryOutage

RULES = IngestionRules(settling_hours=24, request_bars=24, workers=2)
BARS = 100


@pytest.fixture
def store(sqlite_settings: dict[str, object]) -> Iterator[Store]:
    opened = open_store(sqlite_settings)
    yield opened
    opened.close()


def venue(**changed: object) -> Venue:
    """Two symbols, of which one has a hole."""
    with_hole = [place for place in range(BARS) if place not in (40, 41)]
    return Venue({"AAA": bars_of("AAA", range(BARS)), "BB": bars_of("BB", with_hole)}, **changed)  # type: ignore[arg-type]


def wanted(since: float = 0, until: float = BARS) -> Wanted:
    return Wanted((key("AAA"), key("BB")), at(since), at(until))


def fill(source: Venue, store: Store, what: Wanted | None = None, **changed: object) -> list[tuple[int, ...]]:
    """Rows received, new, known and rejected, and bars missing, of each key."""
    outcomes = backfill(source, store, what or wanted(), RULES.model_copy(update=changed), lambda: NOW)
    assert report.failed(outcomes) == []
    return [(one.rows_received, one.rows_new, one.rows_known, one.rows_rejected, one.missing or 0) for one in outcomes]


def held(store: Store) -> dict[str, list[float]]:
    return {str(one): store.read(one)["close"].tolist() for one in store.keys()}  # noqa: SIM118


def test_a_second_run_asks_for_nothing(store: Store) -> None:
    assert fill(venue(), store) == [(100, 100, 0, 0, 0), (98, 98, 0, 0, 2)]
    again = venue()
    assert fill(again, store) == [(0, 0, 0, 0, 0)] * 2
    assert again.asked == []


def test_a_later_run_asks_for_the_new_bars_alone(store: Store) -> None:
    fill(venue(), store, wanted(until=60))
    again = venue()
    assert fill(again, store) == [(40, 40, 0, 0, 0)] * 2
    assert {span for _, span in again.asked} == {Span(START + 60 * HOUR, START + 100 * HOUR)}


def test_an_older_beginning_and_a_lost_middle_are_filled_in(store: Store) -> None:
    fill(venue(), store, wanted(since=80))
    store.append(receive(bars_of("AAA", range(20, 30)), key("AAA"), "a file", NOW))
    again = venue()
    assert fill(again, store, Wanted((key("AAA"),), at(0), at(BARS))) == [(70, 70, 0, 0, 0)]
    assert [span for _, span in again.asked] == [
        Span(START, START + 20 * HOUR), Span(START + 30 * HOUR, START + 80 * HOUR),
    ]  # fmt: skip


def test_a_hole_is_known_once_the_answer_has_settled(store: Store) -> None:
    source = venue()
    backfill(source, store, wanted(until=45), RULES, lambda: at(45))
    assert len(plan(store, wanted(until=45), RULES, at(46))[1].spans) == 1  # it may come late
    source.bars_by_symbol["BB"] = bars_of("BB", range(BARS))
    assert fill(source, store, wanted(until=45))[1] == (2, 2, 0, 0, 0)
    assert not any(task.spans for task in plan(store, wanted(until=45), RULES, NOW))


def test_files_that_an_archive_publishes_late_are_picked_up(store: Store) -> None:
    """A day's file is not there at first, in the middle of what is; then it is; then there are two days more."""
    wanted = Wanted((BarKey(venue="binance", symbol="BTCUSDT", timeframe="1h"),), datetime(2024, 1, 1, tzinfo=UTC))
    stored = []
    for days, absent in ((35, "2024-02-03"), (35, ""), (37, "")):
        now_ms = START_MS + days * 24 * HOUR_MS + HOUR_MS // 2
        with serve(Market(now_ms=now_ms, holes=())) as server:
            if absent:
                server.misbehave("status", times=99, path=absent, status=404)
            source = open_source({"kind": "binance_archive", "base_url": server.url}, server.timing())
            now = datetime.fromtimestamp(now_ms / 1000, UTC)
            assert report.failed(backfill(source, store, wanted, RULES, lambda now=now: now)) == []  # type: ignore[misc]
        stored.append(len(store.read(wanted.bars[0])) / 24)
    assert stored == [34, 35, 37]
    assert store.ledger()["rows_new"].sum() == 37 * 24


def test_known_gaps_and_stored_bars_are_asked_for_again_on_demand(store: Store) -> None:
    fill(venue(), store)
    mended = venue(page_bars=1000)
    mended.bars_by_symbol["BB"] = bars_of("BB", [40, 41])
    assert fill(mended, store, recheck="gaps") == [(0, 0, 0, 0, 0), (2, 2, 0, 0, 0)]
    corrected = venue()
    corrected.bars_by_symbol["AAA"] = bars_of("AAA", range(BARS), shift=0.5)
    assert fill(corrected, store, recheck="all")[0] == (100, 100, 0, 0, 0)
    assert fill(corrected, store, recheck="all")[0] == (100, 0, 100, 0, 0)


def test_a_bar_that_is_still_open_is_not_asked_for(store: Store) -> None:
    source = venue()
    backfill(source, store, wanted(), RULES, lambda: at(50.5))
    assert source.bars_asked == 100
    assert store.read(key("AAA"))["open_time"].max() == START + 49 * HOUR


def test_a_row_counts_as_received_before_it_was_asked_for(store: Store) -> None:
    """A bar that was open when it was asked for is not final, even if it closes before the answer is there."""
    clock = {"now": at(50)}

    def answer_slowly(_: int) -> None:
        clock["now"] = at(51.5)

    source = venue(before_page=answer_slowly, page_bars=1000)
    source.bars_by_symbol["AAA"] = bars_of("AAA", range(51))  # an eager source: the open bar as well

    def eager(one: object, span: Span) -> Iterator[object]:
        return Venue.bars(source, one, Span(span.since_ms, span.until_ms + HOUR))  # type: ignore[arg-type]

    source.bars = eager  # type: ignore[method-assign,assignment]
    outcome = backfill(source, store, Wanted((key("AAA"),), at(0)), RULES, lambda: clock["now"])[0]
    assert (outcome.rows_new, outcome.rows_rejected) == (50, 1)


def test_one_failing_symbol_does_not_stop_the_others(store: Store) -> None:
    source = venue(refuses={"AAA": TemporaryOutage("the venue sleeps")})
    outcomes = backfill(source, store, wanted(), RULES, lambda: NOW)
    assert [one.error is None for one in outcomes] == [False, True]
    assert outcomes[1].rows_new == 98
    (failure,) = report.failed(outcomes)
    assert failure is outcomes[0]
    assert isinstance(failure.error, TemporaryOutage)
    assert str(failure.error) == "the venue sleeps"
    source.refuses = {"AAA": BadData("a wrong checksum"), "BB": TemporaryOutage("the venue sleeps")}
    errors = [outcome.error for outcome in backfill(source, store, wanted(since=-10), RULES, lambda: NOW)]
    assert [type(error) for error in errors] == [BadData, TemporaryOutage]
    source.refuses = {}
    assert fill(source, store)[0][-1] == 0


def test_symbols_are_asked_for_side_by_side(store: Store) -> None:
    meeting = threading.Barrier(2, timeout=20)
    fill(venue(before_page=lambda _: meeting.wait() and None, page_bars=1000), store)


def test_an_end_before_the_beginning_is_refused(store: Store) -> None:
    with pytest.raises(BadParameters, match=r"must be after since, found 2024-01-30 10:00 to 2024-01-30 05:00"):
        plan(store, wanted(10, 5), RULES, NOW)


def test_progress_is_logged_by_tenths(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="tradewind.data.ingestion.progress"):
        fill(venue(page_bars=5), store)
    assert len(caplog.messages) == 10
    assert caplog.messages[-1] == "asking test.venue: 200 of 200"


def test_progress_is_a_bar_on_a_terminal(
    store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with caplog.at_level(logging.INFO, logger="tradewind.data.ingestion.progress"):
        fill(venue(), store)
    assert "asking test.venue" in terminal.getvalue()
    assert caplog.messages == []


def test_side_series_are_fetched_and_kept_up_to_date(store: Store) -> None:
    source = venue(funding=list(range(0, 60, 8)))
    side = Wanted((), at(0), at(60), (SideKey("funding", "AAA"),))
    assert fill(source, store, side) == [(8, 8, 0, 0, 0)]
    source.funding = list(range(-24, BARS, 8))
    later = Wanted((), at(-40), at(BARS), (SideKey("funding", "AAA"),))
    assert fill(source, store, later, side_overlap_days=1.0)[0][:3] == (11, 8, 3)
    assert store.read_side(["funding"])["value"].tolist() == list(range(-24, BARS, 8))
    source.asked.clear()
    fill(source, store, later, side_overlap_days=0.0)
    assert [span.until_ms - span.since_ms for _, span in source.asked] == [4 * HOUR - 1, 16 * HOUR]


def test_the_way_back_ends_at_a_year_without_a_value(store: Store) -> None:
    source = venue(funding=list(range(0, 60, 8)))
    side = Wanted((), at(-24 * 365 * 5), at(60), (SideKey("funding", "AAA"),))
    assert len(plan(store, side, RULES, NOW)[0].spans) == 6
    fill(source, store, side)
    source.asked.clear()
    fill(source, store, side)
    assert len(source.asked) == 2  # the end, and the last year before the beginning


def test_the_status_tells_gaps_from_known_gaps(store: Store) -> None:
    fill(venue(funding=[0, 8]), store, Wanted((key("AAA"), key("BB")), at(0), at(60), (SideKey("funding", "BB"),)))
    store.append(receive(bars_of("BB", [70]), key("BB"), "a file", at(99)))
    rows = describe_bars(store, RULES, at(100)).set_index("key")
    counts = ["rows", "bars", "missing_bars", "known_missing", "gaps", "bars_since"]
    assert rows.loc["venue/AAA/1h", counts].tolist() == [60, 60, 0, 0, 0, 40]
    assert rows.loc["venue/BB/1h", counts].tolist() == [59, 59, 12, 2, 2, 29]
    assert rows.loc["venue/BB/1h", "last"] == at(70)
    assert rows.loc["venue/BB/1h", "last_delivery"] == NOW
    assert describe_side(store).iloc[0].tolist()[:4] == ["funding", "BB", 2, 0]


def _run_and_die(settings: dict[str, object], page: int, when: str) -> None:
    """One run in a child process that ends itself like a power cut, before or after a page is stored."""
    opened = open_store(settings)
    if when == "stored":
        append, done = opened.append, [0]

        def dying(delivery: object) -> object:
            receipt = append(delivery)  # type: ignore[arg-type]
            done[0] += 1
            if done[0] > page:
                os.kill(os.getpid(), signal.SIGKILL)
            return receipt

        opened.append = dying  # type: ignore[method-assign,assignment]
    source = venue(before_page=lambda given: os.kill(os.getpid(), signal.SIGKILL) if given == page else None)
    if when == "stored":
        source.before_page = lambda _: None
    backfill(source, opened, wanted(), RULES, lambda: NOW)


def test_killed_anywhere_and_run_again_nothing_is_lost_or_asked_for_twice(tmp_path: Path) -> None:
    whole = open_store({"kind": "sqlite", "path": str(tmp_path / "whole.sqlite")})
    fill(venue(), whole)
    expected, pages = held(whole), 2 * 5
    forked = multiprocessing.get_context("fork")
    settings = {"kind": "sqlite", "path": str(tmp_path / "killed.sqlite")}
    rng = np.random.default_rng(3)
    for when in ("asked", "stored"):
        for page in rng.permutation(pages)[:6]:
            (tmp_path / "killed.sqlite").unlink(missing_ok=True)
            for suffix in ("-wal", "-shm"):
                (tmp_path / f"killed.sqlite{suffix}").unlink(missing_ok=True)
            child = forked.Process(target=_run_and_die, args=(settings, int(page), when))
            child.start()
            child.join()
            assert child.exitcode == -signal.SIGKILL
            resumed = open_store(settings)
            before = sum(len(resumed.read(key(symbol))) for symbol in ("AAA", "BB"))
            rest = venue()
            received = fill(rest, resumed)
            assert held(resumed) == expected
            assert sum(one[0] for one in received) == 198 - before  # what was stored is not fetched again
            resumed.close()


def test_a_watermark_at_the_newest_bar_would_lose_the_rest(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: where the other tests find what a late delivery lacks, this plan asks for nothing."""

    def from_the_newest(span: Span, _: int, __: object, covered: list[tuple[Span, int]], ___: object) -> list[Span]:
        newest = max(answer.until_ms for answer, _ in covered)
        return [Span(newest, span.until_ms)] if newest < span.until_ms else []

    fill(venue(), store, wanted(since=80))
    monkeypatch.setattr("tradewind.data.ingestion.planning.missing_spans", from_the_newest)
    assert fill(venue(), store) == [(0, 0, 0, 0, 0)] * 2
    assert len(store.read(key("AAA"))) == 20


def test_the_ledger_adds_up(store: Store) -> None:
    fill(venue(), store, wanted(until=50))
    fill(venue(), store, recheck="all")
    ledger = store.ledger()
    assert (ledger["rows_received"] == ledger[["rows_new", "rows_known", "rows_rejected"]].sum(axis=1)).all()
    assert ledger["rows_new"].sum() == 198
