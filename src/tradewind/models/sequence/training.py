"""Training a network: mini-batches in a seeded order, one-cycle steps, the best epoch kept."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tradewind.errors import BadData
from tradewind.models.sequence.networks import Network, initialise, loss
from tradewind.models.sequence.parameters import SequenceParameters
from tradewind.models.sequence.windows import Rows, Windows

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Targets:
    """What the windows of a part are to say: class 0 to 2, return in units of its own spread, weight."""

    label: NDArray[np.int64]
    scaled_return: NDArray[np.float32]
    weight: NDArray[np.float32]


@dataclass(frozen=True)
class Epoch:
    """One pass over the training windows. `gradient_norm` is the mean before clipping."""

    train_loss: float
    valid_loss: float
    gradient_norm: float


def train_network(
    network: Network,
    windows: Windows,
    targets: Targets,
    train: Rows,
    valid: Rows,
    parameters: SequenceParameters,
    seed: int,
) -> tuple[list[Epoch], int]:
    """The history of epochs, and which of them was best on the validation windows; its weights are in `network`.

    `train` and `valid` are places in `windows`; `targets` has one entry a window. AdamW (Loshchilov and Hutter 2019)
    with a one-cycle schedule (Smith and Topin 2019) and clipped gradients.

    Raises:
        BadData: the loss is not a number: the gradient exploded.
    """
    generator = torch.Generator().manual_seed(seed)
    initialise(network, generator)
    steps = -(-len(train) // parameters.batch_size)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=parameters.learning_rate, weight_decay=parameters.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=parameters.learning_rate, total_steps=steps * parameters.max_rounds
    )
    history: list[Epoch] = []
    best, best_weights = 0, copy.deepcopy(network.state_dict())
    for number in range(parameters.max_rounds):
        network.train()
        shuffled = train[torch.randperm(len(train), generator=generator).numpy()]
        losses, norms = [], []
        for start in range(0, len(shuffled), parameters.batch_size):
            part = shuffled[start : start + parameters.batch_size]
            optimiser.zero_grad()
            value = _loss(network, windows, targets, part, parameters)
            value.backward()
            norm = torch.nn.utils.clip_grad_norm_(network.parameters(), parameters.gradient_clip)
            if not bool(torch.isfinite(norm)):
                raise BadData(
                    f"training broke down in epoch {number}: the gradient is not a number. A smaller learning_rate "
                    "or a look at the features' tails is needed"
                )
            optimiser.step()
            schedule.step()
            losses.append(value.item() * len(part))
            norms.append(float(norm))
        history.append(
            Epoch(sum(losses) / len(shuffled), evaluate(network, windows, targets, valid, parameters), _mean(norms))
        )
        if history[-1].valid_loss < history[best].valid_loss or number == 0:
            best, best_weights = number, copy.deepcopy(network.state_dict())
        elif number - best >= parameters.early_stopping_rounds:
            break
    network.load_state_dict(best_weights)
    return history, best + 1


def evaluate(
    network: Network, windows: Windows, targets: Targets, chosen: Rows, parameters: SequenceParameters
) -> float:
    """Mean loss over the chosen windows."""
    network.eval()
    total = 0.0
    with torch.no_grad():
        for start in range(0, len(chosen), 4096):
            part = chosen[start : start + 4096]
            total += _loss(network, windows, targets, part, parameters).item() * len(part)
    return total / max(len(chosen), 1)


def _loss(network: Network, windows: Windows, targets: Targets, part: Rows, parameters: SequenceParameters) -> Any:
    logits, quantiles, _ = network(torch.from_numpy(windows.gather(part)))
    return loss(
        logits, quantiles, torch.from_numpy(targets.label[part]), torch.from_numpy(targets.scaled_return[part]),
        torch.from_numpy(targets.weight[part]), parameters.quantile_share,
    )  # fmt: skip


def apply_network(network: Network, windows: Windows, chosen: Rows) -> tuple[Floats, Floats, Floats]:
    """Probabilities (n, 3), quantiles of the scaled return (n, 5) and attention (n, length) of the chosen windows."""
    network.eval()
    parts = []
    with torch.no_grad():
        for start in range(0, len(chosen), 4096):
            logits, quantiles, attention = network(torch.from_numpy(windows.gather(chosen[start : start + 4096])))
            parts.append((torch.softmax(logits.double(), dim=1), quantiles.double(), attention.double()))
    probability, quantiles, attention = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
    return probability, quantiles, attention


def _mean(values: list[float]) -> float:
    return sum(values) / max(len(values), 1)
