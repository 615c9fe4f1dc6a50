"""How Kedro runs the project: what the configuration says, read once."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

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
