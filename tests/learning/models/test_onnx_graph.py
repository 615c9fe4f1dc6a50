"""Every model that can be traded says the same as an ONNX graph, missing values included."""

import numpy as np
import pytest

from tests.laws.test_forecasters import DIRECTED, FEATURES, fitted, make_rows
from tradewind.errors import BadModel
from tradewind.learning.models.onnx_forecaster import OnnxForecaster
from tradewind.learning.models.onnx_graph import to_onnx
from tradewind.learning.models.onnx_trees import lightgbm_nodes, xgboost_nodes


@DIRECTED
def test_the_graph_says_what_the_model_says(name: str) -> None:
    model = fitted(name)
    graph = OnnxForecaster.from_bytes(to_onnx(model), model.features)
    assert graph.window_bars == model.window_bars
    rng = np.random.default_rng(3)
    values = make_rows(4)[list(model.features)].to_numpy(dtype=np.float32).copy()
    values[rng.random(values.shape) < 0.05] = np.nan
    length = model.window_bars
    apart = 0.0
    for end in range(length, length + 400):
        x = values[end - 1] if length == 1 else values[end - length : end]
        apart = max(apart, float(np.abs(graph.predict_row(x) - model.predict_row(x)).max()))
    assert apart < 1e-6


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_a_threshold_is_met_to_the_last_bit(name: str) -> None:
    """Rows on both sides of every threshold: rounded otherwise, some of them would change sides."""
    model = fitted(name)
    read = {"lightgbm": lightgbm_nodes, "xgboost": xgboost_nodes}[name]
    nodes = read(model.files()[model.model_file], model.best_rounds)
    rows = []
    for _, _, feature, threshold, mode, *_ in nodes.rows:
        if mode == "LEAF":
            continue
        below = np.float32(threshold)
        for value in (np.nextafter(below, np.float32(-np.inf)), below, np.nextafter(below, np.float32(np.inf))):
            row = np.zeros(len(FEATURES), dtype=np.float32)
            row[feature] = value
            rows.append(row)
    x = np.stack(rows)
    graph = OnnxForecaster.from_bytes(to_onnx(model), model.features)
    expected = np.stack([model.predict_row(row) for row in x])
    np.testing.assert_allclose(graph.predict_many(x), expected, atol=1e-6)


def test_a_model_without_a_direction_is_refused() -> None:
    with pytest.raises(BadModel, match="last_value cannot be exported"):
        to_onnx(fitted("last_value"))


def test_a_graph_of_other_features_is_refused() -> None:
    content = to_onnx(fitted("linear"))
    with pytest.raises(BadModel, match="names 2 features"):
        OnnxForecaster.from_bytes(content, ("a", "b"))
    with pytest.raises(BadModel, match="cannot be read"):
        OnnxForecaster.from_bytes(content[:-40], FEATURES)
