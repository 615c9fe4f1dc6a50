"""A fold's stored model as one of MLflow: its files as they are, and an `MLmodel` that says what it takes and gives.

Nothing is converted or pickled. `mlflow.pyfunc.load_model("runs:/RUN/classifier.linear/fold_0")` checks the hashes and
gives the model itself, where Tradewind is installed. What only MLflow is needed for is the deployed bundle (`models`).
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tradewind.datasets.model_store import read_model, read_sealed
from tradewind.learning.models.base import Files
from tradewind.learning.models.onnx_forecaster import INPUT, OUTPUT

MLMODEL = "MLmodel"
ANY = -1  # so many rows as are given
OBSERVATION, HELD, TARGET = "observation", "held", "target"
HIDDEN = ("state", "cell")
Arrays = dict[str, NDArray[Any]]


class Tensor(NamedTuple):
    """An array that a model takes or gives: its name, its type, its shape with -1 for the rows."""

    name: str
    type: Any
    shape: tuple[int, ...]


class StoredForecaster:
    """A forecaster: `features` (rows, features), or (rows, window_bars, features) oldest bar first, to `forecast`
    (rows, 4), which is p_down, p_flat, p_up and the expected log return."""

    def __init__(self, forecaster: Any) -> None:
        """Around a `base.Forecaster`."""
        self._forecaster = forecaster

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the last axis."""
        return tuple(self._forecaster.features)

    @property
    def takes(self) -> tuple[Tensor, ...]:
        """What it is asked with."""
        window = self._forecaster.window_bars
        return (Tensor(INPUT, np.float32, (ANY, *((window,) if window > 1 else ()), len(self.features))),)

    @property
    def gives(self) -> tuple[Tensor, ...]:
        """What it answers."""
        return (Tensor(OUTPUT, np.float64, (ANY, 4)),)

    def predict(self, given: Arrays, params: dict[str, Any] | None = None) -> Arrays:
        """The forecasts of the rows.

        Args:
            given: `features`, float32.
            params: of MLflow's protocol; not read.
        """
        return {OUTPUT: np.stack([self._forecaster.predict_row(row)[:4] for row in given[INPUT]])}


class StoredPolicy:
    """An agent's policy: `observation` (rows, features + account) and `held` (rows,), the present targets, to `target`
    (rows,), all as shares of equity; a recurrent one takes and gives `state` and `cell` (1, rows, units), too."""

    def __init__(self, policy: Any) -> None:
        """Around an `adaptive.rl.policies.Policy`."""
        self._policy = policy

    @property
    def features(self) -> tuple[str, ...]:
        """The names of an observation's numbers."""
        from tradewind.adaptive.rl.rules import ACCOUNT_FEATURES

        return (*self._policy.about.standardiser.features, *ACCOUNT_FEATURES)

    @property
    def _memory(self) -> tuple[Tensor, ...]:
        units = self._policy.about.recurrent_units
        return tuple(Tensor(name, np.float32, (1, ANY, units)) for name in (HIDDEN if units else ()))

    @property
    def takes(self) -> tuple[Tensor, ...]:
        """What it is asked with."""
        seen = Tensor(OBSERVATION, np.float32, (ANY, len(self.features)))
        return (seen, Tensor(HELD, np.float64, (ANY,)), *self._memory)

    @property
    def gives(self) -> tuple[Tensor, ...]:
        """What it answers."""
        return (Tensor(TARGET, np.float64, (ANY,)), *self._memory)

    def predict(self, given: Arrays, params: dict[str, Any] | None = None) -> Arrays:
        """The targets for the next bar, and what a recurrent policy remembers.

        Args:
            given: the arrays of `takes`.
            params: of MLflow's protocol; not read.
        """
        hidden = tuple(given[one.name] for one in self._memory)
        target, after = self._policy.decide(given[OBSERVATION], given[HELD], hidden)
        return {TARGET: target, **{one.name: state for one, state in zip(self._memory, after, strict=True)}}


def log_fold_model(place: Path, name: str) -> None:
    """The stored files and their `MLmodel`, with signature, as artifacts of the active MLflow run.

    Args:
        place: the folder of one model in the store.
        name: of the artifact, such as `classifier.linear/fold_0`.

    Raises:
        BadModel: the files are not whole, or were altered.
    """
    import mlflow

    text = described(place, name)
    mlflow.log_artifacts(str(place), artifact_path=name)
    mlflow.log_text(text, f"{name}/{MLMODEL}")


def described(place: Path, name: str) -> str:
    """The text of the file `MLmodel` of a stored model.

    Args:
        place: as of `log_fold_model`.
        name: as of `log_fold_model`.

    Raises:
        BadModel: the files are not whole, or were altered.
    """
    import mlflow
    from mlflow.models import Model, ModelSignature
    from mlflow.pyfunc import add_to_model
    from mlflow.types.schema import Schema, TensorSpec

    files, about = read_sealed(place)
    stored, run = _stored(files, about), mlflow.active_run()
    inputs, outputs = (
        Schema([TensorSpec(np.dtype(one.type), one.shape, one.name) for one in side])
        for side in (stored.takes, stored.gives)
    )
    model = Model(
        artifact_path=name, run_id=run.info.run_id if run else None, signature=ModelSignature(inputs, outputs),
        metadata={**about, "features": list(stored.features)},
    )  # fmt: skip
    add_to_model(model, loader_module=__name__)
    return str(model.to_yaml())


def _load_pyfunc(path: str) -> StoredForecaster | StoredPolicy:
    """What MLflow calls to load it.

    Raises:
        BadModel: the files are not whole, or were altered.
    """
    return _stored(*read_model(Path(path)))


def _stored(files: Files, about: dict[str, Any]) -> StoredForecaster | StoredPolicy:
    if "agent" in about:
        from tradewind.adaptive.rl.policies import Policy

        return StoredPolicy(Policy.from_files(files))
    from tradewind.learning.models import catalogue

    return StoredForecaster(catalogue.model(about["model"]).from_files(files))
