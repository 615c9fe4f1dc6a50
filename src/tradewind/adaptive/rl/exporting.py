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
    """The policy as ONNX: `seen` (batch, width) in, `said` out; with a memory `state` and `cell` (1, batch, units) in
    and `next_state` and `next_cell` out.

    Raises:
        BadModel: the two differ by more than 1e-5, over three bars one after the other.
    """
    actor.eval()
    seen = torch.randn((5, width), generator=torch.Generator().manual_seed(0))
    memory = [("state", "next_state"), ("cell", "next_cell")] if actor.units else []
    names_in, names_out = ["seen", *(name for name, _ in memory)], ["said", *(name for _, name in memory)]
    axes: dict[str, Any] = {
        name: {1 if "state" in name or "cell" in name else 0: "batch"} for name in (*names_in, *names_out)
    }
    file = io.BytesIO()
    with _EXPORT, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            actor, (seen, *actor.begin(5)), file, dynamo=False, opset_version=17, input_names=names_in,
            output_names=names_out, dynamic_axes=axes,
        )  # fmt: skip
    _compare(actor, file.getvalue(), seen)
    return file.getvalue()


def _compare(actor: Actor, network: bytes, seen: torch.Tensor) -> None:
    session, count = make_session(network), 3
    theirs = tuple(one.numpy() for one in actor.begin(count))
    mine = actor.begin(count)
    for bar in range(3 if actor.units else 1):
        here = seen.roll(bar, 0)[:count]
        with torch.no_grad():
            said = actor(here, *mine)
        expected, mine = (said[0], said[1:]) if actor.units else (said, ())
        given = dict(zip(("state", "cell"), theirs, strict=False))
        found, *after = session.run(None, {"seen": here.numpy(), **given})
        theirs = tuple(after)
        apart = _distance(expected.numpy(), found)
        if not apart <= TOLERANCE:
            raise BadModel(f"the exported policy differs from the trained one by {apart:.1e}, more than {TOLERANCE}")


def _distance(one: NDArray[np.float32], two: NDArray[np.float32]) -> float:
    return float(np.abs(one - two).max())
