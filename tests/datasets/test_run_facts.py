"""A report says when, how and from which code it was made."""

import re
import sys

import pytest
from kedro.io import DatasetError

from tradewind.datasets import RunFactsDataset
from tradewind.datasets import run_facts as module


def test_the_run_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/kedro", "run", "--params", "a=1 2"])
    found = RunFactsDataset().load()
    assert found["command"] == "kedro run --params 'a=1 2'"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", found["date"])
    assert re.match(r"[0-9a-f]{12}( with changes)?$|unknown: ", found["commit"])
    assert found["run"] == "not recorded in MLflow" or found["run"].startswith("MLflow ")


def test_without_git_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    assert RunFactsDataset().load()["commit"] == "unknown: git is not installed"


def test_nobody_else_says_who_is_running() -> None:
    with pytest.raises(DatasetError, match="read only"):
        RunFactsDataset().save({"commit": "mine"})
