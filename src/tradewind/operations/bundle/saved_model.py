"""The graph of a model of rows as a SavedModel of TensorFlow: its operators one by one, its trees by their tables.

Networks are not among them: they have operators (LSTM, attention) that are not written here.
"""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import BadModel, BadParameters, MissingExtra
from tradewind.learning.models.onnx_forecaster import INPUT, OUTPUT
from tradewind.operations.bundle.contents import EXPECTED, GRAPH, PROBE, PROBE_TOLERANCE, Bundle

Attributes = dict[str, Any]


def save_saved_model(bundle: Bundle, path: Path) -> None:
    """Write the SavedModel, whose signature `serving_default` takes `features` and gives `forecast`.

    Args:
        bundle: what is exported.
        path: of the folder.

    Raises:
        BadModel: the graph has an operator that is not written here, or says something else as a SavedModel.
        BadParameters: there is something at `path`.
        MissingExtra: TensorFlow is not installed.
    """
    if find_spec("tensorflow") is None:  # an extra of its own, not part of `all`: half a gigabyte for one form
        raise MissingExtra("a SavedModel needs TensorFlow: pip install 'tradewind[tensorflow]'")
    import onnx
    import tensorflow as tf

    if path.exists():
        raise BadParameters(f"{path} exists: name another folder")
    graph = onnx.load_from_string(bundle.files[GRAPH]).graph
    unknown = sorted({node.op_type for node in graph.node} - {*_operators(tf), "TreeEnsembleRegressor"})
    if unknown:
        raise BadModel(f"{bundle.spec.name} has operators that a SavedModel is not written for: {', '.join(unknown)}")
    shape = [None, *(one.dim_value for one in graph.input[0].type.tensor_type.shape.dim[1:])]

    class Forecaster(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, INPUT)])
        def forecast(self, features: Any) -> dict[str, Any]:
            return {OUTPUT: _computed(tf, graph, features)}

    model = Forecaster()
    output = model.forecast(tf.constant(bundle.array(PROBE)))[OUTPUT].numpy()
    apart = float(np.abs(output - bundle.array(EXPECTED)).max())
    if not apart <= PROBE_TOLERANCE:
        raise BadModel(f"{bundle.spec.name}: the SavedModel differs from the model by {apart:.1e} on the probe rows")
    tf.saved_model.save(model, str(path), signatures={"serving_default": model.forecast})


def _computed(tf: Any, graph: Any, features: Any) -> Any:
    from onnx import helper, numpy_helper

    values: dict[str, Any] = {one.name: tf.constant(numpy_helper.to_array(one)) for one in graph.initializer}
    values[INPUT] = features
    operators = _operators(tf)
    for node in graph.node:
        attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        given = [values[name] for name in node.input]
        if node.op_type == "TreeEnsembleRegressor":
            values[node.output[0]] = _trees(tf, given[0], attributes)
        else:
            values[node.output[0]] = operators[node.op_type](given, attributes)
    return values[OUTPUT]


def _operators(tf: Any) -> dict[str, Callable[[list[Any], Attributes], Any]]:
    kinds = {1: tf.float32, 11: tf.float64}
    return {
        "Identity": lambda x, _: x[0],
        "Cast": lambda x, a: tf.cast(x[0], kinds[a["to"]]),
        "Sub": lambda x, _: x[0] - x[1],
        "Add": lambda x, _: x[0] + x[1],
        "Mul": lambda x, _: x[0] * x[1],
        "Div": lambda x, _: x[0] / x[1],
        "Sum": lambda x, _: tf.add_n(x),
        "Max": lambda x, _: tf.maximum(x[0], x[1]),
        "Clip": lambda x, _: tf.clip_by_value(x[0], x[1], x[2]),
        "Log": lambda x, _: tf.math.log(x[0]),
        "IsNaN": lambda x, _: tf.math.is_nan(x[0]),
        "Where": lambda x, _: tf.where(x[0], x[1], x[2]),
        "MatMul": lambda x, _: tf.matmul(x[0], x[1]),
        "Softmax": lambda x, a: tf.nn.softmax(x[0], axis=a["axis"]),
        "ReduceSum": lambda x, a: tf.reduce_sum(x[0], axis=x[1], keepdims=bool(a["keepdims"])),
        "Concat": lambda x, a: tf.concat(x, a["axis"]),
        "Gather": lambda x, a: tf.gather(x[0], x[1], axis=a["axis"]),
    }


def _trees(tf: Any, x: Any, attributes: Attributes) -> Any:
    """Every row goes down every tree at once, as many steps as the deepest has."""
    from onnx import numpy_helper

    def column(name: str) -> NDArray[Any]:
        found = attributes[name]
        return np.asarray(numpy_helper.to_array(found) if hasattr(found, "dims") else found)

    tree, number = column("nodes_treeids"), column("nodes_nodeids")
    place = {key: at for at, key in enumerate(zip(tree.tolist(), number.tolist(), strict=True))}
    modes = [one.decode() for one in attributes["nodes_modes"]]
    is_leaf = np.array([mode == "LEAF" for mode in modes])

    def of(name: str) -> NDArray[np.int32]:
        targets = zip(tree.tolist(), column(name).tolist(), strict=True)
        return np.array([at if is_leaf[at] else place[key] for at, key in enumerate(targets)], dtype=np.int32)

    score = np.zeros((len(tree), int(attributes["n_targets"])))
    leaves = zip(column("target_treeids").tolist(), column("target_nodeids").tolist(), strict=True)
    at = np.array([place[key] for key in leaves])
    np.add.at(score, (at, column("target_ids")), column("target_weights_as_tensor"))
    true, false = of("nodes_truenodeids"), of("nodes_falsenodeids")
    node = tf.zeros([tf.shape(x)[0], 1], tf.int32) + tf.constant(np.unique(tree, return_index=True)[1].astype(np.int32))
    is_strict = np.array([mode == "BRANCH_LT" for mode in modes])
    for _ in range(_depth(true, false, is_leaf)):
        value = tf.gather(x, tf.gather(column("nodes_featureids").astype(np.int32), node), batch_dims=1)
        threshold = tf.gather(column("nodes_values_as_tensor"), node)
        below = tf.where(tf.gather(is_strict, node), value < threshold, value <= threshold)
        missing = tf.gather(column("nodes_missing_value_tracks_true").astype(bool), node)
        node = tf.where(tf.where(tf.math.is_nan(value), missing, below), tf.gather(true, node), tf.gather(false, node))
    return tf.reduce_sum(tf.gather(score, node), axis=1) + column("base_values_as_tensor")


def _depth(true: NDArray[np.int32], false: NDArray[np.int32], is_leaf: NDArray[np.bool_]) -> int:
    depth, at = 0, np.flatnonzero(~is_leaf)
    reached = np.unique(at[~np.isin(at, np.concatenate([true[at], false[at]]))])  # the roots that split
    while len(reached):
        depth += 1
        reached = np.unique(np.concatenate([true[reached], false[reached]]))
        reached = reached[~is_leaf[reached]]
    return depth
