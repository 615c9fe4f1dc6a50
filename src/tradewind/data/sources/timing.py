"""Rate limit and retries of requests, with an injectable clock."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, TypeVar

import numpy as np
from pydantic import Field

from tradewind import clock
from tradewind.errors import TemporaryOutage
from tradewind.parameters import Parameters

Result = TypeVar("Result")


class RetryPolicy(Parameters):
    """Retries, timeouts and size limits of requests to a server.

    A request is tried `tries` times, with waits that double from `first_wait_s` to `longest_wait_s`, each drawn between
    half and the whole of that. A `Retry-After` longer than `max_retry_after_s` ends the retries.
    """

    renamed: ClassVar[Mapping[str, str]] = {"patience_s": "max_retry_after_s"}

    tries: int = Field(default=6, ge=1, le=100)
    first_wait_s: float = Field(default=0.5, gt=0)
    longest_wait_s: float = Field(default=60.0, gt=0)
    max_retry_after_s: float = Field(default=900.0, ge=0)
    connect_timeout_s: float = Field(default=10.0, gt=0)
    read_timeout_s: float = Field(default=30.0, gt=0)
    answer_limit_s: float = Field(default=600.0, gt=0, description="for one whole answer, however it drips")
    body_limit_mb: float = Field(default=32.0, gt=0, description="unpacked, of an answer that is held in memory")
    file_limit_mb: float = Field(default=4096.0, gt=0, description="of a file that is downloaded")


@dataclass(frozen=True)
class Timing:
    """The clock of a source: sleep (seconds), monotonic time (seconds), now (UTC), and the generator of jitter."""

    wait: Callable[[float], None] = time.sleep
    elapsed: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = clock.now
    rng: np.random.Generator = field(default_factory=np.random.default_rng)

    @property
    def now_ms(self) -> int:
        """Now, in epoch milliseconds."""
        return int(self.now().timestamp() * 1000)


class RetryableError(Exception):
    """A temporary failure; the server may ask to wait for `wait_s` seconds before the next try.

    `status` is that of HTTP, 0 where there was no whole answer.
    """

    def __init__(self, reason: str, wait_s: float | None = None, status: int = 0) -> None:
        super().__init__(reason)
        self.wait_s, self.status = wait_s, status


class RateLimiter:
    """Lets the requests of all threads through at an even rate: `interval_s` for a request of weight 1."""

    def __init__(self, interval_s: float, timing: Timing) -> None:
        self.interval_s = interval_s
        self._pace = timing
        self._lock = threading.Lock()
        self._next_at = -np.inf

    def acquire(self, weight: float = 1.0) -> None:
        """Wait for the turn of a request of this weight."""
        with self._lock:
            now = self._pace.elapsed()
            turn = max(now, self._next_at)
            self._next_at = turn + weight * self.interval_s
        if turn > now:
            self._pace.wait(turn - now)

    def hold(self, seconds: float) -> None:
        """Let nobody through for so long: the server has asked for it."""
        with self._lock:
            self._next_at = max(self._next_at, self._pace.elapsed() + seconds)


def retry(ask: Callable[[], Result], rules: RetryPolicy, timing: Timing) -> Result:
    """Call `ask` until it does not raise `RetryableError`.

    Args:
        ask: the request.
        rules: number of tries and waits.
        timing: clock and jitter.

    Returns:
        What `ask` returns.

    Raises:
        TemporaryOutage: every try failed, or the server asks for a longer wait than `max_retry_after_s`.
    """
    reason = ""
    for number in range(1, rules.tries + 1):
        try:
            return ask()
        except RetryableError as signal:
            reason, asked_s = str(signal), signal.wait_s or 0.0
        if asked_s > rules.max_retry_after_s:
            raise TemporaryOutage(f"{reason}; the server asks to wait for {asked_s:.0f} s: come back after that")
        if number < rules.tries:
            longest = min(rules.first_wait_s * 2.0 ** (number - 1), rules.longest_wait_s)
            timing.wait(asked_s + longest * timing.rng.uniform(0.5, 1.0))
    raise TemporaryOutage(f"{reason}; tried {rules.tries} times: try again later")
