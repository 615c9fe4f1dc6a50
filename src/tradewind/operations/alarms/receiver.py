"""Two small listeners: one turns Alertmanager's posts into messages, one misses the dead man's switch."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tradewind.errors import BadParameters
from tradewind.operations.alarms.notifier import Message, Notifier

MOST_BYTES = 1024 * 1024
SHOWN_ALERTS = 10
SWITCH = "DeadMansSwitch"


class Listener:
    """Takes JSON by POST at one path of this machine."""

    def __init__(self, path: str, take: Callable[[dict[str, Any]], None], host: str, port: int) -> None:
        """Listen.

        Args:
            path: of the posts; GET of any path says that it is alive.
            take: gets each document; a ValueError, KeyError or TypeError is answered with 422.
            host: of the port.
            port: 0: any that is free.

        Raises:
            BadParameters: the port cannot be opened.
        """
        handler = type("Handler", (_Handler,), {"expected": path, "take": staticmethod(take)})
        try:
            self._server = ThreadingHTTPServer((host, port), handler)
        except OSError as error:
            raise BadParameters(
                f"port {port} of {host} cannot be opened ({error.strerror}): end what uses it, or give another --port"
            ) from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    expected = ""
    take: Callable[[dict[str, Any]], None]
    timeout = 10.0  # s: of a connection that sends nothing
    server_version, sys_version = "tradewind", ""

    def do_GET(self) -> None:
        """Alive."""
        self._answer(200, "alive")

    def do_POST(self) -> None:
        """One document."""
        length = self.headers.get("Content-Length", "")
        if self.path != self.expected:
            self._answer(404, f"post to {self.expected}")
        elif not length.isdigit() or int(length) > MOST_BYTES:
            self._answer(413, f"a body of at most {MOST_BYTES} bytes with its length")
        else:
            try:
                said = json.loads(self.rfile.read(int(length)))
                if not isinstance(said, dict):
                    raise TypeError("not an object")
                type(self).take(said)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                self._answer(422, "the body is not what Alertmanager sends")
            else:
                self._answer(200, "taken")

    def _answer(self, status: int, text: str) -> None:
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: every alarm is in the notifier's file already."""


def message_of(said: dict[str, Any]) -> Message:
    """Alertmanager's post as one message: a title, and a line for each alert of the group.

    Args:
        said: version 4 of its webhook.

    Raises:
        ValueError, KeyError, TypeError: it is something else.
    """
    alerts = said["alerts"]
    if not isinstance(alerts, list) or not alerts:
        raise ValueError("no alerts")
    firing = [one for one in alerts if one["status"] == "firing"]
    labels = dict(said.get("commonLabels") or {}) or dict(alerts[0]["labels"])
    name = str(labels.get("alertname") or alerts[0]["labels"]["alertname"])
    state = f"{len(firing)} firing" if firing else "over"
    lines = [_line(one) for one in (firing or alerts)[:SHOWN_ALERTS]]
    left = len(firing or alerts) - len(lines)
    runbook = str(alerts[0].get("annotations", {}).get("runbook", ""))
    if left > 0:
        lines.append(f"and {left} more")
    if runbook:
        lines.append(f"What to do: {runbook}")
    urgent = any(one["labels"].get("severity") == "page" for one in alerts)
    return Message(f"Tradewind: {name} ({state})", "\n".join(lines), "page" if urgent else "ticket")


def _line(alert: dict[str, Any]) -> str:
    labels = {name: value for name, value in alert["labels"].items() if name not in ("alertname", "severity")}
    where = ", ".join(f"{name} {value}" for name, value in sorted(labels.items()))
    return f"{alert.get('annotations', {}).get('summary', alert['labels']['alertname'])} ({where})"


def receive(notifier: Notifier, host: str, port: int) -> Listener:
    """Take Alertmanager's posts at /alerts and tell people.

    Args:
        notifier: how people are reached.
        host: of the port.
        port: 0: any that is free.

    Returns:
        The listener, to be closed.
    """

    def take(said: dict[str, Any]) -> None:
        notifier.send(message_of(said))

    return Listener("/alerts", take, host, port)


class Watcher:
    """The outside of the dead man's switch: tells people when it has not been heard for too long, and when it is back.

    It trusts no clock that can be set: silence is measured by this machine's monotonic clock.
    """

    def __init__(self, notifier: Notifier, silence_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Silence counts from now on.

        Args:
            notifier: how people are reached; it should share nothing with what is watched.
            silence_s: after which an alert goes out.
            clock: seconds.
        """
        self._notifier, self._silence_s, self._clock = notifier, silence_s, clock
        self._heard, self._is_silent, self._lock = clock(), False, threading.Lock()

    def hear(self, said: dict[str, Any]) -> None:
        """A post of Alertmanager: the switch is alive if it fires in it.

        Raises:
            ValueError, KeyError: it is something else.
        """
        if not any(one["labels"]["alertname"] == SWITCH and one["status"] == "firing" for one in said["alerts"]):
            raise ValueError(f"no firing {SWITCH}")
        with self._lock:
            self._heard = self._clock()

    def look(self) -> bool:
        """Tell people if the state has changed; whether the switch is silent."""
        with self._lock:
            quiet_s = self._clock() - self._heard
        is_silent = quiet_s > self._silence_s
        if is_silent != self._is_silent:
            self._is_silent = is_silent
            title = "the chain of alarms is broken" if is_silent else "the chain of alarms works again"
            body = (
                f"The dead man's switch was not heard for {quiet_s:.0f} s: Prometheus, Alertmanager or the machine is "
                "down, and no other alarm will come. What to do: docs/runbook.md#deadmansswitch"
                if is_silent else "The dead man's switch is heard."
            )  # fmt: skip
            self._notifier.send(Message(f"Tradewind: {title}", body, "page"))
        return is_silent
