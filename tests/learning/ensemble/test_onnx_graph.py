"""An ensemble is one ONNX graph that says what the ensemble says, whatever its members are."""

import numpy as np
import pytest

from tests.depth import deep
from tests.laws.test_forecasters import DIRECTED, fitted, make_rows, training, unfitted
from tradewind.learning.ensemble.forecaster import EnsembleForecaster
from tradewind.learning.ensemble.onnx_graph import shape_of, to_onnx
from tradewind.learning.models import onnx_graph
from tradewind.learning.models.onnx_forecaster import OnnxForecaster

EVERY_ONE = tuple(sorted(DIRECTED.args[1]))


@pytest.mark.parametrize(
    "members",
    [
        ("lightgbm", "linear"),
        ("mlp", "random_forest", "lstm"),
        deep(("linear", "lstm", "xgboost")),
        deep(("tft", "lstm")),
        deep(EVERY_ONE),
    ],
    ids="-".join,
)
def test_the_graph_says_what_the_ensemble_says(members: tuple[str, ...]) -> None:
    weights = np.arange(1, len(members) + 1) / np.arange(1, len(members) + 1).sum()
    ensemble = EnsembleForecaster.of([fitted(name) for name in members], weights.tolist(), 7)
    content = to_onnx(ensemble)
    graph = OnnxForecaster.from_bytes(content, ensemble.features)
    shape = shape_of(ensemble)
    assert (graph.window_bars, graph.reads_windows) == (ensemble.window_bars, len(shape) == 2)
    values = make_rows(4)[list(ensemble.features)].to_numpy(dtype=np.float32).copy()
    values[np.random.default_rng(3).random(values.shape) < 0.05] = np.nan
    length, apart = ensemble.window_bars, 0.0
    for end in range(length, length + 100):
        x = values[end - length : end] if len(shape) == 2 else values[end - 1]
        said = [fitted(name).predict_row(_own(x, name)) for name in members]
        wanted = np.average(said, axis=0, weights=weights)
        np.testing.assert_allclose(ensemble.predict_row(x), wanted, atol=1e-12)
        apart = max(apart, float(np.abs(graph.predict_row(x) - wanted).max()))
    assert apart < 1e-6
    assert to_onnx(EnsembleForecaster.from_files(ensemble.files())) == content


def _own(x: np.ndarray, name: str) -> np.ndarray:
    bars, length = np.atleast_2d(x), fitted(name).window_bars
    return bars[-length:] if length > 1 else bars[-1]


def test_members_that_read_other_features_find_their_own() -> None:
    one, other = fitted("linear"), fitted("lightgbm")
    ensemble = EnsembleForecaster.of([one, other], [0.25, 0.75], 7)
    assert set(ensemble.features) == {*one.features, *other.features}
    shuffled = np.arange(len(ensemble.features), dtype=np.float32)
    assert [ensemble.features[at] for at in ensemble.places[1]] == list(other.features)
    said = [model.predict_row(shuffled[at]) for model, at in zip((one, other), ensemble.places, strict=True)]
    np.testing.assert_allclose(ensemble.predict_row(shuffled), 0.25 * said[0] + 0.75 * said[1])


def test_a_network_over_one_bar_takes_a_row_as_models_of_rows_do() -> None:
    network = unfitted("linear_network", window_bars=1).fit(training(make_rows(1)))
    ensemble = EnsembleForecaster.of([network, fitted("linear")], [0.75, 0.25], 7)
    graph = OnnxForecaster.from_bytes(to_onnx(ensemble), ensemble.features)
    assert (graph.window_bars, graph.reads_windows) == (1, True)
    for x in make_rows(4)[list(ensemble.features)].to_numpy(dtype=np.float32)[:50]:
        np.testing.assert_array_equal(network.predict_row(x), network.predict_row(x[None]))
        wanted = 0.75 * network.predict_row(x) + 0.25 * fitted("linear").predict_row(x)
        np.testing.assert_allclose(ensemble.predict_row(x), wanted, atol=1e-12)
        np.testing.assert_allclose(graph.predict_row(x), wanted, atol=1e-6)


def test_a_single_forecaster_is_its_own_graph() -> None:
    assert to_onnx(fitted("linear")) == onnx_graph.to_onnx(fitted("linear"))
