"""What every source of market data does: an exchange, an archive or a vendor, asked for a span of time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import Span


@dataclass(frozen=True)
class Page:
    """One answer: bars as received (`open_time` in epoch ms, the numbers as delivered), complete for `covered`.

    `covered` is None where the answer is not known to be complete.
    """

    rows: pd.DataFrame
    covered: Span | None


@dataclass(frozen=True)
class SidePage:
    """One answer of a side series: vintages (`schema.SideVintages`), complete for the reference times `covered`."""

    rows: pd.DataFrame
    covered: Span | None


class Source(Protocol):
    """Asked for bars or side series, answers page by page, oldest first, so that each page is stored before the next.

    A source retries what may pass (outages, rate limits with the wait that the server asks for, truncated answers) and
    then raises `TemporaryOutage`; `BadParameters` says what is set up wrongly (unknown symbol, missing or refused
    key, an extra not installed), `BadData` what the server sends that breaks its own protocol (a wrong checksum).
    """

    name: str
    """What the ledger calls it, such as `ccxt.binance`."""

    venue: str
    """The venue of its bars, such as `binance`."""

    def bars(self, key: BarKey, span: Span) -> Iterator[Page]:
        """The bars that open within the span."""

    def side_series(self, series: str, symbol: str, span: Span) -> Iterator[SidePage]:
        """The values of a side series with a reference time within the span.

        Args:
            series: name of the series.
            symbol: in the project's spelling; "" for a series of the market.
            span: of reference times, UTC milliseconds, the end not included.

        Returns:
            Pages, each to be stored before the next is asked for.

        Raises:
            BadParameters: the source has no such series.
        """

    def close(self) -> None:
        """Give back connections."""
