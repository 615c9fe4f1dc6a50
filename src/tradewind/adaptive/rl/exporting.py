"""A policy as ONNX, compared with the network that it came from."""

import io
import threading
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tradewind.adaptive.rl.learners import Actor
from tradewind.errors import BadModel
from tradewind.learning.models.sequence.exported import make_session

TOLERANCE = 1e-5
_EXPORT = threading.Lock()


def to_onnx(actor: Actor, width: int) -> bytes:
    """The policy as ONNX: `observation` (batch, width) in, `action` out (logits of the actions, or the position).

    A recurrent one has `state` and `cell` (1, batch, units) in and `next_state` and `next_cell` out.

    Raises:
        BadModel: the two differ by more than 1e-5, over three bars one after the other.
    """
    actor.eval()
    observation = torch.randn((5, width), generator=torch.Generator().manual_seed(0))
    recurrent = [("state", "next_state"), ("cell", "next_cell")] if actor.units else []
    names_in, names_out = (
        ["observation", *(name for name, _ in recurrent)],
        ["action", *(name for _, name in recurrent)],
    )
    axes: dict[str, Any] = {
        name: {1 if "state" in name or "cell" in name else 0: "batch"} for name in (*names_in, *names_out)
    }
    file = io.BytesIO()
    with _EXPORT, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            actor, (observation, *actor.begin(5)), file, dynamo=False, opset_version=17, input_names=names_in,
            output_names=names_out, dynamic_axes=axes,
        )  # fmt: skip
    _compare(actor, file.getvalue(), observation)
    return file.getvalue()


def _compare(actor: Actor, network: bytes, observation: torch.Tensor) -> None:
    session, count = make_session(network), 3
    onnx_state = tuple(one.numpy() for one in actor.begin(count))
    ours = actor.begin(count)
    for bar in range(3 if actor.units else 1):
        step_input = observation.roll(bar, 0)[:count]
        with torch.no_grad():
            outputs = actor(step_input, *ours)
        expected, ours = (outputs[0], outputs[1:]) if actor.units else (outputs, ())
        state_inputs = dict(zip(("state", "cell"), onnx_state, strict=False))
        exported, *after = session.run(None, {"observation": step_input.numpy(), **state_inputs})
        onnx_state = tuple(after)
        apart = _distance(expected.numpy(), exported)
        if not apart <= TOLERANCE:
            raise BadModel(f"the exported policy differs from the trained one by {apart:.1e}, more than {TOLERANCE}")


def _distance(one: NDArray[np.float32], two: NDArray[np.float32]) -> float:
    return float(np.abs(one - two).max())
