"""Ours and a peer in one process, in turns, after a warm-up; the ratio is the median of ours over theirs.

`make bench` prints the table and writes it to `data/08_reporting/benchmarks.json`, with the ratio aimed at.
What is asserted is that both compute the same; the speed is told, not judged.
"""

import json
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tradewind.market.simulation.simulator import SimulationSpec, simulate_market

Compare = Callable[..., None]
PATH = Path(__file__).resolve().parents[2] / "data/08_reporting/benchmarks.json"


@pytest.fixture(scope="session")
def minute_bars() -> pd.DataFrame:
    """A year of one-minute bars of one simulated symbol, 525,600 rows."""
    market = simulate_market(SimulationSpec(n_symbols=1, days=365, timeframe="1m", seed=1))
    raw = market.bars["simulated/SIM1/1m"]
    opened = pd.to_datetime(raw["open_time"], unit="ms", utc=True).dt.as_unit("ms")
    closed = (opened + pd.Timedelta(minutes=1)).dt.as_unit("ms")
    return raw.assign(symbol="SIM1", open_time=opened, timestamp=closed, segment=np.int32(0))


@pytest.fixture(scope="session")
def results() -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    yield rows
    PATH.parent.mkdir(parents=True, exist_ok=True)
    PATH.write_text(json.dumps(rows, indent=1) + "\n")
    for row in rows:
        figures = f"{row['ours']:.4g} against {row['peer']:.4g} {row['unit']}, ratio {row['ratio']:.3g}"
        print(f"\n{row['case']}: {figures} (goal {row['goal']})", end="")  # noqa: T201
    print(f"\nwritten to {PATH}")  # noqa: T201


@pytest.fixture(scope="session")
def compare(results: list[dict[str, Any]]) -> Compare:
    """`compare(case, ours, peer, goal, rounds=5, same=True)`: the same numbers asserted, then timed in turns."""

    def measure(
        case: str, ours: Callable[[], Any], peer: Callable[[], Any], goal: float, rounds: int = 5, same: bool = True
    ) -> None:
        mine, theirs = ours(), peer()
        if same:
            mine, theirs = np.asarray(mine, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
            both = np.isfinite(mine) & np.isfinite(theirs)
            assert both.mean() > 0.95
            np.testing.assert_allclose(mine[both], theirs[both], rtol=1e-3, atol=1e-6)
        del mine, theirs
        times: list[tuple[float, float]] = []
        for _ in range(rounds):
            start = perf_counter()
            ours()
            middle = perf_counter()
            peer()
            times.append((middle - start, perf_counter() - middle))
        medians = [statistics.median(column) for column in zip(*times, strict=True)]
        ratio = statistics.median(first / second for first, second in times)
        row = {"case": case, "ours": medians[0], "peer": medians[1], "unit": "s", "ratio": ratio, "goal": goal}
        results.append({**row, "rounds": rounds})

    return measure
