"""Are labels fit to learn from: balance, overlap, and whether their shares hold over time."""

from typing import Any

import numpy as np
import pandas as pd

from tradewind.learning.labels.outcome import Outcomes
from tradewind.learning.labels.weights import average_uniqueness, concurrency, sequential_bootstrap

CLASSES = {-1: "down", 0: "flat", 1: "up"}
BOOTSTRAP_LABELS = 5000


def describe_labels(labels: pd.DataFrame, outcomes: Outcomes, seed: int) -> dict[str, Any]:
    """Shares of the classes, overlap, and what a bootstrap sample of the labels would be worth.

    `balance` is the entropy of the shares over that of equal ones: 1 is balanced, 0 one class only.
    `effective_labels` is the sum of the average uniquenesses: so many labels without overlap would say as much.
    `bootstrap_uniqueness` is the mean uniqueness in a plain bootstrap sample of the first 5,000 labels,
    `sequential_uniqueness` in a sequential one (Lopez de Prado 2018, section 4.5).

    Args:
        labels: one symbol's label table.
        outcomes: of all bars of the symbol.
        seed: of the bootstrap samples.

    Returns:
        Numbers by name: the share of each class and of ambiguous ends, mean concurrency and uniqueness, and the above.
    """
    rows = np.flatnonzero(outcomes.alive)
    first, last, n_bars = rows + 1, outcomes.exit_row[rows], len(outcomes.ending)
    alive = concurrency(first, last, n_bars)
    unique = average_uniqueness(first, last, n_bars)
    shares = _shares(labels)
    plain, sequential = _bootstrap_uniqueness(first[:BOOTSTRAP_LABELS], last[:BOOTSTRAP_LABELS], n_bars, seed)
    present = np.array([share for share in shares.values() if share > 0])
    return {
        **shares,
        "share_ambiguous": _mean((labels["barrier"] == "ambiguous").to_numpy()),
        "balance": float(-(present * np.log(present)).sum() / np.log(len(CLASSES))),
        "mean_concurrency": _mean(alive[alive > 0]),
        "mean_uniqueness": _mean(unique),
        "effective_labels": float(unique.sum()),
        "bootstrap_uniqueness": plain,
        "sequential_uniqueness": sequential,
    }


def _mean(values: np.ndarray[Any, Any]) -> float:
    """NaN of no values at all: a symbol may live too shortly for any label."""
    return float(values.mean()) if len(values) else float("nan")


def _shares(labels: pd.DataFrame) -> dict[str, float]:
    shares = labels["label"].value_counts(normalize=True)
    return {f"share_{name}": float(shares.get(value, 0.0)) for value, name in CLASSES.items()}


def _bootstrap_uniqueness(
    first: np.ndarray[Any, Any], last: np.ndarray[Any, Any], n_bars: int, seed: int
) -> tuple[float, float]:
    if not len(first):
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    plain = np.sort(rng.integers(0, len(first), len(first)))
    sequential = np.sort(sequential_bootstrap(first, last, n_bars, rng.random(len(first))))
    return tuple(float(average_uniqueness(first[draw], last[draw], n_bars).mean()) for draw in (plain, sequential))  # type: ignore[return-value]


def stability(labels: pd.DataFrame, folds: pd.DataFrame) -> pd.DataFrame:
    """The classes' shares in each fold's test, and how far they are from those of all walk-forward tests.

    Columns: fold, test_start, rows, share_down, share_flat, share_up, mean_weight, psi. `psi` is the population
    stability index of the shares: below 0.1 stable, above 0.25 shifted. The holdout is left out.
    """
    tests = folds[folds["role"] == "walk_forward"]
    overall: pd.Series | None = None
    out = []
    inside = labels[
        (labels["timestamp"] >= tests["test_start"].min()) & (labels["timestamp"] < tests["test_end"].max())
    ]
    overall = pd.Series(_shares(inside)).clip(lower=1e-4)
    for fold in tests.itertuples(index=False):
        rows = inside[(inside["timestamp"] >= fold.test_start) & (inside["timestamp"] < fold.test_end)]
        shares = pd.Series(_shares(rows))
        present = shares.clip(lower=1e-4)
        psi = float(((present - overall) * np.log(present / overall)).sum())
        out.append(
            {
                "fold": int(fold.fold),
                "test_start": fold.test_start,
                "rows": len(rows),
                **shares.to_dict(),
                "mean_weight": float(rows["weight"].mean()) if len(rows) else float("nan"),
                "psi": psi,
            }
        )
    return pd.DataFrame(out)
