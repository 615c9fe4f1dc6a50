"""A stored network run by ONNX Runtime on one thread: no torch, Lightning or pytorch-forecasting is imported."""

from typing import Any, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from tradewind.errors import BadData, BadModel
from tradewind.learning.models.base import Files
from tradewind.learning.models.onnx_sessions import open_session
from tradewind.learning.models.sequence.finishing import Finishing
from tradewind.learning.models.sequence.windows import Standardiser, make_windows

NETWORK, OUTSIDE = "network.onnx", "forecaster.json"


class Outside(BaseModel):
    """What stands around the network in `forecaster.json`: all that inference needs beside it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    window_bars: int
    standardiser: Standardiser
    finishing: Finishing

    @classmethod
    def parsed(cls, content: bytes) -> "Outside":
        """From the file.

        Raises:
            BadModel: it was written by another version.
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise BadModel(f"{OUTSIDE} was written by another version: {error}") from error


def make_session(network: bytes) -> Any:
    """An ONNX Runtime session on one thread.

    Raises:
        BadModel: the bytes are no ONNX network.
    """
    try:
        return open_session(network)
    except Exception as error:
        raise BadModel(f"{NETWORK} cannot be read: {error}") from error


class ExportedForecaster:
    """The forecaster of a stored fold, for live use: the same forecasts to 1e-5, under a millisecond a row."""

    def __init__(self, outside: Outside, session: Any) -> None:
        """Use `from_files`."""
        self._outside, self._session = outside, session

    @classmethod
    def from_files(cls, files: Files) -> Self:
        """From the files of a stored network. The bytes must be trusted: the store has checked their hashes.

        Raises:
            BadModel: a file is missing or damaged.
        """
        missing = {NETWORK, OUTSIDE} - set(files)
        if missing:
            raise BadModel(f"an exported network needs {sorted(missing)}, found {sorted(files)}")
        return cls(Outside.parsed(files[OUTSIDE]), make_session(files[NETWORK]))

    @property
    def window_bars(self) -> int:
        """How many bars a forecast reads."""
        return self._outside.window_bars

    @property
    def features(self) -> tuple[str, ...]:
        """The feature columns that a bar must have."""
        return self._outside.standardiser.features

    def predict(self, bars: pd.DataFrame) -> pd.DataFrame:
        """One row: the forecast at the last of `bars`, which are one symbol's feature rows without a gap.

        Raises:
            BadData: there are fewer bars than the window has, or a feature is missing.
        """
        window = bars.iloc[-self.window_bars :]
        if len(window) < self.window_bars:
            raise BadData(f"a forecast reads {self.window_bars} bars, found {len(window)}")
        return self._finished(self._outside.standardiser.apply(window)[None]).set_axis(window.index[-1:])

    def predict_row(self, x: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """p_down, p_flat, p_up and expected log return (4,) of a window (window_bars, features), oldest bar first."""
        logits, quantiles = self._session.run(None, {"x": self._outside.standardiser.scaled(np.atleast_2d(x))[None]})
        return self._outside.finishing.row(logits.astype(np.float64), quantiles.astype(np.float64))

    def predict_all(self, rows: pd.DataFrame) -> pd.DataFrame:
        """A forecast for each row of all symbols that ends a whole window, under the row's index."""
        windows = make_windows(rows, self._outside.standardiser, self.window_bars)
        forecasts = self._finished(windows.gather(np.arange(len(windows))))
        return forecasts.set_axis(rows.index[windows.source]).sort_index()

    def _finished(self, x: np.ndarray[Any, Any]) -> pd.DataFrame:
        logits, quantiles = self._session.run(None, {"x": x})
        return self._outside.finishing.forecasts(logits.astype(np.float64), quantiles.astype(np.float64))
