"""Event files that TensorBoard reads, replaced as a whole."""

from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DatasetError
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tradewind.datasets import TensorBoardDataset


def test_the_scalars_are_there_by_run_tag_and_step(tmp_path: Path) -> None:
    table = pd.DataFrame(
        [("one", step, tag, step + 0.5) for tag in ("loss", "norm") for step in range(3)] + [("two", 0, "loss", 9.0)],
        columns=["run", "step", "tag", "value"],
    )
    dataset = TensorBoardDataset(path=str(tmp_path / "tensorboard"))
    assert not dataset.exists()
    for _ in range(2):  # the second save leaves nothing of the first
        dataset.save(table)
    assert sorted(path.name for path in (tmp_path / "tensorboard").iterdir()) == ["one", "two"]
    assert len(list((tmp_path / "tensorboard/one").iterdir())) == 1
    events = EventAccumulator(str(tmp_path / "tensorboard/one"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(0, 0.5), (1, 1.5), (2, 2.5)]
    assert set(events.Tags()["scalars"]) == {"loss", "norm"}
    assert [path.name for path in tmp_path.iterdir()] == ["tensorboard"]
    with pytest.raises(DatasetError, match="epochs table"):
        dataset.load()
