"""What an extra brings is known in one place, and its absence is told with the command that mends it."""

import sys
import tomllib
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from tradewind import extras
from tradewind.errors import MissingExtra
from tradewind.learning.models import catalogue

PROJECT = Path(__file__).resolve().parents[1]
DECLARED = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]


class Refusing:
    """An importer that has no torch."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def test_what_is_missing_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    extras.require("deep", "lstm")  # here it is installed
    monkeypatch.setattr(sys, "meta_path", [Refusing(), *sys.meta_path])
    monkeypatch.delitem(sys.modules, "torch", raising=False)  # another test of this process may have loaded it
    assert extras.missing_modules("deep") == ("torch",)
    with pytest.raises(MissingExtra, match=r"^lstm needs torch, .*pip install 'tradewind\[deep\]', or leave it out$"):
        extras.require("deep", "lstm", ", or leave it out")
    assert (extras.extra_of("torch.nn"), extras.extra_of("numpy")) == ("deep", None)


def test_every_extra_that_code_asks_for_is_declared() -> None:
    declared = DECLARED["optional-dependencies"]
    assert set(extras.MODULES) <= set(declared)
    (everything,) = declared["all"]
    assert everything == f"tradewind[{','.join(extras.MODULES)}]"
    assert "tradewind[deep]" in declared["agents"]


def test_the_core_needs_nothing_of_the_networks_and_agents() -> None:
    core = {line.split(">")[0].split("=")[0].split("[")[0] for line in DECLARED["dependencies"]}
    heavy = {"torch", "lightning", "pytorch-forecasting", "safetensors", "gymnasium", "stable-baselines3", "kedro-viz"}
    assert core & heavy == set()
    assert {"lightgbm", "xgboost-cpu", "pandas", "kedro"} <= core


def test_models_know_the_extra_that_they_need() -> None:
    needing = {name for name in catalogue.MODELS if catalogue.extra_of(name)}
    assert needing == {"lstm", "tft", "linear_network"}
    assert {catalogue.extra_of(name) for name in needing} == {"deep"}
