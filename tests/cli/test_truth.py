"""`kedro truth` asks for the markets it is told to, writes what they say, and goes on where it stopped."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from kedro.framework.startup import bootstrap_project

from tests.validation.test_experiment import outcome
from tradewind.cli import cli
from tradewind.validation.cases import Case

ROOT = Path(__file__).resolve().parents[2]
FEW = ["--null", "3", "--planted", "2", "--edge", "2", "--edge", "4", "--years", "1"]


def run(*words: str, project: Path = ROOT) -> Result:
    bootstrap_project(ROOT)
    return CliRunner().invoke(cli, ["truth", "--light", *words], obj=SimpleNamespace(project_path=project))


def test_what_is_asked_for_is_judged_once_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[Case] = []

    class Judge:
        def __init__(self, parameters: Any, real: Any = None) -> None:
            self.includes = parameters["feature_engineering"]["features"]["include"]

        def __call__(self, case: Case) -> dict[str, Any]:
            assert "funding*" in self.includes and "*" not in self.includes
            judged.append(case)
            return outcome(case)

    monkeypatch.setattr("tradewind.validation.experiment.CaseRunner", Judge)
    monkeypatch.setattr("tradewind.validation.ledger.executor", lambda kind, workers: _Serial())
    result = run(*FEW, "--output", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert [(case.edge, case.days, case.n_symbols) for case in judged] == [(0, 365, 2)] * 3 + [(2, 365, 2), (4, 365, 2)]
    assert "| 2 | 365 | 1 |" in result.output and (tmp_path / "truth.md").read_text() in result.output
    assert json.loads((tmp_path / "summary.json").read_text())["wanted"] == 5
    again = run(*FEW, "--null", "4", "--output", str(tmp_path))
    assert again.exit_code == 0 and len(judged) == 6


class _Serial:
    def __enter__(self) -> Any:
        from tradewind.compute import SerialExecutor

        return SerialExecutor()

    def __exit__(self, *_: object) -> None:
        return None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--edge", "5"], "5 is no edge of this form"),
        (["--years", "4"], "1460 is no length in days of this form"),
        (["--null", "0", "--planted", "0"], "no market is judged"),
        (["--planted", "3000"], "the seeds of different markets would meet"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_a_line(tmp_path: Path, words: list[str], told: str) -> None:
    result = run(*words, "--output", str(tmp_path))
    assert result.exit_code != 0
    assert told in result.output and len(result.output.strip().splitlines()) == 1
    assert "Traceback" not in result.output and not list(tmp_path.iterdir())
