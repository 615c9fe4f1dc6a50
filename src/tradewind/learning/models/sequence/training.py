"""Training a network: mini-batches in a seeded order, a step's size by schedule, the best epoch kept, resumable."""

import copy
import json
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from tradewind.errors import BadData, BadModel
from tradewind.learning.models.base import Checkpoint, Files
from tradewind.learning.models.sequence.dataset import Batch, TradingDataset, make_loader
from tradewind.learning.models.sequence.devices import make_fabric, warm_up
from tradewind.learning.models.sequence.networks import Network, NetworkOutput, class_loss, initialise, pinball_loss
from tradewind.learning.models.sequence.parameters import SequenceParameters
from tradewind.learning.models.sequence.stability import Epoch, GradientNoise
from tradewind.learning.models.sequence.windows import Rows, Windows

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
STATE, PROGRESS = "state.safetensors", "progress.json"
EVALUATION_BATCH = 4096


@dataclass
class _Run:
    """Where training stands after a whole epoch: all that is needed to go on from there with the same bytes."""

    network: Network
    optimiser: torch.optim.Optimizer
    generator: torch.Generator
    history: list[Epoch] = field(default_factory=list)
    best: int = 0
    best_weights: Mapping[str, Tensor] = field(default_factory=dict)

    def files(self) -> Files:
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best_weights.items()}
        tensors["generator"] = self.generator.get_state()
        for place, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{place}.{name}": value for name, value in state.items()}
        progress = {"history": [tuple(epoch) for epoch in self.history], "best": self.best}
        return {STATE: to_safetensors(tensors), PROGRESS: json.dumps(progress).encode()}

    def restore(self, files: Files) -> None:
        try:
            tensors, progress = load(files[STATE]), json.loads(files[PROGRESS])
            self.network.load_state_dict(_under(tensors, "network."))
            self.best_weights = _under(tensors, "best.")
            self.generator.set_state(tensors["generator"])
            present = self.optimiser.state_dict()
            states: dict[int, dict[str, Tensor]] = {}
            for name, value in _under(tensors, "optimiser.").items():
                place, _, what = name.partition(".")
                states.setdefault(int(place), {})[what] = value
            self.optimiser.load_state_dict({"state": states, "param_groups": present["param_groups"]})
            self.history, self.best = [Epoch(*one) for one in progress["history"]], int(progress["best"])
        except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
            raise BadModel(f"the checkpoint does not fit this network ({error}): delete it to train anew") from error


def train_network(
    network: Network,
    dataset: TradingDataset,
    train: Rows,
    valid: Rows,
    parameters: SequenceParameters,
    seed: int,
    checkpoint: Checkpoint | None = None,
) -> tuple[list[Epoch], int]:
    """Train until the rounds are used up or the validation loss has not fallen for `early_stopping_rounds`; the best
    epoch's weights are in `network`.

    AdamW (Loshchilov and Hutter 2019) with clipped gradients. After each epoch the whole state goes to the checkpoint;
    a run that was killed goes on from there and ends with the same weights as one that was not.

    Args:
        network: any weights; they are drawn anew.
        dataset: the windows with their targets.
        train: places in the data set to learn from.
        valid: places that stop the training early.
        parameters: rounds, batch, schedule, device.
        seed: of the first weights and of the order of the windows.
        checkpoint: where the state is kept; None keeps none.

    Returns:
        The history of epochs, and which of them was best on the validation windows, from 0.

    Raises:
        BadData: the gradient is not a number: it exploded.
        BadModel: the checkpoint belongs to another network.
    """
    fabric = make_fabric(parameters)
    generator = torch.Generator().manual_seed(seed)
    initialise(network, generator)
    network.to(fabric.device)
    # Fused: one call for all weights, where a loop over them would take as long as the network itself.
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=parameters.learning_rate, weight_decay=parameters.weight_decay, fused=True
    )
    run = _Run(network, optimiser, generator)
    saved = checkpoint.get() if checkpoint is not None else None
    if saved is not None:
        run.restore(saved)
        logger.info("going on after epoch %d, from the checkpoint", len(run.history))
    # torch.compile is Fabric's to undo and redo around its wrapper.
    compiled = torch.compile(network) if parameters.compile else network
    module, wrapped = fabric.setup(compiled, optimiser)
    for number in range(len(run.history), parameters.max_rounds):
        if number - run.best > parameters.early_stopping_rounds:
            break
        begun = time.perf_counter()
        noise, losses = _pass(fabric, module, wrapped, run, dataset, train, parameters, number)
        lost = evaluate(network, dataset, valid, parameters)
        epoch = Epoch(
            losses, lost, *noise.norms, noise.scale(parameters.batch_size * parameters.accumulate_batches),
            float(optimiser.param_groups[0]["lr"]),
        )  # fmt: skip
        run.history.append(epoch)
        if number == 0 or lost < run.history[run.best].valid_loss:
            run.best, run.best_weights = number, copy.deepcopy(network.state_dict())
        logger.info(
            "epoch %d of %d: training loss %.4f, validation loss %.4f, %.0f windows/s",
            number + 1, parameters.max_rounds, losses, lost, len(train) / (time.perf_counter() - begun),
        )  # fmt: skip
        if checkpoint is not None:
            checkpoint.put(run.files())
    network.load_state_dict(run.best_weights)
    network.to("cpu")
    return run.history, run.best + 1


def _pass(
    fabric: Any, module: Any, optimiser: Any, run: _Run, dataset: TradingDataset, train: Rows,
    parameters: SequenceParameters, number: int,
) -> tuple[GradientNoise, float]:  # fmt: skip
    """One epoch's steps: the noise of its gradients and its mean loss."""
    module.train()
    loader = make_loader(dataset, train, parameters.batch_size, run.generator)
    together = parameters.accumulate_batches
    steps = -(-len(loader) // together)
    noise, total = GradientNoise(), 0.0
    scaled = parameters.precision == "16-mixed"  # half precision skips steps whose gradient is too large for it
    for place, batch in enumerate(loader):
        moved = Batch(*(one.to(fabric.device) for one in batch))
        if number == 0 and place == 0:
            warm_up(module, moved.x)
        value = network_loss(module(moved.x), moved, parameters, number / parameters.max_rounds)
        total += float(value.detach()) * len(moved.label)
        is_step = (place + 1) % together == 0 or place + 1 == len(loader)
        group = min(together, len(loader) - place // together * together)
        fabric.backward(value / group)
        if not is_step:
            continue
        norm = float(
            fabric.clip_gradients(module, optimiser, max_norm=parameters.gradient_clip, error_if_nonfinite=False)
        )
        if not math.isfinite(norm) and not scaled:
            raise BadData(
                f"training broke down in epoch {number}: the gradient is not a number. A smaller learning_rate "
                "or a look at the features' tails is needed"
            )
        noise.see(run.network, norm, parameters.gradient_clip)
        for part in optimiser.param_groups:
            part["lr"] = learning_rate(number * steps + place // together, steps * parameters.max_rounds, parameters)
        optimiser.step()
        optimiser.zero_grad()
    return noise, total / len(train)


def learning_rate(step: int, steps: int, parameters: SequenceParameters) -> float:
    """The size of a step: a warm-up from a 25th along half a cosine, then down along the other half.

    One-cycle (Smith and Topin 2019) ends at a ten-thousandth of the largest, cosine (Loshchilov and Hutter 2017) at a
    hundredth.

    Args:
        step: from 0.
        steps: how many the whole training may have.
        parameters: the largest rate, the share of steps to warm up, and the schedule.

    Returns:
        The rate of this step.
    """
    largest, turn = parameters.learning_rate, parameters.warm_up_share * steps
    last = largest / (10_000 if parameters.schedule == "one_cycle" else 100)
    if step < turn:
        return _along(largest / 25, largest, step / turn)
    return _along(largest, last, (step - turn) / max(steps - 1 - turn, 1))


def _along(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


def network_loss(outputs: NetworkOutput, batch: Batch, parameters: SequenceParameters, progress: float = 1.0) -> Tensor:
    """The weighted mean over the rows: loss of the classes plus `quantile_share` times that of the quantiles.

    Args:
        outputs: the network's answers to the batch.
        batch: labels, scaled returns and weights.
        parameters: the head and the share of the quantiles.
        progress: of the training, from 0 to 1.

    Returns:
        A scalar.
    """
    rows = class_loss(outputs.logits, batch.label, parameters.head, progress)
    rows = rows + parameters.quantile_share * pinball_loss(outputs.quantiles, batch.scaled_return)
    return (rows * batch.weight).sum() / batch.weight.sum()


def evaluate(network: Network, dataset: TradingDataset, chosen: Rows, parameters: SequenceParameters) -> float:
    """Mean loss over the chosen windows.

    Args:
        network: on any device; left in evaluation mode.
        dataset: the windows with their targets.
        chosen: places in the data set.
        parameters: the head and the share of the quantiles.

    Returns:
        The batches' losses, weighted by their number of windows; 0 if there is none.
    """
    network.eval()
    device = next(network.parameters()).device
    total = 0.0
    with torch.no_grad():
        for batch in make_loader(dataset, chosen, EVALUATION_BATCH):
            moved = Batch(*(one.to(device) for one in batch))
            total += float(network_loss(network(moved.x), moved, parameters)) * len(moved.label)
    return total / max(len(chosen), 1)


def apply_network(network: Network, windows: Windows, chosen: Rows) -> tuple[Floats, Floats, Floats, Floats]:
    """What a network says of the chosen windows.

    Args:
        network: on the CPU; left in evaluation mode.
        windows: standardised.
        chosen: places among the windows.

    Returns:
        Logits (n, 3), quantiles of the scaled returns (n, horizons, 5), attention (n, length) and selection (n,
        features or 0).
    """
    network.eval()
    parts = []
    with torch.no_grad():
        for start in range(0, len(chosen), EVALUATION_BATCH):
            outputs = network(torch.from_numpy(windows.gather(chosen[start : start + EVALUATION_BATCH])))
            parts.append([one.double() for one in outputs])
    logits, quantiles, attention, selection = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
    return logits, quantiles, attention, selection


def to_safetensors(tensors: Mapping[str, Tensor]) -> bytes:
    """The tensors as bytes; one that two modules share is written under both its names."""
    return save({name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()})


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
