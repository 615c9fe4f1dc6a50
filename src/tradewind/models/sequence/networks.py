"""Backbones: from a window of features to one vector a window. A further one is a class here and a line in `BACKBONES`.

Nothing draws from torch's global generator (no dropout, no own initialisation), so that folds can be trained side by
side and give the same weights each time; weight decay and early stopping keep the networks small.
"""

from typing import Any

import torch
from torch import Tensor, nn

QUANTILE_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


class LSTMBackbone(nn.Module):
    """A long short-term memory (Hochreiter and Schmidhuber 1997) and additive attention over its states (Bahdanau,
    Cho and Bengio 2015): the mean of what it remembered, weighted by what the last bar asks for."""

    def __init__(self, n_features: int, hidden: int) -> None:
        """`n_features` values a bar in, a vector of `2 * hidden` out."""
        super().__init__()
        self.project = nn.Linear(n_features, hidden)
        self.memory = nn.LSTM(hidden, hidden, batch_first=True)
        self.key = nn.Linear(hidden, hidden)
        self.query = nn.Linear(hidden, hidden)
        self.weigh = nn.Linear(hidden, 1)
        self.width = 2 * hidden

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, width), and the attention over the bars (batch, length), which sums to one."""
        states, _ = self.memory(torch.tanh(self.project(x)))
        last = states[:, -1]
        score = self.weigh(torch.tanh(self.key(states) + self.query(last)[:, None])).squeeze(-1)
        attention = torch.softmax(score, dim=1)
        context = (attention[:, :, None] * states).sum(dim=1)
        return torch.cat([context, last], dim=1), attention


class LinearBackbone(nn.Module):
    """The last bar as it is: the floor that a memory has to beat."""

    def __init__(self, n_features: int, hidden: int) -> None:
        """`hidden` is not used."""
        super().__init__()
        self.width = n_features

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, features) of the last bar; all attention on it."""
        attention = torch.zeros(x.shape[:2], dtype=x.dtype, device=x.device)
        attention[:, -1] = 1.0
        return x[:, -1], attention


BACKBONES: dict[str, Any] = {"lstm": LSTMBackbone, "linear_network": LinearBackbone}


class Network(nn.Module):
    """A backbone with two heads: logits of the three classes, and quantiles of the scaled return that cannot cross.

    The quantiles are the median and steps away from it, each made positive by a softplus.
    """

    def __init__(self, backbone: str, n_features: int, hidden: int) -> None:
        """`backbone` is a name of `BACKBONES`."""
        super().__init__()
        self.backbone = BACKBONES[backbone](n_features, hidden)
        self.classes = nn.Linear(self.backbone.width, 3)
        self.quantiles = nn.Linear(self.backbone.width, len(QUANTILE_LEVELS))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (batch, 3), quantiles (batch, 5) from low to high, attention (batch, length)."""
        vector, attention = self.backbone(x)
        raw = self.quantiles(vector)
        steps = nn.functional.softplus(raw)
        median = raw[:, 2]
        lower, upper = median - steps[:, 1], median + steps[:, 3]
        ordered = torch.stack([lower - steps[:, 0], lower, median, upper, upper + steps[:, 4]], dim=1)
        return self.classes(vector), ordered, attention


def initialise(network: Network, generator: torch.Generator) -> None:
    """Weights uniform within 1 / sqrt(inputs), biases zero, from `generator` alone; the heads begin at nothing."""
    with torch.no_grad():
        for name, weight in network.named_parameters():
            reach = 0.0 if weight.dim() < 2 or name.startswith(("classes", "quantiles")) else weight.shape[1] ** -0.5
            weight.copy_((2 * torch.rand(weight.shape, generator=generator) - 1) * reach)


def loss(
    logits: Tensor, quantiles: Tensor, label: Tensor, scaled_return: Tensor, weight: Tensor, quantile_share: float
) -> Tensor:
    """Weighted cross-entropy of the classes plus `quantile_share` times the pinball loss (Koenker and Bassett 1978)."""
    entropy = nn.functional.cross_entropy(logits, label, reduction="none")
    levels = torch.tensor(QUANTILE_LEVELS, dtype=quantiles.dtype, device=quantiles.device)
    miss = scaled_return[:, None] - quantiles
    pinball = torch.maximum(levels * miss, (levels - 1) * miss).mean(dim=1)
    return ((entropy + quantile_share * pinball) * weight).sum() / weight.sum()
