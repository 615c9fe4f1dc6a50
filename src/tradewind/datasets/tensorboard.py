"""Training curves for TensorBoard."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io import AbstractDataset, DatasetError


class TensorBoardDataset(AbstractDataset[pd.DataFrame, None]):
    """A folder of event files, one sub-folder a run: `tensorboard --logdir data/08_reporting` shows them.

    Saved from a table run, step, tag, value. Each save replaces the folder, as a whole.
    """

    def __init__(self, *, path: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(path)
        self.metadata = metadata

    def save(self, data: pd.DataFrame) -> None:
        """Write the events."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".partial-", dir=self._path.parent))
        for run, part in data.groupby("run", sort=False):
            writer = EventFileWriter(str(temporary / str(run)))
            for step, tag, value in part[["step", "tag", "value"]].itertuples(index=False):
                summary = Summary(value=[Summary.Value(tag=tag, simple_value=float(value))])
                writer.add_event(Event(step=int(step), summary=summary))
            writer.close()
        shutil.rmtree(self._path, ignore_errors=True)
        temporary.rename(self._path)

    def load(self) -> pd.DataFrame:
        """Refused: the numbers are in the table of epochs."""
        raise DatasetError(f"{self._path} is for TensorBoard to read; the same numbers are in the epochs table")

    def _exists(self) -> bool:
        return self._path.exists()

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path)}
