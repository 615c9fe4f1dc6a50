"""A small data set for networks: two symbols, three features, one of which says what comes."""

import numpy as np
import pytest

from tradewind.learning.models.sequence.dataset import Targets, TradingDataset
from tradewind.learning.models.sequence.windows import Windows


@pytest.fixture(scope="module")
def dataset() -> TradingDataset:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((700, 3)).astype(np.float32)
    ends = np.arange(5, 700)
    moved = values[ends - 2, 0] + 0.5 * rng.standard_normal(len(ends)).astype(np.float32)
    targets = Targets(
        label=np.digitize(moved, [-0.5, 0.5]).astype(np.int64),
        scaled_return=np.stack([moved, rng.standard_normal(len(ends))], axis=1).astype(np.float32),
        weight=rng.uniform(0.5, 1.5, len(ends)).astype(np.float32),
    )
    return TradingDataset(Windows(values, ends, ends, 6), targets)
