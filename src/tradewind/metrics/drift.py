"""Has a column changed since the model was trained? Thresholds that know how slowly market data moves.

A window is described by counts: how often each column fell into each of `BINS` intervals of equal share on the training
rows, and how often it was missing. From the counts follow three means a column: the normal score of the interval
(location), its square (scale), and whether it is missing. Each is set beside its deviation over windows of the same
length, made of blocks of the training rows (Kuensch 1989; Politis and White 2004), and the threshold is a quantile of
the *largest* of all of them in such windows, so that the number of columns and their dependence are accounted for
(Westfall and Young 1993). Counts are whole numbers: adding bars one by one gives the same as counting a table.
"""

from functools import cache
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import BadData, BadParameters

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

BINS = 32
COMPONENTS = ("location", "scale", "missing")
FEWEST_BLOCKS = 12
# The smallest change of a share of missing values that is called one.
MISSING_STEP = 0.02
# A change below this share of a deviation is none, however constant the column was.
SMALLEST_CHANGE = 0.1


class DriftReference(NamedTuple):
    """What windows of `window` rows are compared with.

    Attributes:
        columns: names.
        edges: between the intervals, (columns, BINS - 1), rising.
        means: of the components on the training rows, (columns, 3).
        deviations: of a component of one row on the training rows, (columns, 3); 1 where it never varied.
        errors: standard error of a component's standardised mean over a window, (columns, 3).
        threshold: of the largest of all |mean - reference| / error.
        window: rows.
        rows: that it was learned from.
    """

    columns: tuple[str, ...]
    edges: Floats
    means: Floats
    deviations: Floats
    errors: Floats
    threshold: float
    window: int
    rows: int

    def as_document(self) -> dict[str, Any]:
        """As JSON can hold it."""
        content = self._asdict()
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in content.items()}

    @classmethod
    def of_document(cls, document: dict[str, Any]) -> Self:
        """From `as_document`.

        Args:
            document: trusted JSON.

        Raises:
            BadData: a part is missing or its shape does not fit.
        """
        try:
            arrays = {
                name: np.array(document[name], dtype=np.float64) for name in ("edges", "means", "deviations", "errors")
            }
            columns = tuple(document["columns"])
            made = cls(
                columns=columns, threshold=float(document["threshold"]), window=int(document["window"]),
                rows=int(document["rows"]), **arrays,
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise BadData(f"the reference of drift cannot be read: {error!r}: deploy the model again") from error
        wrong = made.edges.shape != (len(columns), BINS - 1) or any(
            each.shape != (len(columns), len(COMPONENTS)) for each in (made.means, made.deviations, made.errors)
        )
        if wrong:
            raise BadData("the reference of drift has tables of other sizes than its columns: deploy the model again")
        return made


def learn(columns: tuple[str, ...], values: NDArray[Any], window: int, generator: np.random.Generator,
          level: float = 0.05, resamples: int = 500) -> DriftReference:  # fmt: skip
    """A reference from the training rows of one symbol.

    Blocks are a third of the window. What blocks miss of longer dependence, the error of the reference's own mean, and
    that deviations are known from so many blocks only, widen the threshold.

    Args:
        columns: names.
        values: (rows, columns) in the order of time, NaN where missing.
        window: rows of the windows that will be compared.
        generator: the only source of randomness.
        level: share of unchanged windows that may be called changed, all columns together.
        resamples: windows that are made.

    Raises:
        BadData: there are fewer than 12 blocks of rows.
        BadParameters: the window is too short, or names and columns do not fit.
    """
    rows, block = len(values), max(window // 3, 1)
    if window < 30:
        raise BadParameters(f"window must be at least 30 rows: found {window}")
    if values.ndim != 2 or values.shape[1] != len(columns):
        raise BadParameters(f"values must have {len(columns)} columns: found shape {values.shape}")
    if rows < FEWEST_BLOCKS * block:
        raise BadData(
            f"{rows} rows are too few to learn what windows of {window} do: {FEWEST_BLOCKS * block} are needed"
        )
    edges = np.empty((len(columns), BINS - 1))
    means, deviations = np.empty((len(columns), 3)), np.empty((len(columns), 3))
    spread = np.empty((resamples, len(columns), 3))
    blocks = -(-window // block)
    starts = generator.integers(0, rows - block + 1, (resamples, blocks))
    slow = np.empty((len(columns), 3))
    for at in range(len(columns)):
        edges[at] = _edges(values[:, at])
        parts = _parts(_codes(values[:, at], edges[at]))
        means[at], of_rows = parts.mean(axis=0), parts.std(axis=0)
        deviations[at] = np.where(of_rows > 1e-12, of_rows, 1.0)
        running = np.zeros((rows + 1, 3))
        np.cumsum((parts - means[at]) / deviations[at], axis=0, out=running[1:])
        sums = running[starts + block] - running[starts]
        spread[:, at] = sums.sum(axis=1) / (blocks * block) * np.sqrt(blocks * block / window)
        slow[at] = np.minimum(sums.var(axis=(0, 1)) / block, block / 2)  # bars that one independent bar is worth
    errors = spread.std(axis=0)
    floor = np.array([1.0, 1.0, 0.0]) * SMALLEST_CHANGE + np.array([0.0, 0.0, 1.0]) * MISSING_STEP / deviations
    quiet = errors * 3.0 < floor
    largest = np.abs(np.where(quiet, 0.0, spread / np.where(errors > 0, errors, 1.0))).max(axis=(1, 2))
    errors = errors * np.sqrt((1 - slow / (2 * window)) / (1 - slow / (2 * block))) * np.sqrt(1 + window / rows)
    # Here, since every start imports this module and scipy.special takes 0.3 s.
    from scipy.special import ndtr, stdtrit

    plain = max(float(np.quantile(largest, 1 - level)), 2.0)
    threshold = float(stdtrit(rows / block - 1, ndtr(plain)))
    return DriftReference(
        columns, edges, means, deviations, np.maximum(errors, floor / threshold), threshold, window, rows
    )


class DriftWindow:
    """Counts of a window, added bar by bar or table by table.

    Attributes:
        reference: whose intervals are counted.
        counts: (columns, BINS + 1), the last for missing values.
        rows: counted.
    """

    def __init__(self, reference: DriftReference, counts: Counts | None = None, rows: int = 0) -> None:
        """An empty window, or one that goes on.

        Args:
            reference: whose intervals are counted.
            counts: so far, added to in place.
            rows: counted so far.
        """
        self.reference, self.rows = reference, rows
        empty = np.zeros((len(reference.columns), BINS + 1), dtype=np.int64)
        self.counts: Counts = empty if counts is None else counts

    def add(self, values: NDArray[Any]) -> None:
        """Count further rows.

        Args:
            values: (rows, columns) or one row, in the columns of the reference.

        Raises:
            BadParameters: there are other columns.
        """
        table = np.atleast_2d(values)
        if table.shape[1] != len(self.reference.columns):
            raise BadParameters(f"values must have {len(self.reference.columns)} columns: found {table.shape[1]}")
        if len(table) == 1:  # bar by bar: all columns at once
            row, edges = table[0][:, None], self.reference.edges
            places = ((edges < row).sum(axis=1) + (edges <= row).sum(axis=1)) // 2
            self.counts[np.arange(len(edges)), np.where(np.isfinite(table[0]), places, BINS)] += 1
            self.rows += 1
            return
        for at, edges in enumerate(self.reference.edges):
            self.counts[at] += np.bincount(_codes(table[:, at], edges), minlength=BINS + 1)
        self.rows += len(table)

    def scores(self) -> Floats:
        """|mean - reference| over its error, (columns, 3); above the reference's threshold a column has changed.

        Raises:
            BadData: nothing was counted yet.
        """
        if self.rows == 0:
            raise BadData("no row was counted: there is nothing to compare")
        sizes = np.maximum(self.counts[:, :BINS].sum(axis=1), 1)
        location, scale = _scores()[:BINS, 0], _scores()[:BINS, 1]
        known = self.counts[:, :BINS]
        share = sizes / self.rows
        found = np.column_stack(
            [known @ location / sizes * share, known @ scale / sizes * share, self.counts[:, BINS] / self.rows]
        )
        away = np.abs(found - self.reference.means) / self.reference.deviations
        return np.asarray(away / self.reference.errors * np.sqrt(min(self.rows / self.reference.window, 1.0)))

    def changed(self) -> list[tuple[str, str, float]]:
        """Columns that have changed, their component and its score over the threshold, the largest first."""
        over = self.scores() / self.reference.threshold
        found = [
            (self.reference.columns[column], COMPONENTS[part], float(over[column, part]))
            for column, part in zip(*np.nonzero(over > 1.0), strict=True)
        ]
        return sorted(found, key=lambda one: -one[2])


@cache
def _scores() -> Floats:
    """Location, scale and missing of each interval, and of what is missing, (BINS + 1, 3)."""
    from scipy.special import ndtri  # as above

    middle = ndtri((np.arange(BINS) + 0.5) / BINS)
    table = np.zeros((BINS + 1, 3))
    table[:BINS, 0], table[:BINS, 1] = middle, middle**2 - 1.0
    table[BINS, 2] = 1.0
    return table


def _edges(values: NDArray[Any]) -> Floats:
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return np.linspace(-1.0, 1.0, BINS - 1)
    return np.asarray(np.quantile(known.astype(np.float64), np.arange(1, BINS) / BINS))


def _codes(values: NDArray[Any], edges: Floats) -> Counts:
    """The interval of each value; `BINS` where it is missing. A value on an edge lies above it, but for the last of
    equal edges: a constant column has its value in the middle."""
    low, high = np.searchsorted(edges, values, side="left"), np.searchsorted(edges, values, side="right")
    return np.where(np.isfinite(values), (low + high) // 2, BINS)


def _parts(codes: Counts) -> Floats:
    return np.asarray(_scores()[codes])
