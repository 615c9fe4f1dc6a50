"""A bundle's model in MLflow: the ONNX graph with its signature and an example; no pickle."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tradewind.errors import BadModel, BadParameters

if TYPE_CHECKING:
    from tradewind.operations.bundle.contents import Bundle

EXAMPLE_ROWS = 3  # a window of a network is long: the example is for reading
PICKLED = frozenset({".pkl", ".pickle", ".joblib", ".pt", ".pth"})


def save_mlflow_model(bundle: "Bundle", path: Path) -> None:
    """A model of MLflow around the ONNX file; it has the pyfunc form, too, and no pickle.

    Raises:
        BadParameters: there is something at `path`.
    """
    import mlflow.onnx

    if path.exists():
        raise BadParameters(f"{path} exists: name another folder")
    mlflow.onnx.save_model(path=str(path), **_described(bundle))


def log_bundle(bundle: "Bundle") -> str:
    """The bundle's model, of an agent its forecaster, logged to the active MLflow run.

    Args:
        bundle: as it is registered.

    Returns:
        The model's address, as `mlflow.pyfunc.load_model` takes it.

    Raises:
        BadModel: what was logged cannot be called by somebody who reads only MLflow.
    """
    import mlflow.onnx

    name = f"{bundle.spec.name}_forecaster" if bundle.agent else bundle.spec.name
    logged = mlflow.onnx.log_model(name=name, **_described(bundle))
    require_callable(logged.model_uri)
    return str(logged.model_uri)


def require_callable(address: str) -> None:
    """The logged model says what it takes and gives, with an example, and holds no pickle.

    Raises:
        BadModel: it lacks one of them.
    """
    import mlflow.artifacts
    from mlflow.models import get_model_info

    info = get_model_info(address)
    folder = Path(mlflow.artifacts.download_artifacts(address))
    pickles = sorted(file.name for file in folder.rglob("*") if file.suffix in PICKLED)
    lacks = [
        *([] if info.signature is not None and info.signature.outputs is not None else ["no signature"]),
        *([] if info.saved_input_example_info is not None else ["no input example"]),
        *([f"pickled files ({', '.join(pickles)})"] if pickles else []),
    ]
    if lacks:
        raise BadModel(f"the model logged at {address} has {' and '.join(lacks)}: log it with tracking.log_bundle")


def _described(bundle: "Bundle") -> dict[str, Any]:
    """The graph, with the signature of the rows that the bundle was tested with and what it answered to them."""
    import onnx
    from mlflow.models import infer_signature

    from tradewind.operations.bundle.contents import EXPECTED, GRAPH, PROBE

    probe, expected = bundle.array(PROBE), bundle.array(EXPECTED)
    return {
        "onnx_model": onnx.load_from_string(bundle.files[GRAPH]),
        "signature": infer_signature({"features": probe}, {"forecast": expected}),
        "input_example": {"features": probe[:EXAMPLE_ROWS]},
        "pip_requirements": ["onnxruntime"],
        "onnx_execution_providers": ["CPUExecutionProvider"],  # as the service runs it; MLflow would ask for CUDA, too
        # MLflow keeps no account for an agent to see: what it has is the forecaster that the agent reads.
        "metadata": {"identity": bundle.identity, "model": bundle.spec.name}
        | ({"part": "the forecaster of the agent"} if bundle.agent else {}),
    }
