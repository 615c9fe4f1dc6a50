"""What an answer proves, how orders are written, and no real money by accident."""

import re
import traceback
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.live.broker_accounts import KEYS, a_ledger, an_opening
from tests.live.order_server import SECRET, serve_orders
from tests.live.venue_ledger import CLIENT_ID
from tradewind.data.sources.ccxt_account import HOSTS, Access, CcxtAccount, exact
from tradewind.data.sources.order_answers import Assets, classify
from tradewind.data.sources.timing import Timing
from tradewind.errors import BadParameters
from tradewind.live.settings import BrokerRules
from tradewind.live.venue.ccxt_broker import Opening, _require_own_coins, open_broker
from tradewind.live.venue.choice import MODES, addresses, keys_of, mode_of, mode_of_run, require_same_mode
from tradewind.trading.risk.limits import Instrument

pytestmark = pytest.mark.usefixtures("quick")


def test_what_an_answer_proves() -> None:
    assert classify(400, -2010, "Account has insufficient balance") == "refused"
    assert classify(401, -2015, "Invalid API-key") == "refused"
    assert {classify(status, 0, "") for status in (429, 418)} == {"busy"}
    unsure = [(0, 0, ""), (500, -1000, ""), (503, -1003, ""), (403, 0, "<html>"), (400, 0, "not JSON"), (200, 0, ""),
              (400, -1006, ""), (400, -1007, ""), (400, -1001, ""), (400, -2010, "Duplicate order sent."),
              (302, 0, "")]  # fmt: skip
    assert {classify(*one) for one in unsure} == {"unknown"}
    assert classify(400, -2013, "Order does not exist.") == classify(400, -2011, "Unknown order sent.") == "absent"
    assert classify(400, -2011, "Order was not canceled due to cancel restrictions.") == "refused"


def test_numbers_are_written_exactly() -> None:
    assert [exact(one) for one in (0.1 + 0.2, 1e-5, 50_000.0, 0.29, 1e-8, 123456.789)] == [
        "0.3", "0.00001", "50000", "0.29", "0.00000001", "123456.789"
    ]  # fmt: skip


def test_client_ids_fit_the_venue() -> None:
    """As `session.trading` makes them; 36 characters of a few kinds are allowed."""
    for number in (1, 10**9):
        assert CLIENT_ID.match(f"{number}-{10**4}-{'f' * 12}")


# No real money by accident


def test_real_money_is_said_twice() -> None:
    assert BrokerRules().network == "testnet" and BrokerRules().account == "binance_testnet"
    for wrong in ({"network": "live"}, {"real_money": True}):
        with pytest.raises(ValidationError, match="real_money: true"):
            BrokerRules(**wrong)
    for elsewhere in ("https://api.binance.com", "http://127.0.0.1.example.com", "http://localhost@example.com"):
        with pytest.raises(ValidationError, match="base_url"):  # the real venue under the name of the test network
            BrokerRules(base_url=elsewhere)
    both = BrokerRules(network="live", real_money=True)
    assert both.account == "binance_live" and mode_of(both).label == "LIVE" and "REAL MONEY" in mode_of(both).means
    assert mode_of(None).label == "PAPER" and mode_of(BrokerRules()).label == "TESTNET"
    assert mode_of_run({}) == MODES["paper"]  # of a run that was begun before there was a choice


def test_an_account_asks_one_host_alone() -> None:
    """The keys of the test network cannot reach the real one, whatever ccxt makes of its addresses."""
    for network, host in HOSTS.items():
        account = CcxtAccount(Access(network=network), KEYS, Timing())
        for api in ("public", "private"):
            assert re.match(rf"https://{re.escape(host)}/", account._exchange.urls["api"][api])
        account._exchange.urls["api"]["private"] = "https://example.com/api/v3"
        answer = account.balances()
        assert answer.outcome == "refused" and "a request to example.com was stopped" in answer.detail
        assert not account._session.was_sent
        account.close()
    assert {addresses(BrokerRules())[0], addresses(BrokerRules(network="live", real_money=True))[0]} == {
        f"https://{one}" for one in HOSTS.values()
    }  # prices and orders are of one network


def test_keys_are_those_of_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    given = {"binance_live": {"api_key": "a", "api_secret": "b"}}
    assert keys_of(BrokerRules(), given) is None and keys_of(None, given) is None
    found = keys_of(BrokerRules(network="live", real_money=True), given)
    assert found is not None and found.api_secret.get_secret_value() == "b"
    with pytest.raises(BadParameters, match="binance_testnet.*api_secret") as caught:
        keys_of(BrokerRules(), {"binance_testnet": {"api_key": SECRET}})
    assert SECRET not in str(caught.value)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "binance_testnet.json").write_text('{"api_key": "c", "api_secret": "d"}')
    found = keys_of(BrokerRules(), {"binance_testnet": {"api_key": "a", "api_secret": "b"}})
    assert found is not None and found.api_key.get_secret_value() == "c"
    (tmp_path / "binance_testnet.json").write_text(f"{SECRET} is no JSON")
    with pytest.raises(BadParameters, match="is not JSON") as caught:
        keys_of(BrokerRules(), {})
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_an_account_that_does_not_fit_is_refused(folder: Path) -> None:
    with serve_orders(a_ledger()) as server:
        other = {"NONE": Instrument(symbol="NONE", tick_size=0.01, lot_size=0.001)}
        for changed, said in (
            ({"keys": None}, "needs the keys of binance_testnet"), ({"instruments": other}, "Invalid symbol"),
            ({"capital": 2e5}, "holds 100000 USDT, and trading.execution.capital is 200000"),
        ):  # fmt: skip
            opening = an_opening(server, folder)
            parts = {name: getattr(opening, name) for name in ("rules", "keys", "folder", "instruments", "capital")}
            with pytest.raises(BadParameters, match=said):
                open_broker(Opening(**(parts | changed)), folder / "venue.jsonl")
        assert server.ledger.orders == []
    for shared in (
        {"BTCUSDT": Assets("BTC", "USDT"), "BTCEUR": Assets("BTC", "EUR")},
        {"BTCUSDT": Assets("BTC", "USDT"), "ETHBTC": Assets("ETH", "BTC")},
    ):
        with pytest.raises(BadParameters, match="need a coin of their own and the same currency"):
            _require_own_coins(shared)
    with pytest.raises(BadParameters, match="a TESTNET account, and LIVE is configured"):
        require_same_mode({"broker": "testnet"}, MODES["live"], folder)
    with pytest.raises(BadParameters, match="a PAPER account, and TESTNET is configured"):
        require_same_mode({}, MODES["testnet"], folder)
    require_same_mode(None, MODES["live"], folder)
