"""How well the hidden Markov model does on a market with known regimes, beside the limit and the majority."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.learning.regimes.markets import YEAR, accuracies, limit, market_of
from tradewind.learning.regimes.expectation_maximisation import FitRules
from tradewind.learning.regimes.markov import MarkovModel, MarkovRules


def measure(
    preset: str, seed: int, innovations: str = "student_t", evidence: float = -10.0, nodes: int = 5
) -> dict[str, Any]:
    """Fitted on the first year, judged on the second. `evidence` -10 asks for regimes whatever the evidence; one node
    leaves the volatility factor out."""
    bars, true = market_of(preset, seed, 730, innovations)
    model = MarkovModel(MarkovRules(evidence=evidence, em=FitRules(nodes=nodes)), seed).fit(bars.rows(0, YEAR))
    steps = model.history(bars)
    said, best = steps.probabilities[YEAR:], limit(preset, bars)[YEAR:]
    true = true[YEAR:]
    accuracy, balanced = accuracies(said.argmax(axis=1), true)
    limit_accuracy, limit_balanced = accuracies(best.argmax(axis=1), true)
    changes = max(int((np.diff(true) != 0).sum()), 1)
    return {
        "preset": preset, "seed": seed, "evidence": model.evidence, "regimes": model.n_regimes,
        "names": model.names.tolist(), "accuracy": accuracy, "balanced": balanced,
        "limit_accuracy": limit_accuracy, "limit_balanced": limit_balanced,
        "share": balanced / limit_balanced, "majority": float(np.bincount(true).max() / len(true)),
        "calibration": calibration_error(said, true), "delay": delay(said, true), "limit_delay": delay(best, true),
        "switches": float(steps.transition[YEAR:].sum() / changes),
    }  # fmt: skip


def calibration_error(said: NDArray[np.float64], true: NDArray[np.int64]) -> float:
    """Mean distance of stated and met probability over ten equal bins, all regimes together, by bars."""
    stated = said[:, :3].ravel()
    met = (true[:, None] == np.arange(3)).astype(float).ravel()
    place = np.minimum((stated * 10).astype(int), 9)
    count = np.bincount(place, minlength=10)
    gap = np.abs(np.bincount(place, stated - met, minlength=10)) / np.maximum(count, 1)
    return float((gap * count).sum() / count.sum())


def delay(said: NDArray[np.float64], true: NDArray[np.int64]) -> float:
    """Median bars from a change to the first bar that recognises it, a visit's length where none does."""
    label = said.argmax(axis=1)
    at = np.flatnonzero(np.diff(true)) + 1
    waits = []
    for start, stop in zip(at, np.append(at[1:], len(true)), strict=True):
        found = np.flatnonzero(label[start:stop] == true[start])
        waits.append(int(found[0]) if len(found) else stop - start)
    return float(np.median(waits))
