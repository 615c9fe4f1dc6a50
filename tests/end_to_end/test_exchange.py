"""The environment `exchange`, run as a user would: fetched, killed, fetched on, and once more for what is new."""

import os
import signal
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from tests.data.sources.exchange_server import HOUR_MS, START_MS, ExchangeServer, Market, serve
from tests.end_to_end.conftest import Project
from tradewind.data.files import cleaning
from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import Span
from tradewind.data.stores.base import Store
from tradewind.data.stores.catalogue import open_store
from tradewind.datasets import ParquetTableDataset, PartitionedTableDataset

SYMBOLS = ("BTCUSDT", "ETHUSDT")
BACKFILL = ("backfill", "--env", "exchange")
RUN = ("run", "--env", "exchange", "--pipelines", "data_engineering")


def configure(project: Project, server: ExchangeServer, until_hour: int) -> None:
    """What a user would edit, and the exchange's address."""
    until = datetime.fromtimestamp((START_MS + until_hour * HOUR_MS) / 1000, UTC)
    span = f"since: '2024-01-01', until: '{until:%F %H:%M}'"
    (project.folder / "conf/exchange/globals.yml").write_text(
        f"exchange: {{symbols: [{', '.join(SYMBOLS)}], timeframe: 1h, {span}}}\n"
        f"sources: {{binance: {{base_url: '{server.url}', page_bars: 100}}}}\n"
    )


def asked(server: ExchangeServer) -> dict[str, int]:
    """From which hour on bars were asked for, at the earliest, by symbol."""
    queries = [one.query for one in server.asked if one.path.endswith("klines")]
    server.asked.clear()
    hours = [(query["symbol"], (int(query["startTime"]) - START_MS) // HOUR_MS) for query in queries]
    return {
        symbol: min(hour for name, hour in hours if name == symbol) for symbol in sorted({name for name, _ in hours})
    }


def kill_at(server: ExchangeServer, process: subprocess.Popen[str], page: int) -> None:
    """The whole process group dies when it asks for this page, without an answer."""
    answer, pages = server._answer, iter(range(10_000))

    def deadly(one):  # type: ignore[no-untyped-def]
        if one.path.endswith("klines") and next(pages) == page:
            os.killpg(process.pid, signal.SIGKILL)
        return answer(one)

    server._answer = deadly  # type: ignore[method-assign]
    process.communicate()
    server._answer = answer  # type: ignore[method-assign]
    assert process.returncode == -signal.SIGKILL


def store_of(project: Project) -> Store:
    return open_store({"kind": "sqlite", "path": str(project.folder / "data/01_raw/exchange.sqlite")})


def mirrored(project: Project) -> dict[str, int]:
    """The files of the local copy, and when each was written."""
    folder = project.data("exchange") / "01_raw/exchange"
    return {str(file.relative_to(folder)): file.stat().st_mtime_ns for file in folder.rglob("*.parquet")}


def require_imported(project: Project, market: Market, until_hour: int) -> None:
    """The primary bars are those of a direct import, and every row is accounted for."""
    bars = PartitionedTableDataset(path=str(project.data("exchange") / "03_primary/bars")).load()
    counts = ParquetTableDataset(filepath=str(project.data("exchange") / "02_intermediate/row_counts.parquet")).load()
    store = store_of(project)
    ledger = store.ledger()
    assert (ledger["rows_received"] == ledger[["rows_new", "rows_known", "rows_rejected"]].sum(axis=1)).all()
    for symbol in SYMBOLS:
        key = BarKey(venue="binance", symbol=symbol, timeframe="1h")
        received = market.bars(symbol, "1h", Span(START_MS, START_MS + until_hour * HOUR_MS))
        typed, _ = cleaning.type_bars(received, key)
        expected, _ = cleaning.check_bars(typed, key, datetime.now(UTC))
        found = bars[str(key)]()
        pd.testing.assert_frame_equal(found.drop(columns="segment"), expected)
        assert len(store.read(key)) == len(received)
        counted = counts[counts["symbol"] == symbol].iloc[0]
        assert counted["rows_received"] == counted["rows_accepted"] + counted["rows_rejected"] == len(received)
    assert ledger["rows_new"].sum() == sum(len(store.read(key)) for key in store.keys())  # noqa: SIM118
    store.close()


@pytest.mark.slow
@pytest.mark.depth  # a killed backfill without a project around it: tests/data/ingestion/test_backfill.py
def test_a_killed_backfill_goes_on_and_the_next_one_fetches_only_what_is_new(new_project: Project) -> None:
    with serve(Market(symbols=SYMBOLS)) as server:
        configure(new_project, server, until_hour=720)
        kill_at(server, new_project.start(*BACKFILL), page=5)
        store = store_of(new_project)
        kept = {key.symbol: len(store.read(key)) for key in store.keys()}  # noqa: SIM118
        store.close()
        assert 0 < sum(kept.values()) < 1000
        asked(server)

        new_project.kedro(*BACKFILL)
        new_project.kedro(*RUN)
        require_imported(new_project, server.market, until_hour=720)
        assert all(hour >= kept.get(symbol, 0) for symbol, hour in asked(server).items())
        before = mirrored(new_project)

        configure(new_project, server, until_hour=800)
        new_project.kedro(*BACKFILL)
        new_project.kedro(*RUN)
        require_imported(new_project, server.market, until_hour=800)
        assert asked(server) == dict.fromkeys(SYMBOLS, 720)
        written = {name for name, when in mirrored(new_project).items() if before.get(name) != when}
        # Hour 720 is 31 January: that month and the next are written anew, nothing else.
        assert sorted(Path(name).name[:7] for name in written) == ["2024-01", "2024-01", "2024-02", "2024-02"]
