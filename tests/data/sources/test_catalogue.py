"""Sources are opened by name, strictly, without showing a key."""

import subprocess
import sys

import pytest

from tests.data.sources.exchange_server import ExchangeServer
from tradewind.data.sources.catalogue import SOURCES, open_source
from tradewind.errors import BadParameters

VENDOR = {"venue": "binance", "exchange": "binance", "api_key": "sk-0123456789abcdef"}
SETTINGS = {
    "ccxt": {"exchange": "binance", "api_key": "sk-0123456789abcdef"},
    "binance_archive": {},
    "tardis": VENDOR,
    "coinapi": VENDOR,
    "kaiko": VENDOR,
}


@pytest.mark.parametrize("kind", SOURCES)
def test_a_source_is_opened_by_its_kind(kind: str, server: ExchangeServer) -> None:
    source = open_source({"kind": kind, **SETTINGS[kind]}, server.timing())
    assert source.name.startswith(kind)
    assert source.venue == "binance"
    assert "sk-0123456789abcdef" not in repr(source)
    source.close()


@pytest.mark.parametrize("kind", SOURCES)
def test_an_unknown_setting_is_refused_without_its_value(kind: str) -> None:
    with pytest.raises(BadParameters, match="api_kay") as raised:
        open_source({"kind": kind, **SETTINGS[kind], "api_kay": "sk-typed-in-the-wrong-place"})
    assert "wrong-place" not in str(raised.value)
    with pytest.raises(BadParameters, match=r"tries.*greater than or equal to 1"):
        open_source({"kind": kind, **SETTINGS[kind], "retry_policy": {"tries": 0}})


@pytest.mark.parametrize(
    "address", ["http://example.com", "ftp://example.com", "example.com", "https://a@b.c", "https://a b"]
)
def test_keys_travel_by_https_alone(address: str) -> None:
    with pytest.raises(BadParameters, match="base_url"):
        open_source({"kind": "kaiko", **VENDOR, "base_url": address})


def test_unknown_kinds_and_exchanges_are_told_with_what_there_is() -> None:
    with pytest.raises(BadParameters, match="must be one of.*'ccxt'.*found 'cxxt'"):
        open_source({"kind": "cxxt"})
    with pytest.raises(BadParameters, match="found 'binnance'; there is .*binance, "):
        open_source({"kind": "ccxt", "exchange": "binnance"})


def test_the_catalogue_itself_imports_no_client() -> None:
    code = (
        "import sys, tradewind.data.sources.catalogue as c\n"
        "assert not {'ccxt', 'httpx', 'requests'} & set(sys.modules)\n"
        "sys.modules['httpx'] = None\n"
        "try:\n    c.open_source({'kind': 'kaiko'})\n"
        "except c.BadParameters as error:\n    assert \"pip install 'tradewind[exchanges]'\" in str(error), error\n"
        "else:\n    raise SystemExit('an extra that is missing was not told')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("kind", ["ccxt", "binance_archive", "kaiko"])
def test_a_renamed_setting_is_refused_with_its_new_name(kind: str) -> None:
    with pytest.raises(BadParameters, match="patience is called retry_policy now"):
        open_source({"kind": kind, **SETTINGS[kind], "patience": {"tries": 2}})
    with pytest.raises(BadParameters, match="patience_s is called max_retry_after_s now"):
        open_source({"kind": kind, **SETTINGS[kind], "retry_policy": {"patience_s": 2}})
