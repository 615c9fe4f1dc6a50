"""What pairs of files are called here."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.data.files.names import QUOTES, require_one_spelling, split_pair, usable_name, usable_venue
from tradewind.errors import BadData


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("BTC/USDT", "BTCUSDT"), ("btc/usdt", "btcusdt"), ("BTC/BUSD", "BTCBUSD"), ("EUR/USD", "EURUSD"),
        ("BTCUSDT", "BTCUSDT"), ("BTC-USDT", "BTC-USDT"), ("USDTUSD", "USDTUSD"), ("USD/TRY", "USDTRY"),
        # Without the mark they would be read as another pair, or as well as another.
        ("USDT/USD", "USDT-USD"), ("USD/TUSD", "USD-TUSD"), ("BTCB/USD", "BTCB-USD"), ("BTC/XYZ", "BTC-XYZ"),
        ("BTC/USDT:USDT", "BTC-USDT-USDT"), ("BRK B", "BRK-B"), ("BRKB", "BRKB"),
        ("S&P 500", ""), ("", ""), (" / ", ""), ("../x", ""),
    ],
)  # fmt: skip
def test_a_mark_is_left_out_only_where_the_pair_is_told_without_it(text: str, name: str) -> None:
    assert usable_name(text) == name


def test_no_two_pairs_of_assets_have_one_name() -> None:
    """All pairs of the known quotes, and of names that end as they do."""
    assets = (*QUOTES, *(f"{one}{quote}" for one, quote in itertools.product(("A", "USD", "BTC"), QUOTES)))
    pairs = list(itertools.permutations(assets, 2))
    names = {usable_name(f"{base}/{quote}") for base, quote in pairs}
    assert len(names) == len(pairs)
    assert "USDTUSD" not in names  # which only a file that writes no mark may mean


_PART = st.text("ABDEFRSTU", min_size=1, max_size=5)


@given(st.lists(_PART, min_size=1, max_size=3), st.lists(_PART, min_size=1, max_size=3))
def test_no_two_spellings_with_marks_have_one_name(first: list[str], second: list[str]) -> None:
    """But for a pair that is written with and without its mark, which is one."""
    names = [usable_name("/".join(parts)) for parts in (first, second)]
    if first != second and names[0] == names[1]:
        pair, word = sorted((first, second), key=len, reverse=True)
        assert [len(pair), len(word)] == [2, 1] and split_pair(word[0]) == tuple(pair)


@pytest.mark.parametrize(
    ("name", "pair"),
    [("USDTUSD", ("USD", "TUSD")), ("USDT-USD", ("USDT", "USD")), ("ethbtc", ("eth", "btc")), ("USDT", None),
     ("-USD", None), ("BTC-PERP", None), ("BTC-USD-PERP", None)],
)  # fmt: skip
def test_the_longest_quote_counts_and_a_hyphen_before_all(name: str, pair: tuple[str, str] | None) -> None:
    assert split_pair(name) == pair


def test_two_spellings_of_one_name_are_refused_by_both() -> None:
    assert require_one_spelling(["B/USDT", "A", "A", "/", ""], usable_name, "f.csv") == {
        "A": "A", "B/USDT": "BUSDT", "/": "", "": "",
    }  # fmt: skip
    with pytest.raises(BadData, match=r"^f.csv: the symbols 'BTC/USDT' and 'BTCUSDT' would both be named BTCUSDT, .*"):
        require_one_spelling(["BTCUSDT", "BTC/USDT"], usable_name, "f.csv")


def test_the_name_of_a_venue_has_no_marks() -> None:
    assert usable_venue("binance us") == "binanceus" and usable_venue("&") == ""
