"""What to ask a source for, derived from what the store holds: pure functions of instants.

The wanted bars are a grid. A bar is missing unless it is stored, or a source has answered for its time and the answer
is final. Nothing depends on the newest bar, so a hole is found wherever it is, and a run that was killed leaves
nothing to be remembered but what it stored.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt

from tradewind.data.files.deliveries import Span
from tradewind.data.ingestion.rules import IngestionRules
from tradewind.market.timeframes import bar_anchor_ms

Answers = Sequence[tuple[Span, int]]
Instants = npt.NDArray[np.int64]
_Marks = npt.NDArray[np.bool_]

# A piece of a side series is asked for and stored whole; a year without a value ends the way back.
SIDE_PIECE_MS = 365 * 86_400_000


def wanted_span(since: datetime, until: datetime, bar_ms: int, now: datetime) -> Span | None:
    """The opening times of the bars that open in [since, until) and have closed by `now`.

    Args:
        since: with a time zone.
        until: with a time zone.
        bar_ms: length of a bar, milliseconds.
        now: with a time zone.

    Returns:
        None if there are none.
    """
    first = _grid_above(epoch_ms(since), bar_ms)
    end = min(_grid_above(epoch_ms(until), bar_ms), _grid_above(epoch_ms(now) - bar_ms + 1, bar_ms))
    return Span(first, end) if first < end else None


def unanswered_spans(wanted: Span, bar_ms: int, covered: Answers, rules: IngestionRules) -> list[Span]:
    """The parts of the wanted span for which no source has given a final answer, without looking at stored bars.

    Args:
        wanted: opening times, UTC milliseconds, the end not included.
        bar_ms: length of a bar, milliseconds.
        covered: the spans that sources have answered for, and when.
        rules: when an answer is final, and what is asked for again all the same.

    Returns:
        Oldest first.
    """
    return _spans(~_answered(wanted, bar_ms, covered, rules), wanted, bar_ms)


def missing_spans(wanted: Span, bar_ms: int, stored: Instants, covered: Answers, rules: IngestionRules) -> list[Span]:
    """What to ask for, oldest first: the wanted grid without stored and without known missing bars.

    Neighbours are one span where that makes fewer requests of `rules.request_bars`.

    Args:
        wanted: opening times on the grid of the bars.
        bar_ms: duration of a bar.
        stored: opening times of stored bars, epoch milliseconds, in any order and number.
        covered: spans that a source has answered for, each with when it was asked (epoch ms).
        rules: when an answer is final, and what is asked again.
    """
    is_missing = ~_answered(wanted, bar_ms, covered, rules)
    if rules.recheck != "all":
        is_missing &= ~_held(wanted, bar_ms, stored)
    return _fewer_requests(_spans(is_missing, wanted, bar_ms), rules.request_bars * bar_ms)


def known_gaps(wanted: Span, bar_ms: int, stored: Instants, covered: Answers, rules: IngestionRules) -> list[Span]:
    """The holes that are not asked for again: a source has answered for them, for good, and has no bar there.

    Args:
        wanted: opening times, UTC milliseconds, the end not included.
        bar_ms: length of a bar, milliseconds.
        stored: opening times of stored bars, UTC milliseconds, sorted.
        covered: the spans that sources have answered for, and when.
        rules: when an answer is final.

    Returns:
        Oldest first.
    """
    settling = rules.model_copy(update={"recheck": "settling"})
    return _spans(_answered(wanted, bar_ms, covered, settling) & ~_held(wanted, bar_ms, stored), wanted, bar_ms)


def holes(wanted: Span, bar_ms: int, stored: Instants) -> list[Span]:
    """Where no bar is stored, known or not.

    Args:
        wanted: opening times, UTC milliseconds, the end not included.
        bar_ms: length of a bar, milliseconds.
        stored: opening times of stored bars, UTC milliseconds, sorted.

    Returns:
        Oldest first.
    """
    return _spans(~_held(wanted, bar_ms, stored), wanted, bar_ms)


def side_spans(wanted: Span, stored: tuple[int, int] | None, rules: IngestionRules) -> list[Span]:
    """What to ask for of a side series, in the order to ask in, so that what is stored has no hole in between.

    A side series has no grid: what is known of it is that its values from the first to the last `stored` reference
    time (epoch ms) are there. From the last on it is asked for oldest first, before the first newest first, in pieces
    that are each stored whole; so it stays without a hole wherever a run is killed. For the same reason the time
    between what is stored and what is wanted is asked for too.

    Args:
        wanted: reference times, UTC milliseconds, the end not included.
        stored: the first and last stored reference time; None if nothing is.
        rules: days that are asked for again for corrections.

    Returns:
        In the order to ask in.
    """
    if stored is None:
        return _pieces(wanted.since_ms, wanted.until_ms)
    first_ms, last_ms = stored
    overlap_ms = int(rules.side_overlap_days * 86_400_000)
    later_ms = first_ms if rules.recheck != "settling" else max(first_ms, last_ms + 1 - overlap_ms)
    return [*_pieces(later_ms, wanted.until_ms), *reversed(_pieces(wanted.since_ms, first_ms))]


def count_bars(spans: Iterable[Span], bar_ms: int) -> int:
    """How many bars open within the spans."""
    return sum((span.until_ms - span.since_ms) // bar_ms for span in spans)


def epoch_ms(instant: datetime) -> int:
    """Milliseconds since 1970 of an instant with a time zone."""
    return int(instant.timestamp() * 1000)


def _answered(wanted: Span, bar_ms: int, covered: Answers, rules: IngestionRules) -> _Marks:
    """For each wanted bar, whether a source has answered for it when it had settled."""
    is_answered = np.zeros(count_bars([wanted], bar_ms), dtype=bool)
    if rules.recheck != "settling":
        return is_answered
    for span, asked_ms in covered:
        # Of what a source was asked when it had just happened, the end is not final yet.
        end = min(span.until_ms, asked_ms - rules.settling_ms - bar_ms + 1)
        is_answered[_place(span.since_ms, wanted, bar_ms) : _place(end, wanted, bar_ms)] = True
    return is_answered


def _held(wanted: Span, bar_ms: int, stored: Instants) -> _Marks:
    is_held = np.zeros(count_bars([wanted], bar_ms), dtype=bool)
    within = stored[(stored >= wanted.since_ms) & (stored < wanted.until_ms)] - wanted.since_ms
    is_held[within[within % bar_ms == 0] // bar_ms] = True  # a row off the grid is no bar
    return is_held


def _place(instant_ms: int, wanted: Span, bar_ms: int) -> int:
    """The first wanted bar that opens at or after the instant, as a place in the grid."""
    return max(0, -((wanted.since_ms - instant_ms) // bar_ms))


def _spans(marks: _Marks, wanted: Span, bar_ms: int) -> list[Span]:
    edges = np.flatnonzero(np.diff(np.r_[False, marks, False])).reshape(-1, 2) * bar_ms + wanted.since_ms
    return [Span(int(since), int(until)) for since, until in edges]


def _fewer_requests(spans: list[Span], request_ms: int) -> list[Span]:
    def requests(since_ms: int, until_ms: int) -> int:
        return -((since_ms - until_ms) // request_ms)

    merged: list[Span] = []
    for span in spans:
        last = merged[-1] if merged else span
        apart = requests(last.since_ms, last.until_ms) + requests(span.since_ms, span.until_ms)
        if merged and requests(last.since_ms, span.until_ms) < apart:
            merged[-1] = Span(last.since_ms, span.until_ms)
        else:
            merged.append(span)
    return merged


def _pieces(since_ms: int, until_ms: int) -> list[Span]:
    starts = range(since_ms, until_ms, SIDE_PIECE_MS)
    return [Span(start, min(start + SIDE_PIECE_MS, until_ms)) for start in starts]


def _grid_above(instant_ms: int, bar_ms: int) -> int:
    """The first instant at or after the given one at which a bar opens."""
    anchor_ms = bar_anchor_ms(bar_ms)
    return -((anchor_ms - instant_ms) // bar_ms) * bar_ms + anchor_ms
