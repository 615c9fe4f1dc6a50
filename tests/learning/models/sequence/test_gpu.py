"""On a GPU (CUDA or ROCm): the networks learn the same, within 8 GB, and say what they used. `pytest -m gpu -s`."""

import time
from typing import Any

import numpy as np
import pytest
import torch

from tradewind.learning.models.sequence.dataset import Targets, TradingDataset
from tradewind.learning.models.sequence.networks import Network
from tradewind.learning.models.sequence.parameters import SequenceParameters
from tradewind.learning.models.sequence.training import to_safetensors, train_network
from tradewind.learning.models.sequence.windows import Windows

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU (CUDA or ROCm)"),
]
FEATURES, LENGTH, COUNT = 64, 48, 60_000


@pytest.fixture(scope="module")
def large() -> TradingDataset:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((COUNT, FEATURES)).astype(np.float32)
    ends = np.arange(LENGTH - 1, COUNT)
    moved = values[ends - 2, 0] + 0.5 * rng.standard_normal(len(ends)).astype(np.float32)
    label = np.digitize(moved, [-0.5, 0.5]).astype(np.int64)
    targets = Targets(label, np.repeat(moved[:, None], 4, axis=1), np.ones(len(ends), dtype=np.float32))
    return TradingDataset(Windows(values, ends, ends, LENGTH), targets)


def train(dataset: TradingDataset, name: str, **changed: Any) -> tuple[bytes, list[float]]:
    parameters = SequenceParameters(
        window_bars=LENGTH, hidden=64, attention_heads=4, batch_size=1024, learning_rate=0.005, max_rounds=2,
        device="cuda", **changed,
    )  # fmt: skip
    network = Network(name, FEATURES, (1, 4, 12, 24), parameters)
    history, _ = train_network(network, dataset, np.arange(50_000), np.arange(51_000, 59_000), parameters, 7)
    return to_safetensors(network.state_dict()), [epoch.valid_loss for epoch in history]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
@pytest.mark.parametrize("name", ["lstm", "tft"])
def test_a_network_of_real_size_learns_within_eight_gigabytes(large: TradingDataset, name: str, precision: str) -> None:
    torch.cuda.reset_peak_memory_stats()
    begun = time.perf_counter()
    _, losses = train(large, name, precision=precision)
    torch.cuda.synchronize()
    seconds, memory = time.perf_counter() - begun, torch.cuda.max_memory_allocated() / 2**30
    busy = torch.cuda.utilization()
    print(f"\n{name} {precision}: {2 * 50_000 / seconds:,.0f} windows/s, {memory:.2f} GB, {busy} % busy")  # noqa: T201
    assert memory < 8 and losses[-1] < losses[0]


def test_the_same_seed_gives_the_same_weights(large: TradingDataset) -> None:
    assert train(large, "lstm") == train(large, "lstm")


def test_the_losses_are_those_of_the_cpu(dataset: TradingDataset) -> None:
    losses = []
    for device in ("cpu", "cuda"):
        parameters = SequenceParameters(window_bars=6, hidden=8, batch_size=64, max_rounds=3, device=device)
        network = Network("tft", 3, (1, 2), parameters)
        history, _ = train_network(network, dataset, np.arange(500), np.arange(520, 695), parameters, 7)
        losses.append([epoch.valid_loss for epoch in history])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)
