"""InfluxDB, the real one: places in a millisecond, killed clients, a killed server, answers cut short, refusals."""

import json
import threading
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.data.stores.killing import check_kills, receipts_of_forked
from tests.data.stores.real_servers import InfluxServer, free_port
from tests.data.stores.schedules import at, bars, delivery, key
from tests.depth import deep
from tradewind.data.files.deliveries import merge_rows, receive, stored_columns
from tradewind.data.stores.catalogue import open_store
from tradewind.data.stores.influx import InfluxStore, Rules
from tradewind.data.stores.influx_lines import PLACES, decode_tag, encode_tag, free_times, places_of
from tradewind.errors import BadData, BadParameters, TemporaryOutage

Settings = dict[str, Any]


@pytest.fixture
def store(influx_settings: Settings) -> Iterator[InfluxStore]:
    opened = InfluxStore(rules_of(influx_settings), wait=lambda _: None)
    yield opened
    opened.close()


def rules_of(settings: Settings, **changed: Any) -> Rules:
    return Rules(**({name: value for name, value in settings.items() if name != "kind"} | changed))


@pytest.mark.parametrize("kills", [5, deep(20)])
def test_killed_clients_lose_nothing(influx_settings: Settings, kills: int) -> None:
    check_kills(lambda _: influx_settings, kills, receipts_of_forked)


def test_what_has_a_receipt_survives_a_killed_server(influx_server: InfluxServer, influx_settings: Settings) -> None:
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:
            influx_server.start()

    patient = InfluxStore(rules_of(influx_settings), wait)
    first, second = delivery(key(), range(0, 20), 50), delivery(key(), range(10, 40), 51)
    patient.append(first)
    influx_server.crash()
    assert patient.append(second).rows_new == 20
    assert len(waited) == 2
    pd.testing.assert_frame_equal(patient.read(key()), merge_rows([first.rows, second.rows]))
    assert len(patient.ledger()) == 2


def two_on_one_place() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two versions of one bar that InfluxDB would keep at the same nanosecond."""
    one = receive(bars(range(1)), key(), "s", at(9)).rows
    # Of versions in one delivery only one would be kept: they are hashed as a store's.
    rows = stored_columns(one.loc[[0] * 6000].assign(volume=np.arange(6000) / 7).reset_index(drop=True))
    places = pd.Series(rows["content_hash"] % PLACES)
    twins = rows[places.duplicated(keep=False)].assign(place=places).sort_values("place")
    return twins.iloc[[0]].drop(columns="place"), twins.iloc[[1]].drop(columns="place")


def test_two_contents_that_fall_on_one_place_are_both_kept(store: InfluxStore) -> None:
    first, second = (receive(rows, key(), "s", at(9)) for rows in two_on_one_place())
    assert int(first.rows["content_hash"].iloc[0] - second.rows["content_hash"].iloc[0]) % PLACES == 0
    for given, new in ((first, 1), (second, 1), (first, 0), (second, 0)):
        assert store.append(given).rows_new == new
    pd.testing.assert_frame_equal(store.read(key()), merge_rows([first.rows, second.rows]))


def test_a_free_place_stays_within_its_millisecond() -> None:
    last = np.array([PLACES - 1, PLACES - 1, PLACES - 1])
    found = free_times(np.array([5, 5, 6]), last, np.array([5 * PLACES + PLACES - 1]))
    assert found.tolist() == [5 * PLACES, 5 * PLACES + 1, 7 * PLACES - 1]
    assert places_of([("a", 1)]) == places_of([("a", 1)]) != places_of([("a", 2)])


@pytest.mark.parametrize(
    "name", ["", "%", "%25", "a b,c=d", "a\\", "line\nbreak", "\t", "Ünï", "50% & more?", "'", '"']
)
def test_any_name_can_be_a_tag(store: InfluxStore, name: str) -> None:
    assert decode_tag(encode_tag(name)) == name
    store.append(delivery(key(name), range(0, 3), 10, broken=(1,)))
    found = store.keys()
    assert [one.symbol for one in found] == [name]
    assert len(store.read(key(name))) == 2
    assert store.rejected()["symbol"].tolist() == store.ledger()["symbol"].tolist() == [name]


def test_numbers_come_back_to_the_last_bit(store: InfluxStore) -> None:
    values = [5e-324, 1e-07, 0.1 + 0.2, 1 / 3, 123456789.123456789, 2.0**53 + 2, 1e22, 1.7976931348623157e308]
    rows = bars(range(len(values))).assign(volume=values, quote_volume=values[::-1])
    given = receive(rows, key(), "s", at(99))
    store.append(given)
    pd.testing.assert_frame_equal(store.read(key()), given.rows, check_exact=True)


def test_an_answer_that_is_cut_short_is_asked_on(
    influx_server: InfluxServer, influx_settings: Settings, store: InfluxStore
) -> None:
    given = delivery(key(), range(0, 350), 400)
    store.append(given)
    cut = influx_server.ask(f'SELECT open FROM "{influx_settings["database"]}".autogen.bars').json()
    series = cut["results"][0]["series"][0]
    assert (len(series["values"]), series["partial"]) == (100, True)
    assert len(store.read(key())) == 350


def test_requests_may_be_compressed(influx_settings: Settings) -> None:
    packed = open_store(influx_settings | {"gzip": True})
    given = delivery(key(), range(0, 350), 400, broken=(7,))
    assert packed.append(given).rows_new == 349
    pd.testing.assert_frame_equal(packed.read(key()), given.rows)
    assert len(packed.rejected()) == 1


def test_a_refused_password_is_told_and_not_shown(influx_settings: Settings) -> None:
    secret = "-".join(("wrong", "secret"))
    with pytest.raises(BadParameters, match="credentials.yml") as rejected:
        InfluxStore(rules_of(influx_settings, password=secret)).append(delivery(key(), range(0, 3), 9))
    assert secret not in "".join(traceback.format_exception(rejected.value))


def test_a_point_of_another_type_is_bad_data(influx_settings: Settings, store: InfluxStore) -> None:
    store.append(delivery(key(), range(0, 3), 9))
    store._http.write(["ledger,venue=v,symbol=s,timeframe=1h other=1i 1706572800000000000"])
    with pytest.raises(BadData, match="field type conflict"):
        store._http.write(['ledger,venue=v,symbol=s,timeframe=1h other="text" 1706572800000000000'])


def test_rows_that_somebody_altered_are_found(store: InfluxStore) -> None:
    given = delivery(key(), range(0, 3), 9)
    store.append(given)
    row = given.rows.iloc[0]
    ns = int(row["open_time"]) * PLACES + int(given.rows["content_hash"].iloc[0]) % PLACES
    store._http.write([f"bars,symbol=BTC/USDT,timeframe=1h,venue=binance close=1.0 {ns}"])
    with pytest.raises(BadData, match="1 rows are not as they were stored"):
        store.read(key())


def test_a_server_that_is_not_there_is_an_outage() -> None:
    waits: list[float] = []
    with pytest.raises(TemporaryOutage, match="does not answer"):
        InfluxStore(Rules(url=f"http://127.0.0.1:{free_port()}"), waits.append).keys()
    assert len(waits) == 5


class Reluctant(BaseHTTPRequestHandler):
    """Answers with what is left of its `answers`, then with no rows."""

    answers: list[tuple[int, dict[str, str], object]] = []

    def do_GET(self) -> None:
        status, headers, said = self.answers.pop(0) if self.answers else (200, {}, {"results": []})
        body = json.dumps(said).encode()
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def reluctant_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Reluctant)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_busy_server_is_asked_again_when_it_says(reluctant_url: str) -> None:
    Reluctant.answers = [(429, {"Retry-After": "7"}, {}), (503, {}, {"error": "timeout"}), (500, {}, {})]
    waits: list[float] = []
    assert InfluxStore(Rules(url=reluctant_url), waits.append).keys() == []
    assert waits == [7.0, 0.5, 1.0]


def test_a_server_that_stays_busy_is_an_outage_and_another_refusal_is_not(reluctant_url: str) -> None:
    Reluctant.answers = [(503, {}, {"error": "timeout"})] * 6
    with pytest.raises(TemporaryOutage, match="timeout"):
        InfluxStore(Rules(url=reluctant_url), lambda _: None).keys()
    Reluctant.answers = [(404, {}, {"error": "no such page"})]
    with pytest.raises(BadParameters, match="correct store.url"):
        InfluxStore(Rules(url=reluctant_url), lambda _: None).keys()
    Reluctant.answers = [(200, {}, {"results": [{"error": "query killed"}]})]
    with pytest.raises(BadData, match="query killed"):
        InfluxStore(Rules(url=reluctant_url), lambda _: None).keys()
