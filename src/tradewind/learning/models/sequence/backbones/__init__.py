"""Backbones: from a window of features to a vector a horizon, a file each with a class `Backbone`.

A further one is a file here, its name in `models.catalogue.MODELS` and its parameters: the heads, training, export,
pipeline, evaluation, report and tests follow.
"""

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from torch import Tensor, nn

from tradewind.learning.models.sequence.parameters import SequenceParameters


class Encoded(NamedTuple):
    """What a backbone makes of a batch of windows.

    `vectors` (batch, horizons, width); `attention` over the bars (batch, length) and `selection` among the features
    (batch, features), both of which sum to one; a backbone that does not select has zero columns there.
    """

    vectors: Tensor
    attention: Tensor
    selection: Tensor


def make_backbone(name: str, n_features: int, horizons: tuple[int, ...], parameters: SequenceParameters) -> nn.Module:
    """The backbone of that file. It has `width`, the size of its vectors. No other file is imported.

    Args:
        name: of a file in this folder.
        n_features: size of the last axis of its input.
        horizons: bars of the returns that are forecast, rising.
        parameters: width, layers and what else the network is made by.

    Returns:
        A module from (batch, length, features) to an `Encoded`, with random weights.
    """
    backbone: Callable[[int, tuple[int, ...], SequenceParameters], nn.Module] = import_module(
        f"{__name__}.{name}"
    ).Backbone
    return backbone(n_features, horizons, parameters)
