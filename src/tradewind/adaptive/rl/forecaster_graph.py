"""The forecaster that agents read as one ONNX graph, and that graph as what tells an agent its forecasts."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tradewind.adaptive.rl.forecasts import AgentForecaster
from tradewind.learning.models.onnx_forecaster import INPUT, OUTPUT, OnnxForecaster
from tradewind.learning.models.onnx_graph import finished, row_graph

SPREAD = "spread"
COLUMNS = 5  # p_down, p_flat, p_up, expected log return, spread
Floats = NDArray[np.float64]


def to_onnx(forecaster: AgentForecaster) -> bytes:
    """The forecaster as ONNX: `forecast` (rows, 4) as of every model, and `spread` (rows, 1) beside it."""
    model = forecaster.classes
    graph = row_graph(model, model.files())
    spread = forecaster.spread
    deviation = np.array(spread.standardiser.deviation)
    share = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    scaled = graph.doubles(graph.singles(graph.standardised(spread.standardiser.mean, share, "Mul")))
    weights = np.array(spread.weights)
    size = graph.op("Add", graph.op("MatMul", scaled, graph.constant(weights[1:, None])), graph.constant(weights[0]))
    graph.op("Mul", graph.op("Exp", size), graph.constant(spread.width), output=SPREAD)
    return finished(graph, (len(forecaster.features),), "agent_forecaster", {OUTPUT: 4, SPREAD: 1})


class ForecastGraph(NamedTuple):
    """The graph of `to_onnx` in ONNX Runtime.

    Attributes:
        model: whose session it is.
    """

    model: OnnxForecaster

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that it reads."""
        return self.model.features

    @property
    def window_bars(self) -> int:
        """One row is enough."""
        return 1

    def predict_many(self, x: NDArray[np.float32]) -> Floats:
        """`COLUMNS` (rows, 5) of features (rows, features)."""
        return np.concatenate(self.model.session.run([OUTPUT, SPREAD], {INPUT: x}), axis=1)

    def predict_row(self, x: NDArray[np.float32]) -> Floats:
        """`COLUMNS` (5,) of one row (features,)."""
        return self.predict_many(np.ascontiguousarray(x, dtype=np.float32)[None])[0]
