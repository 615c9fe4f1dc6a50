"""The best of many models is held against what the best of so many would show by luck alone."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tradewind.evaluation.significance import measure_significance
from tradewind.metrics.ranking import StatisticsRules
from tradewind.metrics.sharpe import expected_largest
from tradewind.metrics.significance import probabilistic_sharpe

DAYS = 400


def board(n_models: int) -> pd.DataFrame:
    """The same first model, beside others without an edge."""
    rng = np.random.default_rng(5)
    times = pd.date_range("2023-01-02", periods=DAYS + 60, freq="D", tz="UTC")
    role = np.where(np.arange(DAYS + 60) < DAYS, "walk_forward", "holdout")
    first = 0.0012 + 0.01 * rng.standard_normal(DAYS + 60)
    nets = [first, *(0.01 * rng.standard_normal(DAYS + 60) for _ in range(n_models - 1))]
    parts = [pd.DataFrame({"strategy": f"m{n}", "timestamp": times, "net": net, "role": role})
             for n, net in enumerate(nets)]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def measured(n_models: int, history: list[dict[str, Any]] | None = None) -> tuple[pd.Series, Any]:
    tried = {f"m{n}": f"configuration {n}" for n in range(n_models)}
    table, selection, entries, days = measure_significance(
        board(n_models), history or [], ["mark"], tried, StatisticsRules(n_resamples=100), 7
    )
    return table.set_index("strategy").loc["m0"], (selection, entries, days)


def test_the_same_result_is_worth_less_the_more_models_it_is_the_best_of() -> None:
    found = {n: measured(n) for n in (1, 2, 20)}
    shown = {n: row["deflated_sharpe"] for n, (row, _) in found.items()}
    assert shown[1] > shown[2] > shown[20]
    row, (_, _, days) = found[1]
    daily = days["m0"].to_numpy()
    assert shown[1] == pytest.approx(probabilistic_sharpe(daily))
    for n, (row, (selection, _, _)) in found.items():
        assert 0.8 * n <= row["effective_trials"] <= n
        luck = expected_largest(row["effective_trials"], 1 / (DAYS - 1))
        assert row["deflated_sharpe"] == pytest.approx(probabilistic_sharpe(daily, luck))
        assert selection["effective_trials"] == row["effective_trials"]
        assert selection["trials"] == n


def test_what_was_tried_on_the_market_before_counts_too() -> None:
    _, (_, entries, _) = measured(20)
    row, (selection, _, _) = measured(2, entries)
    assert selection["trials"] == 20
    assert row["effective_trials"] > 15
