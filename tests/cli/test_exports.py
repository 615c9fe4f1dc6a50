"""What other servers are given says the same as the bundle."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from tests.operations.bundles import bundle_files
from tradewind.cli.exports import mirror, save_mlflow_model
from tradewind.errors import BadParameters
from tradewind.operations.bundle import contents
from tradewind.operations.bundle.contents import Bundle
from tradewind.operations.bundle.exports import triton_repository
from tradewind.operations.registry.gate import GateRules
from tradewind.operations.registry.records import Reason
from tradewind.operations.registry.registry import Registry


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.from_files(bundle_files("lightgbm"), "a" * 64)


def test_the_model_of_mlflow_says_the_same(bundle: Bundle, tmp_path: Path) -> None:
    import mlflow.pyfunc

    save_mlflow_model(bundle, tmp_path / "model")
    assert not [file for file in (tmp_path / "model").rglob("*") if file.suffix in {".pkl", ".pickle"}]
    said: Any = mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(bundle.array(contents.PROBE))
    np.testing.assert_allclose(said["forecast"], bundle.array(contents.EXPECTED), atol=1e-6)
    with pytest.raises(BadParameters, match="name another folder"):
        save_mlflow_model(bundle, tmp_path / "model")


def test_the_repository_of_triton_holds_the_same_graph_and_its_shapes(bundle: Bundle) -> None:
    files = triton_repository(bundle, 17)
    assert set(files) == {
        "lightgbm/config.pbtxt", "lightgbm/17/model.onnx", "lightgbm/features.txt", "lightgbm/bundle.json",
    }  # fmt: skip
    session = onnxruntime.InferenceSession(files["lightgbm/17/model.onnx"])
    config = files["lightgbm/config.pbtxt"].decode()
    given, said = session.get_inputs()[0], session.get_outputs()[0]
    assert f'name: "{given.name}" data_type: TYPE_FP32 dims: [ {given.shape[1]} ]' in config
    assert f'name: "{said.name}" data_type: TYPE_FP64 dims: [ {said.shape[1]} ]' in config
    found = session.run(None, {given.name: bundle.array(contents.PROBE)})[0]
    np.testing.assert_allclose(found, bundle.array(contents.EXPECTED), atol=1e-6)


def test_mlflow_shows_versions_and_roles_and_is_corrected_when_it_differs(tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    registry = Registry(tmp_path / "registry", GateRules(row_p99_ms=1000))
    for seed in (1, 2):
        registry.register(bundle_files(seed=seed))
    registry.move("production", "champion", 1, None, Reason("operator", "test"))
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    assert mirror(registry, uri, tmp_path / "models") == 2
    client = MlflowClient(uri, uri)
    assert client.get_model_version_by_alias("tradewind.linear", "production-champion").tags["version"] == "1"
    client.set_registered_model_alias("tradewind.linear", "staging-champion", "2")  # somebody else's hand
    registry.move("production", "champion", 2, 1, Reason("operator", "test"))
    assert mirror(registry, uri, tmp_path / "models") == 0
    aliases = client.get_registered_model("tradewind.linear").aliases
    assert {name: str(number) for name, number in aliases.items()} == {
        "production-champion": "2", "production-previous": "1",
    }  # fmt: skip
    assert registry.roles("production").champion == 2
