"""A bundle's model in MLflow can be called by who reads only MLflow."""

from pathlib import Path
from typing import Any

import mlflow
import mlflow.onnx
import numpy as np
import onnx
import pytest
from mlflow.models import infer_signature

from tests.operations.bundles import bundle_files
from tradewind.errors import BadModel
from tradewind.operations.bundle import contents
from tradewind.operations.bundle.contents import Bundle
from tradewind.tracking.models import require_callable
from tradewind.tracking.recorders import RECORDERS


@pytest.mark.parametrize("name", ["linear", pytest.param("lstm", marks=pytest.mark.depth)])
def test_a_registered_bundle_is_logged_with_signature_and_example(client: Any, tmp_path: Path, name: str) -> None:
    files = bundle_files(name)
    bundle = Bundle.from_files(files, "a" * 64)
    RECORDERS["bundle"]("registry", files, tmp_path)
    run = mlflow.active_run()
    assert run is not None
    found = client.search_logged_models([run.info.experiment_id])
    (logged,) = [one for one in found if one.source_run_id == run.info.run_id]
    assert logged.name == name
    model: Any = mlflow.pyfunc.load_model(logged.model_uri)
    given, said = model.metadata.signature.inputs, model.metadata.signature.outputs
    probe = bundle.array(contents.PROBE)
    assert [(one.name, one.type, one.shape) for one in given.inputs] == [
        ("features", np.float32, (-1, *probe.shape[1:]))
    ]
    assert [(one.name, one.type, one.shape) for one in said.inputs] == [("forecast", np.float64, (-1, 4))]
    np.testing.assert_allclose(model.predict(probe)["forecast"], bundle.array(contents.EXPECTED), atol=1e-6)
    example = {"features": np.asarray(model.input_example["features"], np.float32)}
    np.testing.assert_array_equal(example["features"], probe[: len(example["features"])])
    np.testing.assert_allclose(
        model.predict(example)["forecast"], bundle.array(contents.EXPECTED)[: len(example["features"])], atol=1e-6
    )


@pytest.mark.parametrize("fault", ["no signature", "no input example", "pickled files"])
def test_a_logged_model_that_lacks_something_is_refused(client: Any, fault: str) -> None:
    bundle = Bundle.from_files(bundle_files(), "a" * 64)
    probe = bundle.array(contents.PROBE)
    described: dict[str, Any] = {
        "signature": infer_signature({"features": probe}, {"forecast": bundle.array(contents.EXPECTED)}),
        "input_example": {"features": probe[:3]},
    }
    if fault == "no signature":
        described["signature"] = False  # MLflow's word for: infer none
    elif fault == "no input example":
        del described["input_example"]
    graph = onnx.load_from_string(bundle.files[contents.GRAPH])
    logged = mlflow.onnx.log_model(graph, name="planted", pip_requirements=["onnxruntime"], **described)
    if fault == "pickled files":
        (Path(mlflow.artifacts.download_artifacts(logged.model_uri)) / "model.pkl").write_bytes(b"")
    with pytest.raises(BadModel, match=f"has {fault}.*: log it with tracking.log_bundle"):
        require_callable(logged.model_uri)
