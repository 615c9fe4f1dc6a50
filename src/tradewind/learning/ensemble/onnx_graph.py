"""A fitted forecaster, or an ensemble of several, as one ONNX graph."""

import numpy as np

from tradewind.learning.ensemble.forecaster import EnsembleForecaster
from tradewind.learning.models import onnx_graph
from tradewind.learning.models.base import Forecaster
from tradewind.learning.models.onnx_graph import INPUT, OUTPUT, Graph, finished, input_shape


def to_onnx(forecaster: Forecaster) -> bytes:
    """The fitted forecaster as ONNX; of an ensemble the graphs of its members side by side, and their weighted mean.

    Raises:
        BadModel: a kind of model that has no form in ONNX, such as `last_value`.
    """
    if not isinstance(forecaster, EnsembleForecaster):
        return onnx_graph.to_onnx(forecaster)
    graph, shape, parts = Graph(), shape_of(forecaster), []
    files = _of_one_version([onnx_graph.to_onnx(member) for member in forecaster.members])
    for member, file, places, weight in zip(
        forecaster.members, files, forecaster.places, forecaster.weights, strict=True
    ):
        own = graph.op("Gather", INPUT, graph.constant(places, np.int64), axis=len(shape))
        if len(shape) == 2:
            bars = np.arange(shape[0] - member.window_bars, shape[0])
            is_row = len(input_shape(member)) == 1
            own = graph.op("Gather", own, graph.constant(bars[-1] if is_row else bars, np.int64), axis=1)
        prefix = f"{member.name}_"
        graph.embed(file, own, prefix)
        parts.append(graph.op("Mul", f"{prefix}{OUTPUT}", graph.constant(float(weight))))
    graph.op("Sum", *parts, output=OUTPUT)
    return finished(graph, shape, forecaster.name)


def _of_one_version(files: list[bytes]) -> list[bytes]:
    """The same graphs, all in the newest version of the operators that one of them is written in."""
    import onnx
    from onnx.version_converter import convert_version

    models = [onnx.load_from_string(file) for file in files]
    versions = [next(one.version for one in model.opset_import if not one.domain) for model in models]
    newest = max(versions)
    return [
        file if version == newest else bytes(convert_version(model, newest).SerializeToString(deterministic=True))
        for file, model, version in zip(files, models, versions, strict=True)
    ]


def shape_of(forecaster: Forecaster) -> tuple[int, ...]:
    """Of one input: (features,), or (window_bars, features) where it or a member reads windows."""
    if not isinstance(forecaster, EnsembleForecaster):
        return input_shape(forecaster)
    reads_windows = any(len(input_shape(member)) == 2 for member in forecaster.members)
    return (*([forecaster.window_bars] if reads_windows else []), len(forecaster.features))
