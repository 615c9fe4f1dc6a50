"""What other servers are given says the same as the bundle."""

import importlib.util
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner

from tests.operations.agent_bundles import agent_files
from tests.operations.bundles import bundle_files, inputs, stored_model
from tradewind.cli.exports import FORMS, export_model, mirror
from tradewind.errors import BadModel, BadParameters, MissingExtra
from tradewind.operations.bundle import contents
from tradewind.operations.bundle.contents import Bundle
from tradewind.operations.bundle.exports import torchserve_archive, triton_repository
from tradewind.operations.bundle.saved_model import save_saved_model
from tradewind.operations.registry.gate import GateRules
from tradewind.operations.registry.records import Reason
from tradewind.operations.registry.registry import Registry
from tradewind.tracking.models import save_mlflow_model


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


@pytest.mark.parametrize("form", FORMS)
def test_an_agent_is_exported_to_nobody_who_keeps_no_account(form: str, tmp_path: Path) -> None:
    Registry(tmp_path / "registry").register(agent_files())
    project = SimpleNamespace(project_path=tmp_path)
    asked = ["1", "--form", form, "--output", str(tmp_path / "out"), "--registry", str(tmp_path / "registry")]
    done = CliRunner().invoke(export_model, asked, obj=project)
    assert isinstance(done.exception, BadParameters) and "is the agent ppo" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_mlflow_has_the_forecaster_of_an_agent_and_says_so(tmp_path: Path) -> None:
    import mlflow.pyfunc

    agent = Bundle.from_files(agent_files(), "a" * 64)
    save_mlflow_model(agent, tmp_path / "model")
    model = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert model.metadata.metadata["part"] == "the forecaster of the agent"
    said: Any = model.predict(agent.array(contents.PROBE))
    np.testing.assert_allclose(said["forecast"], agent.array(contents.EXPECTED), atol=1e-6)


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


def test_the_archive_of_torchserve_holds_the_same_graph_and_a_handler_that_runs_it(
    bundle: Bundle, tmp_path: Path
) -> None:
    content = torchserve_archive(bundle, 17)
    assert content == torchserve_archive(bundle, 17)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(tmp_path)
    model = json.loads((tmp_path / "MAR-INF/MANIFEST.json").read_text())["model"]
    assert (model["modelName"], model["modelVersion"]) == ("lightgbm", "17")
    assert (tmp_path / model["serializedFile"]).read_bytes() == bundle.files[contents.GRAPH]
    named = importlib.util.spec_from_file_location("handler_of_the_archive", tmp_path / model["handler"])
    assert named is not None and named.loader is not None
    handler = importlib.util.module_from_spec(named)
    named.loader.exec_module(handler)
    context = SimpleNamespace(system_properties={"model_dir": str(tmp_path)})
    probe = [[None if np.isnan(one) else float(one) for one in row] for row in bundle.array(contents.PROBE)]
    parsed, raw, bad = handler.handle(
        [{"body": {"features": probe}}, {"data": json.dumps({"features": probe}).encode()}, {"body": {"x": 1}}], context
    )
    np.testing.assert_allclose(parsed["forecast"], bundle.array(contents.EXPECTED), atol=1e-6)
    assert raw == parsed and "features" in bad["error"]
    assert handler.handle(None, context) == []


@pytest.mark.parametrize("name", ["linear", "lightgbm", "xgboost"])
def test_the_saved_model_of_tensorflow_says_the_same(name: str, tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow", reason="pip install 'tradewind[tensorflow]'")
    of_rows = Bundle.from_files(bundle_files(name), "a" * 64)
    save_saved_model(of_rows, tmp_path / "model")
    rows = inputs(name, 1000)
    said = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"](features=tf.constant(rows))
    np.testing.assert_allclose(said["forecast"].numpy(), of_rows.forecaster.predict_many(rows), atol=1e-6)
    with pytest.raises(BadParameters, match="name another folder"):
        save_saved_model(of_rows, tmp_path / "model")
    with pytest.raises(BadModel, match="operators that a SavedModel is not written for: .*LSTM"):
        save_saved_model(Bundle.from_files(bundle_files("lstm"), "a" * 64), tmp_path / "other")


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is not None, reason="TensorFlow is there")
def test_without_tensorflow_a_saved_model_names_the_extra(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(MissingExtra, match=r"tradewind\[tensorflow\]"):
        save_saved_model(bundle, tmp_path / "model")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def running_server(command: list[str], ready: str, log: Path) -> Iterator[None]:
    """A foreign server until the block ends, once `ready` answers 200; its whole process group is ended."""
    with log.open("w") as out:
        # It looks for its own commands on the path.
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        process = subprocess.Popen(
            command, stdout=out, stderr=out, start_new_session=True, cwd=log.parent, env=environment
        )
    try:
        deadline = time.monotonic() + 300
        while True:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-3000:]
            try:
                if httpx.get(ready).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.3)
        yield
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


@pytest.mark.depth
@pytest.mark.parametrize("name", ["linear", "lightgbm", "lstm", "equal_weight"])
def test_mlflows_own_server_says_the_same_of_ten_thousand_rows(name: str, tmp_path: Path) -> None:
    served, port = Bundle.from_files(bundle_files(name), "a" * 64), free_port()
    save_mlflow_model(served, tmp_path / "model")
    command = [
        sys.executable, "-m", "mlflow", "models", "serve", "-m", str(tmp_path / "model"), "--env-manager", "local",
        "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    rows = inputs(name, 10_000)
    wanted = np.stack([stored_model(bundle_files(name), name).predict_row(row) for row in rows])
    with running_server(command, f"http://127.0.0.1:{port}/ping", tmp_path / "log"):
        said = []
        for part in np.split(rows, 10):
            body = json.dumps({"inputs": {"features": part.astype(np.float64).tolist()}})
            answer = httpx.post(f"http://127.0.0.1:{port}/invocations", content=body, timeout=120,
                                headers={"Content-Type": "application/json"})  # fmt: skip
            assert answer.status_code == 200, answer.text[:500]
            said += answer.json()["predictions"]["forecast"]
    np.testing.assert_allclose(said, wanted, atol=1e-6)


@pytest.mark.depth
def test_torchserve_says_the_same(bundle: Bundle, tmp_path: Path) -> None:
    pytest.importorskip("ts", reason="pip install torchserve, and Java")
    (tmp_path / "store").mkdir()
    (tmp_path / "store/lightgbm.mar").write_bytes(torchserve_archive(bundle, 17))
    ports = {name: free_port() for name in ("inference", "management", "metrics")}
    lines = [f"{name}_address=http://127.0.0.1:{port}" for name, port in ports.items()]
    lines += [f"grpc_{name}_port={free_port()}" for name in ("inference", "management")]
    lines += ["default_workers_per_model=1", "enable_envvars_config=false"]
    (tmp_path / "config.properties").write_text("\n".join(lines) + "\n")
    command = [
        sys.executable, "-c", "from ts.model_server import start; start()", "--start", "--foreground", "--ncs",
        "--model-store", str(tmp_path / "store"), "--models", "lightgbm=lightgbm.mar", "--ts-config",
        str(tmp_path / "config.properties"), "--disable-token-auth",
    ]  # fmt: skip
    address = f"http://127.0.0.1:{ports['inference']}"
    probe = [[None if np.isnan(one) else float(one) for one in row] for row in bundle.array(contents.PROBE)]
    with running_server(command, f"{address}/ping", tmp_path / "log"):
        deadline = time.monotonic() + 120  # it is healthy before its worker is there
        while (answer := httpx.post(f"{address}/predictions/lightgbm", json={"features": probe}, timeout=60)).is_error:
            assert time.monotonic() < deadline, answer.text
            time.sleep(1)
    np.testing.assert_allclose(answer.json()["forecast"], bundle.array(contents.EXPECTED), atol=1e-6)


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
