"""Any classifier of scikit-learn as a forecaster, by its name and its parameters; stored as ONNX, never pickled."""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from tradewind.errors import BadModel, BadParameters
from tradewind.learning.models.base import Floats, ModelParameters, Sample
from tradewind.learning.models.row_model import Learned, RowForecaster, Values, log_losses
from tradewind.metrics.classification import CLASSES

CLIP = 5.0  # standard deviations
OUTPUT = "probabilities"


class EstimatorParameters(ModelParameters):
    """The estimator's own parameters, in scikit-learn's words; those not given are the catalogue's."""

    estimator: dict[str, Any] = Field(default_factory=dict)


class Estimator(NamedTuple):
    """A classifier of scikit-learn: its family, how it is made, what is set if nothing else is said, and whether its
    fit can be weighted and draws at random."""

    family: str
    make: Callable[..., Any]
    defaults: dict[str, Any]
    takes_weights: bool = True
    is_random: bool = True


def _logistic_regression(**parameters: Any) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(**parameters)


def _random_forest(**parameters: Any) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(**parameters)


def _extra_trees(**parameters: Any) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier

    return ExtraTreesClassifier(**parameters)


def _gaussian_nb(**parameters: Any) -> Any:
    from sklearn.naive_bayes import GaussianNB

    return GaussianNB(**parameters)


def _mlp(**parameters: Any) -> Any:
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(**parameters)


FOREST = {"n_estimators": 200, "max_depth": 6, "min_samples_leaf": 50, "max_features": 0.2}
# Not hist_gradient_boosting: skl2onnx 1.20 cannot write it with onnx 1.23, and LightGBM grows the same trees.
ESTIMATORS: dict[str, Estimator] = {
    "logistic_regression": Estimator("linear", _logistic_regression, {"C": 0.002, "max_iter": 200}),
    "random_forest": Estimator("forest", _random_forest, FOREST),
    "extra_trees": Estimator("forest", _extra_trees, FOREST),
    "gaussian_nb": Estimator("bayes", _gaussian_nb, {}, is_random=False),
    "mlp": Estimator(
        "network", _mlp, {"hidden_layer_sizes": [16], "alpha": 1.0, "max_iter": 50, "early_stopping": True}
    ),
}


class EstimatorForecaster(RowForecaster):
    """A classifier of scikit-learn on standardised features, clipped at five deviations, what is missing at the mean.

    What it says is always what the stored ONNX model says: file and memory cannot differ.
    """

    parameters_class: ClassVar[type[ModelParameters]] = EstimatorParameters
    model_file: ClassVar[str | None] = "model.onnx"
    estimator: ClassVar[Estimator]

    def _learn(self, train: Sample, valid: Sample) -> Learned:
        from skl2onnx import to_onnx

        values = train.x.to_numpy(dtype=np.float64)
        is_finite = np.isfinite(values)
        count = np.maximum(is_finite.sum(axis=0), 1)
        mean = np.where(is_finite, values, 0.0).sum(axis=0) / count
        spread = np.sqrt((np.where(is_finite, values - mean, 0.0) ** 2).sum(axis=0) / count)
        spread[spread < 1e-12] = 1.0
        drawn = {"random_state": self.seed} if self.estimator.is_random else {}
        try:
            model = self.estimator.make(**self.estimator.defaults | drawn | self.parameters.estimator)
            x = _scaled(train.x.to_numpy(dtype=np.float32), mean, spread)
            weights = {"sample_weight": train.weight} if self.estimator.takes_weights else {}
            model.fit(x, train.label.astype(np.int64), **weights)
        except (TypeError, ValueError) as error:
            raise BadParameters(f"{self.name} with {self.parameters.estimator}: {error}") from error
        # A name of its own: otherwise it is drawn at random, and so are the bytes.
        graph = to_onnx(model, x[:1], name=self.name, options={id(model): {"zipmap": False}})
        state = {"mean": mean.tolist(), "spread": spread.tolist(), "classes": model.classes_.tolist()}
        self._model = _Session(graph.SerializeToString(), state)
        return Learned(log_losses(self, train, valid), state)

    def raw(self, values: Values) -> Floats:
        """Probabilities before calibration (rows, 3)."""
        return self._model.probability(values)

    def _to_bytes(self) -> bytes:
        return bytes(self._model.content)

    def _restore(self, content: bytes) -> Any:
        return _Session(content, self.state)


class _Session:
    """The ONNX model, run on one thread."""

    def __init__(self, content: bytes, state: dict[str, Any]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.content = content
        self.mean, self.spread = np.array(state["mean"]), np.array(state["spread"])
        self.columns = np.searchsorted(CLASSES, state["classes"])
        try:
            self.session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise BadModel(f"model.onnx cannot be read: {error}") from error
        self.input = self.session.get_inputs()[0].name

    def probability(self, values: Values) -> Floats:
        (probabilities,) = self.session.run([OUTPUT], {self.input: _scaled(values, self.mean, self.spread)})
        out = np.full((len(values), len(CLASSES)), 1e-9)
        out[:, self.columns] = np.maximum(probabilities, 0.0)
        return np.asarray(out / out.sum(axis=1, keepdims=True))


def _scaled(values: Values, mean: Floats, spread: Floats) -> Values:
    return np.clip(np.nan_to_num((values.astype(np.float64) - mean) / spread), -CLIP, CLIP).astype(np.float32)


def estimator_forecaster(name: str, estimator: Estimator | None = None) -> type[EstimatorForecaster]:
    """The forecaster around a classifier of scikit-learn: the one called `name` here, unless one is given."""
    of = estimator or ESTIMATORS[name]
    about = {"name": name, "family": of.family, "estimator": of, "__doc__": f"scikit-learn's {name}."}
    return type(f"{name}_forecaster", (EstimatorForecaster,), about)
