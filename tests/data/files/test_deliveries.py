"""What a source delivers is kept once, whatever the order, and every row is accounted for."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import (
    STILL_OPEN,
    Receipt,
    Span,
    content_hash,
    merge_rows,
    receive,
    stored_columns,
)
from tradewind.errors import BadData

KEY = BarKey(venue="binance", symbol="BTCUSDT", timeframe="1h")
HOUR_MS = 3_600_000
START_MS = 1_704_067_200_000  # 2024-01-01


def received(hours: range, close: float = 100.0) -> pd.DataFrame:
    rows = len(hours)
    return pd.DataFrame(
        {
            "open_time": [START_MS + hour * HOUR_MS for hour in hours],
            "open": [99.0] * rows, "high": [101.0] * rows, "low": [98.0] * rows, "close": [close] * rows,
            "volume": [5.0] * rows,
        }
    )  # fmt: skip


def at(hour: float) -> datetime:
    return datetime.fromtimestamp(START_MS / 1000 + hour * 3600, UTC)


def test_every_received_row_is_kept_or_repeated_or_refused() -> None:
    table = pd.concat([received(range(3)), received(range(1))], ignore_index=True).astype(object)
    table.loc[1, "close"] = "n/a"
    delivery = receive(table, KEY, "test", at(10))
    assert delivery.rows_received == 4 == len(delivery.rows) + delivery.repeated + len(delivery.rejected)
    assert delivery.rejected["reason"].tolist() == ["close is not a number"]
    assert delivery.repeated == 1


def test_a_bar_that_is_still_open_is_refused_for_good() -> None:
    delivery = receive(received(range(3)), KEY, "test", at(2.5))
    assert len(delivery.rows) == 2
    assert delivery.rejected["reason"].tolist() == [STILL_OPEN]


def test_an_empty_answer_is_a_delivery_too() -> None:
    delivery = receive(received(range(0)), KEY, "test", at(3), Span(START_MS, START_MS + HOUR_MS))
    assert (delivery.rows_received, len(delivery.rows), len(delivery.rejected)) == (0, 0, 0)
    assert delivery.rows.dtypes.equals(receive(received(range(1)), KEY, "test", at(3)).rows.dtypes)


def test_the_order_of_deliveries_does_not_matter() -> None:
    deliveries = [
        receive(received(range(0, 5)), KEY, "a", at(10)).rows,
        receive(received(range(3, 8), close=100.5), KEY, "a", at(11)).rows,
        receive(received(range(0, 5)), KEY, "a", at(12)).rows,
    ]
    once = merge_rows(deliveries)
    rng = np.random.default_rng(1)
    for _ in range(20):
        order = [*rng.permutation(3), *rng.integers(0, 3, 2)]
        step = stored_columns()
        for number in order:
            step = merge_rows([step, deliveries[number]])
        pd.testing.assert_frame_equal(step, once)
    # The first content came again last, and is no correction for that: the one that was new last counts.
    assert once.groupby("open_time")["close"].last().tolist() == [100.0] * 3 + [100.5] * 5


def test_the_content_tells_rows_apart() -> None:
    row = {name: np.array([value]) for name, value in zip(stored_columns().columns[1:8], range(1, 8), strict=True)}
    row = {name: value.astype(float) for name, value in row.items()}
    changed = [content_hash({**row, name: np.nextafter(value, 10)}) for name, value in row.items()]
    assert len({int(value[0]) for value in [content_hash(row), *changed]}) == 8
    swapped = content_hash({**row, "open": row["high"], "high": row["open"]})
    assert swapped != content_hash(row)
    assert content_hash({**row, "trades": np.array([0.0])}) == content_hash({**row, "trades": np.array([-0.0])})


def test_a_receipt_that_loses_a_row_is_refused() -> None:
    with pytest.raises(BadData, match="do not add up"):
        Receipt(rows_received=3, rows_new=1, rows_known=1, rows_rejected=0)
