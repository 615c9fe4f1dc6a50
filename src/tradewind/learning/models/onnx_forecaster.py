"""A forecaster that is an ONNX file: what decides live. No library of models is imported."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import BadModel
from tradewind.learning.models.onnx_sessions import MOST_BYTES, open_session

INPUT, OUTPUT = "features", "forecast"
LARGEST_BATCH = 8 << 20  # bytes of rows that are forecast at once: what a network makes of them is many times that
Floats = NDArray[np.float64]


class OnnxForecaster(NamedTuple):
    """The graph of `onnx_graph.to_onnx` in ONNX Runtime, on one thread; many threads may ask it at once.

    Attributes:
        features: names of the features that it reads, in their order.
        window_bars: bars that one forecast reads.
        reads_windows: whether its input has an axis of bars.
        session: of ONNX Runtime.
    """

    features: tuple[str, ...]
    window_bars: int
    reads_windows: bool
    session: Any

    @classmethod
    def from_bytes(cls, content: bytes, features: Sequence[str]) -> "OnnxForecaster":
        """From the file, whose hash the caller has checked.

        Raises:
            BadModel: the bytes are no such graph, or it reads another number of features.
        """
        try:
            session = open_session(content)
            shape = session.get_inputs()[0].shape
        except Exception as error:
            raise BadModel(f"the ONNX file cannot be read: {error}") from error
        if session.get_inputs()[0].name != INPUT or shape[-1] != len(features) or len(shape) not in (2, 3):
            raise BadModel(f"the ONNX file reads {shape}, the bundle names {len(features)} features")
        return cls(tuple(features), shape[1] if len(shape) == 3 else 1, len(shape) == 3, session)

    def predict_many(self, x: NDArray[np.float32]) -> Floats:
        """p_down, p_flat, p_up, expected return (rows, 4) of features (rows, features) or of windows.

        Raises:
            BadModel: the graph asks for more memory than a forecaster is given, or cannot be run.
        """
        at_once = max(LARGEST_BATCH // max(x[:1].nbytes, 1), 1)
        try:
            parts = [
                self.session.run([OUTPUT], {INPUT: x[at : at + at_once]})[0] for at in range(0, max(len(x), 1), at_once)
            ]
        except Exception as error:
            raise BadModel(
                f"the ONNX graph cannot be run within {MOST_BYTES >> 20} MB ({str(error)[:200]}): deploy it again"
            ) from error
        return np.concatenate(parts) if len(parts) != 1 else np.asarray(parts[0])

    def predict_row(self, x: NDArray[np.float32]) -> Floats:
        """The forecast (4,) of one row (features,), or of one window (window_bars, features), oldest bar first."""
        row = np.ascontiguousarray(x, dtype=np.float32)
        shape = (1, self.window_bars, len(self.features)) if self.reads_windows else (1, len(self.features))
        return self.predict_many(row.reshape(shape))[0]
