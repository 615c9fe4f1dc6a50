"""No memory at all."""

from torch import Tensor, nn, zeros

from tradewind.learning.models.sequence.backbones import Encoded
from tradewind.learning.models.sequence.parameters import SequenceParameters


class Backbone(nn.Module):
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
