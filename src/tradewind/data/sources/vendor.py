"""What the vendors share: their settings, how our symbols are called there, and history that comes oldest first."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd
from pydantic import Field, SecretStr

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import Span
from tradewind.data.files.names import QUOTES, split_pair
from tradewind.data.sources.base import Page, SidePage
from tradewind.data.sources.paging import answered
from tradewind.data.sources.timing import RateLimiter, RetryPolicy, Timing, retry
from tradewind.data.sources.transport import Transport
from tradewind.errors import BadData, BadParameters
from tradewind.market.timeframes import bar_duration_ms
from tradewind.parameters import Parameters


class VendorRules(Parameters):
    """Settings that every vendor has.

    `symbols` says what a symbol is called there, where the vendor's own rule does not fit; `requests_per_s` is the
    rate that all threads share; bars younger than `settle_s` are not asked for.
    """

    renamed: ClassVar[Mapping[str, str]] = {"patience": "retry_policy"}

    venue: str
    symbols: dict[str, str] = {}
    settle_s: float = Field(default=60.0, ge=0)
    requests_per_s: float = Field(default=5.0, gt=0)
    retry_policy: RetryPolicy = RetryPolicy()

    def transport(self, timing: Timing, headers: Mapping[str, str | SecretStr]) -> Transport:
        """A transport of these rules that sends `headers`."""
        return Transport(self.retry_policy, timing, RateLimiter(1 / self.requests_per_s, timing), headers)


class BarsOnly:
    """What the sources of vendors share that have bars and no side series.

    Attributes:
        rules: of the vendor; their representation shows no key.
        name: in messages and in the ledger.
    """

    rules: VendorRules
    name: str
    _transport: Transport

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.rules!r})"

    def side_series(self, series: str, symbol: str, span: Span) -> Iterator[SidePage]:
        """None: see `Source.side_series`.

        Args:
            series: is refused.
            symbol: is not read.
            span: is not read.

        Raises:
            BadParameters: always.
        """
        raise BadParameters(f"{self.name} has no side series {series!r}, nor any other")

    def close(self) -> None:
        """Give back connections."""
        self._transport.close()


def split_symbol(symbol: str) -> tuple[str, str]:
    """Base and quote of a symbol such as BTCUSDT or USDT-USD.

    Raises:
        BadParameters: it ends with no known quote.
    """
    pair = split_pair(symbol.upper())
    if pair is not None:
        return pair
    raise BadParameters(
        f"{symbol} does not end with a known quote ({', '.join(QUOTES)}): say what it is called in source.symbols"
    )


def period(key: BarKey, periods: Mapping[str, str], name: str) -> str:
    """What a vendor calls the timeframe of `key`.

    Args:
        key: of the bars.
        periods: the vendor's word for each timeframe that it has.
        name: of the vendor, for the message.

    Returns:
        The vendor's word.

    Raises:
        BadParameters: it has no such bars.
    """
    if key.timeframe not in periods:
        raise BadParameters(f"{name} has no {key.timeframe} bars; it has {list(periods)}")
    return periods[key.timeframe]


def written(epoch_ms: int, ending: str = "Z") -> str:
    """`2024-01-31T23:00:00.000Z`; with another `ending`, more digits."""
    return pd.Timestamp(epoch_ms, unit="ms").isoformat(timespec="milliseconds") + ending


@dataclass(frozen=True)
class Part:
    """A part of an answer: its bars as received; the opening time (epoch ms) up to which it is whole, None for all that
    was asked for; and the token that the next part is asked for with, if there is one."""

    rows: pd.DataFrame
    until_ms: int | None
    token: str | None = None


def pages_oldest_first(
    ask: Callable[[Span, str | None], Part], key: BarKey, span: Span, transport: Transport
) -> Iterator[Page]:
    """The pages of a history that is answered oldest first; each is complete up to its last bar.

    Args:
        ask: asks for the rest of the span, with the token of the part before.
        key: which bars.
        span: what to ask for.
        transport: for its retry policy.

    Raises:
        BadData: the parts do not come to an end.
    """
    bar_ms = bar_duration_ms(key.timeframe)
    since_ms, token = span.since_ms, None
    while since_ms < span.until_ms:
        rest = Span(since_ms, span.until_ms)

        def once(rest: Span = rest, token: str | None = token) -> tuple[pd.DataFrame, Part]:
            part = ask(rest, token)
            return answered(part.rows, rest, bar_ms, transport.timing.now_ms, str(key)), part

        rows, part = retry(once, transport.rules, transport.timing)
        until_ms = span.until_ms if part.until_ms is None else min(part.until_ms, span.until_ms)
        if until_ms <= since_ms:
            raise BadData(f"{key}: the answers do not come to an end: one names another after it and holds nothing new")
        yield Page(rows, Span(since_ms, until_ms))
        since_ms, token = until_ms, part.token
