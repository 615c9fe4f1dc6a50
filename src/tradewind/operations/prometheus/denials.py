"""Requests that were not let in: counted, and told in the log now and then, so that a storm of them fills no disk."""

import logging
import time
from collections.abc import Callable

from prometheus_client import Counter

logger = logging.getLogger(__name__)
# By door: what was asked for, and why it was refused. No label holds what a client sent.
NO_TOKEN, UNKNOWN, SCOPE, ADDRESS, FOREIGN = "no_token", "unknown", "scope", "address", "foreign"
WHY = {
    "rest": (("read", "predict", "operate", "admin"), (NO_TOKEN, UNKNOWN, SCOPE, ADDRESS)),
    "grpc": (("read", "predict"), (NO_TOKEN, UNKNOWN, SCOPE)),
    "dashboard": (("control", "page"), (UNKNOWN, FOREIGN)),
}
IN_WORDS = {
    NO_TOKEN: "no token", UNKNOWN: "a token that is not known", SCOPE: "a token without the scope",
    ADDRESS: "a token in the address", FOREIGN: "a page of another machine",
}  # fmt: skip
EVERY_S = 10.0


class Denials:
    """Failed authentications of one process.

    Attributes:
        count: `tradewind_authentication_failures_total`, to be registered where Prometheus reads the process.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.count = Counter(
            "tradewind_authentication_failures", "Requests that were not let in.", ["door", "scope", "why"],
            registry=None,
        )  # fmt: skip
        # A counter that appears with its first event has no increase that Prometheus could see.
        for door, (scopes, reasons) in WHY.items():
            for scope in scopes:
                for why in reasons:
                    self.count.labels(door, scope, why)
        self._clock = clock
        self._reported_at: dict[str, float] = {}
        self._unreported: dict[str, int] = {}

    def note(self, door: str, scope: str, why: str) -> str:
        """Count a request that was not let in; the line that was logged, empty where the last one is too near.

        Args:
            door: a key of `WHY`.
            scope: what was asked for.
            why: a key of `IN_WORDS`.
        """
        self.count.labels(door, scope, why).inc()
        now, unreported = self._clock(), self._unreported.get(door, 0) + 1
        if now - self._reported_at.get(door, float("-inf")) < EVERY_S:
            self._unreported[door] = unreported
            return ""
        self._reported_at[door], self._unreported[door] = now, 0
        more = f", {unreported} since the last line" if unreported > 1 else ""
        line = f"not let in at the {door} door ({scope}): {IN_WORDS[why]}{more}"
        logger.warning("%s", line)
        return line
