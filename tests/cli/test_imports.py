"""`kedro import-bars` shows what it understood, asks for what it does not know, and writes every row somewhere."""

import json
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from tradewind.cli import cli
from tradewind.data.stores.catalogue import open_store

HOURS = [1_704_067_200_000 + hour * 3_600_000 for hour in range(30)]
ROWS = [f"{at},{100 + n % 3},{103},{99},{101 + n % 2},{5 + n}" for n, at in enumerate(HOURS)]
BARS = "\n".join(
    ["unix,open,high,low,close,volume", *ROWS[:9], ROWS[9].replace("101", "many").replace("102", "many"), *ROWS[10:]]
)
TRADES = [
    [at, str(n), None, "buy", 100.0 + n % 2 / 10, 1.5 * (1 + n % 7), (100.0 + n % 2 / 10) * 1.5 * (1 + n % 7)]
    for n, at in enumerate(HOURS)
]
WHO = ["--venue", "v", "--symbol", "S", "--set", "volume_unit=base"]


@pytest.fixture
def run(tmp_path: Path) -> Any:
    (tmp_path / "conf/base").mkdir(parents=True)
    (tmp_path / "conf/local").mkdir()
    (tmp_path / "conf/base/globals.yml").write_text("stores:\n  lake: {kind: sqlite, path: data/lake.sqlite}\n")
    (tmp_path / "bars.csv").write_text(BARS)
    (tmp_path / "trades.json").write_text(json.dumps(TRADES))

    def _run(*arguments: str) -> Result:
        files = [str(tmp_path / word) if "." in word and "=" not in word else word for word in arguments]
        return CliRunner().invoke(cli, ["import-bars", *files], obj=SimpleNamespace(project_path=tmp_path))

    return _run


def test_a_dry_run_shows_decisions_evidence_and_rejects_and_writes_nothing(run: Any, tmp_path: Path) -> None:
    result = run("bars.csv", "--dry-run", *WHO)
    assert result.exit_code == 0, result.output
    for words in (
        "bars, 30 rows",
        "delimiter",
        "unit of unix",
        "time frame",
        "assumed:",
        "29 rows accepted, 1 rejected",
    ):
        assert words in result.output
    assert "v/S/1h: 30 rows: 29 bars from 2024-01-01 00:00 to 2024-01-02 05:00 UTC" in result.output
    assert "1 gaps lack 1 bars" in result.output and '"close": "many"' in result.output
    assert not (tmp_path / "data").exists()
    shown = result.output.splitlines()
    assert any(line.split()[:3] == ["open_time", "open", "high"] for line in shown), (
        "the first rows as they were parsed"
    )
    command = shown[-1].removeprefix("next: ")
    assert shlex.split(command) == ["kedro", "import-bars", str(tmp_path / "bars.csv"), *WHO]


def test_a_dry_run_with_questions_ends_with_the_command_to_complete(run: Any) -> None:
    line = run("bars.csv", "--dry-run", "--venue", "v").output.splitlines()[-1]
    assert line.startswith("next: kedro import-bars ") and "--venue v" in line
    assert "--set symbol=NAME" in line and "--set volume_unit=UNIT" in line
    assert shlex.split(line)[-4::2] == ["--set", "--set"], "each question is one word to fill in"


def test_a_file_of_a_german_bank_is_read_after_one_question(run: Any, tmp_path: Path) -> None:
    rows = [f"{1 + n // 24:02}.05.2024 {n % 24:02}:00;1.100,5;1.103,25;1.099,0;1.101,75;{5 + n},5" for n in range(48)]
    text = "\n".join(["Datum;Eröffnung;Hoch;Tief;Schluss;Volumen", *rows])
    (tmp_path / "bank.csv").write_text(text, encoding="latin-1")
    said = run("bank.csv", "--dry-run", *WHO)
    assert said.exit_code == 1 and "such as encoding=latin-1" in said.output and "--set NAME=VALUE" in said.output
    assert said.output.count("bank.csv") == 1, "the file is named once"
    seen = run("bank.csv", *WHO, "--set", "encoding=latin-1", "--set", "timezone=Europe/Berlin", "--dry-run")
    assert seen.exit_code == 0, seen.output
    assert "48 bars from 2024-04-30 22:00 to 2024-05-02 21:00 UTC" in seen.output
    assert "1100.5 1103.25 1099.0 1101.75" in " ".join(seen.output.split())


def test_rows_that_contradict_each_other_are_told(run: Any, tmp_path: Path) -> None:
    other = ROWS[3].replace(f",{100 + 3 % 3},", ",100.5,")
    (tmp_path / "twice.csv").write_text("\n".join(["unix,open,high,low,close,volume", *ROWS, ROWS[2], other]))
    seen = run("twice.csv", "--dry-run", *WHO).output
    assert "32 rows: 30 bars" in seen and "1 repeated, 0 rejected" in seen
    assert "replaced by a later row of the same time with other values: 1, first row 3: {" in seen


def test_an_import_ends_with_the_command_that_runs_on_it(run: Any) -> None:
    assert run("bars.csv", *WHO).output.endswith("next: kedro run --env imported\n")
    again = run("bars.csv", *WHO[:3], "T", *WHO[4:], "--timeframe", "1h")
    assert again.output.endswith("next: kedro run --env imported\n"), "another symbol of the same market"
    other = run("bars.csv", "--venue", "w", *WHO[2:])
    assert other.output.splitlines()[-1].endswith("--params=universe.venue=w,universe.timeframe=1h")
    assert "next:" not in run("bars.csv", *WHO, "--store", "lake").output


@pytest.mark.parametrize("dry", [["--dry-run"], []])
def test_open_questions_are_named_and_fail(run: Any, dry: list[str]) -> None:
    result = run("bars.csv", *dry)
    assert result.exit_code == 1
    for setting in ("volume_unit=", "venue=NAME", "symbol=NAME"):
        assert setting in result.output
    assert "Traceback" not in result.output


def test_a_file_imported_twice_is_there_once(run: Any, tmp_path: Path) -> None:
    first, second = run("bars.csv", *WHO), run("bars.csv", *WHO)
    assert first.exit_code == second.exit_code == 0, first.output
    assert "30 rows: 29 new, 0 known, 1 rejected" in first.output
    assert "30 rows: 0 new, 29 known, 1 rejected" in second.output
    path = tmp_path / "data/01_raw/imported.sqlite"
    store = open_store({"kind": "sqlite", "path": path})
    try:
        key = store.keys()[0]
        assert len(store.read(key)) == 29
        assert store.rejected()["reason"].tolist() == ["close is missing or no number"]
        assert store.ledger()["source"].tolist() == ["file.bars.csv"] * 2
    finally:
        store.close()


def test_a_store_of_the_configuration_is_added_to(run: Any, tmp_path: Path) -> None:
    result = run("bars.csv", *WHO, "--store", "lake")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "data/lake.sqlite").exists() and not (tmp_path / "data/01_raw/imported.sqlite").exists()


def test_trades_become_a_table_of_their_own(run: Any, tmp_path: Path) -> None:
    result = run("trades.json")
    assert result.exit_code == 0, result.output
    (path,) = (tmp_path / "data/01_raw/imported/unnamed/unnamed").rglob("trades.parquet")
    table = pd.read_parquet(path)
    assert list(table) == ["timestamp", "id", "side", "price", "amount", "cost"] and len(table) == 30


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "timezone=Mars"], "timezone: must be an IANA name such as UTC or Europe/London, found 'Mars'"),
        (["--set", "colour=red"], "colour: there is no such key"),
        (["--set", "nonsense"], "--set takes NAME=VALUE, found 'nonsense'"),
        (["--store", "stone"], "there is no store 'stone'; `stores` in globals.yml has ['lake']"),
        (["--timeframe", "soon"], "timeframe: a timeframe is a number and one of m, h, d, w"),
    ],
)
def test_wrong_settings_are_refused_with_words(run: Any, arguments: list[str], words: str) -> None:
    result = run("bars.csv", *WHO, *arguments)
    assert result.exit_code == 1
    assert words in result.output and "Traceback" not in result.output


def test_one_bad_file_does_not_keep_the_others_out(run: Any, tmp_path: Path) -> None:
    (tmp_path / "broken.csv").write_bytes(b"\x00\x01\x02")
    result = run("broken.csv", "bars.csv", *WHO)
    assert result.exit_code == 1
    assert "broken.csv" in result.output and "29 new" in result.output
