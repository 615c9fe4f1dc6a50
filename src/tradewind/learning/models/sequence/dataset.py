"""Windows and what they are to foretell, as PyTorch data: a batch is one index operation, no sample is built alone."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from tradewind.errors import BadData
from tradewind.learning.models.sequence.windows import Rows, Windows


class Batch(NamedTuple):
    """`x` (batch, length, features), class 0 to 2, returns in units of their own spread (batch, horizons), weight."""

    x: Tensor
    label: Tensor
    scaled_return: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Targets:
    """What each window is to foretell, an entry a window; `scaled_return` has a column a horizon."""

    label: NDArray[np.int64]
    scaled_return: NDArray[np.float32]
    weight: NDArray[np.float32]


class TradingDataset(Dataset[Batch]):
    """Sliding windows that never leave their symbol or cross a gap, with the targets of their last row.

    Indexed by a window's place or by an array of places; the latter is how batches are made.
    """

    def __init__(self, windows: Windows, targets: Targets) -> None:
        """As many targets as windows.

        Raises:
            BadData: the numbers differ.
        """
        if {len(targets.label), len(targets.scaled_return), len(targets.weight)} != {len(windows)}:
            raise BadData(f"{len(windows)} windows need as many labels, returns and weights")
        self.windows, self.targets = windows, targets

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, chosen: Any) -> Batch:
        places = np.atleast_1d(np.asarray(chosen, dtype=np.int64))
        targets = self.targets
        return Batch(
            torch.from_numpy(self.windows.gather(places)), torch.from_numpy(targets.label[places]),
            torch.from_numpy(targets.scaled_return[places]), torch.from_numpy(targets.weight[places]),
        )  # fmt: skip


class Batches(Sampler[Rows]):
    """Places in batches, in their order or shuffled anew by each pass, from a generator of its own."""

    def __init__(self, places: Rows, batch_size: int, generator: torch.Generator | None = None) -> None:
        """Shuffled if there is a generator."""
        self._places, self._size, self._generator = places, batch_size, generator

    def __len__(self) -> int:
        return math.ceil(len(self._places) / self._size)

    def __iter__(self) -> Iterator[Rows]:
        order = self._places
        if self._generator is not None:
            order = order[torch.randperm(len(order), generator=self._generator).numpy()]
        for start in range(0, len(order), self._size):
            yield order[start : start + self._size]


def make_loader(
    dataset: Dataset[Any], places: Rows, batch_size: int, generator: torch.Generator | None = None, workers: int = 0
) -> DataLoader[Any]:
    """A `DataLoader` of whole batches over the windows at `places`, such as the training rows of a purged fold.

    Args:
        dataset: that takes an array of places and gives a batch.
        places: of the windows, such as those of a purged fold's training rows.
        batch_size: windows.
        generator: shuffles anew with each pass; None keeps their order.
        workers: processes that read; 0 reads in this one.

    Returns:
        A loader of whole batches.
    """
    return DataLoader(dataset, sampler=Batches(places, batch_size, generator), batch_size=None, num_workers=workers)


class ForecastingDataset(Dataset[tuple[dict[str, Tensor], tuple[Tensor, None]]]):
    """The same windows in the dictionary format of pytorch-forecasting's networks, without its data set.

    A sample is `encoder_bars` bars and the `decoder_bars` after them. Equal, tensor for tensor, to what
    `TimeSeriesDataSet(..., target_normalizer=None)` gives with all reals unknown and scaled beforehand (tested).
    """

    def __init__(
        self, windows: Windows, target: NDArray[np.float32], step: NDArray[np.int64], decoder_bars: int
    ) -> None:
        """`windows` are `encoder_bars + decoder_bars` long; `target` and `step` (the time index) have an entry a row
        of `windows.values`."""
        if windows.length <= decoder_bars:
            raise BadData(f"windows of {windows.length} bars leave no encoder before {decoder_bars} decoder bars")
        self._windows, self._target, self._step, self._decoder = windows, target, step, decoder_bars
        # Which series a row belongs to: a window never leaves its own, so that a jump back in time starts another.
        self._series = np.cumsum(np.r_[False, np.diff(step) < 0])

    def __len__(self) -> int:
        return len(self._windows)

    def __getitem__(self, chosen: Any) -> tuple[dict[str, Tensor], tuple[Tensor, None]]:
        places = np.atleast_1d(np.asarray(chosen, dtype=np.int64))
        lags = np.arange(1 - self._windows.length, 1)
        rows = self._windows.ends[places][:, None] + lags
        encoder = self._windows.length - self._decoder
        x, y = torch.from_numpy(self._windows.values[rows]), torch.from_numpy(self._target[rows])
        count = len(places)
        nothing = torch.zeros((count, self._windows.length, 0), dtype=torch.int64)
        batch = {
            "encoder_cat": nothing[:, :encoder],
            "encoder_cont": x[:, :encoder],
            "encoder_target": y[:, :encoder],
            "encoder_lengths": torch.full((count,), encoder),
            "decoder_cat": nothing[:, encoder:],
            "decoder_cont": x[:, encoder:],
            "decoder_target": y[:, encoder:],
            "decoder_lengths": torch.full((count,), self._decoder),
            "decoder_time_idx": torch.from_numpy(self._step[rows[:, encoder:]]),
            "groups": torch.from_numpy(self._series[rows[:, :1]]),
            "target_scale": torch.tensor([0.0, 1.0]).expand(count, 2),
        }
        return batch, (y[:, encoder:], None)
