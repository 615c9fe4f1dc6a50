"""Commands of alarms: check the rules, tell people what Alertmanager says, and miss it when it falls silent."""

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

NOTIFY = click.option("--notify", type=click.Path(path_type=Path), default=Path("conf/local/notify.yml"),
                      show_default=True, help="Whom alarms reach.")  # fmt: skip
HOST = click.option("--host", default="127.0.0.1", show_default=True, help="Other machines reach only what you say.")


@click.group()
def alarms() -> None:
    """Tell people of alarms (docs/operations.md)."""


@alarms.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("deploy/monitoring/rules"))
@click.option("--project", type=click.Path(path_type=Path), default=Path(), show_default=True,
              help="What the links to the runbook are relative to.")  # fmt: skip
def check(folder: Path, project: Path) -> None:
    """Check the rules in FOLDER: keys, urgency, and that the runbook has a section for each alert."""
    from tradewind.operations.alarms.rules_files import check_rules

    for path, rules in check_rules(folder, project).items():
        count = sum(len(group.rules) for group in rules.groups)
        click.echo(f"{path}: {count} rules, {sum(1 for _ in rules.alerts())} of them alerts")


@alarms.command()
@NOTIFY
@HOST
@click.option("--port", type=int, default=8474, show_default=True, help="Where Alertmanager posts; 0: any free one.")
def receive(notify: Path, host: str, port: int) -> None:
    """Take Alertmanager's posts at /alerts and tell people."""
    from tradewind.operations.alarms.receiver import receive as listen

    notifier = _notifier(notify)
    listener = listen(notifier, host, port)
    click.echo(f"alarms are taken at http://{host}:{listener.port}/alerts")
    _until_signal(lambda: None)
    listener.close()
    _end(notifier)


@alarms.command()
@NOTIFY
@HOST
@click.option("--port", type=int, default=8475, show_default=True, help="Where Alertmanager posts the switch.")
@click.option("--silence", "silence_s", type=click.FloatRange(min=0.1), default=120.0, show_default=True,
              help="Seconds without the switch after which an alert goes out.")  # fmt: skip
def watch(notify: Path, host: str, port: int, silence_s: float) -> None:
    """Tell people when the dead man's switch falls silent. Run it on another machine than what it watches."""
    from tradewind.operations.alarms.receiver import Listener, Watcher

    notifier = _notifier(notify)
    watcher = Watcher(notifier, silence_s)
    listener = Listener("/alive", watcher.hear, host, port)
    click.echo(f"the switch is heard at http://{host}:{listener.port}/alive; alarm after {silence_s:g} s of silence")
    _until_signal(watcher.look)
    listener.close()
    _end(notifier)


@alarms.command()
@NOTIFY
@click.option("--severity", type=click.Choice(["page", "ticket"]), default="page", show_default=True, help="As what.")
def test(notify: Path, severity: Any) -> None:
    """Send a test message to every target, and say which of them took it."""
    _send(notify, "Tradewind: test of the alarms", "Nothing is wrong.", severity)


@alarms.command()
@click.argument("text")
@NOTIFY
@click.option("--severity", type=click.Choice(["page", "ticket"]), default="ticket", show_default=True, help="As what.")
def tell(text: str, notify: Path, severity: Any) -> None:
    """Tell every target TEXT, such as which unit of systemd has failed, and say which of them took it."""
    _send(notify, f"Tradewind: {text[:200]}", text, severity)


def _send(notify: Path, title: str, body: str, severity: Any) -> None:
    from tradewind.operations.alarms.notifier import Message

    notifier = _notifier(notify)
    count = notifier.send(Message(title, body, severity))
    notifier.wait(notifier.rules.timeout_s * 1.5)
    counts = notifier.counts
    notifier.close()
    for name, found in counts.items():
        click.echo(f"{name:<20} {'delivered' if found['delivered'] else 'NOT delivered' if found['waiting'] else '-'}")
    if sum(found["delivered"] for found in counts.values()) < max(count, 1):
        raise click.ClickException(f"not every target of {notify} takes {severity} messages: see the lines above")


def _notifier(path: Path) -> Any:
    from tradewind.operations.alarms.notifier import Notifier
    from tradewind.operations.alarms.settings import read_notify_rules

    return Notifier(read_notify_rules(path))


def _until_signal(look: Callable[[], Any], every_s: float = 0.5) -> None:
    """Look again and again until a signal comes."""
    stop = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: stop.set())
    while not stop.wait(every_s):
        look()


def _end(notifier: Any) -> None:
    notifier.wait(2.0)
    notifier.close()
