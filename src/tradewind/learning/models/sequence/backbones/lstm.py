"""The LSTM with attention."""

from torch import Tensor, cat, nn, softmax, tanh

from tradewind.learning.models.sequence.backbones import Encoded
from tradewind.learning.models.sequence.parameters import SequenceParameters


class Backbone(nn.Module):
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
