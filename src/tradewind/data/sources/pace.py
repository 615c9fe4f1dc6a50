"""When a source asks: the rate that its threads share, and the waits before it asks again."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import numpy as np
from pydantic import Field

from tradewind import clock
from tradewind.errors import TemporaryOutage
from tradewind.parameters import Parameters

Result = TypeVar("Result")


class PatienceRules(Parameters):
    """How patiently a server is asked.

    `tries` of one question, with waits that double from `first_wait_s` to `longest_wait_s`, each drawn between half
    and the whole of that. A server that asks for more than `patience_s` before the next try ends the asking.
    """

    tries: int = Field(default=6, ge=1, le=100)
    first_wait_s: float = Field(default=0.5, gt=0)
    longest_wait_s: float = Field(default=60.0, gt=0)
    patience_s: float = Field(default=900.0, ge=0)
    connect_timeout_s: float = Field(default=10.0, gt=0)
    read_timeout_s: float = Field(default=30.0, gt=0)
    answer_limit_s: float = Field(default=600.0, gt=0, description="for one whole answer, however it drips")
    body_limit_mb: float = Field(default=32.0, gt=0, description="unpacked, of an answer that is held in memory")
    file_limit_mb: float = Field(default=4096.0, gt=0, description="of a file that is downloaded")


@dataclass(frozen=True)
class Pace:
    """How time passes for a source: waits (seconds), a clock that only moves forward (seconds), now, and jitter."""

    wait: Callable[[float], None] = time.sleep
    elapsed: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = clock.now
    rng: np.random.Generator = field(default_factory=np.random.default_rng)

    @property
    def now_ms(self) -> int:
        """Now, in epoch milliseconds."""
        return int(self.now().timestamp() * 1000)


class MayPass(Exception):
    """What went wrong may pass: ask again, after `wait_s` where the server says so."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class RateLimiter:
    """Lets the requests of all threads through at an even rate: `interval_s` for a request of weight 1."""

    def __init__(self, interval_s: float, pace: Pace) -> None:
        self.interval_s = interval_s
        self._pace = pace
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


def ask_patiently(ask: Callable[[], Result], rules: PatienceRules, pace: Pace) -> Result:
    """What `ask` returns, called again after a wait while it raises `MayPass`.

    Raises:
        TemporaryOutage: it did so at every try, or the server asks for a longer wait than there is patience for.
    """
    reason = ""
    for number in range(1, rules.tries + 1):
        try:
            return ask()
        except MayPass as signal:
            reason, asked_s = str(signal), signal.wait_s or 0.0
        if asked_s > rules.patience_s:
            raise TemporaryOutage(f"{reason}; the server asks to wait for {asked_s:.0f} s: come back after that")
        if number < rules.tries:
            longest = min(rules.first_wait_s * 2.0 ** (number - 1), rules.longest_wait_s)
            pace.wait(asked_s + longest * pace.rng.uniform(0.5, 1.0))
    raise TemporaryOutage(f"{reason}; tried {rules.tries} times: try again later")
