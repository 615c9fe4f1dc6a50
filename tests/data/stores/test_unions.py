"""What a store gives back: each content once, and nothing that was altered."""

import pandas as pd
import pytest

from tests.data.files.test_deliveries import HOUR_MS, KEY, START_MS, at, received
from tradewind.data.files.deliveries import merge_rows, receive
from tradewind.data.stores.integrity import intact_rows
from tradewind.data.stores.tables import REJECTED, rejected_rows
from tradewind.errors import BadData


def test_a_row_that_was_rejected_for_two_reasons_is_there_for_both() -> None:
    rows = [("v", "S", "1h", number, reason, "{}") for number, reason in ((7, "b"), (3, "a"), (5, "b"), (3, "a"))]
    found = rejected_rows(rows)
    assert found[["reason", "source_row"]].to_numpy().tolist() == [["a", 3], ["b", 5]]
    assert list(found) == list(REJECTED)


def test_a_row_whose_value_was_altered_is_named() -> None:
    rows = receive(received(range(4)), KEY, "test", at(10)).rows
    pd.testing.assert_frame_equal(intact_rows(rows, "f"), rows)
    rows.loc[2, "close"] += 1e-9
    with pytest.raises(BadData, match=r"^f is damaged: 1 rows are not .* the first opens at 2024-01-01T02:00"):
        intact_rows(rows, "f")


def test_a_bar_has_closed_at_the_moment_of_its_close() -> None:
    delivery = receive(received(range(3)), KEY, "test", at(3))
    assert (len(delivery.rows), len(delivery.rejected)) == (3, 0)


def test_one_bar_twice_in_one_table_is_one_row() -> None:
    rows = receive(received(range(2)), KEY, "test", at(10)).rows
    twice = rows.iloc[[0, 0, 1]].assign(received_at=[9, 8, 9])
    found = merge_rows([twice])
    assert found["open_time"].tolist() == [START_MS, START_MS + HOUR_MS] and found["received_at"].tolist() == [8, 9]
