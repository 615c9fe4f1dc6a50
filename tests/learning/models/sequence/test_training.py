"""Training: the same bytes after a stop, what options must not change, and what is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tests.depth import deep
from tradewind.errors import BadModel, BadParameters
from tradewind.learning.models.base import Files
from tradewind.learning.models.sequence import devices
from tradewind.learning.models.sequence.dataset import TradingDataset
from tradewind.learning.models.sequence.networks import Network
from tradewind.learning.models.sequence.parameters import SequenceParameters
from tradewind.learning.models.sequence.stability import Epoch
from tradewind.learning.models.sequence.training import STATE, learning_rate, to_safetensors, train_network

QUICK = SequenceParameters(window_bars=6, hidden=8, batch_size=64, learning_rate=0.01, max_rounds=4)
TRAIN, VALID = np.arange(500), np.arange(520, 695)


class Killed(Exception):
    """What a kill is to a test in one process."""


class Kept:
    """A checkpoint in memory that ends the run when it has been written `until` times."""

    def __init__(self, until: int = 1000, files: Files | None = None) -> None:
        self.files, self.until, self.written = files, until, 0

    def get(self) -> Files | None:
        return self.files

    def put(self, files: Files) -> None:
        self.files, self.written = files, self.written + 1
        if self.written == self.until:
            raise Killed


def train(dataset: TradingDataset, checkpoint: Kept | None = None, name: str = "lstm", **changed: Any) -> Any:
    parameters = QUICK.model_copy(update=changed)
    network = Network(name, 3, (1, 2), parameters)
    history, best = train_network(network, dataset, TRAIN, VALID, parameters, 7, checkpoint)
    return to_safetensors(network.state_dict()), [tuple(map(str, epoch)) for epoch in history], best


def valid_losses(trained: Any) -> list[float]:
    return [float(epoch[Epoch._fields.index("valid_loss")]) for epoch in trained[1]]


@pytest.mark.parametrize(
    ("name", "killed_after"),
    [("lstm", 1), ("tft", 2), *(deep(*more) for more in (("lstm", 2), ("lstm", 3), ("tft", 1), ("tft", 3)))],
)
def test_a_killed_training_ends_with_the_same_weights(dataset: TradingDataset, name: str, killed_after: int) -> None:
    whole = train(dataset, name=name)
    kept = Kept(until=killed_after)
    with pytest.raises(Killed):
        train(dataset, kept, name=name)
    resumed = Kept(files=kept.files)
    assert train(dataset, resumed, name=name) == whole
    assert resumed.written == len(whole[1]) - killed_after
    # A finished one goes through no epoch again.
    done = Kept(files=resumed.files)
    assert train(dataset, done, name=name) == whole and done.written == 0


def test_a_checkpoint_that_does_not_fit_is_refused(dataset: TradingDataset) -> None:
    kept = Kept()
    train(dataset, kept)
    assert kept.files is not None
    with pytest.raises(BadModel, match="does not fit this network"):
        train(dataset, Kept(files={**kept.files, STATE: kept.files[STATE][:-50]}))
    with pytest.raises(BadModel, match="does not fit this network"):
        train(dataset, Kept(files=kept.files), hidden=4)
    with pytest.raises(BadModel, match="does not fit this network"):
        train(dataset, Kept(files=kept.files), name="linear_network")


def test_batches_put_together_are_one_large_batch(dataset: TradingDataset) -> None:
    """Of equal weight and size; the order of the sums alone differs."""
    flat = TradingDataset(dataset.windows, replace(dataset.targets, weight=np.ones_like(dataset.targets.weight)))
    small, large = (
        valid_losses(train(flat, batch_size=size, accumulate_batches=together, max_rounds=2))
        for size, together in ((50, 2), (100, 1))
    )
    np.testing.assert_allclose(small, large, rtol=1e-5)


def test_recomputing_activations_changes_nothing(dataset: TradingDataset) -> None:
    assert train(dataset, recompute=True, max_rounds=2) == train(dataset, max_rounds=2)


@pytest.mark.parametrize("changed", [{"precision": "bf16-mixed"}, {"schedule": "cosine"}, {"head": "dirichlet"}])
def test_every_way_of_training_learns(dataset: TradingDataset, changed: dict[str, Any]) -> None:
    trained = train(dataset, max_rounds=15, learning_rate=0.02, **changed)
    losses = valid_losses(trained)
    assert losses[trained[2] - 1] == min(losses) < 0.95 * losses[0]
    assert train(dataset, max_rounds=15, learning_rate=0.02, **changed) == trained


def test_the_global_generator_is_neither_used_nor_heard(dataset: TradingDataset) -> None:
    torch.manual_seed(1)
    first = train(dataset, name="tft", max_rounds=1)
    torch.manual_seed(2)
    assert train(dataset, name="tft", max_rounds=1) == first


@pytest.mark.parametrize(("schedule", "last"), [("one_cycle", 1e-4), ("cosine", 1e-2)])
def test_steps_grow_to_the_largest_and_fall(schedule: Any, last: float) -> None:
    parameters = SequenceParameters(learning_rate=0.02, schedule=schedule, warm_up_share=0.25)
    sizes = np.array([learning_rate(step, 101, parameters) for step in range(101)])
    assert sizes[0] == pytest.approx(0.02 / 25) and sizes[-1] == pytest.approx(0.02 * last)
    assert sizes.argmax() in (25, 26) and sizes.max() == pytest.approx(0.02, rel=1e-2)
    assert (np.diff(sizes[26:]) <= 0).all() and (np.diff(sizes[:25]) > 0).all()


def test_what_no_machine_or_network_can_do_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadParameters, match="sees no GPU"):
        devices.make_fabric(SequenceParameters(device="cuda"))
    with pytest.raises(ValidationError, match="multiple of attention_heads"):
        SequenceParameters(hidden=9, attention_heads=2)
    with pytest.raises(ValidationError, match="16-mixed needs a GPU"):
        SequenceParameters(precision="16-mixed")
    assert devices.make_fabric(SequenceParameters(device="auto", precision="16-mixed")).device.type == "cpu"
