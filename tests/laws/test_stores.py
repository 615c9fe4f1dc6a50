"""The law book of stores: whatever the order and the number of writers, what was delivered is there, once."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.data.stores.forks import said_in_fork
from tests.data.stores.memory import MemoryStore
from tests.data.stores.schedules import HOUR_MS, START_MS, at, delivery, key, random_deliveries
from tradewind.data.files.deliveries import Delivery, Span, merge_rows, receive, stored_columns
from tradewind.data.stores.base import Store
from tradewind.data.stores.catalogue import open_store
from tradewind.errors import BadData

ODD_SYMBOLS = ("BTC/USDT:USDT", "50% & more?", "Ünï cødé", "..", "a'b\"c;--", "month=x")


def contents(store: Store, of: Any) -> tuple[Any, ...]:
    """All that a store holds of a key, comparable."""
    return (
        store.read(of).fillna(-1.0).to_dict("list"), store.fingerprints(of), store.covered(of),
        store.rejected().query("symbol == @of.symbol").drop(columns="symbol").to_dict("list"),
    )  # fmt: skip


def check_union(store: Store) -> None:
    """Equal to the definition after every delivery, receipts and ledger too."""
    model, of = MemoryStore(), key()
    for one in random_deliveries(of, np.random.default_rng(3), 8):
        receipt = store.append(one)
        assert receipt == model.append(one)
        assert receipt.rows_received == one.rows_received and receipt.rows_rejected == len(one.rejected)
    pd.testing.assert_frame_equal(store.read(of), model.read(of))
    assert store.fingerprints(of) == model.fingerprints(of)
    assert set(store.fingerprints(of)) == {"2024-01", "2024-02"}
    pd.testing.assert_frame_equal(store.ledger(), model.ledger())
    assert store.ledger()["rows_new"].sum() == len(store.read(of))


def check_order(store: Store) -> None:
    """The same deliveries in other orders, some of them again: the same rows, fingerprints, spans and rejected rows."""
    rng = np.random.default_rng(5)
    found = []
    for symbol in ("A", "B", "C"):
        given = random_deliveries(key(symbol), np.random.default_rng(4), 5)
        order = [*rng.permutation(5), *rng.integers(0, 5, 2)] if found else range(5)
        for number in order:
            store.append(given[number])
        found.append(contents(store, key(symbol)))
    assert found[0] == found[1] == found[2]
    assert len(found[0][0]["open_time"]) > 50


def check_repetition(store: Store) -> None:
    """A delivery made again changes nothing but the ledger: it says only earlier when a row was first known."""
    of = key()
    first, earlier = delivery(of, range(0, 30), 50, broken=(2, 3)), delivery(of, range(10, 20), 40)
    store.append(first)
    before = contents(store, of)
    receipt = store.append(first)
    assert (receipt.rows_new, receipt.rows_known, receipt.rows_rejected) == (0, 28, 2)
    assert contents(store, of) == before
    assert store.append(delivery(of, range(10, 20), 60)).rows_new == 0
    assert contents(store, of) == before
    assert store.append(earlier).rows_new == 0
    assert store.append(first).rows_new == 0
    rows = store.read(of).set_index("open_time")["received_at"]
    assert (rows.loc[START_MS + 10 * HOUR_MS : START_MS + 19 * HOUR_MS] == earlier.received_at_ms).all()
    assert (rows == earlier.received_at_ms).sum() == 10
    assert store.fingerprints(of) != before[1]
    assert len(store.ledger()) == 5


def check_rejected(store: Store) -> None:
    """Each refused content once, of all keys, whatever was delivered again."""
    for symbol in ("B", "A"):
        one = delivery(key(symbol), range(0, 9), 8.5, broken=(1, 4, 5))
        store.append(one)
        store.append(delivery(key(symbol), range(1, 9), 8.6, broken=(0, 3)))
    rejected = store.rejected()
    assert rejected["symbol"].tolist() == ["A"] * 4 + ["B"] * 4
    assert not rejected.duplicated(["symbol", "content"]).any()
    assert rejected["source_row"].tolist() == [0, 3, 5, 7] * 2 or rejected["source_row"].tolist() == [0, 3, 5, 8] * 2
    assert {name: str(kind) for name, kind in rejected.dtypes.items()} == {
        "venue": "str", "symbol": "str", "timeframe": "str", "source_row": "int64", "reason": "str", "content": "str",
    }  # fmt: skip


def check_covered(store: Store) -> None:
    """Spans with the moment of asking, in order, also of an answer without rows; each once."""
    of = key()
    empty = receive(pd.DataFrame(), of, "test.source", at(9), Span(START_MS, START_MS + HOUR_MS))
    given = [delivery(of, range(5, 9), 20), delivery(of, range(0, 9), 21), delivery(of, range(5, 9), 19), empty]
    for one in [*given, given[0]]:
        store.append(one)
    begin, middle, end = START_MS, START_MS + 5 * HOUR_MS, START_MS + 9 * HOUR_MS
    assert [(span.since_ms, span.until_ms, asked) for span, asked in store.covered(of)] == [
        (begin, begin + HOUR_MS, empty.received_at_ms), (begin, end, given[1].received_at_ms),
        (middle, end, given[2].received_at_ms), (middle, end, given[0].received_at_ms),
    ]  # fmt: skip
    assert store.covered(key("other")) == []


def check_spans(store: Store) -> None:
    """A span reads what opens in it, its beginning in and its end out."""
    of = key()
    for one in random_deliveries(of, np.random.default_rng(6), 6):
        store.append(one)
    rows = store.read(of)
    for begin, end in ((0, 72), (3, 4), (40, 55), (47, 49), (-5, 1), (71, 99), (200, 300)):
        span = Span(START_MS + begin * HOUR_MS, START_MS + end * HOUR_MS)
        within = rows[(rows["open_time"] >= span.since_ms) & (rows["open_time"] < span.until_ms)]
        pd.testing.assert_frame_equal(store.read(of, span), within.reset_index(drop=True))


def check_keys(store: Store) -> None:
    """Keys with rows, sorted, by any name; a key that is asked for in vain has none."""
    for symbol in ODD_SYMBOLS:
        store.append(delivery(key(symbol), range(0, 3), 10))
    store.append(delivery(key("A", "30m"), range(0, 2), 10))
    store.append(receive(pd.DataFrame(), key("no rows"), "test.source", at(9)))
    found = store.keys()
    expected = [*((symbol, "1h") for symbol in ODD_SYMBOLS), ("A", "30m")]
    assert [(one.symbol, one.timeframe) for one in found] == sorted(expected)
    for symbol in ODD_SYMBOLS:
        assert len(store.read(key(symbol))) == 3
    assert store.ledger()["symbol"].nunique() == len(ODD_SYMBOLS) + 2


def check_emptiness(store: Store) -> None:
    """A store with nothing in it answers all the same, in the same types."""
    pd.testing.assert_frame_equal(store.read(key()), stored_columns())
    pd.testing.assert_frame_equal(store.read(key(), Span(0, 1)), stored_columns())
    assert (store.keys(), store.fingerprints(key()), store.covered(key())) == ([], {}, [])
    model = MemoryStore()
    pd.testing.assert_frame_equal(store.rejected(), model.rejected())
    pd.testing.assert_frame_equal(store.ledger(), model.ledger())
    pd.testing.assert_frame_equal(store.read_side(), model.read_side())
    pd.testing.assert_frame_equal(store.read_side(["funding"]), model.read_side())


def vintages(series: str, hours: range, known_after: float = 0.0, revision: float = 0.0) -> pd.DataFrame:
    reference = pd.to_datetime([START_MS + hour * HOUR_MS for hour in hours], unit="ms", utc=True).as_unit("ms")
    known = (reference + pd.Timedelta(hours=known_after)).as_unit("ms")
    values = [hour / 7 + revision for hour in hours]
    table = pd.DataFrame({"series": series, "symbol": "BTC", "reference_at": reference, "known_at": known})
    return table.assign(value=values).astype({"series": "str", "symbol": "str"})


def check_vintages(store: Store) -> None:
    """Vintages are a union too: revisions beside what they revise, the same again not at all."""
    first, revised = vintages("funding", range(0, 8)), vintages("funding", range(2, 5), 30, 0.5)
    ahead = vintages("events", range(0, 3), -24)
    assert store.append_side(pd.concat([revised, ahead], ignore_index=True)) == 6
    assert store.append_side(first.iloc[::-1]) == 8
    assert store.append_side(pd.concat([first, first.head(2), ahead], ignore_index=True)) == 0
    union = pd.concat([ahead, first, revised], ignore_index=True)
    expected = union.sort_values(["series", "symbol", "reference_at", "known_at"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(store.read_side(), expected)
    pd.testing.assert_frame_equal(store.read_side(["events", "no such"]), expected.head(3))
    assert store.append_side(first.head(0)) == 0
    for broken in (vintages("funding", range(6, 10), 0, 0.5), first.drop(columns="value"), first.assign(value=np.inf)):
        with pytest.raises(BadData):
            store.append_side(broken)
    pd.testing.assert_frame_equal(store.read_side(), expected)


LAWS: list[Callable[[Store], None]] = [
    check_union, check_order, check_repetition, check_rejected, check_covered, check_spans, check_keys, check_emptiness,
    check_vintages,
]  # fmt: skip


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__.removeprefix("check_"))
def test_every_store_obeys(store: Store, law: Callable[[Store], None]) -> None:
    law(store)


def test_threads_that_write_side_by_side_lose_nothing(store: Store) -> None:
    of = key()
    given = random_deliveries(of, np.random.default_rng(8), 8)
    failed: list[BaseException] = []

    def append(part: list[Delivery]) -> None:
        try:
            for one in part:
                store.append(one)
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [threading.Thread(target=append, args=(given[number::2],)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    pd.testing.assert_frame_equal(store.read(of), merge_rows([one.rows for one in given]))
    assert len(store.ledger()) == 8


def test_another_process_reads_it_and_writes_to_it(store: Store, store_settings: dict[str, Any]) -> None:
    if store_settings["kind"] == "delta":
        pytest.skip("delta-rs refuses forked processes; tests/data/stores/test_delta.py starts others")
    of = key()
    first, second = delivery(of, range(0, 20), 50), delivery(of, range(10, 40), 51)
    store.append(first)

    def work() -> str:
        other = open_store(store_settings)
        seen = len(other.read(of))
        new = other.append(second).rows_new
        other.close()
        return f"{seen} {new}"

    assert said_in_fork(work) == "20 20"
    pd.testing.assert_frame_equal(store.read(of), merge_rows([first.rows, second.rows]))
    assert len(store.ledger()) == 2


def test_what_was_closed_can_be_opened_again(store: Store, store_settings: dict[str, Any]) -> None:
    one = delivery(key(), range(0, 5), 50)
    store.append(one)
    store.close()
    again = open_store(store_settings)
    pd.testing.assert_frame_equal(again.read(key()), one.rows)
    again.close()


def test_secrets_are_in_no_text_about_a_store(store: Store, store_settings: dict[str, Any]) -> None:
    hidden = [
        str(value) for name, value in store_settings.items() if name in ("password", "secret", "key", "token", "url")
    ]
    told = [repr(store), str(store), *(f"{value!r} {value}" for value in vars(store).values())]
    assert [secret for secret in hidden if any(secret in text for text in told)] == []


class OneRowABar(MemoryStore):
    """A store that overwrites: of a bar it keeps what came last."""

    def read(self, key: Any, span: Span | None = None) -> pd.DataFrame:
        tables = [one.rows for one in self.deliveries if one.key == key]
        if not tables:
            return stored_columns()
        return pd.concat(tables).drop_duplicates("open_time", keep="last").sort_values("open_time", ignore_index=True)


class KeepsAll(MemoryStore):
    """A store without a key: what comes twice is there twice."""

    def read(self, key: Any, span: Span | None = None) -> pd.DataFrame:
        tables = [one.rows for one in self.deliveries if one.key == key]
        return pd.concat([stored_columns(), *tables], ignore_index=True)


class KeepsTheFirstMoment(MemoryStore):
    """A store that ignores what it knows already: a row that came again later keeps its first moment."""

    def read(self, key: Any, span: Span | None = None) -> pd.DataFrame:
        rows = pd.concat([stored_columns(), *(one.rows for one in self.deliveries if one.key == key)])
        first = rows.drop_duplicates(["open_time", "content_hash"], keep="first")
        return merge_rows([first])


class ForgetsRejected(MemoryStore):
    """A store that keeps no rejected rows."""

    def rejected(self) -> pd.DataFrame:
        return super().rejected().head(0)


class ForgetsSpans(MemoryStore):
    """A store that thinks an answer without rows covers nothing."""

    def covered(self, key: Any) -> list[tuple[Span, int]]:
        return [found for found in super().covered(key) if len(self.read(key, found[0]))][1:]


class OverwritesVintages(MemoryStore):
    """A store that keeps only the last revision."""

    def append_side(self, vintages: pd.DataFrame) -> int:
        new = super().append_side(vintages)
        self.vintages = [table.drop_duplicates(["series", "reference_at"], keep="last") for table in self.vintages]
        return new


class ReadsTheEnd(MemoryStore):
    """A store whose spans include their end."""

    def read(self, key: Any, span: Span | None = None) -> pd.DataFrame:
        return super().read(key, None if span is None else Span(span.since_ms, span.until_ms + 1))


@pytest.mark.parametrize("law", LAWS)
def test_the_definition_obeys(law: Callable[[Store], None]) -> None:
    law(MemoryStore())


@pytest.mark.parametrize(
    ("fault", "laws"),
    [
        (OneRowABar, (check_union, check_order)),
        (KeepsAll, (check_union, check_repetition)),
        (KeepsTheFirstMoment, (check_order, check_repetition)),
        (ForgetsRejected, (check_rejected,)),
        (ForgetsSpans, (check_covered,)),
        (OverwritesVintages, (check_vintages,)),
        (ReadsTheEnd, (check_spans,)),
    ],
)
def test_a_planted_fault_is_caught(fault: type[MemoryStore], laws: tuple[Callable[[Store], None], ...]) -> None:
    for law in laws:
        with pytest.raises(AssertionError):
            law(fault())
