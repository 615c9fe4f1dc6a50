"""The verdict's test keeps its promise on markets that are made up day by day, and sees what one test would see."""

import numpy as np

from tradewind.metrics.overfitting import probability_of_overfitting
from tradewind.metrics.sharpe import effective_trials, expected_largest
from tradewind.metrics.significance import probabilistic_sharpe

FOLDS, HOLDOUT, MODELS, MARKETS = 330, 110, 10, 250
ALIKE = 0.6  # correlation of the models' days


def shares(sharpe: float, seed: int) -> dict[str, float]:
    """How often the best of ten models of this true annual Sharpe ratio passes: the verdict's two rules on choice, one
    test of one model, and the rule that asked for the rank."""
    rng = np.random.default_rng(seed)
    days, passed = FOLDS + HOLDOUT, dict.fromkeys(("chosen", "one test", "by rank"), 0)
    for _ in range(MARKETS):
        common, own = rng.standard_normal((days, 1)), rng.standard_normal((days, MODELS))
        daily = 0.01 * (np.sqrt(ALIKE) * common + np.sqrt(1 - ALIKE) * own + sharpe / np.sqrt(365.25))
        folds = daily[:FOLDS]
        best = daily[:, (folds.mean(axis=0) / folds.std(axis=0)).argmax()]
        halves = probability_of_overfitting(folds, 14)
        is_shown = probabilistic_sharpe(best, expected_largest(effective_trials(folds), 1 / (days - 1))) >= 0.95
        passed["chosen"] += is_shown and halves.loss <= 0.2
        passed["by rank"] += is_shown and halves.probability <= 0.2
        passed["one test"] += probabilistic_sharpe(daily[:, 0]) >= 0.95
    return {name: count / MARKETS for name, count in passed.items()}


def test_luck_is_called_an_edge_in_five_of_a_hundred_markets() -> None:
    assert shares(0.0, 1)["chosen"] <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / MARKETS)


def test_choosing_the_best_costs_little_power() -> None:
    for sharpe in (1.6, 2.5):
        found = shares(sharpe, 2)
        assert found["chosen"] >= 0.85 * found["one test"] > 0.4
        # The planted fault: the rank among equally good models is noise, and makes a go all but impossible.
        assert found["by rank"] < 0.6 * found["chosen"]
