"""A network as an ONNX file, compared with itself before it is given away."""

import io
import threading
import warnings

import numpy as np
import torch
from torch import Tensor, nn

from tradewind.errors import BadModel
from tradewind.learning.models.sequence.exported import make_session
from tradewind.learning.models.sequence.networks import Network

TOLERANCE = 1e-5
_EXPORT = threading.Lock()  # the exporter keeps its state in module globals


class _Words(nn.Module):
    """Logits and quantiles alone, from one tensor."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, 3) and (batch, horizons, 5)."""
        outputs = self.network(x)
        return outputs.logits, outputs.quantiles


def to_onnx(network: Network, length: int, features: int) -> bytes:
    """The network as ONNX: `x` (batch, length, features) to `logits` and `quantiles`.

    Args:
        network: trained, on the CPU.
        length: bars of a window.
        features: of a bar.

    Returns:
        The file's contents.

    Raises:
        BadModel: the two differ by more than 1e-5 on windows of noise.
    """
    words = _Words(network).eval()
    x = torch.randn((3, length, features), generator=torch.Generator().manual_seed(0))
    file = io.BytesIO()
    with _EXPORT, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter by tracing: the other one writes paths of this machine
        torch.onnx.export(
            words, (x,), file, dynamo=False, opset_version=17, input_names=["x"], output_names=["logits", "quantiles"],
            dynamic_axes={"x": {0: "batch"}, "logits": {0: "batch"}, "quantiles": {0: "batch"}},
        )  # fmt: skip
        expected = [one.numpy() for one in words(x[:2])]
    content = file.getvalue()
    exported = make_session(content).run(None, {"x": x[:2].numpy()})
    apart = max(float(np.abs(ours - theirs).max()) for ours, theirs in zip(expected, exported, strict=True))
    if not apart <= TOLERANCE:
        raise BadModel(f"the exported network differs from the trained one by {apart:.1e}, more than {TOLERANCE}")
    return content
