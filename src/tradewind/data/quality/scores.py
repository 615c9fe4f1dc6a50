"""Six scores of a table of bars, each the share of what was looked at that holds.

The dimensions are those of DAMA UK (2013) and ISO/IEC 25012:2008. Where a score has several measures it is the worst of
them: a mean would let many good bars hide one broken relation. Nothing to look at counts as 1.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.cleaning import DUPLICATE, OUTSIDE, SUPERSEDED
from tradewind.data.quality.grid import Grid, epoch_ms
from tradewind.data.quality.outliers import Outliers
from tradewind.data.quality.relations import broken_relations
from tradewind.data.quality.rules import SCORES, QualityRules, Score
from tradewind.market.calendars import Calendar

REPEATED = (DUPLICATE, SUPERSEDED)
DISORDERED = ("high is below low", "open or close lies outside low to high")
DAY_MS = 86_400_000
_SHOWN = 3
_WEEKS = 4  # of weekdays alone, from which on a market is taken to close at weekends


@dataclass(frozen=True)
class Evidence:
    """All that the scores of one symbol are made of.

    `counts` is its row of `BarCounts`, `reasons` counts its rejected rows, `agreement` holds its comparisons with other
    tables.
    """

    bars: pd.DataFrame
    grid: Grid
    counts: pd.Series
    reasons: Counter[str]
    outliers: Outliers
    agreement: pd.DataFrame


@dataclass(frozen=True)
class Measure:
    """One way to look at a dimension of quality: so much of what was looked at holds, and what does not."""

    name: str
    held: float
    looked_at: float
    causes: str = ""

    @property
    def value(self) -> float:
        """The share that holds."""
        return self.held / self.looked_at if self.looked_at else 1.0


def measure_bars(evidence: Evidence) -> dict[Score, Measure]:
    """The worst measure of each score that the symbol's own tables decide: all but timeliness."""
    return {score: min(look(evidence), key=lambda measure: measure.value) for score, look in _MEASURES.items()}


def score_table(key: BarKey, measures: Mapping[Score, Measure], rules: QualityRules) -> pd.DataFrame:
    """The six scores of one symbol with what they rest on and their limits (`QualityScores`).

    Args:
        key: of the symbol.
        measures: by score the worst of its measures.
        rules: from where a score warns, and from where it stops the run.

    Returns:
        One row a score.
    """
    rows = []
    for score in SCORES:
        worst, limits = measures[score], rules.threshold(score)
        state = "stop" if worst.value < limits.stop else "warn" if worst.value < limits.warn else "pass"
        rows.append(
            (score, worst.value, worst.name, float(worst.held), float(worst.looked_at), limits.warn, limits.stop, state,
             worst.causes)
        )  # fmt: skip
    columns = ["score", "value", "measure", "held", "looked_at", "warn", "stop", "state", "causes"]
    texts = dict.fromkeys(("score", "measure", "state", "causes"), "str")
    table = pd.DataFrame(rows, columns=columns).astype(texts)
    return pd.concat([pd.DataFrame(key.columns(len(table))), table], axis=1)


def completeness(evidence: Evidence) -> Iterator[Measure]:
    """Bars that are there / bars that the grid has, from the first to the last or in the span that is asked for."""
    grid = evidence.grid
    starts, lengths, _ = grid.gaps()
    longest = np.argsort(-lengths, kind="stable")[:_SHOWN]
    causes = "; ".join(f"{lengths[at]} from {_instant(starts[at])}" for at in longest) + _looks_closed(evidence)
    yield Measure(
        "bars that are there", grid.expected - grid.missing, grid.expected,
        f"{len(lengths)} {'gap' if len(lengths) == 1 else 'gaps'}, the longest {causes}" if len(lengths) else "",
    )  # fmt: skip


def _looks_closed(evidence: Evidence) -> str:
    """A remark where every bar of a market that is taken to be always open lies on a weekday."""
    grid = evidence.grid
    is_continuous = grid.calendar is None or grid.calendar.is_continuous
    weekday = (grid.opened_ms // DAY_MS + 3) % 7  # 1970-01-01 was a Thursday
    if not is_continuous or grid.bar_ms > DAY_MS or len(weekday) < _WEEKS * 5 or (weekday >= 5).any():
        return ""
    return (
        "; every bar lies on a weekday, and the market is taken to trade around the clock: name its calendar, such as "
        "universe.calendar=XNYS (an exchange's MIC), 24/5 or FX"
    )


def validity(evidence: Evidence) -> Iterator[Measure]:
    """Received rows with a readable, possible value in every column / rows received within the symbol's time.

    A row that is rejected for this leaves a hole as well, unless another row has the bar.
    """
    invalid = Counter(
        {reason: count for reason, count in evidence.reasons.items() if reason not in (*REPEATED, *DISORDERED, OUTSIDE)}
    )
    received = int(evidence.counts["rows_received"]) - evidence.reasons[OUTSIDE]
    yield Measure("rows that can be read", received - invalid.total(), received, _reasons(invalid))


def consistency(evidence: Evidence) -> Iterator[Measure]:
    """The worst share of: rows whose prices are in order, bars that keep each of `broken_relations`, slower bars that
    equal the faster ones put together, for each other timeframe that is compared."""
    disordered = Counter({reason: evidence.reasons[reason] for reason in DISORDERED if evidence.reasons[reason]})
    repeated = sum(evidence.reasons[reason] for reason in REPEATED)
    readable = int(evidence.counts["rows_accepted"]) + repeated + disordered.total()
    yield Measure("prices in order", readable - disordered.total(), readable, _reasons(disordered))
    for name, (broken, looked_at) in broken_relations(evidence.bars).items():
        yield Measure(name, looked_at.sum() - broken.sum(), looked_at.sum(), _first_bars(evidence.bars, broken))
    yield from _compared(evidence.agreement, "timeframe", "bars equal to those of {}")


def timeliness(last_ms: int, as_of_ms: int, calendar: Calendar, rules: QualityRules) -> Measure:
    """1 - (bars by which the last close lags - `late_bars`) / (bars in `stale_days`), within [0, 1].

    Args:
        last_ms: the last close, UTC milliseconds.
        as_of_ms: the newest close in the universe, or now if the rules say so: a file of history is not late because it
            is old, but because it ends before the others. UTC milliseconds.
        calendar: the bars that there should be.
        rules: bars that may lag, and days after which nothing is left of the score.

    Returns:
        Bars not late, of those allowed.
    """
    opened = np.array([last_ms, as_of_ms]) - calendar.bar_ms
    lag = max(int(np.diff(calendar.places(opened))[0]), 0)
    allowed = rules.stale_days * DAY_MS / calendar.spacing_ms
    late = min(max(lag - rules.late_bars, 0), allowed)
    causes = f"the last bar closed {_instant(last_ms)}, {lag} bars before {_instant(as_of_ms)}"
    return Measure("bars not late", allowed - late, allowed, causes if late else "")


def uniqueness(evidence: Evidence) -> Iterator[Measure]:
    """Rows that no other row repeats or supersedes / rows received."""
    repeated = Counter({reason: evidence.reasons[reason] for reason in REPEATED if evidence.reasons[reason]})
    received = int(evidence.counts["rows_received"])
    yield Measure("rows for a bar of their own", received - repeated.total(), received, _reasons(repeated))


def accuracy(evidence: Evidence) -> Iterator[Measure]:
    """The worst share of: bars that are no bad ticks, common bars that agree with each other venue compared.

    A bad tick is a robust outlier that the next bar undoes: without a second source, the one error that shows.
    """
    bad = evidence.outliers.bad_tick
    yield Measure("bars that are no bad ticks", len(bad) - bad.sum(), len(bad), _first_bars(evidence.bars, bad))
    yield from _compared(evidence.agreement, "venue", "closes that agree with {}")


_MEASURES: dict[Score, Callable[[Evidence], Iterator[Measure]]] = {
    "completeness": completeness,
    "validity": validity,
    "consistency": consistency,
    "uniqueness": uniqueness,
    "accuracy": accuracy,
}


def _compared(agreement: pd.DataFrame, kind: str, name: str) -> Iterator[Measure]:
    for row in agreement.loc[agreement["kind"] == kind].to_dict("records"):
        causes = ""
        if row["agreeing"] < row["compared"]:
            causes = f"{row['compared'] - row['agreeing']} differ, the most by {row['worst_bps']:.1f} bps at "
            causes += _instant(int(row["worst_at"].timestamp() * 1000))
        yield Measure(name.format(row["other"]), row["agreeing"], row["compared"], causes)


def _first_bars(bars: pd.DataFrame, is_faulty: np.ndarray) -> str:
    if not is_faulty.any():
        return ""
    closed = epoch_ms(bars["timestamp"])[np.flatnonzero(is_faulty)[:_SHOWN]]
    number = int(is_faulty.sum())
    shown = ", ".join(map(_instant, closed))
    return f"the one that closed {shown}" if number == 1 else f"{number} bars, first those that closed {shown}"


def _reasons(counted: Counter[str]) -> str:
    return "; ".join(f"{count} x {reason}" for reason, count in sorted(counted.items(), key=lambda one: (-one[1], one)))


def _instant(instant_ms: int) -> str:
    return f"{pd.Timestamp(int(instant_ms), unit='ms'):%Y-%m-%d %H:%M}"
