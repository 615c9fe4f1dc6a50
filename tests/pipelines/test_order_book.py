"""Recorded streams become books, bars and costs, and every row is accounted for."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from kedro.io import DataCatalog
from kedro.runner import SequentialRunner

from tradewind.compute import ComputeRules
from tradewind.data.order_book.events import BookRules, Contract
from tradewind.data.order_book.trades import bars_of_stream, valid_trades
from tradewind.errors import BadData
from tradewind.pipelines import order_book
from tradewind.trading.execution.costs import Costs

CONF = Path(__file__).resolve().parents[2] / "conf/base"


@pytest.fixture(scope="module")
def finished(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> DataCatalog:
    """The catalog after a run on the real streams."""
    folder = tmp_path_factory.mktemp("streams")
    entries = yaml.safe_load((CONF / "catalog_order_book.yml").read_text())
    for entry in (entry for name, entry in entries.items() if not name.startswith("_")):
        for key in {"path", "filepath"} & set(entry):
            outside = entry[key].replace("${_streams}", str(shared_data))
            entry[key] = outside if outside != entry[key] else str(folder / entry[key])
    catalog = DataCatalog.from_config({name: entry for name, entry in entries.items() if not name.startswith("_")})
    parameters = yaml.safe_load((CONF / "parameters_order_book.yml").read_text())["order_book"]["book"]
    catalog["params:order_book.book"] = BookRules(**parameters)
    catalog["params:compute"] = ComputeRules()
    SequentialRunner().run(order_book.create_pipeline(), catalog)
    return catalog


def test_every_stream_becomes_a_book(finished: DataCatalog) -> None:
    books = finished["book_seconds"].load()
    assert len(books) == 8
    table = books["binance/BTCUSDT/20240808"]()
    assert table["spread_bps"].median() == pytest.approx(0.0016, abs=2e-4)  # one tick of 0.01
    assert (table["buy_value"] + table["sell_value"]).sum() > 5e6
    assert finished["book_agreement"].load()["equal_share"].min() > 0.9


def test_the_costs_of_a_book_are_costs_of_a_backtest(finished: DataCatalog) -> None:
    points = finished["book_points"].load()["binance/ETHUSDT"]
    bps = [cost for _, cost in Costs(book=tuple(map(tuple, points))).book]
    assert bps == sorted(bps) and bps[0] == 0.0 and 2 < bps[-1] < 6  # a million dollars at once


def test_trades_make_the_candles_of_the_exchange(finished: DataCatalog, shared_data: Path) -> None:
    """The five minutes that the stream covers whole, against the candle that the exchange published."""
    trades = pd.read_parquet(shared_data / "l2_trades/binance/BTCUSDT_20240808.parquet")
    bars = bars_of_stream(trades, Contract("binance", "BTCUSDT", None), "5m")
    candles = pd.read_parquet(shared_data / "ohlcv_spot/binance/BTCUSDT-5m.parquet").set_index("timestamp")
    assert bars["open_time"].astype(str).tolist() == ["2024-08-08 23:55:00+00:00"]
    candle = candles.loc[bars["open_time"].iloc[0]]
    for name in ("open", "high", "low", "close", "volume"):
        assert bars[name].iloc[0] == candle[name]
    minutes = finished["trade_bars"].load()["binance/BTCUSDT/20240808"]()
    assert len(minutes) == 5 and minutes["volume"].sum() == pytest.approx(candle["volume"], rel=1e-12)


def test_inverse_contracts_are_traded_in_their_base_asset(finished: DataCatalog, shared_data: Path) -> None:
    bars = finished["trade_bars"].load()["binance_coinm/BTCUSD_PERP/20240808"]()
    trades = pd.read_parquet(shared_data / "l2_trades/binance_coinm/BTCUSD_PERP_20240808.parquet")
    inside = trades["exch_ms"].between(
        bars["open_time"].iloc[0].value // 10**6, bars["timestamp"].iloc[-1].value // 10**6 - 1
    )
    assert bars["quote_volume"].sum() == pytest.approx(100 * trades.loc[inside, "qty"].sum(), rel=1e-9)
    assert (bars["quote_volume"] / bars["volume"]).between(bars["low"], bars["high"]).all()


def some_trades(numbers: list[int]) -> pd.DataFrame:
    at = 1_704_067_200_000 + 20_000 * np.arange(len(numbers))
    return pd.DataFrame(
        {"recv_ns": at * 1_000_000, "exch_ms": at, "trade_id": numbers, "price": 10.0, "qty": 1.0, "buyer_maker": True}
    )


def test_a_trade_that_is_missing_stops_and_one_delivered_twice_counts_once() -> None:
    with pytest.raises(BadData, match="trades 3 and 5 follow each other, and 1 places"):
        bars_of_stream(some_trades([1, 2, 3, 5, 6]), Contract("v", "A", None), "1m")
    believed, rejected = valid_trades(some_trades([1, 2, 2, 3]), "v/A")
    assert believed["trade_id"].tolist() == [1, 2, 3]
    assert rejected["reason"].tolist() == ["the trade was delivered before"]


def test_bars_that_the_stream_does_not_cover_whole_are_left_out() -> None:
    bars = bars_of_stream(some_trades(list(range(10))), Contract("v", "A", None), "1m")
    assert bars["trades"].tolist() == [3.0, 3.0, 3.0]  # the tenth trade only opens the fourth minute
    later = some_trades(list(range(10))).iloc[1:]
    assert bars_of_stream(later, Contract("v", "A", None), "1m")["trades"].tolist() == [3.0, 3.0]
