"""Whether the months of a table look alike: how far each month's distributions are from the month before's."""

import itertools

import numpy as np
import numpy.typing as npt
import pandas as pd

from tradewind.data.quality.grid import key_of
from tradewind.data.quality.outliers import one_bar_returns
from tradewind.data.quality.rules import DriftRules

Floats = npt.NDArray[np.float64]
SMALL_SHARE = 1e-4  # an empty bin would make the index infinite


def drift_by_month(bars: pd.DataFrame, rules: DriftRules) -> pd.DataFrame:
    """PSI and KS of returns, volume and range of each month against the month with bars before (`QualityDrift`).

    The range is the log ratio of high and low; a return across a gap does not count. Months with fewer than
    `min_rows` values are left out, and so is the pair that they are part of.
    """
    months = bars["open_time"].to_numpy("datetime64[ms]").astype("datetime64[M]")
    quantities = {
        "return": one_bar_returns(bars),
        "volume": bars["volume"].to_numpy(dtype=np.float64),
        "range": np.log(bars["high"].to_numpy() / bars["low"].to_numpy()),
    }
    names, starts = np.unique(months, return_index=True)
    stops = np.r_[starts[1:], len(bars)]
    rows = []
    for quantity, values in quantities.items():
        parts = [values[start:stop] for start, stop in zip(starts, stops, strict=True)]
        parts = [np.sort(part[np.isfinite(part)]) for part in parts]
        for before, month in itertools.pairwise(range(len(names))):
            if min(len(parts[before]), len(parts[month])) >= rules.min_rows:
                compared = (len(parts[month]), len(parts[before]), *compare(parts[month], parts[before], rules.bins))
                rows.append((str(names[month]), str(names[before]), quantity, *compared))
    columns = ["month", "before", "quantity", "rows", "rows_before", "psi", "ks", "ks_p_value"]
    kinds = {**dict.fromkeys(columns[:3], "str"), **dict.fromkeys(columns[3:5], "int64")}
    table = pd.DataFrame(rows, columns=columns).astype({**kinds, **dict.fromkeys(columns[5:], "float64")})
    return pd.concat([pd.DataFrame(key_of(bars).columns(len(table))), table], axis=1)


def compare(values: Floats, reference: Floats, bins: int) -> tuple[float, float, float]:
    """Population stability index, Kolmogorov-Smirnov distance, and its asymptotic level for independent rows.

    Args:
        values: finite, sorted.
        reference: finite, sorted.
        bins: of the index.

    Returns:
        Index (0 or more), distance (0 to 1) and level (0 to 1).
    """
    from scipy.special import kolmogorov

    distance = ks_distance(values, reference)
    effective = len(values) * len(reference) / (len(values) + len(reference))
    return population_stability(values, reference, bins), distance, float(kolmogorov(np.sqrt(effective) * distance))


def population_stability(values: Floats, reference: Floats, bins: int) -> float:
    """Sum over bins of (a - e) ln(a / e), a and e the shares of the values and the reference (Siddiqi 2006).

    Bins hold equal shares of the reference; where its values repeat, bins are joined. 0.1 is usually called a shift,
    0.25 a large one. Without any shift its mean is about (bins - 1) (1/n + 1/m) (Yurdakul 2018).

    Args:
        values: finite, sorted.
        reference: finite, sorted.
        bins: how many, before any are joined.

    Returns:
        0 or more.
    """
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, bins + 1)[1:-1]))
    actual, expected = _shares(values, edges), _shares(reference, edges)
    return float(np.sum((actual - expected) * np.log(actual / expected)))


def ks_distance(values: Floats, reference: Floats) -> float:
    """The largest distance of the two distribution functions; both sorted."""
    at = np.concatenate([values, reference])
    ours = np.searchsorted(values, at, side="right") / len(values)
    theirs = np.searchsorted(reference, at, side="right") / len(reference)
    return float(np.abs(ours - theirs).max())


def _shares(values: Floats, edges: Floats) -> Floats:
    counts = np.diff(np.r_[0, np.searchsorted(values, edges, side="left"), len(values)])
    return np.maximum(counts / len(values), SMALL_SHARE)
