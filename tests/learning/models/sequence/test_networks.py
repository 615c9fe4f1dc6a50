"""Backbones and heads against independent computations."""

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_pinball_loss

from tradewind.learning.models.sequence.finishing import QUANTILE_LEVELS, class_probabilities, evidence
from tradewind.learning.models.sequence.networks import Network, class_loss, initialise, pinball_loss
from tradewind.learning.models.sequence.parameters import SequenceParameters

HORIZONS = (1, 4, 24)


def network(name: str, features: int = 5, **changed: object) -> Network:
    made = Network(name, features, HORIZONS, SequenceParameters(window_bars=9, hidden=8, **changed))
    initialise(made, torch.Generator().manual_seed(3))
    return made.eval()


@pytest.mark.parametrize("features", [2, 5, 12])
def test_the_transformer_is_that_of_pytorch_forecasting(features: int) -> None:
    """Its own forward pass, lengths packed and variables one by one, over the same batch and weights."""
    backbone = network("tft", features).backbone
    batch, length = 7, 9
    x = torch.randn((batch, length, features), generator=torch.Generator().manual_seed(1))
    ahead = backbone.ahead.expand(batch, -1, -1)
    fusion = backbone.fusion
    fusion.__dict__["output_transformer"] = lambda out: out["prediction"]  # no target to scale back to
    with torch.no_grad():
        ours = backbone(x)
        theirs = fusion(
            {
                "encoder_cont": torch.cat([x, torch.zeros(batch, length, 1)], dim=2),
                "decoder_cont": torch.cat([torch.zeros(batch, len(HORIZONS), features), ahead], dim=2),
                "encoder_cat": torch.zeros(batch, length, 0, dtype=torch.int64),
                "decoder_cat": torch.zeros(batch, len(HORIZONS), 0, dtype=torch.int64),
                "encoder_lengths": torch.full((batch,), length),
                "decoder_lengths": torch.full((batch,), len(HORIZONS)),
                "target_scale": torch.tensor([0.0, 1.0]).expand(batch, 2),
            }
        )
    torch.testing.assert_close(ours.vectors, theirs["prediction"], atol=2e-6, rtol=1e-5)
    attention = theirs["encoder_attention"][:, -1].mean(dim=1)
    torch.testing.assert_close(ours.attention, attention / attention.sum(dim=1, keepdim=True))
    torch.testing.assert_close(ours.selection, theirs["encoder_variables"].squeeze(-2).mean(dim=1))


@pytest.mark.parametrize("name", ["lstm", "tft", "linear_network"])
def test_quantiles_never_cross_and_attention_is_shared_out(name: str) -> None:
    made = network(name)
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel())))
        said = made(5 * torch.randn((64, 9, 5), generator=torch.Generator().manual_seed(2)))
    assert said.quantiles.shape == (64, 3, 5) and bool((said.quantiles.diff(dim=2) >= 0).all())
    torch.testing.assert_close(said.attention.sum(dim=1), torch.ones(64))
    if name == "tft":
        torch.testing.assert_close(said.selection.sum(dim=1), torch.ones(64))
    else:
        assert said.selection.shape == (64, 0)


def test_the_pinball_loss_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    quantiles, outcome = np.sort(rng.standard_normal((50, 2, 5)), axis=2), rng.standard_normal((50, 2))
    ours = pinball_loss(torch.from_numpy(quantiles), torch.from_numpy(outcome)).mean()
    theirs = np.mean(
        [
            mean_pinball_loss(outcome[:, row], quantiles[:, row, at], alpha=level)
            for row in range(2) for at, level in enumerate(QUANTILE_LEVELS)
        ]
    )  # fmt: skip
    assert float(ours) == pytest.approx(theirs)


def test_the_dirichlet_loss_is_the_expected_cross_entropy() -> None:
    """Drawn from the distribution itself; the pull to nothing is the divergence that torch knows."""
    logits, label = torch.tensor([[0.3, 2.0, -1.0]], dtype=torch.float64), torch.tensor([1])
    alpha = torch.nn.functional.softplus(logits) + 1
    drawn = torch.from_numpy(np.random.default_rng(0).dirichlet(alpha[0].numpy(), 400_000))
    expected = -torch.log(drawn[:, 1]).mean()
    assert float(class_loss(logits, label, "dirichlet", 0.0)) == pytest.approx(float(expected), rel=5e-3)
    wrong = alpha.clone()
    wrong[0, 1] = 1.0
    flat = torch.distributions.Dirichlet(torch.ones(3, dtype=torch.float64))
    pull = torch.distributions.kl_divergence(torch.distributions.Dirichlet(wrong[0]), flat)
    found = class_loss(logits, label, "dirichlet", 1.0) - class_loss(logits, label, "dirichlet", 0.0)
    assert float(found) == pytest.approx(0.1 * float(pull))
    values = logits.numpy()
    np.testing.assert_allclose(class_probabilities(values, "dirichlet"), (alpha / alpha.sum()).numpy())
    assert evidence(values, "dirichlet")[0] == pytest.approx(float(alpha.sum()) - 3)
    assert np.isnan(evidence(values, "softmax")[0])
    np.testing.assert_allclose(class_probabilities(values, "softmax"), torch.softmax(logits, dim=1).numpy())
