"""The model of a paper account is a stored forecaster: agents in `params:models` are passed over."""

from pathlib import Path

import pytest

from tradewind.cli.paper import stored_model
from tradewind.errors import BadParameters


def test_agents_in_the_list_of_models_are_passed_over(tmp_path: Path) -> None:
    assert stored_model(tmp_path, ("ppo", "lightgbm", "sac"), "") is None
    assert stored_model(tmp_path, ("ppo",), "none") is None


def test_a_wanted_model_that_is_not_stored_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadParameters, match="no stored model lightgbm"):
        stored_model(tmp_path, ("lightgbm",), "lightgbm")
