"""What is particular to the Parquet store: immutable files, their merging, and files that are not ours or not whole."""

import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from traceback import format_exception
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.stores.schedules import delivery, key, random_deliveries
from tradewind.data.files.deliveries import Delivery, merge_rows
from tradewind.data.stores.catalogue import open_store
from tradewind.data.stores.object_sets import ObjectSets
from tradewind.data.stores.objects import LocalObjects
from tradewind.data.stores.parquet import ParquetStore, Rules
from tradewind.data.stores.s3_objects import S3Access, S3Objects
from tradewind.errors import BadData, BadParameters, TemporaryOutage, TradewindError

DELIVERY = delivery(key(), range(0, 40), 100, broken=(3,))
GIVEN = random_deliveries(key(), np.random.default_rng(21), 12)


def store_at(path: Path, **settings: Any) -> ParquetStore:
    return ParquetStore(Rules(path=str(path), **settings))


def filled(path: Path, given: Iterable[Delivery] = (DELIVERY,), **settings: Any) -> ParquetStore:
    store = store_at(path, **settings)
    for one in given:
        store.append(one)
    return store


def files(path: Path, kind: str = "bars") -> list[Path]:
    return sorted(file for file in (path / kind).rglob("*") if file.is_file())


def test_any_reader_of_partitioned_parquet_reads_the_folder(tmp_path: Path) -> None:
    filled(tmp_path, GIVEN)
    table = pd.read_parquet(tmp_path / "bars")
    assert set(table["symbol"]) == {"BTC/USDT"} and set(table["month"]) == {"2024-01", "2024-02"}
    columns = list(DELIVERY.rows)
    pd.testing.assert_frame_equal(merge_rows([table[columns]]), store_at(tmp_path).read(key()))


def test_no_flipped_bit_goes_unseen(tmp_path: Path) -> None:
    store = filled(tmp_path)
    file, expected = files(tmp_path)[0], store.read(key())
    content, rng = file.read_bytes(), np.random.default_rng(2)
    found = 0
    for place in rng.integers(0, len(content), 200):
        altered = bytearray(content)
        altered[place] ^= 1 << int(rng.integers(0, 8))
        file.write_bytes(altered)
        try:
            pd.testing.assert_frame_equal(store.read(key()), expected)
        except BadData as error:
            assert str(file) in str(error)
            found += 1
    assert found > 150  # the others lie in what Parquet says about itself and nobody needs


@pytest.mark.parametrize("kind", ["bars", "deliveries"])
def test_a_torn_file_is_named(tmp_path: Path, kind: str) -> None:
    store = filled(tmp_path)
    file = files(tmp_path, kind)[0]
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(BadData, match="is torn or altered") as caught:
        store.read(key()) if kind == "bars" else store.ledger()
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("name", ["bars.parquet", "1-2-3-4-5.parquet", "notes.txt"])
def test_a_file_of_somebody_else_is_named(tmp_path: Path, name: str) -> None:
    store = filled(tmp_path)
    file = files(tmp_path)[0].with_name(name)
    shutil.copy(files(tmp_path)[0], file)
    for call in (lambda: store.read(key()), lambda: store.keys(), lambda: store.append(DELIVERY)):
        with pytest.raises(BadData, match="is not a file of this store"):
            call()


def test_a_file_whose_name_lies_is_refused(tmp_path: Path) -> None:
    store = filled(tmp_path)
    file = files(tmp_path)[0]
    file.rename(file.with_name(file.name.replace("-", "0-", 1)))
    with pytest.raises(BadData, match="torn or altered"):
        store.read(key())


def test_other_columns_under_our_name_are_refused(tmp_path: Path) -> None:
    store = filled(tmp_path)
    file = files(tmp_path)[0]
    pq.write_table(pa.table({"open_time": [1, 2]}), file)
    with pytest.raises(BadData, match=r"its columns are \['open_time'\]"):
        store.read(key())


def test_what_a_killed_writer_left_is_not_read_and_goes(tmp_path: Path) -> None:
    store = filled(tmp_path, GIVEN[:4], compact_files=100)
    partial = files(tmp_path)[0].with_name(".x.parquet.999999999-0123abcd.partial")
    partial.write_bytes(b"half")
    assert len(store.read(key())) > 0
    store.compact(key())
    assert not partial.exists()


def test_many_files_of_a_month_become_one(tmp_path: Path) -> None:
    store = filled(tmp_path, GIVEN, compact_files=3)
    assert max(len(list(folder.iterdir())) for folder in {file.parent for file in files(tmp_path)}) <= 3
    before = (store.read(key()), store.fingerprints(key()), store.covered(key()), len(store.rejected()))
    store.compact(key())
    assert len(files(tmp_path)) == len(files(tmp_path, "deliveries")) == 2  # months of bars, months of asking
    after = (store.read(key()), store.fingerprints(key()), store.covered(key()), len(store.rejected()))
    pd.testing.assert_frame_equal(after[0], before[0])
    assert after[1:] == before[1:]
    assert len(store.ledger()) == len(GIVEN)
    store.compact(key())
    assert len(files(tmp_path)) == 2


def test_many_objects_of_a_bucket_become_one(s3_settings: dict[str, Any]) -> None:
    with closing(open_store({**s3_settings, "compact_files": 3})) as store:
        for one in GIVEN:
            store.append(one)
        before = store.read(key())
        store.compact(key())
        pd.testing.assert_frame_equal(store.read(key()), before)
        assert len(store.ledger()) == len(GIVEN)
    access = {name: s3_settings[name] for name in ("endpoint_url", "region", "key", "secret")}
    bucket = s3_settings["path"].removeprefix("s3://").split("/")[0]
    left = S3Objects(bucket, "market", S3Access(**access)).names("bars")
    assert len(left) == 2  # months of bars


class Killed(Exception):
    """The process ends here."""


def test_a_merge_that_is_killed_before_it_removes_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled(tmp_path, GIVEN, compact_files=100)
    expected, ledger = store.read(key()), store.ledger()

    def killed(self: LocalObjects, names: Iterable[str]) -> None:
        raise Killed

    monkeypatch.setattr(LocalObjects, "remove", killed)
    with pytest.raises(Killed):
        store.compact(key())
    monkeypatch.undo()
    pd.testing.assert_frame_equal(store.read(key()), expected)
    store.compact(key())
    pd.testing.assert_frame_equal(store.read(key()), expected)
    pd.testing.assert_frame_equal(store.ledger(), ledger)


class MergedMeanwhile(LocalObjects):
    """A folder in which another process merges the files after the first listing, of which it sees nothing more."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.is_merged = False

    def names(self, folder: str) -> list[str]:
        names = super().names(folder)
        if not self.is_merged:
            self.is_merged = True
            store_at(self._root).compact(key())
        return names


class MissedMeanwhile(MergedMeanwhile):
    """The same, with a listing that passed the new file's place before it was there and the old ones' after."""

    def names(self, folder: str) -> list[str]:
        was_merged = self.is_merged
        names = super().names(folder)
        return names if was_merged else names[:1]


@pytest.mark.parametrize("folder", [MergedMeanwhile, MissedMeanwhile])
@pytest.mark.parametrize("read", ["read", "fingerprints", "covered", "keys"])
def test_a_reader_sees_everything_while_files_are_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: type[LocalObjects], read: str
) -> None:
    store = filled(tmp_path, GIVEN, compact_files=100)
    arguments = () if read == "keys" else (key(),)
    expected = getattr(store, read)(*arguments)
    monkeypatch.setattr(Rules, "place", lambda self: folder(tmp_path))
    reader = ParquetStore(Rules(path=str(tmp_path)))
    monkeypatch.undo()
    found = getattr(reader, read)(*arguments)
    assert found.equals(expected) if read == "read" else found == expected


def test_a_reader_who_lists_once_misses_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault that the test above must see."""
    expected = filled(tmp_path, GIVEN, compact_files=100).read(key())
    monkeypatch.setattr(Rules, "place", lambda self: MissedMeanwhile(tmp_path))
    reader = ParquetStore(Rules(path=str(tmp_path)))
    monkeypatch.undo()
    sets: ObjectSets[pa.Table] = reader._bars
    once = [sets._load(name) for name in sets.names("bars/venue=binance/symbol=BTC%2FUSDT")]
    assert sum(len(table) for table in once if table is not None) < len(expected)


def test_writers_that_merge_under_each_other_lose_nothing(tmp_path: Path) -> None:
    failed: list[BaseException] = []

    def write(part: list[Delivery]) -> None:
        try:
            filled(tmp_path, part, compact_files=2)
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [threading.Thread(target=write, args=(GIVEN[number::3],)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    store = store_at(tmp_path)
    pd.testing.assert_frame_equal(store.read(key()), merge_rows([one.rows for one in GIVEN]))
    assert len(store.ledger()) == len(GIVEN)


def test_fingerprints_of_months_apart_read_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(tmp_path, [delivery(key(), range(0, 30), 200), delivery(key(), range(30, 70), 201)])
    monkeypatch.setattr(LocalObjects, "read", None)
    assert sum(one.rows for one in store.fingerprints(key()).values()) == 70


def test_a_delivery_made_again_writes_no_bars(tmp_path: Path) -> None:
    store = filled(tmp_path, [DELIVERY])
    before = files(tmp_path)
    store.append(DELIVERY)
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    "settings",
    [
        {"path": "gs://bucket/x"}, {"path": "s3://"}, {"path": ""}, {"path": "x", "secret": "hidden", "key": "hidden"},
        {"path": "s3://b", "key": "hidden"}, {"path": "s3://b", "endpoint_url": "http://hidden:hidden@host"},
        {"path": "x", "compact_files": 1}, {"path": "s3://b", "sekret": "hidden"},
        {"path": "s3://b", "key": ["hidden"], "secret": "hidden"},
    ],
)  # fmt: skip
def test_wrong_settings_are_named_and_not_shown(settings: dict[str, Any]) -> None:
    with pytest.raises(BadParameters, match="store parquet") as caught:
        open_store({"kind": "parquet", **settings})
    assert "hidden" not in "".join(format_exception(caught.value))


class Refusing(BaseHTTPRequestHandler):
    """A server that answers everything with one error."""

    status, code = 403, "AccessDenied"

    def do_GET(self) -> None:
        body = f"<Error><Code>{self.code}</Code><Message>not now</Message></Error>".encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_GET  # noqa: N815 - the name that http.server asks for

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def answering(status: int, code: str) -> Iterator[str]:
    handler = type("Answer", (Refusing,), {"status": status, "code": code})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def check_told(url: str, kind: type[TradewindError], said: str) -> None:
    """Both ways of using the bucket tell the operator, and tell no secret."""
    settings = {"path": "s3://bucket/x", "key": "id-of-key", "secret": "hidden-secret", "token": "hidden-token"}
    store = open_store({"kind": "parquet", **settings, "endpoint_url": url, "attempts": 1, "region": "us-east-1"})
    for call in (lambda: store.read(key()), lambda: store.append(DELIVERY), lambda: store.keys()):
        with pytest.raises(kind, match=said) as caught:
            call()
        assert "s3://bucket/x" in str(caught.value) and url in str(caught.value)
        assert "hidden" not in "".join(format_exception(caught.value)) + repr(store) + repr(vars(store))


def test_a_server_that_refuses_the_key_is_told_apart_from_one_that_is_down() -> None:
    with answering(403, "AccessDenied") as url:
        check_told(url, BadParameters, "refuses this key and secret")
    with answering(503, "SlowDown") as url:
        check_told(url, TemporaryOutage, "did not answer; run again")
    check_told(url, TemporaryOutage, "did not answer; run again")  # nobody listens there any more


def test_a_bucket_that_does_not_exist_is_a_wrong_setting(s3_server: str) -> None:
    check_told(s3_server, BadParameters, "no such bucket")
