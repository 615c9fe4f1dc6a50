"""A fitted forecaster as one ONNX graph, from raw features to the calibrated forecast: whoever runs it gets the same.

Input `features`, float32 (rows, features), or (rows, window_bars, features) of a model over windows, missing values
NaN. Output `forecast`, float64 (rows, 4): p_down, p_flat, p_up, expected log return.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import BadModel
from tradewind.learning.models.base import Files, Forecaster
from tradewind.learning.models.calibration import FLOOR
from tradewind.learning.models.onnx_trees import TreeNodes, lightgbm_nodes, xgboost_nodes
from tradewind.metrics.classification import CLASSES

INPUT, OUTPUT = "features", "forecast"
OPSET, TREES = 17, "ai.onnx.ml"
CLIP = 5.0  # as of the linear models, scikit-learn's and the networks
UNSEEN = 1e-9  # the probability of a class that was never seen


class Graph:
    """Nodes in the making; every method gives the name of what it computes."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.opsets = {"": OPSET}

    def constant(self, value: Any, dtype: Any = np.float64) -> str:
        from onnx import numpy_helper

        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, dtype=dtype), name))
        return name

    def op(self, kind: str, *inputs: str, domain: str = "", output: str = "", **attributes: Any) -> str:
        """One operator.

        Args:
            kind: its name in ONNX.
            *inputs: what it reads.
            domain: of the operator; empty for those of ONNX itself.
            output: what its result is called; a name of its own if not given.
            **attributes: as ONNX has them.
        """
        from onnx import helper

        name = output or f"value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], domain=domain, **attributes))
        return name

    def doubles(self, name: str) -> str:
        return self.op("Cast", name, to=11)

    def singles(self, name: str) -> str:
        return self.op("Cast", name, to=1)

    def embed(self, content: bytes, fed: str, prefix: str = "inner_") -> None:
        """A model with one input, its names prefixed.

        Args:
            content: of its file.
            fed: what its input is.
            prefix: of the names of all that it computes.
        """
        import onnx
        from onnx.compose import add_prefix

        model = onnx.load_from_string(content)
        given = model.graph.input[0].name
        inner = add_prefix(model, prefix).graph
        self.op("Identity", fed, output=f"{prefix}{given}")
        self.nodes += inner.node
        self.constants += inner.initializer
        for one in model.opset_import:
            self.opsets[one.domain] = max(self.opsets.get(one.domain, 0), one.version)

    def trees(self, nodes: TreeNodes) -> str:
        self.opsets[TREES] = 3
        score = self.op("TreeEnsembleRegressor", self.doubles(INPUT), domain=TREES, **nodes.attributes())
        return self.op("Softmax", self.doubles(score), axis=-1)

    def standardised(self, mean: Any, share: Any, by: str) -> str:
        """The features less their mean, scaled and clipped; what is missing is 0.

        Args:
            mean: of each feature.
            share: of each feature, that it is scaled by.
            by: how: `Div` or `Mul`.
        """
        moved = self.op("Sub", self.doubles(INPUT), self.constant(mean))
        scaled = self.op(by, moved, self.constant(share))
        without_nan = self.op("Where", self.op("IsNaN", scaled), self.constant(0.0), scaled)
        return self.op("Clip", without_nan, self.constant(-CLIP), self.constant(CLIP))

    def among_three(self, probability: str, classes: list[int]) -> str:
        """Probabilities of the classes that were seen to those of all three."""
        seen = np.searchsorted(CLASSES, classes)
        spread, floor = np.zeros((len(seen), len(CLASSES))), np.full(len(CLASSES), UNSEEN)
        spread[np.arange(len(seen)), seen], floor[seen] = 1.0, 0.0
        out = self.op("Add", self.op("MatMul", probability, self.constant(spread)), self.constant(floor))
        return self.op("Div", out, self.total(out))

    def total(self, name: str) -> str:
        return self.op("ReduceSum", name, self.constant([-1], np.int64), keepdims=1)

    def calibrated(self, probability: str, scaling: dict[str, float]) -> str:
        """As `ProbabilityScaling.apply`."""
        offset = scaling["move_offset"]
        log_probability = self.op("Log", self.op("Max", probability, self.constant(FLOOR)))
        sloped = self.op("Mul", log_probability, self.constant(scaling["slope"]))
        return self.op("Softmax", self.op("Add", sloped, self.constant([offset, 0.0, offset])), axis=-1)


def to_onnx(forecaster: Forecaster) -> bytes:
    """The fitted forecaster as ONNX.

    Raises:
        BadModel: a kind of model that has no form in ONNX, such as `last_value`.
    """
    files = forecaster.files()
    if "network.onnx" in files:
        graph = _network(files)
    elif type(forecaster).has_direction and "forecaster.json" in files:
        graph = row_graph(forecaster, files)
    else:
        raise BadModel(f"{forecaster.name} cannot be exported to ONNX: deploy a model that knows a direction")
    return finished(graph, input_shape(forecaster), forecaster.name)


def input_shape(forecaster: Forecaster) -> tuple[int, ...]:
    """Of one input: (features,), or (window_bars, features) of a model over windows."""
    is_row = forecaster.window_bars == 1 and "network.onnx" not in forecaster.files()
    return (*(() if is_row else (forecaster.window_bars,)), len(forecaster.features))


def finished(
    graph: Graph, shape: tuple[int, ...], name: str, outputs: Mapping[str, int] | None = None
) -> bytes:  # fmt: skip
    """The graph as a checked file.

    Args:
        graph: whose output is `forecast`.
        shape: of one input.
        name: of the model.
        outputs: columns of each output by its name, if there are others than `forecast`.
    """
    import onnx
    from onnx import TensorProto, helper

    given = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["rows", *shape])
    results = [
        helper.make_tensor_value_info(one, TensorProto.DOUBLE, ["rows", columns])
        for one, columns in (outputs or {OUTPUT: 4}).items()
    ]
    onnx_graph = helper.make_graph(graph.nodes, name, [given], results, graph.constants)
    opsets = [helper.make_opsetid(domain, version) for domain, version in sorted(graph.opsets.items())]
    model = helper.make_model(onnx_graph, opset_imports=opsets, ir_version=10, producer_name="tradewind")
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def row_graph(forecaster: Forecaster, files: Files) -> Graph:
    """The nodes of a model of rows, up to its output `forecast`.

    Args:
        forecaster: the fitted model.
        files: its own (`forecaster.files()`).
    """
    outside = json.loads(files["forecaster.json"])
    state, graph = outside["state"], Graph()
    if "model.txt" in files:
        probability = graph.trees(lightgbm_nodes(files["model.txt"], state["best_rounds"]))
    elif "model.ubj" in files:
        probability = graph.trees(xgboost_nodes(files["model.ubj"], state["best_rounds"]))
    elif "model.onnx" in files:
        graph.embed(files["model.onnx"], graph.singles(graph.standardised(state["mean"], state["spread"], "Div")))
        inner = graph.op("Max", graph.doubles("inner_probabilities"), graph.constant(0.0))
        probability = graph.among_three(inner, state["classes"])
    else:
        probability = graph.among_three(_regression(graph, state), state["classes"])
    if getattr(forecaster, "is_calibrated", True):
        probability = graph.calibrated(probability, outside["scaling"])
    returns: NDArray[np.float64] = np.array(outside["class_returns"])[:, None]
    expected = graph.op("MatMul", probability, graph.constant(returns))
    graph.op("Concat", probability, expected, axis=1, output=OUTPUT)
    return graph


def _regression(graph: Graph, state: dict[str, Any]) -> str:
    slope, offset = np.array(state["slope"]).T, np.array(state["offset"])
    if slope.shape[1] == 1:  # two classes have one line between them
        slope, offset = np.column_stack([np.zeros(len(slope)), slope]), np.array([0.0, offset[0]])
    score = graph.op("MatMul", graph.standardised(state["mean"], state["spread"], "Div"), graph.constant(slope))
    return graph.op("Softmax", graph.op("Add", score, graph.constant(offset)), axis=-1)


def _network(files: Files) -> Graph:
    outside = json.loads(files["forecaster.json"])
    scale, finishing, graph = outside["standardiser"], outside["finishing"], Graph()
    deviation = np.array(scale["deviation"])
    share = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    graph.embed(files["network.onnx"], graph.singles(graph.standardised(scale["mean"], share, "Mul")))
    logits, quantiles = graph.doubles("inner_logits"), graph.doubles("inner_quantiles")
    if finishing["head"] == "dirichlet":
        small = graph.op("Exp", graph.op("Neg", graph.op("Abs", logits)))
        softplus = graph.op("Add", graph.op("Max", logits, graph.constant(0.0)),
                            graph.op("Log", graph.op("Add", small, graph.constant(1.0))))  # fmt: skip
        alpha = graph.op("Add", softplus, graph.constant(1.0))
        raw = graph.op("Div", alpha, graph.total(alpha))
    else:
        raw = graph.op("Softmax", logits, axis=-1)
    probability = graph.calibrated(raw, finishing["scaling"])
    # The median of the quantiles at the label's horizon, which is the last: the third largest of five.
    last = graph.op("Gather", quantiles, graph.constant(-1, np.int64), axis=1)
    shifted = graph.op("Add", last, graph.constant(finishing["quantile_shift"][-1]))
    from onnx import helper

    graph.nodes.append(helper.make_node("TopK", [shifted, graph.constant([3], np.int64)], ["largest", "places"]))
    median = graph.op("Gather", "largest", graph.constant([2], np.int64), axis=1)
    expected = graph.op("Mul", median, graph.constant(finishing["return_scale"][-1]))
    graph.op("Concat", probability, expected, axis=1, output=OUTPUT)
    return graph
