"""The archive: proven before it is opened, months or else days, microseconds or not."""

import hashlib
import io
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.data.sources.exchange_server import HOUR_MS, START_MS, ExchangeServer, Market, serve
from tests.data.sources.vendor_protocols import archive_file
from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import Span
from tradewind.data.sources.catalogue import open_source
from tradewind.errors import BadData, BadParameters
from tradewind.market.schema import SideVintages

KEY = BarKey(venue="binance", symbol="BTCUSDT", timeframe="1h")
DAY_MS = 24 * HOUR_MS
JANUARY = "/data/spot/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2024-01.zip"


def opened(server: ExchangeServer, **settings: Any) -> Any:
    return open_source({"kind": "binance_archive", "base_url": server.url, **settings}, server.timing())


@pytest.fixture
def files(server: ExchangeServer) -> Iterator[ExchangeServer]:
    """The server, with all of its files there again after the test."""
    server.asked.clear()
    yield server
    server.absent.clear()


def asked_files(server: ExchangeServer) -> list[str]:
    return [asked.path.rsplit("/", 1)[1] for asked in server.asked if not asked.path.endswith("CHECKSUM")]


def test_months_that_are_over_then_days_that_are_over(files: ExchangeServer) -> None:
    """The server's now is 2024-02-10 00:20: January is there, nine days of February are, the tenth is not."""
    pages = list(opened(files).bars(KEY, Span(START_MS, files.market.now_ms)))
    assert asked_files(files) == [
        f"BTCUSDT-1h-{name}.zip" for name in ("2024-01", *(f"2024-02-0{d}" for d in range(1, 10)))
    ]
    assert [page.covered.since_ms for page in pages] == [
        START_MS,
        *(START_MS + (30 + d) * DAY_MS for d in range(1, 10)),
    ]
    assert pages[-1].covered.until_ms == START_MS + 40 * DAY_MS
    assert all(len(page.rows) == 24 for page in pages[1:])


def test_a_month_that_is_not_there_yet_is_read_day_by_day_and_a_missing_day_is_not_covered(
    files: ExchangeServer,
) -> None:
    files.absent |= {JANUARY, "/data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2024-01-02.zip"}
    pages = list(opened(files).bars(KEY, Span(START_MS + 5 * HOUR_MS, START_MS + 3 * DAY_MS)))
    assert [page.covered for page in pages] == [
        Span(START_MS + 5 * HOUR_MS, START_MS + DAY_MS),
        Span(START_MS + 2 * DAY_MS, START_MS + 3 * DAY_MS),
    ]
    unknown = KEY.model_copy(update={"symbol": "NOSUCH"})
    assert list(opened(files).bars(unknown, Span(START_MS, START_MS + DAY_MS))) == []


def test_a_file_that_is_not_what_its_checksum_says_is_never_opened(files: ExchangeServer) -> None:
    files.misbehave("checksum", times=9, path=".CHECKSUM")
    with pytest.raises(BadData, match=r"2024-01.zip: its checksum says 000000000000\.\.\..*not opened"):
        list(opened(files).bars(KEY, Span(START_MS, START_MS + DAY_MS)))
    assert asked_files(files) == ["BTCUSDT-1h-2024-01.zip"] * 2
    files.behave()
    files.misbehave("checksum", path=".CHECKSUM")  # both were just being replaced
    assert len(list(opened(files).bars(KEY, Span(START_MS, START_MS + DAY_MS)))) == 1


def test_a_bomb_is_not_unpacked(files: ExchangeServer) -> None:
    files.misbehave("bomb", times=9, path="/klines/")
    with pytest.raises(BadData, match="unpacks to more than 1 MB"):
        list(opened(files, unpacked_limit_mb=1).bars(KEY, Span(START_MS, START_MS + DAY_MS)))


def packed(content: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in content.items():
            archive.writestr(name, text)
    return target.getvalue()


ROW = b"1704067200000,1,2,0.5,1.5,10,1704070799999,15,3,5,7,0\n"
FAULTY = {
    "another name": (packed({"../evil.csv": ROW}), "must hold BTCUSDT-1h-2024-01.csv alone"),
    "two files": (packed({"BTCUSDT-1h-2024-01.csv": ROW, "b.csv": ROW}), "must hold"),
    "no ZIP": (b"<html>not here</html>", "no ZIP that can be read"),
    "a torn ZIP": (packed({"BTCUSDT-1h-2024-01.csv": ROW})[:-40], "no ZIP that can be read"),
    "too few columns": (packed({"BTCUSDT-1h-2024-01.csv": b"1704067200000,1,2\n"}), "cannot be read"),
    "another month": (
        packed({"BTCUSDT-1h-2024-01.csv": ROW.replace(b"17040", b"16040")}),
        "another time than its name",
    ),
    "nothing": (packed({"BTCUSDT-1h-2024-01.csv": b""}), "cannot be read"),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_file_that_holds_something_else_is_told(fault: str, files: ExchangeServer) -> None:
    """Each with the checksum that it has: this is what the archive itself published."""
    body, words = FAULTY[fault]
    checksum = f"{hashlib.sha256(body).hexdigest()}  x.zip"
    files.misbehave("file", path=JANUARY, times=1, body=body)
    files.misbehave("file", path=JANUARY + ".CHECKSUM", times=1, body=checksum.encode())
    with pytest.raises(BadData, match=words):
        list(opened(files).bars(KEY, Span(START_MS, START_MS + DAY_MS)))


def test_a_cell_that_is_no_number_is_a_fault_of_the_file(files: ExchangeServer) -> None:
    body = packed({"BTCUSDT-1h-2024-01.csv": ROW + ROW.replace(b"1.5", b"n/a")})
    files.misbehave("file", path=JANUARY, times=1, body=body)
    files.misbehave("file", path=JANUARY + ".CHECKSUM", body=hashlib.sha256(body).hexdigest().encode())
    [page] = opened(files).bars(KEY, Span(START_MS, START_MS + DAY_MS))
    assert page.rows["close"].tolist() == ["1.5", "n/a"]


def test_spot_has_microseconds_from_2025_on() -> None:
    new_year = 1_735_689_600_000
    with serve(Market(since_ms=new_year - 2 * DAY_MS, now_ms=new_year + 33 * DAY_MS, holes=())) as server:
        assert b"1735689600000000," in zipfile.ZipFile(
            io.BytesIO(archive_file(server, JANUARY.replace("2024", "2025")) or b"")
        ).read("BTCUSDT-1h-2025-01.csv")
        pages = list(opened(server).bars(KEY, Span(new_year - DAY_MS, new_year + DAY_MS)))
        found = pd.concat([page.rows for page in pages], ignore_index=True)
        expected = server.market.bars("BTCUSDT", "1h", Span(new_year - DAY_MS, new_year + DAY_MS))
        pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_coin_margined_volume_is_in_the_base_asset(files: ExchangeServer) -> None:
    """Its volume counts contracts, so the column after the close time is the volume."""
    [page] = opened(files, market="cm").bars(KEY, Span(START_MS, START_MS + DAY_MS))
    expected = files.market.bars("BTCUSDT", "1h", Span(START_MS, START_MS + DAY_MS))
    assert page.rows["volume"].tolist() == expected["quote_volume"].tolist()
    assert "quote_volume" not in page.rows


@pytest.mark.parametrize("series", ["funding", "open_interest", "basis", "mark_price"])
def test_side_series_of_futures_are_the_markets(series: str, files: ExchangeServer) -> None:
    span = Span(START_MS + HOUR_MS, START_MS + 5 * DAY_MS + 1)
    pages = list(opened(files, market="um").side_series(series, "BTCUSDT", span))
    found = pd.concat([page.rows for page in pages], ignore_index=True)
    SideVintages.validate(found.drop_duplicates())
    at = found["reference_at"].dt.as_unit("ms").astype("int64").to_numpy()
    closes = files.market.bars("BTCUSDT", "1h", Span(START_MS, span.until_ms - HOUR_MS)).set_index("open_time")["close"]
    expected, delay = {
        "funding": (files.market.funding("BTCUSDT", span), 1),
        "open_interest": (files.market.open_interest("BTCUSDT", "5m", span), 300_000),
        "mark_price": (pd.DataFrame({"at": closes.index + HOUR_MS, "value": closes.to_numpy() * 1.001}), 0),
        "basis": (pd.DataFrame({"at": closes.index + HOUR_MS, "value": 0.001}), 0),
    }[series]
    np.testing.assert_array_equal(at, expected["at"])
    np.testing.assert_allclose(found["value"], expected["value"], rtol=1e-4)
    assert (found["known_at"] - found["reference_at"] == pd.Timedelta(delay, "ms")).all()


def test_what_the_archive_lacks_is_told(files: ExchangeServer) -> None:
    with pytest.raises(BadParameters, match="no side series 'funding'; it has none"):
        opened(files).side_series("funding", "BTCUSDT", Span(0, 1))
    with pytest.raises(BadParameters, match="no 7m bars"):
        list(opened(files).bars(KEY.model_copy(update={"timeframe": "7m"}), Span(0, 1)))
