"""A backbone with its heads, how it starts, and what it is to make small.

Nothing draws from torch's global generator (no dropout, no own initialisation), so that folds can be trained side by
side and give the same weights each time; weight decay and early stopping keep the networks small.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tradewind.learning.models.sequence.backbones import Encoded, make_backbone
from tradewind.learning.models.sequence.finishing import QUANTILE_LEVELS
from tradewind.learning.models.sequence.parameters import SequenceParameters

Head = Literal["softmax", "dirichlet"]


class NetworkOutput(NamedTuple):
    """What a network says of a batch: logits of the classes at the last horizon (batch, 3), quantiles of the scaled
    returns (batch, horizons, 5) from low to high, attention (batch, length), selection (batch, features or 0)."""

    logits: Tensor
    quantiles: Tensor
    attention: Tensor
    selection: Tensor


class Network(nn.Module):
    """A backbone with two heads: the three classes, and quantiles of the scaled return at every horizon.

    The quantiles cannot cross: they are the median and steps away from it, each made positive by a softplus.
    """

    def __init__(
        self, backbone: str, n_features: int, horizons: tuple[int, ...], parameters: SequenceParameters
    ) -> None:
        """`backbone` is a file of `backbones`; the classes are those of the last of the horizons."""
        super().__init__()
        self.backbone = make_backbone(backbone, n_features, horizons, parameters)
        width = int(self.backbone.width)
        self.classes = nn.Linear(width, 3)
        self.quantile_weight = nn.Parameter(torch.zeros(len(horizons), width, len(QUANTILE_LEVELS)))
        self.quantile_bias = nn.Parameter(torch.zeros(len(horizons), len(QUANTILE_LEVELS)))
        self.recompute = parameters.recompute

    def forward(self, x: Tensor) -> NetworkOutput:
        """From windows (batch, length, features)."""
        if self.recompute and self.training:
            encoded = Encoded(*checkpoint(self.backbone, x, use_reentrant=False, preserve_rng_state=False))
        else:
            encoded = self.backbone(x)
        vectors = encoded.vectors
        raw = torch.matmul(vectors.transpose(0, 1), self.quantile_weight).transpose(0, 1) + self.quantile_bias
        steps = nn.functional.softplus(raw)
        median = raw[..., 2]
        lower, upper = median - steps[..., 1], median + steps[..., 3]
        ordered = torch.stack([lower - steps[..., 0], lower, median, upper, upper + steps[..., 4]], dim=2)
        return NetworkOutput(self.classes(vectors[:, -1]), ordered, encoded.attention, encoded.selection)


def initialise(network: Network, generator: torch.Generator) -> None:
    """Weights uniform within 1 / sqrt(inputs) from `generator` alone, norms at one; biases and heads at nothing."""
    norms = {id(one.weight) for one in network.modules() if isinstance(one, nn.LayerNorm)}
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if id(weight) in norms:
                weight.fill_(1.0)
                continue
            is_head = name.startswith(("classes", "quantile_"))
            reach = 0.0 if weight.dim() < 2 or is_head else weight.shape[1] ** -0.5
            weight.copy_((2 * torch.rand(weight.shape, generator=generator) - 1) * reach)


def class_loss(logits: Tensor, label: Tensor, head: Head, progress: float) -> Tensor:
    """Each row's loss of the classes: cross-entropy, or what a Dirichlet distribution expects of it.

    The latter (Sensoy, Kaplan and Kandemir 2018) reads softplus(logits) as evidence; evidence for what did not happen
    is pulled to nothing, more so as training goes on (`progress` from 0 to 1).

    Args:
        logits: shape (rows, 3).
        label: class of each row, 0 to 2, shape (rows,).
        head: "softmax" or "dirichlet".
        progress: of the training, from 0 to 1.

    Returns:
        Shape (rows,), nats.
    """
    if head == "softmax":
        return nn.functional.cross_entropy(logits, label, reduction="none")
    alpha = nn.functional.softplus(logits) + 1
    expected = torch.digamma(alpha.sum(dim=1)) - torch.digamma(alpha.gather(1, label[:, None])[:, 0])
    wrong = torch.where(nn.functional.one_hot(label, 3) > 0, torch.ones_like(alpha), alpha)
    total = wrong.sum(dim=1)
    three = torch.tensor(3.0, dtype=alpha.dtype, device=alpha.device)
    distance = (
        torch.lgamma(total) - torch.lgamma(wrong).sum(dim=1) - torch.lgamma(three)
        + ((wrong - 1) * (torch.digamma(wrong) - torch.digamma(total)[:, None])).sum(dim=1)
    )  # fmt: skip
    return expected + 0.1 * progress * distance


def pinball_loss(quantiles: Tensor, scaled_return: Tensor) -> Tensor:
    """Each row's pinball loss (Koenker and Bassett 1978), the mean over levels and horizons."""
    levels = torch.tensor(QUANTILE_LEVELS, dtype=quantiles.dtype, device=quantiles.device)
    miss = scaled_return[..., None] - quantiles
    return torch.maximum(levels * miss, (levels - 1) * miss).mean(dim=(1, 2))
