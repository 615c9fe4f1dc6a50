"""Backbones: from a window of features to a vector a horizon. A further one is a class and a line in `BACKBONES`."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, cat, nn, softmax, tanh, zeros

from tradewind.models.sequence.parameters import SequenceParameters


class Encoded(NamedTuple):
    """What a backbone makes of a batch of windows.

    `vectors` (batch, horizons, width); `attention` over the bars (batch, length) and `selection` among the features
    (batch, features), both of which sum to one; a backbone that does not select has zero columns there.
    """

    vectors: Tensor
    attention: Tensor
    selection: Tensor


class LSTMBackbone(nn.Module):
    """A long short-term memory (Hochreiter and Schmidhuber 1997) and additive attention over its states (Bahdanau,
    Cho and Bengio 2015): the mean of what it remembered, weighted by what the last bar asks for."""

    def __init__(self, n_features: int, horizons: tuple[int, ...], parameters: SequenceParameters) -> None:
        """`n_features` values a bar in, a vector of `2 * hidden` out, the same for every horizon."""
        super().__init__()
        hidden = parameters.hidden
        self.project = nn.Linear(n_features, hidden)
        self.memory = nn.LSTM(hidden, hidden, batch_first=True)
        self.key = nn.Linear(hidden, hidden)
        self.query = nn.Linear(hidden, hidden)
        self.weigh = nn.Linear(hidden, 1)
        self.width, self.n_horizons = 2 * hidden, len(horizons)

    def forward(self, x: Tensor) -> Encoded:
        """From (batch, length, features)."""
        states, _ = self.memory(tanh(self.project(x)))
        last = states[:, -1]
        score = self.weigh(tanh(self.key(states) + self.query(last)[:, None])).squeeze(-1)
        attention = softmax(score, dim=1)
        context = (attention[:, :, None] * states).sum(dim=1)
        vector = cat([context, last], dim=1)
        return Encoded(vector[:, None].expand(-1, self.n_horizons, -1), attention, x[:, 0, :0])


class LinearBackbone(nn.Module):
    """The last bar as it is: the floor that a memory has to beat."""

    def __init__(self, n_features: int, horizons: tuple[int, ...], parameters: SequenceParameters) -> None:
        """It has no parameters."""
        super().__init__()
        self.width, self.n_horizons = n_features, len(horizons)

    def forward(self, x: Tensor) -> Encoded:
        """The last bar's features for every horizon, and all attention on it."""
        attention = zeros(x.shape[:2], dtype=x.dtype, device=x.device)
        attention[:, -1] = 1.0
        return Encoded(x[:, -1:].expand(-1, self.n_horizons, -1), attention, x[:, 0, :0])


def _temporal_fusion(n_features: int, horizons: tuple[int, ...], parameters: SequenceParameters) -> nn.Module:
    # pytorch-forecasting takes seconds to import: only who uses it pays.
    from tradewind.models.sequence.temporal_fusion import TemporalFusionBackbone

    return TemporalFusionBackbone(n_features, horizons, parameters)


BACKBONES: dict[str, Callable[[int, tuple[int, ...], SequenceParameters], nn.Module]] = {
    "lstm": LSTMBackbone,
    "tft": _temporal_fusion,
    "linear_network": LinearBackbone,
}
