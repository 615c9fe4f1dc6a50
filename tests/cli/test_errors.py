"""Some sixty things that a user gets wrong, each told in one line: what, where, and what to do."""

import errno
import os
import re
import shlex
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from kedro.framework.project import configure_project
from kedro.framework.startup import ProjectMetadata, bootstrap_project
from sqlalchemy.exc import OperationalError

from tradewind.cli import cli
from tradewind.cli.errors import _of_environment, explain
from tradewind.errors import BadData, TradewindError

PROJECT = Path(__file__).resolve().parents[2]

# What is typed, and what the line must say. `{tmp}` is a folder with the files below.
WRONG = {
    "an environment that there is not": ("run --env nope", "there is no environment 'nope': --env is one of base,"),
    "a pipeline that there is not": ("run --pipelines nope", "there is no pipeline 'nope': `kedro registry list`"),
    "a pipeline in the old spelling": ("run --pipeline clasifier", "no pipeline 'clasifier'.*near.*classifier"),
    "a node that there is not": ("run --nodes nope", r"no node of this pipeline is called \['nope'\]"),
    "a dataset that there is not": ("run --from-inputs nope", r"no dataset of this pipeline is called \['nope'\]"),
    "a tag that there is not": ("run --tags nope", "no node fits --tags and the other filters.*registry describe"),
    "a namespace that there is not": ("run --namespaces nope", "namespaces.*nope"),
    "a runner that there is not": ("run --runner NopeRunner", "NopeRunner"),
    "an option that there is not": ("run --xyz", "No such option '--xyz'; see 'kedro run --help'"),
    "an environment without its name": ("run --env=", "'--env' / '-e': needs a value: give one, or leave the option"),
    "pipelines without a name": ("run --pipelines=", "'--pipelines'.*: needs a value: give one, or leave the option"),
    "no parameters": ("run --params=", "'--params': needs a value"),
    "an environment without its name, elsewhere": ("status --env=", "'--env': needs a value.*'kedro status --help'"),
    "parameters without a value": ("run --params=seed", "`seed` must contain a key.*see 'kedro run --help'"),
    "a list with commas": (
        "run --params=models=lightgbm,linear",
        "`linear` must contain a key.*a list is given as words, --params='models=lightgbm linear'; see 'kedro run",
    ),
    "a folder of configuration that there is not": ("run --conf-source {tmp}/nope", "/nope"),
    "a parameter that there is not": (
        "run --params=universe.sybols=ETHUSDT",
        "universe.sybols: there is no such key: correct its name or remove it, found 'ETHUSDT'",
    ),
    "a word for a number": ("run --params=trading.costs.taker_fee_bps=cheap", "taker_fee_bps: must be a valid"),
    "a number out of its range": ("run --params=trading.costs.taker_fee_bps=-3", "taker_fee_bps: must be greater than"),
    "a seed that is no number": ("run --params=seed=lucky", "seed must be a whole number from 0 .*found 'lucky'"),
    "a choice that there is not": ("run --params=compute.executor=magic", "compute.executor: must be 'serial'"),
    "a moved block": ("run --params=costs.taker_fee_bps=3", "costs is trading.costs now"),
    "a model that there is not": ("run --params=models=nope", "params:models: each is one of .*found \\['nope'\\]"),
    "models of which none can be traded": ("run --params=models=last_value", "at least one model that can be traded"),
    "a timeframe that there is not": ("run --params=universe.timeframe=soon", "universe.*a timeframe is a number"),
    "a reference symbol outside the universe": (
        "run --params=universe.reference_symbol=ETHUSDT",
        "universe.*reference_symbol.*ETHUSDT",
    ),
    "no environment variable": ("run --env real", "TRADEWIND_DATA is not set.*TRADEWIND_DATA=FOLDER kedro run"),
    "YAML that is none": ("run --env broken", "Invalid YAML or JSON file.*parameters.yml.*line 1"),
    "a missing extra": ("run --env extra", "ppo.*needs gymnasium.*pip install 'tradewind\\[agents\\]'"),
    "a missing stage": (
        "run --pipelines feature_engineering --env empty",
        "bars, .* missing, which .* reads: `kedro run --env empty --pipelines data_engineering,.*` makes them",
    ),
    "a catalog of another environment": ("catalog describe-datasets --env nope", "there is no environment 'nope'"),
    "a file that there is not": ("import-bars {tmp}/nope.csv", "nope.csv' does not exist; see 'kedro import-bars"),
    "a file that is no table": ("import-bars {tmp}/noise.csv", "noise.csv holds NUL bytes.*encoding=utf-16-le"),
    "a key for a list": ("run --params=universe.symbols.first=ETHUSDT", "a list is given as a block of keys"),
    "a word in a list of numbers": ("run --params=feature_engineering.study.horizons_bars=x", "horizons_bars.0: must"),
    "a setting of the importer that there is not": (
        "import-bars {tmp}/btc.csv --set colour=red",
        "--set: colour: there is no such key",
    ),
    "a setting without a value": ("import-bars {tmp}/btc.csv --set timezone", "--set takes NAME=VALUE, found 'timez"),
    "a store that there is not": ("store-status --store nope", "there is no store 'nope'; `stores` in globals.yml has"),
    "nothing to backfill": ("backfill --source binance", "say --symbols and --since"),
    "a market that begins on no day": ("simulate-market --start soon --output {tmp}/m.sqlite", "must be a day such as"),
    "a market of the future": (
        "simulate-market --days 20000 --timeframe 1d --output {tmp}/m.sqlite",
        "end on 2076-10-04: no run takes a bar that has not closed yet; give an earlier --start, or fewer days",
    ),
    "a market that cannot be": ("simulate-market --timeframe 7h --output {tmp}/m.sqlite", "timeframe must divide 8 h"),
    "a stage that there is not": ("status --stage nope", "--stage is one of .*classifier"),
    "a block that is one number": ("run --params=universe=7", "universe is a block of venue, symbols and timeframe.*7"),
    "another block that is one number": ("run --params=trading=7", "trading: must be .*found 7"),
    "no models": ("run --params=models=", "models takes names, --params='models=linear lightgbm'; found nothing"),
    "a number for a model": ("run --params=models=3", "params:models takes names.*found 3"),
    "a model twice": ("run --params=models='linear linear'", "each is one of .*, once; found \\['linear', 'linear'\\]"),
    "a seed below zero": ("run --params=seed=-1", "seed must be a whole number from 0 to 2147483647, found -1"),
    "a seed too large": ("run --params=seed=99999999999", "seed must be a whole number from 0 to.*found 99999999999"),
    "half a seed": ("run --params=seed=1.5", "seed must be a whole number from 0 to .*found 1.5"),
    "yes for a number": ("run --params=trading.costs.taker_fee_bps=true", "taker_fee_bps: must be a number, found tr"),
    "no number": ("run --params=trading.costs.taker_fee_bps=nan", "taker_fee_bps: must be .*found 'nan'"),
    "bounds that contradict each other": (
        "run --params=trading.signal.entry_threshold=0.05,trading.signal.exit_threshold=0.2",
        "exit_threshold 0.2 must be below entry_threshold 0.05",
    ),
    "a bar of no time": ("run --params=universe.timeframe=0h", "a timeframe is a number and one of m, h, d, w.*'0h'"),
    "no store yet": ("run --env imported", "imported.sqlite holds nothing: import bars first .`kedro import-b"),
    "what is no runner": ("run --runner builtins.dict", "builtins.dict runs no pipelines: SequentialRunner, Thr"),
    "a function for a runner": ("run --runner os.system", "--runner os.system runs no pipelines"),
    "a file for a folder of configuration": ("run --conf-source {tmp}/btc.csv", "btc.csv is no folder of conf"),
    "one name twice in YAML": ("run --env twice", "a file of the configuration gives seed twice, again in line 2"),
    "a list for parameters": ("run --env listed", "holds a list or a word where names with values are asked for"),
    "one pipeline of two that there is not": ("run --pipelines classifier,nope", "there is no pipeline 'nope'"),
    "an empty file": ("import-bars {tmp}/empty.csv", "empty.csv is empty .0 bytes.: fetch it again or remove it"),
    "a file without rows": ("import-bars {tmp}/btc.csv", "btc.csv has a header but no rows"),
    "a header of other things": ("import-bars {tmp}/other.csv", "'a', 'b', 'c' are not those of bars.*columns.open=N"),
    "a folder for a file": ("import-bars {tmp}/conf", "conf' is a directory; see 'kedro import-bars --help'"),
    "a time zone that there is not": (
        "import-bars {tmp}/btc.csv --set timezone=Mars/City", "timezone: must be an IANA name such as UTC.*'Mars/City'",
    ),
    "a unit that there is not": (
        "import-bars {tmp}/btc.csv --set volume_unit=gallons", "volume_unit: must be 'base', 'quote' or 'none'",
    ),
    "a venue that there is not": (
        "download --venue nope --symbols A --timeframe 1h --since 2023-01-01", "an exchange of ccxt, found 'nope'",
    ),
    "a day in words": (
        "download --venue binance --symbols A --timeframe 1h --since yesterday", "'yesterday' does not match.*%Y-%m-%d",
    ),
    "a day to come": (
        "download --venue binance --symbols A --timeframe 1h --since 2099-01-01", "after since, found 2099-01-01",
    ),
    "too few cuts": ("audit-features --cuts 0", "0 is not in the range x>=10; see 'kedro audit-features --help'"),
    "no symbols": ("simulate-market --symbols 0", "0 is not in the range 1<=x<=1000"),
    "a run that there is not": ("compare nope", "no run has reached a verdict yet: `kedro run --env quick` makes one"),
}  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> ProjectMetadata:
    """The project's configuration in a folder of its own, with environments that are wrong."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(PROJECT / "conf", folder / "conf")
    shutil.copy(PROJECT / "pyproject.toml", folder)
    (folder / "src/tradewind").mkdir(parents=True)
    for layer in (PROJECT / "data").glob("0*"):
        (folder / "data" / layer.name).mkdir(parents=True)
    (folder / "btc.csv").write_text("time,open,high,low,close,volume\n")
    (folder / "empty.csv").touch()
    (folder / "other.csv").write_text("a,b,c\n1,2,3\n4,5,6\n")
    (folder / "noise.csv").write_bytes(bytes(range(256)) * 4)
    mlflow = folder / "conf/base/mlflow.yml"
    mlflow.write_text(mlflow.read_text().replace("${project_file:mlflow.db}", f"{folder}/mlflow.db"))
    wrong = {"broken": "universe: {venue: [\n", "extra": "models: [linear, ppo]\n", "empty": "seed: 7\n"}
    wrong |= {"twice": "seed: 7\nseed: 8\n", "listed": "- a\n- b\n"}
    for name, text in wrong.items():
        (folder / "conf" / name).mkdir()
        (folder / "conf" / name / "parameters.yml").write_text(text)
    bootstrap_project(PROJECT)
    return ProjectMetadata(folder / "pyproject.toml", "tradewind", "tradewind", folder, folder / "src", "1.7.0", [], "")


@pytest.fixture
def run(project: ProjectMetadata, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """What `kedro ARGUMENTS` does in that project."""
    monkeypatch.chdir(project.project_path)
    monkeypatch.delenv("TRADEWIND_DATA", raising=False)

    def call(arguments: str) -> Result:
        configure_project("tradewind")
        words = shlex.split(arguments.format(tmp=project.project_path))
        return CliRunner().invoke(cli, words, obj=project, prog_name="kedro")

    yield call
    configure_project("tradewind")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("fault", WRONG)
def test_what_a_user_gets_wrong_is_told_in_one_line(fault: str, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if fault == "a missing extra":
        monkeypatch.setattr("tradewind.extras._is_there", lambda name: name not in {"gymnasium", "stable_baselines3"})
    arguments, words = WRONG[fault]
    result = run(arguments)
    lines = result.output.splitlines()
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    (line,) = [line for line in lines if line.startswith("Error: ")]
    assert lines[-1] == line
    assert re.search(words, line), line


def test_verbose_shows_the_traceback_before_the_line(run: Any) -> None:
    result = run("run --env nope --verbose")
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.output
    assert result.output.splitlines()[-1].startswith("Error: there is no environment 'nope'")


def test_a_fault_of_the_program_keeps_its_traceback() -> None:
    assert explain(ZeroDivisionError("division by zero")) is None
    assert explain(KeyError("close")) is None


def test_a_database_that_cannot_be_written_is_told_and_a_wrong_statement_is_not(tmp_path: Path) -> None:
    for path, statement, said in (
        (tmp_path / "locked.db", "CREATE TABLE one (number)", "attempt to write a readonly database"),
        (tmp_path / "damaged.db", "SELECT * FROM one", "file is not a database"),
    ):
        path.write_bytes(b"" if "locked" in path.name else b"no database" * 100)
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as raw, pytest.raises(sqlite3.Error) as caught:
            raw.execute(statement)
        line = explain(OperationalError(statement, {}, caught.value))
        assert line is not None and f"says: {said}" in line and "\n" not in line
    assert explain(OperationalError("SELECT 1", {}, sqlite3.OperationalError("no such column: x"))) is None


def test_the_project_s_own_error_is_told_wherever_it_was_wrapped() -> None:
    try:
        try:
            raise BadData("bars.csv, row 7: the close is missing:\n  correct it")
        except TradewindError as inner:
            raise RuntimeError("dataset bars could not be loaded") from inner
    except RuntimeError as error:
        error.add_note("in node type_bars")
        assert explain(error) == "bars.csv, row 7: the close is missing: correct it (in node type_bars)"


@pytest.mark.parametrize("given", ["nope", "../base", "../../nope"])
def test_environments_are_named_where_the_project_lies_behind_blanks(tmp_path: Path, given: str) -> None:
    """Kedro names the folder; what stands behind a blank is still part of it."""
    conf = tmp_path / "my own project" / "conf"
    for name in ("base", "quick"):
        (conf / name).mkdir(parents=True)
    said = f"Given configuration path either does not exist or is not a valid directory: {conf / given}"
    told = _of_environment(said)
    assert told == f"there is no environment {given!r}: --env is one of base, quick, a folder of {conf}"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_without_room_is_told_where_the_system_names_no_file(number: int) -> None:
    """A write to a file that is open says only what went wrong."""
    told = explain(OSError(number, os.strerror(number)))
    assert told is not None and told.startswith(os.strerror(number)) and "free space" in told
    assert explain(OSError(errno.EBADF, "Bad file descriptor")) is None  # a fault of the program


def test_every_command_is_covered() -> None:
    """A command that raises what it may raise ends in one line, whichever it is."""
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        if not isinstance(command, click.Group):
            assert any(parameter.name == "verbose" for parameter in command.params), name
