"""What TorchServe runs beside the graph: rows or windows of features in, forecasts out. It needs onnxruntime alone.

The whole file goes into the archive, so that nothing of Tradewind is imported here.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

_MODEL: dict[str, Any] = {}


def handle(data: list[dict[str, Any]] | None, context: Any) -> list[Any]:
    """An answer for each request: `{"forecast": [[p_down, p_flat, p_up, expected_return], ...]}`.

    A request is `{"features": [[...], ...]}`, in the order of features.txt; what is missing is null.
    """
    if not _MODEL:
        _load(Path(context.system_properties["model_dir"]))
    return [_answer(request) for request in data or []]


def _load(folder: Path) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    _MODEL["session"] = onnxruntime.InferenceSession(
        str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    body: Any = request.get("body", request.get("data"))
    try:
        if isinstance(body, bytes | bytearray | str):
            body = json.loads(body)
        values = np.array(body["features"], dtype=np.float64)  # null is NaN
        with np.errstate(over="ignore"):
            rows = values.astype(np.float32)
        if np.isinf(rows).any():
            raise ValueError("a feature is infinite")
        forecast = _MODEL["session"].run(["forecast"], {"features": rows})[0]
    except Exception as error:  # noqa: BLE001 - one bad request must not fail those that came with it
        return {"error": f"{type(error).__name__}: {error}"}
    return {"forecast": forecast.tolist()}
