"""Where a network is trained: the CPU, or a GPU by CUDA or ROCm, by the same code."""

import os
from typing import Any

import torch

from tradewind.errors import BadParameters
from tradewind.learning.models.sequence.parameters import SequenceParameters


def make_fabric(parameters: SequenceParameters) -> Any:
    """Lightning's Fabric for one device, with its precision.

    On a GPU only deterministic kernels are used. ROCm builds of torch call their devices cuda, too.

    Raises:
        BadParameters: a GPU is asked for and there is none.
    """
    from lightning.fabric import Fabric

    has_gpu = torch.cuda.is_available()
    if parameters.device == "cuda" and not has_gpu:
        raise BadParameters("device is cuda, but torch sees no GPU (CUDA or ROCm): take auto or cpu")
    is_gpu = has_gpu and parameters.device != "cpu"
    precision = parameters.precision
    if is_gpu:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
    elif precision == "16-mixed":
        precision = "bf16-mixed"  # half precision is a GPU's; bfloat16 is the CPU's way to the same end
    return Fabric(accelerator="cuda" if is_gpu else "cpu", devices=1, precision=precision)


def warm_up(network: torch.nn.Module, x: torch.Tensor) -> None:
    """One pass there and back, so that a GPU's libraries (MIOpen above all) choose and build their kernels before
    anything is timed; weights and gradients stay as they are."""
    if x.device.type == "cpu":
        return
    outputs = network(x)
    (outputs.logits.sum() + outputs.quantiles.sum()).backward()
    network.zero_grad(set_to_none=True)
    torch.cuda.synchronize()
