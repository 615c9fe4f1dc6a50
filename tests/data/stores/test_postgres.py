"""PostgreSQL, the real one: killed clients, a server that crashes, lost answers, and what Timescale is told."""

import itertools
import select
import socket
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

from tests.data.stores.killing import check_kills, check_survivors, receipts_of_forked
from tests.data.stores.real_servers import PASSWORD, PostgresServer, free_port
from tests.data.stores.schedules import delivery, key
from tests.depth import deep
from tradewind.data.files.deliveries import Delivery, merge_rows
from tradewind.data.stores.postgres import PostgresStore, Rules
from tradewind.data.stores.postgres_schema import hypertable_statements
from tradewind.errors import BadData, BadParameters, TemporaryOutage

Settings = dict[str, Any]


@pytest.fixture
def store(postgres_settings: Settings) -> Iterator[PostgresStore]:
    opened = PostgresStore(rules_of(postgres_settings), wait=lambda _: None)
    yield opened
    opened.close()


def rules_of(settings: Settings, **changed: Any) -> Rules:
    return Rules(**({name: value for name, value in settings.items() if name != "kind"} | changed))


@pytest.mark.parametrize("kills", [6, deep(30)])
def test_killed_clients_lose_nothing(postgres_settings: Settings, kills: int) -> None:
    check_kills(lambda _: postgres_settings, kills, receipts_of_forked, is_whole=True)


def test_what_has_a_receipt_survives_a_crash_of_the_server(
    postgres_server: PostgresServer, postgres_settings: Settings
) -> None:
    impatient = PostgresStore(rules_of(postgres_settings), wait=lambda _: None)
    given: list[Delivery] = []
    is_time = threading.Event()
    crash = threading.Thread(target=lambda: (is_time.wait(), postgres_server.crash()))
    crash.start()
    with pytest.raises(TemporaryOutage, match="does not answer"):
        for number in itertools.count():
            given.append(delivery(key(), range(number % 50, number % 50 + 9), 300 + number, number % 3, broken=(3,)))
            impatient.append(given[-1])
            if number == 5:
                is_time.set()
    crash.join()
    postgres_server.start()
    assert len(given) > 6
    check_survivors(impatient, given, len(given) - 1, is_whole=True)
    impatient.close()


def test_a_store_goes_on_once_its_server_is_back(postgres_server: PostgresServer, postgres_settings: Settings) -> None:
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:
            postgres_server.start()

    patient = PostgresStore(rules_of(postgres_settings), wait)
    first, second = delivery(key(), range(0, 20), 50), delivery(key(), range(10, 40), 51)
    patient.append(first)
    postgres_server.crash()
    assert patient.append(second).rows_new == 20
    assert len(waited) == 2
    pd.testing.assert_frame_equal(patient.read(key()), merge_rows([first.rows, second.rows]))
    assert len(patient.ledger()) == 2


class Relay:
    """Between client and server; cuts the line once, after a COMMIT has reached the server and before its answer."""

    def __init__(self, server_port: int) -> None:
        self.port = free_port()
        self.cuts = 0
        self._server_port = server_port
        self._listening = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server_port))
            threading.Thread(target=self._carry, args=(client, server), daemon=True).start()

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        has_line = False
        while True:
            for ready in select.select([client, server], [], [])[0]:
                sent = ready.recv(1 << 16)
                if not sent:
                    client.close()
                    server.close()
                    return
                has_line = has_line or b".ledger (" in sent or b'"ledger" (' in sent
                (server if ready is client else client).sendall(sent)
                if ready is client and has_line and b"COMMIT" in sent and not self.cuts:
                    self.cuts += 1
                    server.recv(1 << 16)  # committed
                    client.close()
                    server.close()
                    return

    def close(self) -> None:
        self._listening.close()


def test_a_delivery_is_stored_once_though_its_answer_was_lost(
    postgres_server: PostgresServer, postgres_settings: Settings
) -> None:
    relay = Relay(postgres_server.port)
    url = postgres_server.url().replace(str(postgres_server.port), str(relay.port))
    cut_off = PostgresStore(rules_of(postgres_settings, url=url), wait=lambda _: None)
    receipt = cut_off.append(delivery(key(), range(0, 20), 50, broken=(3,)))
    assert (relay.cuts, receipt.rows_new, receipt.rows_known, receipt.rows_rejected) == (1, 19, 0, 1)
    ledger = cut_off.ledger()
    assert ledger["rows_new"].tolist() == [19]
    cut_off.close()
    relay.close()


def test_starters_do_not_collide_over_the_tables(postgres_settings: Settings) -> None:
    failed: list[BaseException] = []

    def start(number: int) -> None:
        try:
            PostgresStore(rules_of(postgres_settings)).append(delivery(key(f"S{number}"), range(0, 5), 50))
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    starters = [threading.Thread(target=start, args=(number,)) for number in range(6)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert failed == []


@pytest.mark.parametrize(("user", "password", "database"), [("trader", "wrong-secret", "postgres"),
                                                            ("nobody", "wrong-secret", "postgres"),
                                                            ("trader", PASSWORD, "no_such")])  # fmt: skip
def test_a_refused_connection_names_what_to_correct_and_no_secret(
    postgres_server: PostgresServer, user: str, password: str, database: str
) -> None:
    url = f"postgresql://{user}:{password}@127.0.0.1:{postgres_server.port}/{database}"
    with pytest.raises(BadParameters, match="credentials.yml") as rejected:
        PostgresStore(Rules(url=url), wait=lambda _: None).keys()
    assert password not in "".join(traceback.format_exception(rejected.value))


@pytest.mark.parametrize("url", ["postgresql://trader:pa[ss@[rest/db", "postgresql://trader:pa[ss@rest@host:5432/db"])
def test_an_unreadable_url_is_not_repeated(url: str) -> None:
    with pytest.raises(BadParameters, match="percent-encoded") as rejected:
        PostgresStore(Rules(url=url))
    told = "".join(traceback.format_exception_only(rejected.value))
    assert "pa[ss" not in told and "rest" not in told and rejected.value.__cause__ is None


def test_a_server_that_is_not_there_is_an_outage() -> None:
    waits: list[float] = []
    url = f"postgresql://trader:{PASSWORD}@127.0.0.1:{free_port()}/postgres"
    with pytest.raises(TemporaryOutage) as outage:
        PostgresStore(Rules(url=url), waits.append).keys()
    assert len(waits) == 5
    assert PASSWORD not in "".join(traceback.format_exception(outage.value))


def test_a_user_without_rights_is_told_so(postgres_server: PostgresServer, store: PostgresStore) -> None:
    import psycopg

    store.append(delivery(key(), range(0, 5), 50))
    with psycopg.connect(postgres_server.url(), autocommit=True) as admin:
        admin.execute("CREATE ROLE guest LOGIN PASSWORD 'guest-password'")
    url = postgres_server.url().replace(f"trader:{PASSWORD}", "guest:guest-password")
    with pytest.raises(BadParameters, match="permission denied"):
        PostgresStore(Rules(url=url, schema_name=store._schema)).read(key())


def test_an_altered_row_is_found(postgres_server: PostgresServer, store: PostgresStore) -> None:
    import psycopg
    from psycopg import sql

    store.append(delivery(key(), range(0, 5), 50))
    with psycopg.connect(postgres_server.url(), autocommit=True) as intruder:
        alter = "UPDATE {}.bars SET close = close + 1 WHERE open_time = (SELECT max(open_time) FROM {}.bars)"
        schema = sql.Identifier(store._schema)
        intruder.execute(sql.SQL(alter).format(schema, schema))
    with pytest.raises(BadData, match="1 rows are not as they were stored"):
        store.read(key())


STAND_IN = """
CREATE SCHEMA {home};
CREATE TABLE {home}.calls (said text);
CREATE FUNCTION {home}.create_hypertable(relation regclass, time_column_name name, chunk_time_interval interval)
    RETURNS void LANGUAGE sql AS $$ INSERT INTO {home}.calls VALUES
    ('hypertable ' || relation || ' ' || time_column_name || ' ' || chunk_time_interval) $$;
CREATE FUNCTION {home}.add_compression_policy(hypertable regclass, compress_after interval)
    RETURNS void LANGUAGE sql AS $$ INSERT INTO {home}.calls VALUES
    ('policy ' || hypertable || ' ' || compress_after) $$;
"""


def test_timescale_is_told_what_a_hypertable_needs(postgres_server: PostgresServer, store: PostgresStore) -> None:
    """The extension is not in Debian: its functions are stood in for, its storage option is only parsed."""
    import psycopg
    from psycopg import sql

    store.keys()
    home = f"{store._schema}_timescale"
    make, compress, schedule = hypertable_statements(store._schema, home)
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute(sql.SQL(STAND_IN).format(home=sql.Identifier(home)))
        connection.execute(make)
        connection.execute(schedule)
        said = connection.execute(sql.SQL("SELECT said FROM {}.calls").format(sql.Identifier(home))).fetchall()
        assert [line[0] for line in said] == [
            f"hypertable {store._schema}.bars open_time 90 days", f"policy {store._schema}.bars 180 days",
        ]  # fmt: skip
        with pytest.raises(psycopg.Error, match='unrecognized parameter namespace "timescaledb"'):
            connection.execute(compress)
    assert compress.as_string(None).endswith(
        ".\"bars\" SET (timescaledb.compress, timescaledb.compress_segmentby = 'key_id', "
        "timescaledb.compress_orderby = 'open_time, content_hash')"
    )


def test_timescale_can_be_required(postgres_settings: Settings) -> None:
    with pytest.raises(BadParameters, match="install the timescaledb extension"):
        PostgresStore(rules_of(postgres_settings, timescale="require")).keys()
