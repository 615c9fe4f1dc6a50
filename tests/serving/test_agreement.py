"""Stored model, `predict_row`, ONNX, REST, gRPC and protocol v2 say the same; so does a foreign client."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from numpy.typing import NDArray

from tests.operations.bundles import NAMES, bundle_files, inputs, stored_model
from tests.serving.conftest import Service, price, serving
from tradewind.serving.rpc import prediction_pb2 as messages


def named(row: NDArray[np.float32]) -> dict[str, float | None]:
    return {name: None if np.isnan(value) else float(value) for name, value in zip(NAMES, row, strict=True)}


def given(x: NDArray[np.float32]) -> Any:
    """A row, or a window of rows, as REST takes it."""
    return named(x) if x.ndim == 1 else [named(row) for row in x]


def by_rest(service: Service, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    with service.client() as client:
        answers = [client.post("/v1/predict/price", json=price(features=given(row))).json() for row in rows]
    return np.array([[one["p_down"], one["p_flat"], one["p_up"], one["expected_return"]] for one in answers])


def by_grpc(service: Service, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    stub, out = service.stub(), []
    for row in rows:
        bars = [
            messages.Bar(
                features={name: value for name, value in named(one).items() if value is not None},
                missing=[name for name, value in named(one).items() if value is None],
            )
            for one in np.atleast_2d(row)
        ]
        request = messages.PriceRequest(symbol="SIM1", horizon_bars=4, bars=bars)
        one = stub.PredictPrice(request, metadata=service.metadata())
        out.append([one.p_down, one.p_flat, one.p_up, one.expected_return])
    return np.array(out)


def by_v2(service: Service, rows: NDArray[np.float32], name: str) -> NDArray[np.float64]:
    out = []
    with service.client() as client:
        for part in np.array_split(rows, max(len(rows) // 500, 1)):
            data = [None if np.isnan(one) else float(one) for one in part.ravel()]
            tensor = {"name": "features", "shape": list(part.shape), "datatype": "FP32", "data": data}
            answer = client.post(f"/v2/models/{name}/infer", json={"inputs": [tensor]}).json()["outputs"][0]
            out.append(np.array(answer["data"]).reshape(answer["shape"]))
    return np.concatenate(out)


def by_triton(service: Service, rows: NDArray[np.float32], name: str) -> NDArray[np.float64]:
    client = triton.InferenceServerClient(service.address.removeprefix("http://"))
    headers = {"Authorization": f"Bearer {service.tokens['predictor']}"}
    out = []
    for part in np.array_split(rows, max(len(rows) // 5000, 1)):
        tensor = triton.InferInput("features", list(part.shape), "FP32")
        tensor.set_data_from_numpy(part)
        answer = client.infer(name, [tensor], headers=headers)
        out.append(answer.as_numpy("forecast"))
    client.close()
    return np.concatenate(out)


def agree(folder: Path, name: str, count: int) -> None:
    files, rows = bundle_files(name), inputs(name, count)
    model = stored_model(files, name)
    expected = np.stack([model.predict_row(row) for row in rows])
    with serving(folder, files) as service:
        bundle = service.registry.load(1)
        said = {
            "onnx": bundle.forecaster.predict_many(rows),
            "onnx, a row": np.stack([bundle.forecaster.predict_row(row) for row in rows]),
            "rest": by_rest(service, rows), "grpc": by_grpc(service, rows), "v2": by_v2(service, rows, name),
            "triton": by_triton(service, rows, name),
        }  # fmt: skip
    for door, forecasts in said.items():
        np.testing.assert_allclose(forecasts, expected, atol=1e-6, err_msg=door)


@pytest.mark.parametrize("name", ["linear", "lightgbm", "xgboost", "equal_weight"])
def test_every_door_says_what_the_stored_model_says(name: str, tmp_path: Path) -> None:
    agree(tmp_path, name, 40)


@pytest.mark.depth
@pytest.mark.parametrize("name", ["linear", "lightgbm", "xgboost", "lstm", "equal_weight"])
def test_every_door_agrees_on_ten_thousand_rows(name: str, tmp_path: Path) -> None:
    agree(tmp_path, name, 10_000)


def test_a_door_that_says_something_else_would_be_seen(tmp_path: Path) -> None:
    """The planted twin: another model behind the doors."""
    rows = inputs("linear", 5)
    expected = np.stack([stored_model(bundle_files("linear"), "linear").predict_row(row) for row in rows])
    with serving(tmp_path, bundle_files("linear", seed=2)) as service, pytest.raises(AssertionError):
        np.testing.assert_allclose(by_rest(service, rows), expected, atol=1e-6)
