"""The search for settings keeps to the first fold's past, goes on after a kill, and is no worse than its beginning."""

from typing import Any

import optuna
import pandas as pd
import pytest

from tests.adaptive.rl.test_preparation import made, plan
from tradewind.adaptive.rl import search as searching
from tradewind.adaptive.rl.forecasts import fold_forecasts
from tradewind.adaptive.rl.search import SearchRules, search


def test_a_search_goes_on_after_a_kill_and_sees_the_first_past_alone(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, folds, known = made()
    forecasts = fold_forecasts(rows, folds).table
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/whole.sqlite")
    rules = SearchRules(n_trials=2, seeds=2)
    best, trials = search((rows, forecasts), folds, known, plan(), rules, storage)
    assert trials.loc[0, ["learning_rate", "hidden"]].tolist() == [0.001, 8] and len(trials) == 2
    assert trials["value"].max() >= trials["value"].iloc[0]
    assert best.hidden == trials.loc[trials["value"].idxmax(), "hidden"]
    # Killed in the second trial, and on another day the tests' rows are others: the same trials.
    later = optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/killed.sqlite")
    search((rows, forecasts), folds, known, plan(), rules.model_copy(update={"n_trials": 1}), later)
    after = rows["timestamp"] >= folds["test_start"].min()
    changed = rows.copy()
    changed.loc[after, list("abcd")] *= -2
    others = (changed, pd.concat([fold_forecasts(changed, folds).table], ignore_index=True))
    _, again = search(others, folds, known, plan(), rules, later)
    pd.testing.assert_frame_equal(again, trials)
    # A finished search trains nothing.
    monkeypatch.setattr(searching, "_growth", None)
    assert search((rows, forecasts), folds, known, plan(), rules, storage)[0] == best
