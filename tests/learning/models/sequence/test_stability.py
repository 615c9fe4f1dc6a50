"""What is told of a training: on gradients and networks whose answer is known."""

import json
import logging

import numpy as np
import pandas as pd
import pytest
import torch

from tradewind.learning.models.sequence.alarms import alarm_table, calibration_alarms, training_alarms
from tradewind.learning.models.sequence.dataset import TradingDataset
from tradewind.learning.models.sequence.networks import Network, initialise
from tradewind.learning.models.sequence.parameters import SequenceParameters
from tradewind.learning.models.sequence.stability import STEPS, GradientNoise, examine
from tradewind.learning.models.sequence.training import network_loss

PARAMETERS = SequenceParameters(window_bars=6, hidden=8)


def made(name: str = "lstm") -> Network:
    network = Network(name, 3, (1, 2), PARAMETERS)
    initialise(network, torch.Generator().manual_seed(0))
    with torch.no_grad():  # heads begin at nothing: a trained one does not
        network.quantile_weight.fill_(0.1)
    return network


@pytest.mark.parametrize("clip", [1e9, 0.5])
def test_the_noise_scale_is_variance_over_signal(clip: float) -> None:
    """Gradients drawn around a known mean: batches of 32 whose mean has the variance of one row over 32."""
    network, noise = made(), GradientNoise()
    count = sum(weight.numel() for weight in network.parameters())
    signal, deviation, batch = 0.05, 2.0, 32
    rng = np.random.default_rng(0)
    for _ in range(400):
        drawn = signal + deviation / np.sqrt(batch) * rng.standard_normal(count)
        norm = float(np.sqrt(drawn @ drawn))
        shown = drawn * min(1.0, clip / norm)
        start = 0
        for weight in network.parameters():
            weight.grad = torch.from_numpy(shown[start : start + weight.numel()]).reshape(weight.shape).float()
            start += weight.numel()
        noise.see(network, norm, clip)
    assert noise.scale(batch) == pytest.approx((deviation / signal) ** 2, rel=0.1)
    assert noise.norms[0] == pytest.approx(np.sqrt(count * (signal**2 + deviation**2 / batch)), rel=0.05)
    assert np.isnan(GradientNoise().scale(batch))


def test_dead_units_and_attention_are_seen_and_nothing_is_left_changed(dataset: TradingDataset) -> None:
    network, batch = made(), dataset[np.arange(200)]
    before = [weight.detach().clone() for weight in network.parameters()]
    usual = examine(network, batch, lambda said, one: network_loss(said, one, PARAMETERS), 7)
    assert usual.dead_units == 0 and 0.9 < usual.attention_entropy <= 1
    assert len(usual.landscape) == len(STEPS) and len(set(usual.landscape)) > 1
    for weight, old in zip(network.parameters(), before, strict=True):
        torch.testing.assert_close(weight, old, rtol=0, atol=0)
    with torch.no_grad():
        for weight in network.backbone.memory.parameters():
            weight.zero_()
    assert examine(network, batch, lambda said, one: network_loss(said, one, PARAMETERS), 7).dead_units == 1
    linear = examine(made("linear_network"), batch, lambda said, one: network_loss(said, one, PARAMETERS), 7)
    assert linear.attention_entropy == pytest.approx(0)


def epochs(valid: list[float], norms: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"train_loss": 1.0, "valid_loss": valid, "gradient_norm": 1.0, "largest_gradient_norm": norms})


def test_alarms_name_what_went_wrong_and_are_log_lines(caplog: pytest.LogCaptureFixture) -> None:
    assert training_alarms(epochs([1.0, 0.9, 0.95], [2, 3, 2]), 0.0) == []
    kinds = dict(training_alarms(epochs([1.0, 1.01, 1.5], [2, 500, 2]), 0.6))
    assert kinds == {"exploding_gradient": 500, "divergence": 1.5, "dead_units": 0.6, "nothing_learned": 1.0}
    assert calibration_alarms([0.02, 0.03]) == []
    assert [kind for kind, _ in calibration_alarms([0.05, 0.25])] == ["poor_calibration", "calibration_drift"]
    with caplog.at_level(logging.WARNING):
        table = alarm_table("lstm", [(2, "divergence", 1.5)])
    assert json.loads(caplog.messages[0]) == {
        "alarm": "divergence", "model": "lstm", "fold": 2, "value": 1.5, "limit": 1.2,
    }  # fmt: skip
    assert table.loc[0, ["model", "fold", "kind"]].tolist() == ["lstm", 2, "divergence"]
    assert alarm_table("lstm", []).empty
