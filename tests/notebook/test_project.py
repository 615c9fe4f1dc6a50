"""The models of a run side by side, the layers of the catalog, and whose logging a notebook takes."""

import os
from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset

from tradewind.notebook import NotebookProject
from tradewind.notebook.logs import use_the_projects

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project() -> NotebookProject:
    """A run of two models, of which one has a figure, with a dataset that nobody has made."""
    made = {
        "classifier.a.scores": pd.DataFrame({"model": ["a"]}),
        "classifier.b.scores": pd.DataFrame({"model": ["b"]}),
        "classifier.b.map_figure": "a figure",
    }
    found = NotebookProject.__new__(NotebookProject)
    found.catalog = DataCatalog({name: MemoryDataset(data) for name, data in made.items()})
    found.catalog["classifier.c.scores"] = MemoryDataset()
    bars = MemoryDataset(pd.DataFrame(), metadata={"kedro-viz": {"layer": "primary"}})
    found.catalog["bars"] = bars
    found.__dict__["names"] = sorted(found.catalog)
    return found


def test_a_table_of_all_models_is_one(project: NotebookProject) -> None:
    assert project.of_models("scores")["model"].to_list() == ["a", "b"]
    assert project.of_models("nothing").empty
    assert project.figure("map_figure") == "a figure"
    assert project.figure("attention_figure") is None


def test_every_dataset_is_in_a_layer(project: NotebookProject) -> None:
    layers = project.layers()
    assert layers["datasets"].to_dict() == {"primary": 1, "in memory": 4}
    assert layers.loc["primary", "names"] == "bars"


def test_a_notebook_takes_the_projects_logging_unless_another_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT / "notebooks")
    monkeypatch.delenv("KEDRO_LOGGING_CONFIG", raising=False)
    use_the_projects()
    assert Path(os.environ["KEDRO_LOGGING_CONFIG"]) == PROJECT / "conf/logging.yml"
    monkeypatch.setenv("KEDRO_LOGGING_CONFIG", "mine.yml")
    use_the_projects()
    assert os.environ["KEDRO_LOGGING_CONFIG"] == "mine.yml"
