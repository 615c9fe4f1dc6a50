"""The laws that every feature obeys, run over many features at once.

- cut: cutting the history anywhere and carrying the state changes nothing.
- future: whatever happens after a bar changes nothing known at it.
- lookback: with the declared lookback and no more, the value is that of the whole history.
- segment: nothing crosses a segment.
- finite: values are never infinite, and there are some.
- currency: prices in another currency give the same value (a note, not a fault, for features that read levels).
- clock: another time of day gives the same value (a note for those that read the clock).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tradewind.learning.features.bars import CLOCK, DAY_MS, WEEK_MS, Chunk, Floats
from tradewind.learning.features.expression import columns_of
from tradewind.learning.features.spec import Feature
from tradewind.learning.features.stream import Plan

FAULTS = ("cut", "future", "lookback", "segment", "finite")
NOTES = ("currency", "clock")
PRICES = ("open", "high", "low", "close", "reference_close")
# What a leak could move: everything that is not a clock.
MOVING = (*PRICES, "volume", "market_return", "market_breadth", "market_dispersion", "market_rank")


@dataclass(frozen=True)
class Finding:
    """A law that a feature breaks: at which row of the chunk, and by how much or in which way."""

    feature: str
    law: str
    row: int
    detail: str

    @property
    def is_fault(self) -> bool:
        """Whether the feature must not be used; otherwise it is a note."""
        return self.law in FAULTS


def audit(features: Sequence[Feature], chunk: Chunk, n_cuts: int = 200, seed: int = 0) -> list[Finding]:
    """All that is found against the features on these bars; nothing if they obey.

    `chunk` should hold several times the longest lookback, and more than one segment. Each law looks at `n_cuts`
    places, spread over the history and chosen at random between.

    Args:
        features: those to be examined.
        chunk: several times the longest lookback of bars, more than one segment.
        n_cuts: places to look at for each law, about evenly spread; those beside the beginnings of segments are added.
        seed: of the places and of what stands in for the future.

    Returns:
        Findings in the order of the laws; those of `FAULTS` forbid the feature, those of `NOTES` do not.
    """
    computed = compute(features, chunk)
    places = _places(chunk, n_cuts, seed)
    return [
        *check_finite(features, computed),
        *check_cuts(features, chunk, computed, places),
        *check_future(features, chunk, places, seed),
        *check_lookback(features, chunk, computed, places[:: max(1, len(places) // 20)]),
        *check_segments(features, chunk, computed),
        *check_currency(features, chunk, computed),
        *check_clock(features, chunk, computed),
    ]


def compute(features: Sequence[Feature], chunk: Chunk) -> Floats:
    """One row a feature, one value a bar."""
    plan = Plan(features)
    return plan.advance(plan.begin(), chunk)


def in_chunks(features: Sequence[Feature], chunk: Chunk, cuts: Iterable[int]) -> Floats:
    """The features as `compute` gives them, with the history cut at `cuts` and the state carried.

    Args:
        features: one row each.
        chunk: bars of one symbol.
        cuts: rows that begin a new piece, rising, none of them 0.

    Returns:
        float64, shape (features, bars).
    """
    plan = Plan(features)
    state, parts, start = plan.begin(), [], 0
    for stop in [*cuts, len(chunk)]:
        parts.append(plan.advance(state, chunk.rows(start, stop)))
        start = stop
    return np.concatenate(parts, axis=1)


def scrambled_after(chunk: Chunk, cut: int, seed: int) -> Chunk:
    """The same bars up to `cut`, and any others after it: prices, volumes, other symbols and side series.

    Args:
        chunk: bars of one symbol.
        cut: the first row that changes.
        seed: of the log-normal factors (deviation 0.5) by which the later rows are multiplied.

    Returns:
        A chunk of the same length; times and segments stay.
    """
    rng = np.random.default_rng([seed, cut])
    factor = np.where(np.arange(len(chunk)) < cut, 1.0, np.exp(rng.normal(0, 0.5, len(chunk))))
    columns = {name: getattr(chunk, name) * factor for name in MOVING}
    return replace(chunk, **columns, side={name: values * factor for name, values in chunk.side.items()})


def check_finite(features: Sequence[Feature], computed: Floats) -> list[Finding]:
    """Against infinite values, and against features that never have one."""
    findings = []
    for feature, values in zip(features, computed, strict=True):
        if np.isinf(values).any():
            findings.append(Finding(feature.name, "finite", int(np.argmax(np.isinf(values))), "infinite"))
        elif not np.isfinite(values).any():
            findings.append(Finding(feature.name, "finite", len(values) - 1, "no value on any bar"))
    return findings


def check_cuts(features: Sequence[Feature], chunk: Chunk, computed: Floats, cuts: Sequence[int]) -> list[Finding]:
    """Against features whose values depend on how the history came: in pieces, or bar by bar at the end.

    Args:
        features: those to be examined.
        chunk: several times the longest lookback of bars, more than one segment.
        computed: what `compute` gives of the whole chunk, shape (features, bars).
        cuts: rows to cut at; the last 200 bars also come one by one.

    Returns:
        At most one finding a feature, the first; none if all obey.
    """
    last = max(0, len(chunk) - 200)
    stops = sorted({*cuts, *range(last, len(chunk))})
    return _differences(features, "cut", in_chunks(features, chunk, stops), computed, rtol=1e-9)


def check_future(features: Sequence[Feature], chunk: Chunk, cuts: Sequence[int], seed: int = 0) -> list[Finding]:
    """Against features that move when what comes after is other than it was.

    Args:
        features: those to be examined.
        chunk: several times the longest lookback of bars, more than one segment.
        cuts: rows after which everything changes.
        seed: of the changes.

    Returns:
        At most one finding a feature, the first; none if all obey.
    """
    context = max((feature.lookback for feature in features), default=0) + 10
    by_feature: dict[str, Finding] = {}
    for cut in cuts:
        # Bars well after the cut hold all that could leak into a window; a whole history each time would take long.
        start, stop = max(cut - context, 0), min(cut + 200, len(chunk))
        part = chunk.rows(start, stop)
        before = compute(features, part)[:, : cut - start]
        after = compute(features, scrambled_after(part, cut - start, seed))[:, : cut - start]
        for finding in _differences(features, "future", after, before, rtol=0.0, offset=start):
            by_feature.setdefault(
                finding.feature, replace(finding, detail=f"{finding.detail} when bars from {cut} on change")
            )
    return list(by_feature.values())


def check_lookback(features: Sequence[Feature], chunk: Chunk, computed: Floats, rows: Sequence[int]) -> list[Finding]:
    """Against features that need more of the past than they declare.

    Args:
        features: those to be examined.
        chunk: several times the longest lookback of bars, more than one segment.
        computed: what `compute` gives of the whole chunk, shape (features, bars).
        rows: rows to compute with nothing but the declared lookback before them; the last row is always added.

    Returns:
        At most one finding a feature, the first; none if all obey.
    """
    by_feature: dict[str, Finding] = {}
    for reach in sorted({feature.lookback for feature in features}):
        members = [at for at, feature in enumerate(features) if feature.lookback == reach]
        chosen = [features[at] for at in members]
        for row in [*rows, len(chunk) - 1]:
            start = row - reach
            if start < 0 or chunk.segment[start] != chunk.segment[row]:
                continue
            alone = compute(chosen, chunk.rows(start, row + 1))[:, -1:]
            usual = computed[members, row : row + 1]
            for finding in _differences(chosen, "lookback", alone, usual, rtol=1e-6, atol=1e-9, offset=row):
                by_feature.setdefault(
                    finding.feature, replace(finding, detail=f"{finding.detail} with only the declared {reach} bars")
                )
    return list(by_feature.values())


def check_segments(features: Sequence[Feature], chunk: Chunk, computed: Floats) -> list[Finding]:
    """Against features that look across the beginning of a segment.

    Args:
        features: those to be examined.
        chunk: bars with more than one segment, or there is nothing to compare.
        computed: what `compute` gives of the whole chunk, shape (features, bars).

    Returns:
        At most one finding a feature, the first; none if all obey.
    """
    findings = []
    for start, stop in chunk.segments():
        if start > 0:
            alone = compute(features, chunk.rows(start, stop))
            findings += _differences(features, "segment", alone, computed[:, start:stop], rtol=0.0, offset=start)
    return _first_of_each(findings)


def check_currency(features: Sequence[Feature], chunk: Chunk, computed: Floats) -> list[Finding]:
    """Notes on features that change when prices are multiplied by 1,024.

    Args:
        features: those to be examined.
        chunk: several times the longest lookback of bars, more than one segment.
        computed: what `compute` gives of the whole chunk, shape (features, bars).

    Returns:
        At most one note a feature.
    """
    priced = replace(chunk, **{name: getattr(chunk, name) * 1024.0 for name in PRICES})
    return _differences(features, "currency", compute(features, priced), computed, rtol=1e-6, atol=1e-9)


def check_clock(features: Sequence[Feature], chunk: Chunk, computed: Floats) -> list[Finding]:
    """Notes on features that change when all happens five hours later, or a week later on slower bars.

    Args:
        features: those to be examined.
        chunk: several times the longest lookback of bars, more than one segment.
        computed: what `compute` gives of the whole chunk, shape (features, bars).

    Returns:
        At most one note a feature.
    """
    findings = []
    for is_slow, later in ((False, 5 * DAY_MS // 24), (True, WEEK_MS)):
        members = [at for at, feature in enumerate(features) if bool(feature.slow_ms) == is_slow]
        chosen = [features[at] for at in members]
        shifted = replace(chunk, timestamp=chunk.timestamp + later, open_time=chunk.open_time + later)
        if chosen:
            findings += _differences(chosen, "clock", compute(chosen, shifted), computed[members], rtol=0.0)
    return findings


def reads_clock(feature: Feature) -> bool:
    """Whether its expression reads the time of the day or the week."""
    return feature.expression is not None and bool(columns_of(feature.expression) & set(CLOCK))


def _places(chunk: Chunk, count: int, seed: int) -> list[int]:
    """Cut points, evenly spread with some noise, and those beside the beginnings of segments; never the first bar."""
    rng = np.random.default_rng(seed)
    even = np.linspace(1, len(chunk) - 1, max(count, 1)) + rng.integers(-3, 4, max(count, 1))
    near = [start + step for start, _ in chunk.segments() for step in (-1, 0, 1, 2)]
    return sorted({int(place) for place in np.clip([*even, *near], 1, len(chunk) - 1)})


def _differences(
    features: Sequence[Feature], law: str, values: Floats, wanted: Floats, rtol: float, atol: float = 0.0,
    offset: int = 0,
) -> list[Finding]:  # fmt: skip
    """One finding for each feature with a value that differs, at its first row that does."""
    same = np.isclose(values, wanted, rtol=rtol, atol=atol, equal_nan=True)
    findings = []
    for at in np.flatnonzero(~same.all(axis=1)).tolist():
        row = int(np.argmin(same[at]))
        text = f"{values[at, row]:.6g} instead of {wanted[at, row]:.6g}"
        findings.append(Finding(features[at].name, law, offset + row, text))
    return findings


def _first_of_each(findings: Sequence[Finding]) -> list[Finding]:
    first: dict[str, Finding] = {}
    for finding in findings:
        first.setdefault(finding.feature, finding)
    return list(first.values())
