"""Batches: what a plain loop gives, in the order asked for, and pytorch-forecasting's own tensors."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from tradewind.errors import BadData
from tradewind.learning.models.sequence.dataset import Batches, ForecastingDataset, Targets, TradingDataset, make_loader
from tradewind.learning.models.sequence.windows import Standardiser, make_windows


def test_a_batch_holds_the_windows_and_targets_of_its_places(dataset: TradingDataset) -> None:
    batch = dataset[np.array([3, 600, 0])]
    for row, place in enumerate((3, 600, 0)):
        end = dataset.windows.ends[place]
        np.testing.assert_array_equal(batch.x[row], dataset.windows.values[end - 5 : end + 1])
        np.testing.assert_array_equal(batch.scaled_return[row], dataset.targets.scaled_return[place])
        assert batch.label[row] == dataset.targets.label[place] and batch.weight[row] == dataset.targets.weight[place]
    assert dataset[4].x.shape == (1, 6, 3) and len(dataset) == 695


def test_a_loader_gives_every_place_once_and_shuffles_by_its_own_generator(dataset: TradingDataset) -> None:
    places = np.arange(100, 350)
    plain = torch.cat([batch.label for batch in make_loader(dataset, places, 64)])
    np.testing.assert_array_equal(plain, dataset.targets.label[places])
    torch.manual_seed(0)
    order = Batches(places, 64, torch.Generator().manual_seed(5))
    first, second = (np.concatenate(list(order)) for _ in range(2))
    torch.manual_seed(1)
    again = np.concatenate(list(Batches(places, 64, torch.Generator().manual_seed(5))))
    assert len(order) == 4 and sorted(first) == sorted(second) == places.tolist()
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)


def test_worker_processes_give_the_same_batches(dataset: TradingDataset) -> None:
    places = np.arange(200)
    alone, helped = (list(make_loader(dataset, places, 64, workers=workers)) for workers in (0, 1))
    for one, other in zip(alone, helped, strict=True):
        torch.testing.assert_close(one.x, other.x, rtol=0, atol=0)


def test_targets_that_do_not_match_are_refused(dataset: TradingDataset) -> None:
    targets = dataset.targets
    with pytest.raises(BadData, match="695 windows need as many"):
        TradingDataset(dataset.windows, Targets(targets.label[1:], targets.scaled_return, targets.weight))


def test_the_dictionaries_are_those_of_pytorch_forecasting() -> None:
    from pytorch_forecasting import TimeSeriesDataSet

    rng, encoder, decoder = np.random.default_rng(0), 10, 3
    at = pd.date_range("2024-01-01", periods=60, freq="h", tz="UTC").as_unit("ms")
    table = pd.concat(
        [
            pd.DataFrame(rng.standard_normal((60, 3)).astype(np.float32), columns=list("xyz")).assign(
                symbol=symbol, timestamp=at, target=rng.standard_normal(60).astype(np.float32)
            )
            for symbol in ("A", "B")
        ],
        ignore_index=True,
    )
    standardiser = Standardiser.fitted(table, list("xyz"))
    windows = make_windows(table, standardiser, encoder + decoder)
    step = np.tile(np.arange(60), 2)
    ours = ForecastingDataset(windows, table["target"].to_numpy(), step, decoder)
    flat = table.assign(time=step)
    flat[list("xyz")] = standardiser.apply(table)
    theirs = TimeSeriesDataSet(
        flat, time_idx="time", target="target", group_ids=["symbol"], max_encoder_length=encoder,
        min_encoder_length=encoder, max_prediction_length=decoder, min_prediction_length=decoder,
        time_varying_unknown_reals=list("xyz"), scalers=dict.fromkeys("xyz"), target_normalizer=None,
    )  # fmt: skip
    (x, (y, weight)), *more = theirs.to_dataloader(train=False, batch_size=1000, num_workers=0)
    found, (found_y, found_weight) = ours[np.arange(len(ours))]
    assert not more and weight is None and found_weight is None and len(ours) == len(theirs) == 2 * (60 - 12)
    torch.testing.assert_close(found_y, y, rtol=0, atol=0)
    assert set(found) == set(x) and len(found) == 11
    for name, tensor in x.items():
        if name == "target_scale":
            continue  # what nothing is scaled by: theirs has no second column to undo
        assert found[name].shape == tensor.shape, name
        torch.testing.assert_close(found[name].to(tensor.dtype), tensor, rtol=0, atol=0, msg=name)
    with pytest.raises(BadData, match="leave no encoder"):
        ForecastingDataset(replace(windows, length=3), table["target"].to_numpy(), step, decoder)
