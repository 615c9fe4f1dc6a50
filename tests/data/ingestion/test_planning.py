"""What is asked for follows from what is stored and answered, bar by bar."""

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.data.files.deliveries import Span
from tradewind.data.ingestion import planning
from tradewind.data.ingestion.planning import Answers, Instants
from tradewind.data.ingestion.rules import IngestionRules

HOUR = 3_600_000
DAY = 24 * HOUR
START = planning.epoch_ms(datetime(2024, 1, 1, tzinfo=UTC))
BARS = 40
WANTED = Span(START, START + BARS * HOUR)
Plan = Callable[[Span, int, Instants, Answers, IngestionRules], list[Span]]


def hours(*bars: int) -> Instants:
    return START + HOUR * np.array(bars, dtype=np.int64)


def span(since: float, until: float) -> Span:
    return Span(START + int(since * HOUR), START + int(until * HOUR))


def after(bars: float) -> int:
    return START + int(bars * HOUR)


def rules(**changed: object) -> IngestionRules:
    return IngestionRules(**{"settling_hours": 2.0, "request_bars": 1, **changed})


@st.composite
def histories(draw: st.DrawFn) -> tuple[Instants, Answers, IngestionRules]:
    """Stored bars (some twice, some off the grid), answers of any length and moment, and rules."""
    stored = draw(st.lists(st.integers(-3, BARS + 3), max_size=30))
    off_grid = draw(st.lists(st.integers(0, BARS * 60), max_size=3))
    edges = st.tuples(st.floats(-5, BARS), st.floats(0.1, 30), st.floats(-5, BARS + 20))
    answers = [(span(a, a + length), after(asked)) for a, length, asked in draw(st.lists(edges, max_size=6))]
    chosen = rules(
        settling_hours=draw(st.sampled_from([0.0, 1.5, 24.0])),
        request_bars=draw(st.integers(1, 12)),
        recheck=draw(st.sampled_from(["settling", "settling", "gaps", "all"])),
    )
    return np.r_[hours(*stored), START + 60_000 * np.array(off_grid, dtype=np.int64)], answers, chosen


def is_missing(opened: int, stored: Instants, covered: Answers, chosen: IngestionRules) -> bool:
    """The rule, for one bar, in words."""
    if chosen.recheck == "all":
        return True
    if opened in stored:
        return False
    if chosen.recheck == "gaps":
        return True
    final_from = opened + HOUR + chosen.settling_ms
    return not any(answer.since_ms <= opened < answer.until_ms and asked >= final_from for answer, asked in covered)


def check_plan(plan: Plan, history: tuple[Instants, Answers, IngestionRules]) -> None:
    stored, covered, chosen = history
    spans = plan(WANTED, HOUR, stored, covered, chosen)
    grid = [START + bar * HOUR for bar in range(BARS)]
    missing = {opened for opened in grid if is_missing(opened, stored, covered, chosen)}
    asked = {opened for one in spans for opened in grid if one.since_ms <= opened < one.until_ms}
    assert missing <= asked  # nothing that is missing is passed over
    ordered = [edge for one in spans for edge in (one.since_ms, one.until_ms)]
    assert ordered == sorted(set(ordered))
    assert all(one.since_ms in missing and one.until_ms - HOUR in missing for one in spans)
    # What is asked for though it is there costs no request.
    runs = [at for at in sorted(missing) if at - HOUR not in missing]
    ends = [at for at in sorted(missing) if at + HOUR not in missing]
    alone = sum(-((at - end - HOUR) // (chosen.request_bars * HOUR)) for at, end in zip(runs, ends, strict=True))
    together = sum(-((one.since_ms - one.until_ms) // (chosen.request_bars * HOUR)) for one in spans)
    assert together <= alone
    if asked != missing:
        assert together < alone


@given(histories())
@settings(max_examples=300, deadline=None)
def test_every_missing_bar_is_asked_for_and_no_other_that_costs_a_request(
    history: tuple[Instants, Answers, IngestionRules],
) -> None:
    check_plan(planning.missing_spans, history)


def _from_the_newest(wanted: Span, bar_ms: int, stored: Instants, covered: Answers, _: IngestionRules) -> list[Span]:
    newest = max([wanted.since_ms, *(stored + bar_ms), *(one.until_ms for one, _ in covered)])
    return [Span(int(newest), wanted.until_ms)] if newest < wanted.until_ms else []


def _never_settling(wanted: Span, bar_ms: int, stored: Instants, covered: Answers, r: IngestionRules) -> list[Span]:
    asked_late = [(one, 2 * after(BARS)) for one, _ in covered]
    return planning.missing_spans(wanted, bar_ms, stored, asked_late, r)


def _forgetting_the_ledger(wanted: Span, bar_ms: int, stored: Instants, _: Answers, r: IngestionRules) -> list[Span]:
    return planning.missing_spans(wanted, bar_ms, stored, [], r)


@pytest.mark.parametrize("planted", [_from_the_newest, _never_settling, _forgetting_the_ledger])
def test_the_law_catches(planted: Plan) -> None:
    late_hole = (hours(*range(10), *range(12, 20)), [(span(0, 12), after(12.1)), (span(10, 11), after(90))], rules())
    check_plan(planning.missing_spans, late_hole)
    with pytest.raises(AssertionError):
        check_plan(planted, late_hole)


def test_a_hole_is_asked_for_again_until_the_answer_has_settled() -> None:
    stored = hours(*range(10), *range(12, BARS))
    for asked_after, expected in ((12.0, [span(10, 12)]), (13.5, [span(11, 12)]), (14.0, [])):
        covered = [(span(0, BARS), after(asked_after))]
        missing = planning.missing_spans(span(0, 12), HOUR, stored, covered, rules())
        assert missing == expected


def test_an_older_beginning_is_filled_in_though_newer_bars_are_stored() -> None:
    covered = [(span(20, BARS), after(100))]
    assert planning.missing_spans(WANTED, HOUR, hours(*range(20, BARS)), covered, rules(request_bars=500)) == [
        span(0, 20)
    ]


def test_tiny_holes_are_asked_for_in_one_request() -> None:
    stored = np.setdiff1d(hours(*range(BARS)), hours(3, 7, 30))
    assert planning.missing_spans(WANTED, HOUR, stored, [], rules(request_bars=10)) == [span(3, 8), span(30, 31)]
    assert planning.missing_spans(WANTED, HOUR, stored, [], rules(request_bars=1)) == [
        span(3, 4), span(7, 8), span(30, 31),
    ]  # fmt: skip


def test_known_gaps_and_holes_are_told_apart() -> None:
    stored, covered = hours(*range(5), *range(8, 20), *range(22, BARS)), [(span(0, 10), after(100))]
    assert planning.known_gaps(WANTED, HOUR, stored, covered, rules(recheck="all")) == [span(5, 8)]
    assert planning.holes(WANTED, HOUR, stored) == [span(5, 8), span(20, 22)]


@pytest.mark.parametrize(
    ("since", "until", "now", "expected"),
    [
        (0, 10, 50, (0, 10)),
        (0.5, 9.5, 50, (1, 10)),  # a bar that opens before the end is wanted
        (0, 10, 5.5, (0, 5)),  # the bar that opened at 5 is still open
        (0, 10, 5, (0, 5)),
        (0, 10, 0.5, None),
    ],
)
def test_only_whole_closed_bars_are_wanted(
    since: float, until: float, now: float, expected: tuple[int, int] | None
) -> None:
    at = [datetime.fromtimestamp(after(bars) / 1000, UTC) for bars in (since, until, now)]
    wanted = planning.wanted_span(at[0], at[1], HOUR, at[2])
    assert wanted == (None if expected is None else span(*expected))


def test_weeks_begin_on_mondays() -> None:
    week, since = 7 * DAY, datetime(2024, 1, 3, tzinfo=UTC)
    wanted = planning.wanted_span(since, datetime(2024, 2, 1, tzinfo=UTC), week, datetime(2025, 1, 1, tzinfo=UTC))
    assert wanted is not None
    assert datetime.fromtimestamp(wanted.since_ms / 1000, UTC) == datetime(2024, 1, 8, tzinfo=UTC)
    assert datetime.fromtimestamp(wanted.until_ms / 1000, UTC) == datetime(2024, 2, 5, tzinfo=UTC)


@given(st.lists(st.integers(0, 9), max_size=6), st.sampled_from(["settling", "all"]))
def test_a_side_series_has_no_hole_wherever_it_is_killed(kills: list[int], recheck: str) -> None:
    """Values come every 30 days; each run stores the pieces of its plan in order and is killed after some of them."""
    wanted, chosen = Span(0, 4000 * DAY), rules(recheck=recheck, side_overlap_days=40.0)
    published = set(range(0, 4000 * DAY, 30 * DAY))
    stored: set[int] = {at for at in published if 1500 * DAY <= at < 2000 * DAY}
    for pieces in [*kills, 99]:
        for piece in planning.side_spans(wanted, (min(stored), max(stored)), chosen)[:pieces]:
            stored |= {at for at in published if piece.since_ms <= at < piece.until_ms}
            assert stored == {at for at in published if min(stored) <= at <= max(stored)}
    assert stored == published


def test_of_a_side_series_the_end_is_asked_for_again() -> None:
    stored = (100 * DAY, 300 * DAY)
    spans = planning.side_spans(Span(50 * DAY, 310 * DAY), stored, rules(side_overlap_days=7.0))
    assert spans == [Span(293 * DAY + 1, 310 * DAY), Span(50 * DAY, 100 * DAY)]
