"""How training went: noise of the gradient, units that say nothing, attention that looks everywhere, alarms."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tradewind.learning.models.sequence.dataset import Batch
from tradewind.learning.models.sequence.networks import Network, NetworkOutput

Floats = NDArray[np.float64]
STEPS = (-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0)  # along the slice of the loss, in lengths of the weights


class Epoch(NamedTuple):
    """One pass over the training windows. Norms are those before clipping; `noise_scale` is in windows."""

    train_loss: float
    valid_loss: float
    gradient_norm: float
    largest_gradient_norm: float
    noise_scale: float
    learning_rate: float


class GradientNoise:
    """The gradient noise scale of an epoch (McCandlish, Kaplan and Amodei 2018): the batch size, in windows, at which
    noise and signal of a step are alike. Smaller batches than that lose nothing but time."""

    def __init__(self) -> None:
        """Nothing seen yet."""
        self._total: Tensor | None = None
        self._squares = 0.0
        self._norms: list[float] = []

    def see(self, network: Network, norm: float, clipped_at: float) -> None:
        """One step's gradient, taken back to its length before clipping.

        Args:
            network: after `backward`, its gradients clipped.
            norm: of the gradient before it was clipped.
            clipped_at: the largest norm that clipping leaves.
        """
        flat = torch.cat([p.grad.reshape(-1) for p in network.parameters() if p.grad is not None]).double()
        flat *= max(norm / clipped_at, 1.0)
        self._total = flat if self._total is None else self._total + flat
        self._squares += float(flat @ flat)
        self._norms.append(norm)

    @property
    def norms(self) -> tuple[float, float]:
        """Mean and largest norm."""
        return sum(self._norms) / max(len(self._norms), 1), max(self._norms, default=0.0)

    def scale(self, batch_size: int) -> float:
        """tr(covariance) / |gradient|^2, missing where the epoch was too short or the gradient drowns in its noise."""
        steps = len(self._norms)
        if self._total is None or steps < 2:
            return float("nan")
        mean_square, square_of_mean = self._squares / steps, float(self._total @ self._total) / steps**2
        noise = (mean_square - square_of_mean) * steps / (steps - 1)
        signal = square_of_mean - noise / steps
        return batch_size * noise / signal if signal > 0 else float("nan")


class Health(NamedTuple):
    """A trained network on its validation windows: shares of 1, but for the slice of the loss at `STEPS`."""

    dead_units: float
    attention_entropy: float
    landscape: tuple[float, ...]


def examine(network: Network, batch: Batch, loss: Callable[[NetworkOutput, Batch], Tensor], seed: int) -> Health:
    """Dead units, entropy of the attention and a slice of the loss on one batch.

    A unit of the backbone's vector is dead where it never moves. The entropy is that of a uniform look at 1. The slice
    goes along one random direction, scaled to each weight's length (Li, Xu, Taylor, Studer and Goldstein 2018): a good
    end lies in a bowl.

    Args:
        network: trained; its weights are as before afterwards.
        batch: windows and their targets.
        loss: of the network's answers on a batch, a scalar.
        seed: of the direction of the slice.

    Returns:
        Share of dead units, entropy of the attention from 0 to 1, and the loss at each of `STEPS`.
    """
    network.eval()
    with torch.no_grad():
        encoded = network.backbone(batch.x)
        dead = float((encoded.vectors.double().std(dim=0) < 1e-6).double().mean())
        attention = encoded.attention.double()
        entropy = -(attention * torch.log(attention.clamp_min(1e-12))).sum(dim=1).mean()
        most = np.log(attention.shape[1]) if attention.shape[1] > 1 else 1.0
        generator = torch.Generator().manual_seed(seed)
        place = {name: weight.detach().clone() for name, weight in network.named_parameters()}
        away = {}
        for name, weight in place.items():
            drawn = torch.randn(weight.shape, generator=generator)
            away[name] = drawn * (weight.norm() / drawn.norm().clamp_min(1e-12))
        slice_ = []
        for step in STEPS:
            for name, weight in network.named_parameters():
                weight.copy_(place[name] + step * away[name])
            slice_.append(float(loss(network(batch.x), batch)))
        for name, weight in network.named_parameters():
            weight.copy_(place[name])
    return Health(dead, float(entropy) / float(most), tuple(slice_))
