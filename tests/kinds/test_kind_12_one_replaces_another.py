"""Kind 12: no delivery replaces another, and what receipts count can be read back."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from tradewind.cli import cli
from tradewind.data.files.bar_key import BarKey
from tradewind.data.stores.catalogue import open_store

START_MS, HOUR_MS = 1_704_067_200_000, 3_600_000


def trades(price: float, first: int = 0, count: int = 10, symbol: str = "") -> str:
    head = "timestamp,id,side,price,amount" + (",symbol" if symbol else "")
    rows = [f"{START_MS + n * 1000},{n},buy,{price},{1 + n}{',' + symbol if symbol else ''}"
            for n in range(first, first + count)]  # fmt: skip
    return "\n".join([head, *rows]) + "\n"


def bars(price: float, last: float = 0.0) -> str:
    rows = [f"{START_MS + n * HOUR_MS},{price},{price},{price},{price},5" for n in range(20)]
    return "\n".join(["unix,open,high,low,close,volume", *rows]) + "\n"


@pytest.fixture
def run(tmp_path: Path) -> Any:
    (tmp_path / "conf/base").mkdir(parents=True)
    (tmp_path / "conf/local").mkdir()

    def _run(files: dict[str, str], *arguments: str) -> Result:
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
        words = ["import-bars", *(str(tmp_path / name) for name in files), *arguments]
        return CliRunner().invoke(cli, words, obj=SimpleNamespace(project_path=tmp_path))

    return _run


def read_back(folder: Path) -> pd.DataFrame:
    found = sorted((folder / "data/01_raw/imported").rglob("trades.parquet"))
    return pd.concat([pd.read_parquet(path) for path in found], ignore_index=True)


def counted(output: str) -> int:
    words = " ".join(output.split()).replace(",", "").split(" new")
    return sum(int(part.split()[-1]) for part in words[:-1])


def test_two_files_of_one_name_are_both_there(run: Any, tmp_path: Path) -> None:
    result = run({"in/BTC/trades.csv": trades(40_000), "in/ETH/trades.csv": trades(2_000)})
    assert result.exit_code == 0, result.output
    rows = read_back(tmp_path)
    assert counted(result.output) == len(rows) == 20
    assert sorted(rows["price"].unique()) == [2_000, 40_000]


def test_the_same_content_twice_is_known(run: Any, tmp_path: Path) -> None:
    result = run({"a/trades.csv": trades(1), "b/trades.csv": trades(1)})
    assert "10 rows: 0 new, 10 known" in " ".join(result.output.split())
    assert counted(result.output) == len(read_back(tmp_path)) == 10


def test_trades_that_an_earlier_file_of_the_market_holds_are_known(run: Any, tmp_path: Path) -> None:
    who = ["--venue", "v", "--symbol", "S"]
    first = run({"a.csv": trades(1)}, *who)
    later = run({"b.csv": trades(1, first=5)}, *who)
    assert "10 rows: 5 new, 5 known" in " ".join(later.output.split())
    assert counted(first.output) + counted(later.output) == len(read_back(tmp_path)) == 15
    other = run({"c.csv": trades(1)}, "--venue", "v", "--symbol", "T")
    assert "10 rows: 10 new" in " ".join(other.output.split())


def test_two_symbols_of_one_file_are_two_tables(run: Any, tmp_path: Path) -> None:
    both = trades(1, symbol="BTCUSDT") + "".join(trades(2, symbol="ETHUSDT").splitlines(keepends=True)[1:])
    result = run({"t.csv": both}, "--venue", "v")
    assert result.exit_code == 0, result.output
    root = tmp_path / "data/01_raw/imported/v"
    for symbol, price in (("BTCUSDT", 1), ("ETHUSDT", 2)):
        (path,) = (root / symbol).rglob("trades.parquet")
        assert pd.read_parquet(path)["price"].tolist() == [price] * 10
    refused = run({"t.csv": both}, "--venue", "v", "--symbol", "BTCUSDT")
    assert refused.exit_code == 1
    assert "holds trades of 2 symbols" in " ".join(refused.output.split())


def test_two_markets_under_one_symbol_in_one_command_are_refused(run: Any, tmp_path: Path) -> None:
    """A sibling: the bars of the second file would have superseded those of the first."""
    who = ["--venue", "v", "--symbol", "S", "--set", "volume_unit=base"]
    result = run({"in/BTC/bars.csv": bars(40_000), "in/ETH/bars.csv": bars(2_000)}, *who)
    assert result.exit_code == 1
    assert "they differ in 20 of 20 bars: one would replace the other" in " ".join(result.output.split())
    store = open_store({"kind": "sqlite", "path": tmp_path / "data/01_raw/imported.sqlite"})
    rows = store.read(BarKey(venue="v", symbol="S", timeframe="1h"))
    store.close()
    assert counted(result.output) == len(rows) == 20
    assert rows["close"].unique().tolist() == [40_000]
