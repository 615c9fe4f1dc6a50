"""How Kedro runs the project: what the configuration says, read once."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tradewind import settings
from tradewind.errors import BadParameters
from tradewind.settings import CONFIG_LOADER_ARGS, ProjectConfigLoader

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture
def loader(tmp_path: Path) -> ProjectConfigLoader:
    shutil.copytree(PROJECT / "conf", tmp_path / "conf", ignore=shutil.ignore_patterns("credentials.yml"))
    return ProjectConfigLoader(str(tmp_path / "conf"), **CONFIG_LOADER_ARGS)


def test_what_is_done_to_a_configuration_is_done_to_a_copy(loader: ProjectConfigLoader) -> None:
    first = loader["parameters"]
    first["universe"]["symbols"] = ["OTHER"]
    assert loader["parameters"]["universe"]["symbols"] != ["OTHER"]
    loader["parameters"] = first
    assert loader["parameters"]["universe"]["symbols"] == ["OTHER"]


@pytest.mark.parametrize("name", ["100%41", "what?"])
def test_a_folder_whose_name_no_database_can_be_asked_for_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`%41` would be read as `A`, and what follows `?` as options: MLflow would try for minutes to open it."""
    monkeypatch.setattr(settings, "PROJECT", tmp_path / name)
    with pytest.raises(BadParameters, match="the address of a database cannot hold .*rename that folder"):
        settings._project_file("mlflow.db")
    for fine in ("100 %", "Größe & Möwe 日本", "a#1"):
        monkeypatch.setattr(settings, "PROJECT", tmp_path / fine)
        assert settings._project_file("mlflow.db") == str(tmp_path / fine / "mlflow.db")


def test_files_are_read_once_for_a_loader(loader: ProjectConfigLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    real = OmegaConf.load
    monkeypatch.setattr(OmegaConf, "load", lambda file: (read.append(1), real(file))[1])
    first = loader["catalog"]
    files = len(read)
    again = loader["catalog"]
    assert len(read) == files > 5
    assert first == again and first is not again


def test_a_start_builds_no_grammar_of_addresses() -> None:
    asked = "import sys, tradewind.settings, jsonschema; sys.exit(sys.modules.get('rfc3987_syntax') is not None)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
