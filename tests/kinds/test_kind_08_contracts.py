"""Kind 8: sizes of contracts are told from coins by the file's own proof."""

from pathlib import Path

import pandas as pd
import pytest

from tradewind.data.file_import.importer import ImportPlan, inspect_file
from tradewind.data.files.dialect import ImportSettings

HEAD = "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional\n"
ROWS = (
    "1577836800.123,BTCUSD,Buy,2090,6499.5,ZeroPlusTick,a0b1,32156320,0.32156320,2090\n"
    "1577836801.456,BTCUSD,Sell,1,6499.5,ZeroMinusTick,c2d3,15386,0.00015386,1\n"
    "1577836802.789,BTCUSD,Buy,500,6500,PlusTick,e4f5,7692308,0.07692308,500\n"
)


def plan_of(tmp_path: Path, content: str, **settings: str) -> ImportPlan:
    path = tmp_path / "t.csv"
    path.write_text(content)
    return inspect_file(path, ImportSettings.model_validate(settings))


def only(plan: ImportPlan) -> pd.DataFrame:
    (rows,) = plan.tables.values()
    return rows


def test_an_inverse_contract_counts_dollars_and_its_coins_stand_beside(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, HEAD + ROWS)
    rows = only(plan)
    assert list(plan.tables) == ["BTCUSD/trades"]
    assert rows["amount"].tolist() == [0.3215632, 0.00015386, 0.07692308]
    assert rows["cost"].tolist() == [2090, 1, 500]
    assert rows["id"].tolist() == ["a0b1", "c2d3", "e4f5"]


def test_a_linear_contract_of_the_same_layout_keeps_its_size(tmp_path: Path) -> None:
    rows = "1577836800.1,BTCUSDT,Buy,0.5,7000,x,a,1,0.5,3500\n1577836800.2,BTCUSDT,Sell,0.25,7000,x,b,1,0.25,1750\n"
    found = only(plan_of(tmp_path, HEAD + rows))
    assert (found["amount"].tolist(), found["cost"].tolist()) == ([0.5, 0.25], [3500, 1750])


def test_coins_that_do_not_cost_their_money_are_rejected(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, HEAD + ROWS.replace("0.07692308,500", "0.07692308,900"))
    assert plan.rejected.counts() == {"foreignNotional is not price x homeNotional": 1}


def test_the_trade_is_known_by_its_match_id(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, HEAD + ROWS + ROWS.splitlines()[0] + "\n")
    assert plan.rejected.counts() == {"duplicate of another row": 1}


def test_contracts_of_a_hundred_dollars_with_their_base_quantity(tmp_path: Path) -> None:
    """A sibling: coin-margined trades, quantities in contracts of 100 dollars beside the coins."""
    head = "id,price,qty,base_qty,time,is_buyer_maker\n"
    rows = "1,40000,4,0.01,1704067200000,true\n2,50000,10,0.02,1704067201000,false\n"
    found = only(plan_of(tmp_path, head + rows))
    assert found["amount"].tolist() == [0.01, 0.02]
    assert found["cost"].tolist() == pytest.approx([400, 1000])


@pytest.mark.parametrize("worth", [1, 10, 100])
def test_a_cost_in_coins_proves_an_inverse_contract(tmp_path: Path, worth: int) -> None:
    """A sibling: unified trades of inverse contracts, whose cost is contracts / price."""
    rows = "".join(
        f"{1704067200000 + n},{n},buy,{40000 + n},{100 + n},{(100 + n) * worth / (40000 + n):.8f}\n" for n in range(9)
    )
    found = only(plan_of(tmp_path, "timestamp,id,side,price,amount,cost\n" + rows))
    assert found["cost"].tolist() == [(100 + n) * worth for n in range(9)]
    assert found["amount"].tolist() == pytest.approx([(100 + n) * worth / (40000 + n) for n in range(9)], rel=1e-5)


@pytest.mark.parametrize(
    "symbol", ["XBTUSD", "BTC-PERPETUAL", "BTCUSD_PERP", "BTC-USD-SWAP", "BTC/USD:BTC", "BTC/USD:BTC-241227"]
)
def test_sizes_of_an_inverse_contract_without_a_proof_are_asked_for(tmp_path: Path, symbol: str) -> None:
    rows = f"timestamp,id,side,price,amount,symbol\n1704067200000,1,buy,40000,400,{symbol}\n"
    asked = plan_of(tmp_path, rows).notes.missing_settings
    assert [one.setting for one in asked] == ["volume_unit=quote"]
    assert only(plan_of(tmp_path, rows, volume_unit="quote"))["amount"].tolist() == [0.01]
    assert only(plan_of(tmp_path, rows, volume_unit="base"))["amount"].tolist() == [400]


@pytest.mark.parametrize("column", ["instrument_name", "instId", "product_id", "instrument_id", "contract"])
def test_a_contract_is_known_by_whatever_its_column_is_called(tmp_path: Path, column: str) -> None:
    """A sibling: Deribit's `instrument_name` was not read, so that 1,000 dollars became 1,000 coins without a name."""
    rows = "".join(f"{n},{1704067200000 + n},BTC-PERPETUAL,buy,40000,{400 + n}\n" for n in range(3))
    content = f"trade_seq,timestamp,{column},direction,price,amount\n{rows}"
    asked = plan_of(tmp_path, content).notes.missing_settings
    assert [one.setting for one in asked] == ["volume_unit=quote"]
    assert only(plan_of(tmp_path, content, volume_unit="quote"))["cost"].tolist() == [400, 401, 402]


@pytest.mark.parametrize("time", ["transact_time", "created_time"])
def test_times_of_trades_as_coin_margined_futures_and_okx_call_them(tmp_path: Path, time: str) -> None:
    rows = f"agg_trade_id,price,quantity,{time},is_buyer_maker,symbol\n1,40000,0.5,1704067200000,true,BTCUSDT\n"
    found = only(plan_of(tmp_path, rows))
    assert found["amount"].tolist() == [0.5] and found["side"].tolist() == ["sell"]
