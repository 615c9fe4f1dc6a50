"""`kedro backfill` and `kedro store-status`: what a person types, against a local exchange."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from tests.conftest import PROJECT
from tests.data.sources.exchange_server import ExchangeServer, serve
from tradewind.cli import cli
from tradewind.cli.connections import MarketConfiguration
from tradewind.data.stores.catalogue import open_store

SECRET = "not-to-be-seen-4711"
TEN_DAYS = ("--since", "2024-01-01", "--until", "2024-01-11")
Kedro = Callable[..., Result]


@pytest.fixture(scope="module")
def server() -> Iterator[ExchangeServer]:
    with serve() as server:
        yield server


@pytest.fixture
def project(tmp_path: Path, server: ExchangeServer) -> SimpleNamespace:
    """The project's configuration, its exchanges replaced by the local server."""
    server.asked.clear()
    for env in ("base", "exchange"):
        shutil.copytree(PROJECT / "conf" / env, tmp_path / "conf" / env)
    (tmp_path / "conf/local").mkdir()
    named = tmp_path / "conf/base/globals.yml"
    named.write_text(named.read_text().replace("{kind: ccxt, ", f"{{kind: ccxt, base_url: '{server.url}', "))
    return SimpleNamespace(project_path=tmp_path)


@pytest.fixture
def kedro(project: SimpleNamespace) -> Kedro:
    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(cli, arguments, obj=project)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run


def table(result: Result) -> list[list[str]]:
    return [line.split() for line in result.output.splitlines() if line.startswith(("binance", "funding"))]


def test_a_store_is_filled_described_and_not_asked_for_twice(kedro: Kedro, server: ExchangeServer) -> None:
    command = ("backfill", "--source", "binance", "--symbols", "BTCUSDT", "ETHUSDT", *TEN_DAYS)
    first = kedro(*command)
    assert first.exit_code == 0, first.output
    expected = ["233", "233", "0", "0", "7", "up", "to", "date"]  # of 240 hours, 7 are missing
    assert table(first) == [["binance/BTCUSDT/1h", *expected], ["binance/ETHUSDT/1h", *expected]]
    server.asked.clear()
    again = kedro(*command)
    assert table(again)[0][1:6] == ["0"] * 5
    assert server.asked == []
    status = kedro("store-status")
    assert table(status)[0][:11] == [
        "binance/BTCUSDT/1h", "233", "233", "2024-01-01", "00:00", "2024-01-10", "23:00", "7", "7", "1",
        table(status)[0][10],
    ]  # fmt: skip


def test_a_dry_run_shows_the_plan_and_asks_nothing(kedro: Kedro, server: ExchangeServer) -> None:
    result = kedro("backfill", "--source", "binance", "--symbols", "BTCUSDT,ETHUSDT", "BTCUSDT", *TEN_DAYS, "--dry-run")
    plan = ["240", "1", "2024-01-01", "00:00", "2024-01-11", "00:00"]
    assert table(result) == [["binance/BTCUSDT/1h", *plan], ["binance/ETHUSDT/1h", *plan]]
    assert server.asked == []


def test_a_symbol_that_fails_is_named_and_the_others_are_stored(kedro: Kedro) -> None:
    result = kedro("backfill", "--source", "binance", "--symbols", "BTCUSDT", "BTCUSD", *TEN_DAYS)
    assert result.exit_code == 1
    assert "1 of 2 are not up to date" in result.output
    assert "binance/BTCUSD/1h: ccxt.binance has no spot market 'BTCUSD'" in result.output
    assert table(result)[1][-1] == "FAILED"
    assert [row[0] for row in table(kedro("store-status"))] == ["binance/BTCUSDT/1h"]


def test_an_environment_says_what_it_runs_on(kedro: Kedro, project: SimpleNamespace) -> None:
    settings = project.project_path / "conf/exchange/globals.yml"
    settings.write_text('exchange: {symbols: [BTCUSDT], timeframe: 4h, since: "2024-01-01", until: "2024-01-05"}\n')
    assert table(kedro("backfill", "--env", "exchange"))[0][:3] == ["binance/BTCUSDT/4h", "22", "22"]
    assert table(kedro("backfill", "--env", "exchange", "--symbols", "ETHUSDT", "--timeframe", "1d"))[0][:2] == [
        "binance/ETHUSDT/1d", "4",
    ]  # fmt: skip
    assert (project.project_path / "data/01_raw/exchange.sqlite").is_file()


def test_side_series_are_fetched_from_swaps(kedro: Kedro) -> None:
    swap = ("--source", "binance_usdm", "--symbols", "BTCUSDT", "--side", "funding", *TEN_DAYS)
    assert table(kedro("backfill", *swap))[0] == ["funding", "BTCUSDT", "30", "30", "0", "0", "up", "to", "date"]
    assert table(kedro("store-status"))[0][:4] == ["funding", "BTCUSDT", "30", "0"]
    spot = kedro("backfill", "--source", "binance", "--symbols", "BTCUSDT", "--side", "funding", *TEN_DAYS)
    assert spot.exit_code == 1
    assert "funding belongs to swaps" in spot.output
    market = kedro("backfill", "--source", "binance", "--market", "swap", "--symbols", "BTCUSDT", *TEN_DAYS)
    assert table(market)[0][:2] == ["binance_swap/BTCUSDT/1h", "233"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--source", "binance"], "say --symbols and --since"),
        (["--symbols", "BTCUSDT", *TEN_DAYS], "say --source, such as binance"),
        (["--source", "nowhere", "--symbols", "A", *TEN_DAYS], "must be an exchange of ccxt, found 'nowhere'"),
        (["--source", "binance", "--symbols", "A", *TEN_DAYS, "--store", "cellar"], "there is no store 'cellar'"),
        (["--source", "binance", "--symbols", "A", *TEN_DAYS, "--timeframe", "1x"], "a timeframe is a number and one"),
        (["--source", "binance", "--symbols", "A", "--since", "2024-01-05", "--until", "2024-01-01"], "must be after"),
        (["--source", "binance", "--symbols", "A", "--since", "soon"], "does not match the formats"),
    ],
)
def test_what_is_missing_or_wrong_is_said(kedro: Kedro, arguments: list[str], words: str) -> None:
    result = kedro("backfill", *arguments)
    assert result.exit_code != 0
    assert words in result.output
    assert "Traceback" not in result.output


def test_an_empty_store_says_so(kedro: Kedro) -> None:
    assert "the store is empty" in kedro("store-status").output


def test_every_named_source_and_store_can_be_opened(project: SimpleNamespace) -> None:
    vendors = "".join(f"{name}: {{api_key: {SECRET}}}\n" for name in ("tardis", "coinapi", "kaiko"))
    (project.project_path / "conf/local/credentials.yml").write_text(vendors)
    configuration = MarketConfiguration.of_environment(project, None)
    assert set(configuration.sources) >= {"binance", "binance_usdm", "binance_archive", "tardis", "coinapi", "kaiko"}
    for name in [*configuration.sources, "kraken"]:
        with configuration.source(name).source() as source:
            assert source.venue
            assert SECRET not in repr(source)
    for name in configuration.stores:
        with configuration.store(name).store() as store:
            assert store.keys() == []


def test_keys_come_from_the_machine_in_every_environment_and_are_never_shown(
    kedro: Kedro, project: SimpleNamespace, server: ExchangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BINANCE_KEY", SECRET)
    folder = project.project_path
    (folder / "conf/local/credentials.yml").write_text(
        f"binance: {{api_key: '${{oc.env:BINANCE_KEY}}', api_secret: x}}\ndisk: {{path: '{folder}/{SECRET}.sqlite'}}\n"
    )
    for env in (None, "exchange"):
        configuration = MarketConfiguration.of_environment(project, env)
        assert SECRET not in repr(configuration)
        with configuration.source("binance").source() as source:
            assert source.rules.api_key.get_secret_value() == SECRET  # type: ignore[attr-defined]
            assert SECRET not in repr(source)
    named = folder / "conf/base/globals.yml"
    text = named.read_text().replace(
        "stores:\n", "stores:\n  hidden: {kind: sqlite, credentials: disk}\n  lost: {kind: sqlite, credentials: none}\n"
    )
    named.write_text(text)
    asked = ("backfill", "--source", "binance", "--symbols", "BTCUSD", *TEN_DAYS)
    result = kedro(*asked, "--store", "hidden")
    assert SECRET not in result.output
    assert open_store({"kind": "sqlite", "path": str(folder / f"{SECRET}.sqlite")}).keys() == []
    assert (
        "there are no credentials 'none': add them to conf/local/credentials.yml"
        in kedro(*asked, "--store", "lost").output
    )


DOWNLOAD = ("download", "--venue", "binance", "--symbols", "BTCUSDT", "--timeframe", "1h", *TEN_DAYS)


def test_one_command_goes_from_nothing_to_a_store_and_says_what_is_next(kedro: Kedro, server: ExchangeServer) -> None:
    first = kedro(*DOWNLOAD)
    assert first.exit_code == 0, first.output
    assert table(first) == [["binance/BTCUSDT/1h", "233", "233", "0", "0", "7", "up", "to", "date"]]
    assert first.output.endswith("next: kedro run --env imported\n")
    server.asked.clear()
    assert kedro(*DOWNLOAD).exit_code == 0 and server.asked == []
    other = kedro(*DOWNLOAD[:-5], "4h", *TEN_DAYS)
    assert "--params=universe.venue=binance,universe.timeframe=4h" in other.output.splitlines()[-1]


def test_without_a_network_one_line_says_so(kedro: Kedro, project: SimpleNamespace) -> None:
    named = project.project_path / "conf/base/globals.yml"
    nobody = "{kind: ccxt, retry_policy: {tries: 1}, base_url: 'http://127.0.0.1:9', "
    named.write_text(re.sub(r"\{kind: ccxt, base_url: '[^']*', ", nobody, named.read_text()))
    result = kedro(*DOWNLOAD)
    assert result.exit_code == 1
    (line,) = [line for line in result.output.splitlines() if not line.startswith("asking")]
    assert line.startswith("Error: binance cannot be reached") and "goes on where it stopped" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--timeframe", "1x"), "--timeframe: Value error, a timeframe is a number"),
        (("--store", "cellar"), "there is no store 'cellar'"),
        (("--venue", "nowhere"), "must be an exchange of ccxt, found 'nowhere'"),
        (("--symbols", "BTCUSD"), "1 of 2 failed: binance/BTCUSD/1h: ccxt.binance has no spot market 'BTCUSD'"),
    ],
)
def test_what_cannot_be_downloaded_is_said_in_a_line(kedro: Kedro, arguments: tuple[str, ...], words: str) -> None:
    result = kedro(*DOWNLOAD, *arguments)
    assert result.exit_code == 1
    assert words in result.output and "Traceback" not in result.output
