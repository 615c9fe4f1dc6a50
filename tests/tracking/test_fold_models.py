"""The models of the folds in MLflow say what they take and give, and can be called by who reads only MLflow."""

import re
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from mlflow.exceptions import MlflowException
from onnx import TensorProto, helper, numpy_helper

from tests.operations.agent_bundles import agent_files
from tests.operations.bundles import NAMES, bundle_files, inputs, model_rows, stored_model
from tradewind.adaptive.rl.policies import ABOUT, LOG, POLICY, About, Policy
from tradewind.adaptive.rl.rules import ACCOUNT_FEATURES, EnvironmentRules
from tradewind.datasets.model_store import MANIFEST, FolderModelStore
from tradewind.errors import BadModel
from tradewind.learning.models import catalogue
from tradewind.learning.models.sequence.windows import Standardiser
from tradewind.learning.models.walk_forward import TrainingRules, split_training
from tradewind.tracking.recorders import RECORDERS

KEY = "a" * 64
PROJECT = Path(__file__).parents[2]
DEPTH = pytest.mark.depth


def recorded(files: dict[str, bytes], about: dict[str, Any], folder: Path) -> str:
    """Where MLflow has the model of a fold after its list of keys was saved."""
    FolderModelStore(folder / "folds").put(KEY, files, about)
    RECORDERS["models"]("stage.model", {"0": KEY}, folder / "models.json")
    return f"runs:/{mlflow.active_run().info.run_id}/stage.model/fold_0"


def shapes(schema: Any) -> list[tuple[str, Any, tuple[int, ...]]]:
    return [(one.name, one.type, one.shape) for one in schema.inputs]


@pytest.mark.parametrize("name", ["linear", "lightgbm", "last_value", pytest.param("lstm", marks=DEPTH)])
def test_a_fold_is_logged_with_its_signature_and_says_what_it_said(client: Any, tmp_path: Path, name: str) -> None:
    files = bundle_files(name) if name != "last_value" else {"last_value.json": last_value()}
    model = stored_model(files, name) if name != "last_value" else catalogue.model(name).from_files(files)
    address = recorded(model.files(), {"model": name, "fold": 0, "features": list(NAMES), "rows": 9}, tmp_path)
    loaded: Any = mlflow.pyfunc.load_model(address)
    signature, window = loaded.metadata.signature, model.window_bars
    shape = (-1, *((window,) if window > 1 else ()), len(model.features))
    assert shapes(signature.inputs) == [("features", np.float32, shape)]
    assert shapes(signature.outputs) == [("forecast", np.float64, (-1, 4))]
    assert loaded.metadata.metadata["features"] == list(model.features)
    assert loaded.metadata.metadata["model"] == name
    x = inputs(name if window > 1 else "linear", 8)
    said = loaded.predict({"features": x})["forecast"]
    np.testing.assert_array_equal(said, [model.predict_row(row)[:4] for row in x])
    with pytest.raises(MlflowException, match=r"[Ss]hape"):
        loaded.predict({"features": x[..., :-1]})


@pytest.mark.parametrize(
    "algorithm", ["hand-made", *(pytest.param(one, marks=DEPTH) for one in ("ppo", "recurrent_ppo"))]
)
def test_a_policy_is_logged_with_its_signature_and_acts_as_it_acted(
    client: Any, tmp_path: Path, algorithm: str
) -> None:
    trained = {} if algorithm == "hand-made" else agent_files(algorithm)
    files = {name: trained[f"seed-0-{name}"] for name in (ABOUT, LOG, POLICY)} if trained else policy_files()
    policy = Policy.from_files(files)
    loaded: Any = mlflow.pyfunc.load_model(recorded(files, {"agent": algorithm, "seed": 7}, tmp_path))
    units, width = policy.about.recurrent_units, len(policy.about.standardiser.features) + len(ACCOUNT_FEATURES)
    memory = [(name, np.float32, (1, -1, units)) for name in (("state", "cell") if units else ())]
    signature = loaded.metadata.signature
    given = [("observation", np.float32, (-1, width)), ("held", np.float64, (-1,)), *memory]
    assert shapes(signature.inputs) == given
    assert shapes(signature.outputs) == [("target", np.float64, (-1,)), *memory]
    rng = np.random.default_rng(1)
    seen, held, hidden = rng.standard_normal((6, width)).astype(np.float32), np.zeros(6), policy.begin(6)
    remembered = dict(zip(("state", "cell"), hidden, strict=False))
    said = loaded.predict({"observation": seen, "held": held, **remembered})
    target, after = policy.decide(seen, held, hidden)
    np.testing.assert_array_equal(said["target"], target)
    for name, state in zip(("state", "cell"), after, strict=False):
        np.testing.assert_array_equal(said[name], state)


@pytest.mark.parametrize("fault", ["one byte", "no manifest"])
def test_an_artifact_that_was_altered_is_not_loaded(client: Any, tmp_path: Path, fault: str) -> None:
    model = stored_model(bundle_files("linear"), "linear")
    address = recorded(model.files(), {"model": "linear"}, tmp_path)
    folder = Path(mlflow.artifacts.download_artifacts(address))
    if fault == "no manifest":
        (folder / MANIFEST).unlink()
    else:
        (folder / "forecaster.json").write_bytes((folder / "forecaster.json").read_bytes() + b" ")
    with pytest.raises(BadModel, match="altered|not whole"):
        mlflow.pyfunc.load_model(str(folder))


def test_all_models_of_a_run_name_the_recorder_that_signs_them() -> None:
    """The catalog asks for `models` wherever the keys of folds are saved, by pattern."""
    texts = [path.read_text() for path in (PROJECT / "conf/base").glob("catalog_*.yml")]
    saved = [entry for text in texts for entry in re.split(r"\n(?=\S)", text) if "06_models/" in entry]
    lists = [entry for entry in saved if entry.split("\n")[0].rstrip('":').endswith(".models")]
    assert len(lists) == 2
    assert all("tracking: models" in entry for entry in lists)


def policy_files() -> dict[str, bytes]:
    """A policy that holds the tanh of its weighted observation: training one takes half a minute."""
    features = tuple(NAMES)
    width = len(features) + len(ACCOUNT_FEATURES)
    weights = numpy_helper.from_array(np.linspace(-1, 1, width, dtype=np.float32)[:, None], "weights")
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["observation", "weights"], ["sum"]),
            helper.make_node("Tanh", ["sum"], ["action"]),
        ],
        "policy",
        [helper.make_tensor_value_info("observation", TensorProto.FLOAT, ["rows", width])],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, ["rows", 1])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    about = About(
        algorithm="sac", seed=7, abstains=False, recurrent_units=0,
        standardiser=Standardiser(features=features, mean=(0.0,) * 3, deviation=(1.0,) * 3),
        environment=EnvironmentRules(actions="continuous", dead_band=0.1),
    )  # fmt: skip
    return {ABOUT: about.model_dump_json().encode(), LOG: b"[]", POLICY: model.SerializeToString()}


def last_value() -> bytes:
    kind = catalogue.model("last_value")
    training = split_training(model_rows(1, 200), TrainingRules())
    return kind(kind.parameters_class(), 7).fit(training).files()["last_value.json"]
