"""What several test rooms share."""

import gc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.kernels import compile_kernels, kept_kernels
from tradewind.learning.features import catalogue, matrix
from tradewind.learning.features.bars import Chunk
from tradewind.learning.features.catalogue import FeatureSelection
from tradewind.learning.features.spec import Feature
from tradewind.market.simulation.simulator import SimulationSpec, simulate_market

# Every test may ask for a store and the server behind it.
pytest_plugins = ["tests.data.stores.servers"]

HOUR = pd.Timedelta(hours=1)

PROJECT = Path(__file__).resolve().parents[1]
STAGES = (
    "data_engineering",
    "regimes",
    "feature_engineering",
    "classifier",
    "deep_learning",
    "reinforcement_learning",
    "evaluation",
)
# Stages that are run by name alone: the default run has no input for them.
BESIDES = ("order_book", "execution_study", "floors", "deployment", "monitoring")


def pytest_configure(config: pytest.Config) -> None:
    """Compiled kernels that are older than a kernel's source are removed; workers and copied projects find new ones."""
    if hasattr(config, "workerinput"):
        return  # the first process has done it
    if not kept_kernels() and config.getoption("numprocesses", None) and not config.option.collectonly:
        compile_kernels()


# Files in the order in which they begin. The longest come first: a worker that begins one at the end would let the
# others wait.
FIRST = (
    "test_known_answers",
    "test_default_run",
    "test_killed_runs",
    "test_audit",
    "test_experiment",
    "test_real_candles",
    "test_exchange.py",
    "test_commands.py",
    "test_agents",
    "sequence/test_training",
    "test_data_engineering",
    "sequence/test_forecaster",
    "pipelines/test_evaluation",
    "test_report.py",
    "test_preparation",
    "test_service.py",
    "test_fuzz",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the files: `FIRST` in its order, then the others as they are. What runs long may take an hour."""
    for item in items:
        if item.get_closest_marker("depth") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(3600))
    items.sort(key=lambda item: next((at for at, name in enumerate(FIRST) if name in item.nodeid), len(FIRST)))


def pytest_collection_finish() -> None:
    """The collector need not walk through what the libraries and 4,000 tests keep for ever, each time it looks."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real market data beside the project; tests that need it skip where it is absent."""
    folder = PROJECT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real market data is not at {folder}")
    return folder


@pytest.fixture(scope="session")
def dask_address() -> Iterator[str]:
    """The address of a Dask cluster of two processes on this machine; tests that need it skip without Dask."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster.scheduler_address


def typed(raw: pd.DataFrame, symbol: str) -> pd.DataFrame:
    """Raw simulated bars as checked bars, with a second segment from bar 1,000 on."""
    open_time = pd.to_datetime(raw["open_time"], unit="ms", utc=True).dt.as_unit("ms")
    later = (np.arange(len(raw)) >= 1000).astype(np.int32)
    shift = pd.to_timedelta(later * 100, unit="h").as_unit("ms")
    opened = (open_time + shift).dt.as_unit("ms")
    closed = (opened + HOUR).dt.as_unit("ms")
    return raw.assign(symbol=symbol, open_time=opened, timestamp=closed, segment=later)


@pytest.fixture(scope="session")
def market_bars() -> dict[str, pd.DataFrame]:
    market = simulate_market(SimulationSpec(days=130, seed=5, edge=2.0))
    return {name.split("/")[1]: typed(raw, name.split("/")[1]) for name, raw in market.bars.items()}


@pytest.fixture(scope="session")
def side_series() -> dict[str, pd.DataFrame]:
    market = simulate_market(SimulationSpec(days=130, seed=5, edge=2.0))
    rows = market.side_series[market.side_series["symbol"].isin(["", "SIM2"])]
    return {name: rows[rows["series"] == name] for name in ("funding", "sentiment")}


@pytest.fixture(scope="session")
def chunk(market_bars: dict[str, pd.DataFrame], side_series: dict[str, pd.DataFrame]) -> Chunk:
    market = matrix.market_table(market_bars)
    return matrix.build_chunk(market_bars["SIM2"], market_bars["SIM1"], market, side_series)


@pytest.fixture(scope="session")
def features() -> tuple[Feature, ...]:
    return catalogue.select(FeatureSelection(), "1h", ("funding", "sentiment"))
