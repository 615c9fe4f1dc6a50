"""CPU time of a look for drift: all features of three symbols over thirty days of hours, as monitoring takes it.

`make bench` prints it; `pytest -m benchmark tests/benchmarks/test_drift.py -s` alone takes ten seconds.
"""

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tradewind.market.universe import Universe
from tradewind.operations.bundle.contents import DRIFT
from tradewind.operations.bundle.drift import PROBABILITIES, drift_document
from tradewind.operations.monitoring.drift import drift_table

pytestmark = pytest.mark.benchmark
SYMBOLS, FEATURES = ("SIM1", "SIM2", "SIM3"), tuple(f"feature_{number}" for number in range(222))
YEAR, MONTH, ALLOWED_S = 8766, 720, 2.0


def rows_of(count: int, begins: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Model input and forecasts of noise, hourly."""
    rng = np.random.default_rng(3)
    at = pd.date_range(begins, periods=count, freq="h", tz="UTC").as_unit("ms")
    parts, said = [], []
    for symbol in SYMBOLS:
        x = pd.DataFrame(rng.standard_normal((count, len(FEATURES)), dtype=np.float32), columns=list(FEATURES))
        keys = pd.DataFrame({"symbol": pd.Series(symbol, index=x.index, dtype="str"), "timestamp": at})
        parts.append(pd.concat([keys, x], axis=1).assign(label=rng.integers(-1, 2, count)))
        said.append(
            pd.concat([keys, pd.DataFrame(rng.dirichlet((5, 5, 5), count), columns=list(PROBABILITIES))], axis=1)
        )
    return pd.concat(parts, ignore_index=True), pd.concat(said, ignore_index=True)


def test_a_month_of_all_features_takes_less_than_two_seconds(results: list[dict[str, Any]]) -> None:
    universe = Universe(venue="simulated", symbols=SYMBOLS, timeframe="1h")
    document = drift_document(*rows_of(2 * YEAR, "2022-01-01"), FEATURES, universe, 7)
    bundle: Any = SimpleNamespace(
        files={DRIFT}, identity="", spec=SimpleNamespace(features=FEATURES), document=lambda name: document
    )
    rows, forecasts = rows_of(MONTH, "2024-01-01")
    began = time.process_time()
    found = drift_table(bundle, rows, forecasts)
    took = time.process_time() - began
    results.append({"case": "a month of 222 features x 3 symbols for drift", "ours": took, "peer": ALLOWED_S,
                    "unit": "s of CPU", "ratio": took / ALLOWED_S, "goal": 1.0})  # fmt: skip
    assert len(found) == 3 * 3 * (len(FEATURES) + 3 + 3) and found["window_to"].nunique() == 1
    assert took < ALLOWED_S
