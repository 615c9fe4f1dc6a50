"""The project's parameters, as configuration has them."""

from pathlib import Path
from typing import Any

import pytest
from kedro.config import OmegaConfigLoader

from tradewind.settings import CONFIG_LOADER_ARGS

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def parameters() -> dict[str, Any]:
    return OmegaConfigLoader(str(PROJECT / "conf"), **CONFIG_LOADER_ARGS)["parameters"]
