"""Deliveries as they come: late, repeated, overlapping, out of order, corrected, and with bars that are still open."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import Delivery, Span, receive

HOUR_MS = 3_600_000
START_MS = 1_706_572_800_000  # 2024-01-30, so that three days touch two months


def key(symbol: str = "BTC/USDT", timeframe: str = "1h") -> BarKey:
    return BarKey(venue="binance", symbol=symbol, timeframe=timeframe)


def at(hour: float) -> datetime:
    """The moment so many hours after the first bar opened."""
    return datetime.fromtimestamp(START_MS / 1000 + hour * 3600, UTC)


def bars(hours: range, version: int = 0) -> pd.DataFrame:
    """Bars as a source gives them; another version of a bar has another close. Trades are sometimes missing."""
    hour = np.asarray(hours, dtype=np.int64)
    close = 100.0 + hour % 17 + version * 0.25
    return pd.DataFrame(
        {
            "open_time": START_MS + hour * HOUR_MS, "open": close - 0.5, "high": close + 1.1, "low": close - 1.3,
            "close": close, "volume": 1.0 + hour % 5, "trades": np.where(hour % 7 == 3, np.nan, 1.0 + hour),
        }
    )  # fmt: skip


def delivery(
    of: BarKey, hours: range, received_hour: float, version: int = 0, broken: tuple[int, ...] = ()
) -> Delivery:
    """What a source gave at that hour; the rows at the places `broken` cannot be read."""
    rows = bars(hours, version).astype(object)
    rows.loc[list(broken), "close"] = "n/a"
    span = Span(START_MS + hours.start * HOUR_MS, START_MS + hours.stop * HOUR_MS)
    return receive(rows, of, "test.source", at(received_hour), span)


def random_deliveries(of: BarKey, rng: np.random.Generator, count: int, hours: int = 72) -> list[Delivery]:
    """Deliveries of the same market, each at its own moment: some overlap, some correct, some look too early."""
    found = []
    for number in range(count):
        begin = int(rng.integers(0, hours - 1))
        end = int(rng.integers(begin + 1, hours + 1))
        broken = (int(rng.integers(0, end - begin)),) if rng.random() < 0.3 else ()
        # In a third of them the last bars have not closed: those are refused, for good.
        received_hour = end - 1.5 + number / 100 if rng.random() < 0.3 else hours + number + 1.0
        found.append(delivery(of, range(begin, end), received_hour, int(rng.integers(0, 2)), broken))
    return found
