"""Rows belong to the fold whose test window they lie in: its first instant is in it, its last belongs to the next."""

import numpy as np
import pandas as pd

from tradewind.evaluation.roles import is_tested, is_walk_forward, walk_forward_only, with_role


def instants(*hours: int) -> pd.DatetimeIndex:
    return pd.DatetimeIndex([pd.Timestamp("2024-01-01", tz="UTC") + pd.Timedelta(hours=hour) for hour in hours])


def folds() -> pd.DataFrame:
    """Tests of hours 10 to 19, 20 to 29, and the holdout of 30 to 39; not in order."""
    table = pd.DataFrame(
        {"fold": np.array([2, 0, 1]), "test_start": instants(30, 10, 20), "test_end": instants(40, 20, 30),
         "role": pd.array(["holdout", "walk_forward", "walk_forward"], dtype="str")}
    )  # fmt: skip
    return table.astype(dict.fromkeys(["test_start", "test_end"], "datetime64[ms, UTC]"))


def history(*hours: int) -> pd.DataFrame:
    return pd.DataFrame({"timestamp": instants(*hours)}).astype({"timestamp": "datetime64[ms, UTC]"})


def test_a_window_has_its_beginning_and_not_its_end() -> None:
    rows = with_role(history(10, 19, 20, 29, 30, 39), folds())
    assert rows["fold"].tolist() == [0, 0, 1, 1, 2, 2]
    assert rows["role"].tolist() == ["walk_forward"] * 4 + ["holdout"] * 2


def test_what_lies_before_and_after_all_tests_is_not_tested() -> None:
    rows = history(9, 10, 29, 30, 39, 40)
    assert is_tested(rows, folds()).tolist() == [False, True, True, True, True, False]
    assert is_walk_forward(rows, folds()).tolist() == [False, True, True, False, False, False]


def test_what_is_varied_and_compared_never_looks_at_the_holdout() -> None:
    positions = history(29, 30, 10, 35).assign(target=[1.0, 2.0, 3.0, 4.0])
    assert walk_forward_only(positions, folds())["target"].tolist() == [1.0, 3.0]
