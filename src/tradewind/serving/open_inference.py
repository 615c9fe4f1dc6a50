"""The Open Inference Protocol, version 2, as KServe, Triton and MLServer speak it, with its binary form."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tradewind.learning.models.onnx_forecaster import INPUT, OUTPUT
from tradewind.serving.messages import Document
from tradewind.serving.refusals import Refusal
from tradewind.serving.variants import Variant

HEADER_LENGTH = "inference-header-content-length"
KINDS: dict[str, Any] = {"FP32": np.float32, "FP64": np.float64}
MOST_ROWS = 10_000


class Tensor(BaseModel):
    """An input; `data` is flat or nested, and absent where bytes follow the header."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    shape: list[int] = Field(min_length=1, max_length=3)
    datatype: str
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class Wanted(BaseModel):
    """An output that is asked for."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    parameters: dict[str, Any] = {}


class InferRequest(BaseModel):
    """The body of an inference."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: str = Field(default="", max_length=128)
    parameters: dict[str, Any] = {}
    inputs: list[Tensor] = Field(min_length=1, max_length=1)
    outputs: list[Wanted] = Field(default=[], max_length=1)


def server_metadata() -> Document:
    """Of the server."""
    return {"name": "tradewind", "version": "1", "extensions": ["binary_tensor_data"]}


def model_metadata(variant: Variant) -> Document:
    """Of a model in service."""
    forecaster = variant.bundle.forecaster
    window = [forecaster.window_bars] if forecaster.reads_windows else []
    return {
        "name": variant.name, "versions": [str(variant.version)], "platform": "onnx_onnxv1",
        "inputs": [{"name": INPUT, "datatype": "FP32", "shape": [-1, *window, len(forecaster.features)]}],
        "outputs": [{"name": OUTPUT, "datatype": "FP64", "shape": [-1, 4]}],
    }  # fmt: skip


def infer(variant: Variant, body: bytes, header_length: str | None) -> tuple[bytes, dict[str, str]]:
    """The answer's body and headers.

    Args:
        variant: which version.
        body: as it came.
        header_length: of the JSON part, where bytes follow it.

    Raises:
        Refusal: 422 with the field.
    """
    length = len(body) if header_length is None else _length(header_length, len(body))
    request = _parsed(body[:length])
    forecast = _answered(variant, _tensor(request.inputs[0], body[length:], variant))
    binary = bool(request.outputs and request.outputs[0].parameters.get("binary_data"))
    binary = binary or (not request.outputs and bool(request.parameters.get("binary_data_output")))
    if request.outputs and request.outputs[0].name != OUTPUT:
        raise Refusal(422, "there is no such output", f"ask for {OUTPUT}", "outputs.0.name")
    output: Document = {"name": OUTPUT, "datatype": "FP64", "shape": list(forecast.shape)}
    output |= {"parameters": {"binary_data_size": forecast.nbytes}} if binary else {"data": forecast.ravel().tolist()}
    document = {"model_name": variant.name, "model_version": str(variant.version), "outputs": [output]}
    head = json.dumps(document | ({"id": request.id} if request.id else {}), allow_nan=False).encode()
    if not binary:
        return head, {"content-type": "application/json"}
    headers = {"content-type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    return head + forecast.astype("<f8").tobytes(), headers


def _length(text: str, most: int) -> int:
    if not text.isdigit() or int(text) > most:
        raise Refusal(422, "the length of the header is not right", "send its bytes as a number", HEADER_LENGTH)
    return int(text)


def _parsed(body: bytes) -> InferRequest:
    try:
        return InferRequest.model_validate(json.loads(body))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise Refusal(422, first["msg"], "see /v2 of the protocol", ".".join(map(str, first["loc"]))) from None
    except (ValueError, RecursionError):
        raise Refusal(422, "the body is not JSON", "send an inference request", "body") from None


def _tensor(given: Tensor, rest: bytes, variant: Variant) -> NDArray[np.float32]:
    forecaster = variant.bundle.forecaster
    shape = (forecaster.window_bars, len(forecaster.features)) if forecaster.reads_windows else (
        len(forecaster.features),
    )  # fmt: skip
    if given.name != INPUT or given.datatype not in KINDS:
        raise Refusal(422, "there is no such input", f"send {INPUT} as FP32 or FP64", "inputs.0")
    if tuple(given.shape[1:]) != shape or not 1 <= given.shape[0] <= MOST_ROWS:
        raise Refusal(
            422, f"the shape is {given.shape}", f"send [rows, {', '.join(map(str, shape))}]", "inputs.0.shape"
        )
    kind = np.dtype(KINDS[given.datatype]).newbyteorder("<")
    count = int(np.prod(given.shape))
    try:
        if given.data is None:
            if len(rest) != count * kind.itemsize:
                raise ValueError
            values = np.frombuffer(rest, dtype=kind)
        else:
            flat = np.array(given.data, dtype=np.float64).ravel()  # null is missing
            if len(flat) != count or np.isinf(flat).any():
                raise ValueError
            values = flat
        with np.errstate(over="ignore"):
            single = values.astype(np.float32)
    except (ValueError, TypeError):
        raise Refusal(422, "the data are not finite numbers of that shape", "send null for missing values",
                      "inputs.0.data") from None  # fmt: skip
    if np.isinf(single).any():
        raise Refusal(422, "a feature is infinite", "send null for what is not known", "inputs.0.data")
    return np.ascontiguousarray(single.reshape(given.shape))


def _answered(variant: Variant, x: NDArray[np.float32]) -> NDArray[np.float64]:
    forecast = variant.bundle.forecaster.predict_many(x)
    if not np.isfinite(forecast).all():
        raise Refusal(500, "the model says no number", "roll it back")
    return forecast
