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


# Siblings: what one file holds of several markets, and one file read in two ways.


def several(name: str, words: tuple[str, str], step: int = 1) -> str:
    """Six hours of each of two, under one symbol; the second's bars `step` hours apart."""
    rows = [
        f"{START_MS + n * hours * HOUR_MS},S,{word},1,9,1,{price},{price}"
        for word, price, hours in ((words[0], 2, 1), (words[1], 3, step))
        for n in range(6)
    ]
    return "\n".join([f"unix,symbol,{name},open,high,low,close,volume", *rows]) + "\n"


@pytest.mark.parametrize(
    ("name", "words", "step"),
    [("expiry", ("2024-03", "2024-06"), 1), ("strike", ("100", "110"), 1), ("side", ("bid", "ask"), 1),
     ("adjustment", ("raw", "splits"), 1), ("interval", ("60", "240"), 4), ("timeframe", ("1h", "2h"), 2)],
)  # fmt: skip
def test_bars_of_several_markets_under_one_name_are_refused(
    run: Any, tmp_path: Path, name: str, words: tuple[str, str], step: int
) -> None:
    """Before, the later rows superseded the others, and bars of four hours stood among those of one, exit 0."""
    result = run({"f.csv": several(name, words, step)}, "--venue", "v", "--set", "volume_unit=base")
    told = " ".join(result.output.split())
    assert result.exit_code == 1 and f"the column '{name}' tells them apart" in told
    assert all(word in told for word in words)
    assert not (tmp_path / "data").exists()


def test_versions_of_one_bar_are_still_versions(run: Any) -> None:
    """A file to which a bar is written anew while it grows: the words beside it are no markets."""
    rows = [f"{START_MS + n * HOUR_MS},1,2,1,2,{grown},{word}"
            for n in range(3) for grown, word in enumerate("abab")]  # fmt: skip
    content = "\n".join(["unix,open,high,low,close,volume,state", *rows]) + "\n"
    result = run({"f.csv": content}, "--venue", "v", "--symbol", "S", "--set", "volume_unit=base")
    assert result.exit_code == 0, result.output
    assert "3 new" in " ".join(result.output.split())


ZONED = "time,open,high,low,close,volume\n" + "".join(f"2024-01-01 {n:02d}:00,1,2,1,2,{n + 1}\n" for n in range(12))


@pytest.mark.parametrize("other", ["timezone=America/New_York", "time_is=close"])
def test_bars_that_were_imported_with_other_settings_are_not_laid_over(run: Any, tmp_path: Path, other: str) -> None:
    """The second reading would have replaced some hours and stood beside others."""
    who = ["--venue", "v", "--symbol", "S", "--set", "volume_unit=base"]
    assert run({"f.csv": ZONED}, *who, "--set", "timezone=UTC").exit_code == 0
    zone = [] if other.startswith("timezone") else ["--set", "timezone=UTC"]
    again = run({"f.csv": ZONED}, *who, *zone, "--set", other)
    told = " ".join(again.output.split())
    assert again.exit_code == 1
    assert f"12 of its 12 rows are stored already, {'5 h earlier' if not zone else '1 h later'}" in told
    same = run({"f.csv": ZONED}, *who, "--set", "timezone=UTC")
    assert same.exit_code == 0 and "0 new, 12 known" in " ".join(same.output.split())
    store = open_store({"kind": "sqlite", "path": tmp_path / "data/01_raw/imported.sqlite"})
    assert len(store.read(BarKey(venue="v", symbol="S", timeframe="1h"))) == 12
    store.close()


def test_a_market_that_stands_still_is_not_taken_for_a_shifted_one(run: Any) -> None:
    """Rows of one content at many times say nothing of a shift."""
    who = ["--venue", "v", "--symbol", "S", "--set", "volume_unit=base"]
    assert run({"a.csv": bars(7)}, *who).exit_code == 0
    rows = [f"{START_MS + n * HOUR_MS},7,7,7,7,5" for n in range(20, 40)]
    later = run({"b.csv": "\n".join(["unix,open,high,low,close,volume", *rows]) + "\n"}, *who)
    assert later.exit_code == 0 and "20 new" in " ".join(later.output.split())


def test_trades_that_were_imported_with_other_settings_are_not_called_known(run: Any, tmp_path: Path) -> None:
    """Before, the receipt said 10 known, and what could be read back was the first reading."""
    content = "time,id,side,price,amount\n" + "".join(f"2024-01-01 0{n}:00:00,{n},buy,1,1\n" for n in range(10))
    who = ["--venue", "v", "--symbol", "S"]
    assert run({"t.csv": content}, *who, "--set", "timezone=UTC").exit_code == 0
    again = run({"t.csv": content}, *who, "--set", "timezone=Asia/Tokyo")
    assert again.exit_code == 1 and "with other settings" in " ".join(again.output.split())
    assert read_back(tmp_path)["timestamp"].iloc[0] == pd.Timestamp("2024-01-01", tz="UTC")
    same = run({"t.csv": content}, *who, "--set", "timezone=UTC")
    assert "0 new, 10 known" in " ".join(same.output.split())


# Siblings: two pairs whose names are alike without their mark.


def named_bars(*symbols: str) -> str:
    rows = [f"{START_MS + n * HOUR_MS},{symbol},{price},{price},{price},{price},5"
            for price, symbol in enumerate(symbols, 1) for n in range(6)]  # fmt: skip
    return "\n".join(["unix,symbol,open,high,low,close,volume", *rows]) + "\n"


def test_pairs_that_are_alike_without_their_mark_are_two_markets(run: Any, tmp_path: Path) -> None:
    """Before, both were USDTUSD: the second command superseded all of the first, exit 0."""
    for name, symbol in (("a.csv", "USDT/USD"), ("b.csv", "USD/TUSD")):
        result = run({name: named_bars(symbol)}, "--venue", "v", "--set", "volume_unit=base")
        assert result.exit_code == 0 and "6 new" in " ".join(result.output.split()), result.output
    both = run({"c.csv": named_bars("USDT/USD", "USD/TUSD")}, "--venue", "w", "--set", "volume_unit=base")
    assert both.exit_code == 0, both.output
    store = open_store({"kind": "sqlite", "path": tmp_path / "data/01_raw/imported.sqlite"})
    keys = store.keys()
    held = {str(key): len(store.read(key)) for key in keys}
    store.close()
    assert held == {f"{venue}/{name}/1h": 6 for venue in "vw" for name in ("USDT-USD", "USD-TUSD")}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (named_bars("BTC/USDT", "BTCUSDT"), ("--set", "volume_unit=base")),
        (trades(1, symbol="BTC/USDT") + trades(2, symbol="BTCUSDT").partition("\n")[2], ()),
        ("time,symbol,fundingRate\n" + "".join(f"{START_MS + n * 8 * HOUR_MS},{symbol},0.0001\n"
         for symbol in ("BTC/USDT", "BTCUSDT") for n in range(4)), ()),
    ],
    ids=["bars", "trades", "funding"],
)  # fmt: skip
def test_two_spellings_of_one_name_in_one_file_are_refused_by_both(
    run: Any, tmp_path: Path, content: str, words: tuple[str, ...]
) -> None:
    result = run({"f.csv": content}, "--venue", "v", *words)
    told = " ".join(result.output.split())
    assert result.exit_code == 1 and "BTC/USDT'" in told and "BTCUSDT'" in told and "would both be" in told, told
    assert not (tmp_path / "data").exists()


def test_two_events_that_are_alike_without_their_signs_are_refused(run: Any) -> None:
    """The later row of one moment superseded the other; another case of the letters is the same event."""

    def calendar(*events: str) -> str:
        return "time,event,impact,currency\n" + "".join(f"{START_MS},{one},high,USD\n" for one in events)

    refused = run({"f.csv": calendar("GDP +1", "GDP -1")})
    assert refused.exit_code == 1
    assert "the events 'gdp +1' and 'gdp -1' would both be named gdp_1" in " ".join(refused.output.split())
    assert run({"g.csv": calendar("Fed  Meeting", "Fed meeting")}).exit_code == 0
