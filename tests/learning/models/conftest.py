"""Model-input rows with a little to learn, and the folds over them."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from tradewind.learning.splits.walk_forward import FoldPlan, make_folds

HORIZON = 12


@pytest.fixture(scope="session")
def model_rows() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    timestamp = pd.Series(pd.date_range("2023-01-01", periods=1500, freq="h", tz="UTC")).dt.as_unit("ms")
    parts = []
    for symbol in ("A", "B"):
        x = rng.standard_normal((1500, 6)).astype(np.float32)
        x[rng.random(x.shape) < 0.02] = np.nan
        drift = np.nan_to_num(x[:, 0]) + rng.standard_normal(1500)
        table = pd.DataFrame(x, columns=["log_return_1", "f1", "f2", "f3", "f4", "constant"]).assign(
            constant=np.float32(1)
        )
        table.insert(0, "symbol", symbol)
        table.insert(1, "timestamp", timestamp)
        end = timestamp + timedelta(hours=HORIZON)
        table = table.assign(
            label=np.digitize(drift, [-0.7, 0.7]).astype(np.int8) - np.int8(1),
            forward_return=0.01 * drift,
            exit_time=end.dt.as_unit("ms"),
            horizon_end=end.dt.as_unit("ms"),
            weight=rng.uniform(0.2, 1.0, 1500),
        )
        parts.append(table)
    rows = pd.concat(parts, ignore_index=True)
    return rows.sort_values(["timestamp", "symbol"], kind="stable", ignore_index=True)


@pytest.fixture(scope="session")
def model_folds(model_rows: pd.DataFrame) -> pd.DataFrame:
    plan = FoldPlan(n_folds=2, holdout_share=0.2, embargo_bars=2)
    return make_folds(model_rows["timestamp"], plan, timedelta(hours=1), HORIZON)
