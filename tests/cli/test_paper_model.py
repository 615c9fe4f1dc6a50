"""The model of a paper account is a stored forecaster: agents in `params:models` are passed over."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tradewind.cli.paper import models_folder, stored_model
from tradewind.errors import BadParameters
from tradewind.settings import CONFIG_LOADER_ARGS, PROJECT, ProjectConfigLoader


def test_agents_in_the_list_of_models_are_passed_over(tmp_path: Path) -> None:
    assert stored_model(tmp_path, ("ppo", "lightgbm", "sac"), "") is None
    assert stored_model(tmp_path, ("ppo",), "none") is None


def test_a_wanted_model_that_is_not_stored_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadParameters, match="no stored model lightgbm"):
        stored_model(tmp_path, ("lightgbm",), "lightgbm")


def test_models_are_those_of_the_environment() -> None:
    """Another environment keeps its models in a folder of its own."""
    for env, folder in ((None, "data/06_models"), ("quick", "data/env/quick/06_models")):
        loader = ProjectConfigLoader(str(PROJECT / "conf"), env, **CONFIG_LOADER_ARGS)
        context = SimpleNamespace(project_path=PROJECT, config_loader=loader)
        assert models_folder(context) == PROJECT / folder
        assert loader["parameters"]["paper"]["folder"] == str(Path(folder).parent / "09_paper/run")
