"""One store of MLflow for all tests of recording: to make one takes seconds. Each test has a run of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest


@pytest.fixture(scope="package")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder: Path = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client = mlflow.MlflowClient(uri)
    client.create_experiment("test", artifact_location=(folder / "artifacts").as_uri())
    return uri


@pytest.fixture
def client(store: str) -> Iterator[Any]:
    mlflow.set_tracking_uri(store)
    mlflow.set_experiment("test")
    with mlflow.start_run():
        yield mlflow.MlflowClient(store)
