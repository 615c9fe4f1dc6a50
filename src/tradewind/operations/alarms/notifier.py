"""Messages to people over whatever apprise speaks, behind one class: kept while a target does not answer, bounded."""

import json
import logging
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tradewind.clock import now
from tradewind.errors import BadParameters
from tradewind.extras import require
from tradewind.operations.alarms.settings import NotifyRules, Target

logger = logging.getLogger(__name__)
Severity = Literal["page", "ticket"]
LONGEST = 1500  # characters; an SMS gateway cuts what is longer


class Message(NamedTuple):
    """The text of an alert, and how urgent it is."""

    title: str
    body: str
    severity: Severity = "page"


class Notifier:
    """Sends each message to every target that wants it, from a thread for each, so that none waits for another."""

    def __init__(self, rules: NotifyRules, journal: Path | None = None) -> None:
        """Targets are checked, not asked.

        Args:
            rules: targets, and how much is kept.
            journal: file of lines that every message and its outcome is added to; None: that of the rules.

        Raises:
            MissingExtra: apprise is not installed.
            BadParameters: a target's address is none that apprise knows.
        """
        require("alarms", "telling people of alarms")
        self.rules, self._journal = rules, journal or Path(rules.journal)
        self._writing = threading.Lock()
        self._outboxes = [_Outbox(one, _service_of(one, rules.timeout_s), self) for one in rules.targets]

    def send(self, message: Message) -> int:
        """Hand a message to its targets; how many that are. It returns at once."""
        self.record("alarm", message.severity, message.title, message.body)
        wanted = [one for one in self._outboxes if message.severity in one.target.severities]
        for one in wanted:
            one.put(message)
        return len(wanted)

    def wait(self, seconds: float) -> bool:
        """Wait until all is delivered, or the time is over; whether it is."""
        deadline = time.monotonic() + seconds
        while any(one.waiting for one in self._outboxes):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Delivered, failed tries, dropped and waiting messages by target."""
        return {
            one.target.name: {
                "delivered": one.delivered, "failed": one.failed, "dropped": one.dropped, "waiting": one.waiting
            }
            for one in self._outboxes
        }  # fmt: skip

    def record(self, what: str, *said: str) -> None:
        """Add a line to the file on this machine; a full disk must not stop an alarm."""
        line = json.dumps({"at": now().isoformat(), "what": what, "said": [one[:LONGEST] for one in said]})
        try:
            with self._writing:
                self._journal.parent.mkdir(parents=True, exist_ok=True)
                with self._journal.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")
        except OSError as error:
            logger.error("alarms cannot be kept in %s: %s", self._journal, error.strerror)

    def close(self) -> None:
        """End the threads; what waits is given up, and said."""
        for one in self._outboxes:
            one.close()


class _Outbox:
    """What waits for one target, and the thread that delivers it."""

    def __init__(self, target: Target, service: Any, notifier: Notifier) -> None:
        self.target, self._service, self._notifier = target, service, notifier
        self._queue: deque[Message] = deque()
        self._changed, self._is_closed = threading.Condition(), False
        self.delivered = self.failed = self.dropped = 0
        self._thread = threading.Thread(target=self._work, name=f"notify-{target.name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def put(self, message: Message) -> None:
        with self._changed:
            if len(self._queue) >= self._notifier.rules.keep:
                self._queue.popleft()
                self.dropped += 1
            self._queue.append(message)
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._is_closed:
                    self._changed.wait()
                if self._is_closed:
                    return
                message = self._queue[0]
            if self._deliver(message):
                with self._changed:
                    if self._queue and self._queue[0] is message:  # it may have been dropped meanwhile
                        self._queue.popleft()
                continue
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed, self._notifier.rules.retry_s)

    def _deliver(self, message: Message) -> bool:
        try:
            is_told = bool(self._service.notify(
                title=message.title[:200], body=message.body[:LONGEST],
                notify_type="failure" if message.severity == "page" else "warning",
            ))  # fmt: skip
        except Exception as error:  # noqa: BLE001 - one service that fails stops no other
            is_told = False
            logger.error("target %s fails: %s", self.target.name, type(error).__name__)
        if is_told:
            self.delivered += 1
            self._notifier.record("delivered", self.target.name, message.title)
            return True
        self.failed += 1
        logger.error("ALARM not delivered to %s (%d tries so far): %s", self.target.name, self.failed, message.title)
        self._notifier.record("not delivered", self.target.name, message.title)
        return False

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join(2)
        if self._queue:
            logger.error("%d alarms for %s were not delivered", len(self._queue), self.target.name)


def _service_of(target: Target, timeout_s: float) -> Any:
    from apprise import Apprise, AppriseAsset

    # Its own log would show addresses, which hold secrets.
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    asset = AppriseAsset(app_id="Tradewind", app_desc="Tradewind")
    service = Apprise.instantiate(_with_timeout(target.url, timeout_s), asset=asset, suppress_exceptions=True)
    if service is None:
        kind = target.url.partition("://")[0][:20]
        raise BadParameters(
            f"target {target.name}: apprise does not understand its address ({kind}://...): see "
            "https://appriseit.com for the notation"
        )
    return service


def _with_timeout(url: str, timeout_s: float) -> str:
    """apprise reads the times of a connection and of an answer from the address."""
    if "cto=" in url or "rto=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}cto={timeout_s}&rto={timeout_s}"
