"""What each feature has to say: its distribution, its drift over the years, and its information coefficient.

Only rows before the holdout are looked at: a feature that was kept for what it does there would spoil it.
"""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

Floats = NDArray[np.float64]
N_BINS = 24
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
SMALL_SHARE = 1e-4  # an empty bin would make the stability index infinite


def information_coefficients(
    tables: Mapping[str, pd.DataFrame], returns: Mapping[str, Floats], names: Sequence[str], horizons: Sequence[int],
    confidence: float = 0.9,
) -> pd.DataFrame:  # fmt: skip
    """Rank correlation of each feature with what came after, by horizon.

    Ranks are taken within a symbol (Spearman). The interval comes from the spread of the monthly coefficients, so that
    the overlap of horizons and the clustering of regimes within a month do not narrow it (Grinold and Kahn 2000,
    chapter 6).

    Args:
        tables: by symbol its features, one row a bar.
        returns: by symbol the forward log returns of the same bars, shape (horizons, bars); NaN where the end is
            unknown.
        names: the features to be examined.
        horizons: bars, one for each row of the returns.
        confidence: of the interval, between 0 and 1.

    Returns:
        feature, horizon (bars), ic, low, high, and how many months there were; empty without rows.
    """
    from scipy.stats import norm

    sums: dict[int, NDArray] = {}
    counts: dict[int, NDArray] = {}
    with threadpool_limits(1):  # sums in another order are other bytes; asked for once, it is slow
        for symbol, table in tables.items():
            months = table["timestamp"].dt.year.to_numpy() * 12 + table["timestamp"].dt.month.to_numpy()
            x = _scores(table[list(names)].to_numpy().T)
            y = _scores(returns[symbol])
            firsts = np.flatnonzero(np.diff(months, prepend=-1))
            for first, end in itertools.pairwise([*firsts, len(months)]):
                month, ours, theirs = int(months[first]), x[:, first:end], y[:, first:end]
                product = ours @ theirs.T
                count = (ours != 0).astype(np.float32) @ (theirs != 0).astype(np.float32).T
                sums[month] = sums[month] + product if month in sums else product
                counts[month] = counts[month] + count if month in counts else count
    if not sums:
        return pd.DataFrame(columns=["feature", "horizon", "ic", "low", "high", "months"])
    total, n = np.stack(list(sums.values())), np.stack(list(counts.values()))
    weight = n / np.maximum(n.sum(axis=0), 1)
    monthly = total / np.maximum(n, 1)
    ic = (weight * monthly).sum(axis=0)
    error = np.sqrt((weight**2 * (monthly - ic) ** 2).sum(axis=0) * len(n) / max(len(n) - 1, 1))
    reach = norm.ppf(0.5 + confidence / 2) * error
    grid = [(name, horizon) for name in names for horizon in horizons]
    table = pd.DataFrame(grid, columns=["feature", "horizon"])
    return table.assign(ic=ic.ravel(), low=(ic - reach).ravel(), high=(ic + reach).ravel(), months=len(n))


def _scores(values: NDArray) -> NDArray[np.float32]:
    """Ranks with mean 0 and mean square 1, one row at a time; 0 where a value is missing or all are equal."""
    from scipy.stats import rankdata

    out = np.zeros(values.shape, dtype=np.float32)
    for row, line in enumerate(values):
        is_finite = np.isfinite(line)
        if is_finite.sum() < 2:
            continue
        ranks = rankdata(line[is_finite])
        ranks -= ranks.mean()
        spread = np.sqrt(np.mean(ranks**2))
        if spread > 0:
            # A rank in the very middle is 0 and would pass for missing.
            out[row, is_finite] = np.where(ranks == 0, 1e-12, ranks / spread)
    return out


def drift_by_year(tables: Mapping[str, pd.DataFrame], names: Sequence[str]) -> pd.DataFrame:
    """Quantiles of each feature by year, and how far the year lies from all years: feature, year, q05 to q95, psi.

    The population stability index over the deciles of all rows; 0.1 is usually called a shift, 0.25 a large one
    (Siddiqi 2006).
    """
    years = np.concatenate([table["timestamp"].dt.year.to_numpy() for table in tables.values()])
    parts = []
    for name in names:
        values = np.concatenate([table[name].to_numpy() for table in tables.values()])
        is_finite = np.isfinite(values)
        if not is_finite.any():
            continue
        edges = np.unique(np.quantile(values[is_finite], np.linspace(0.1, 0.9, 9)))
        expected = _shares(values[is_finite], edges)
        for year in np.unique(years):
            of_year = values[is_finite & (years == year)]
            if len(of_year):
                actual = _shares(of_year, edges)
                psi = float(np.sum((actual - expected) * np.log(actual / expected)))
                parts.append((name, int(year), *np.quantile(of_year, QUANTILES), psi))
    columns = ["feature", "year", *(f"q{round(100 * share):02d}" for share in QUANTILES), "psi"]
    return pd.DataFrame(parts, columns=columns)


def _shares(values: NDArray, edges: NDArray) -> Floats:
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return np.maximum(counts / len(values), SMALL_SHARE)


def histograms(tables: Mapping[str, pd.DataFrame], names: Sequence[str]) -> pd.DataFrame:
    """Shares of each feature's values in equal bins from its 1 to its 99 % quantile: feature, bin, low, high, share."""
    parts = []
    for name in names:
        values = np.concatenate([table[name].to_numpy(dtype=np.float64) for table in tables.values()])
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        low, high = np.quantile(values, [0.01, 0.99])
        edges = np.linspace(low, high if high > low else low + 1e-12, N_BINS + 1)
        counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
        shares = counts / len(values)
        parts += [(name, at, edges[at], edges[at + 1], shares[at]) for at in range(N_BINS)]
    return pd.DataFrame(parts, columns=["feature", "bin", "low", "high", "share"])
