"""States as bytes: a line of JSON, then the arrays as they lie in memory, under one hash. Nothing is ever executed."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import BadData
from tradewind.learning.features.bars import COLUMNS, Chunk

Arrays = dict[str, NDArray[Any]]
KINDS = ("float64", "float32", "int64", "int32")


def pack(head: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """One block of bytes of a JSON head and named arrays of the `KINDS`."""
    body = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays.values())
    shapes = [[name, str(array.dtype), list(array.shape)] for name, array in arrays.items()]
    content = {"head": dict(head), "arrays": shapes}
    digest = hashlib.sha256(json.dumps(content).encode() + body).hexdigest()
    return json.dumps({**content, "sha256": digest}).encode() + b"\n" + body


def unpack(content: bytes, what: str) -> tuple[dict[str, Any], Arrays]:
    """The head and the arrays of `pack`; `what` names the state in messages.

    Raises:
        BadData: the bytes are no such block, or they were damaged.
    """
    line, _, body = content.partition(b"\n")
    try:
        parsed = json.loads(line)
        digest, signed = parsed["sha256"], {"head": parsed["head"], "arrays": parsed["arrays"]}
    except (ValueError, KeyError, TypeError) as error:
        raise BadData(f"a saved {what} must begin with its plan and hash: replay the history") from error
    if digest != hashlib.sha256(json.dumps(signed).encode() + body).hexdigest():
        raise BadData(f"the saved {what} is damaged (its hash does not fit): replay the history")
    arrays, start = {}, 0
    for name, kind, shape in signed["arrays"]:
        if kind not in KINDS:
            raise BadData(f"the saved {what} holds an array of {kind}, which none has: replay the history")
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(kind).itemsize
        arrays[name] = np.frombuffer(body[start : start + size], dtype=kind).reshape(shape).copy()
        start += size
    return signed["head"], arrays


def chunk_arrays(bars: Chunk, name: str) -> Arrays:
    """The columns of some bars as arrays for `pack`, under `name`."""
    columns = {f"{name}/{column}": getattr(bars, column) for column in COLUMNS}
    return columns | {f"{name}/side:{series}": values for series, values in bars.side.items()}


def chunk_from(arrays: Mapping[str, NDArray[Any]], name: str) -> Chunk | None:
    """The bars that `chunk_arrays` put under `name`; None where there are none."""
    if f"{name}/close" not in arrays:
        return None
    start = f"{name}/side:"
    side = {key.removeprefix(start): values for key, values in arrays.items() if key.startswith(start)}
    return Chunk(**{column: arrays[f"{name}/{column}"] for column in COLUMNS}, side=side)
