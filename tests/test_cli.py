"""The project's own commands answer, and refuse with words."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from tradewind.cli import cli
from tradewind.doctor import Finding


def test_a_market_is_written_with_its_oracle(tmp_path: Path) -> None:
    output = tmp_path / "market.sqlite"
    arguments = ["simulate-market", "--symbols", "2", "--days", "5", "--edge", "1", "--output", str(output)]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    assert output.stat().st_size > 0
    assert "oracle_net_sharpe" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--timeframe", "7h"], "timeframe must divide 8 hours"),
        (["--timeframe", "soon"], "a timeframe is a number and one of"),
        (["--edge", "-3"], "greater than or equal to 0"),
        (["--symbols", "0"], "1<=x<=1000"),
    ],
)
def test_a_market_that_cannot_be_is_refused_without_a_traceback(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    result = CliRunner().invoke(cli, ["simulate-market", *arguments, "--output", str(tmp_path / "m.sqlite")])
    assert result.exit_code != 0
    assert words in result.output
    assert "Traceback" not in result.output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("warn", 0), ("fail", 1)])
def test_the_doctor_fails_only_for_what_stops_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str, code: int
) -> None:
    (tmp_path / "conf/base").mkdir(parents=True)
    (tmp_path / "conf/local").mkdir()
    (tmp_path / "conf/base/mlflow.yml").write_text(
        "server: {mlflow_tracking_uri: 'sqlite:///${project_file:mlflow.db}'}\n"
    )
    finding = Finding("disk", status, "as it is")  # type: ignore[arg-type]
    asked = []
    monkeypatch.setattr("tradewind.doctor.examine", lambda project, uri, speed: asked.append(uri) or iter([finding]))
    result = CliRunner().invoke(cli, ["doctor"], obj=SimpleNamespace(project_path=tmp_path))
    assert result.exit_code == code, result.output
    assert "disk" in result.output
    assert asked[0].startswith("sqlite:////") and asked[0].endswith("/mlflow.db")  # absolute: no matter where it runs


def test_help_says_what_each_option_is_for() -> None:
    text = CliRunner().invoke(cli, ["simulate-market", "--help"]).output
    for option in (
        "--symbols",
        "--days",
        "--timeframe",
        "--edge",
        "--seed",
        "--outages",
        "--inject-errors",
        "--output",
    ):
        assert option in text
