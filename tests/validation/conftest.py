"""The project's parameters, as configuration has them."""

from pathlib import Path
from typing import Any

import pytest

from tradewind.settings import CONFIG_LOADER_ARGS, ProjectConfigLoader

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def parameters() -> dict[str, Any]:
    return ProjectConfigLoader(str(PROJECT / "conf"), **CONFIG_LOADER_ARGS)["parameters"]
