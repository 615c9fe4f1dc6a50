"""The course of an online update: from the champion, to a version of its own, on trial and never more than that."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd

from tradewind import clock
from tradewind.errors import BadParameters
from tradewind.operations.bundle.sealing import Files
from tradewind.operations.journal.journal import Entry, Journal, read
from tradewind.operations.journal.records import plain
from tradewind.operations.online.rules import OnlineRules
from tradewind.operations.online.updating import TooFar, Update, updated_bundle
from tradewind.operations.registry.records import GateClosed, Reason, VersionDiffers
from tradewind.operations.registry.registry import Registry

WHO, JOURNAL = "online learning", "online.jsonl"
Outcome = Literal["canary", "registered", "refused", "held_back", "nothing"]


class Ended(NamedTuple):
    """How an update ended: `canary`: its version is on trial; `registered`: it is, and no trial could begin; `refused`:
    it would have gone too far; `held_back` or `nothing`: none was made; why, in words; and its version, if any."""

    outcome: Outcome
    why: str
    version: int | None = None


class PastUpdate(NamedTuple):
    """One of the journal's updates: when, and how it ended."""

    at: datetime
    ended: Ended


def update_champion(
    registry: Registry, rows: pd.DataFrame, rules: OnlineRules, journal: Path, finish: Callable[[Files], Files]
) -> Ended:
    """Update the champion on the labels that have settled, and try the result beside it.

    The parent is the champion always, never a canary: what a trial has taken back is in no later update. Every version
    stays in the registry, so that `tradewind models rollback` and `tradewind canary stop` go back.

    Args:
        registry: of versions and roles.
        rows: model input of all symbols, in the order of time; the last one's timestamp is when the update is made.
        rules: of online learning.
        journal: file that says how each update ended.
        finish: completes the files of the bundle (its state after the newest bars).

    Raises:
        BadParameters: online learning is off, or the environment has no champion.
        BadModel: the champion cannot be updated.
    """
    if not rules.enabled:
        raise BadParameters("operations.online.enabled is false: set it to true to let the champion go on learning")
    where = rules.environment
    roles = registry.roles(where)
    if roles.champion is None:
        raise BadParameters(f"{where} has no champion that could be updated: `kedro retrain` makes one")
    if roles.canary is not None:
        why = f"version {roles.canary} is on trial in {where}: its end decides first (`tradewind canary stop` ends it)"
        return _noted(journal, Ended("held_back", why), {})
    as_of = rows["timestamp"].max().to_pydatetime()
    parent = registry.load(roles.champion)
    try:
        made = updated_bundle(parent, rows, as_of, rules, clock.now().isoformat(timespec="seconds"))
    except TooFar as error:
        return _noted(journal, Ended("refused", f"version {roles.champion} stays: {error}"), {})
    if made is None:
        why = f"fewer than {rules.least_rows} labels have settled since version {roles.champion} learned its last"
        return _noted(journal, Ended("nothing", why), {})
    version = registry.register(finish(made.files)).version
    ended = _trial(registry, rules, roles.champion, version, made)
    return _noted(journal, ended, {**made.lineage, "champion": roles.champion})


def updates_of(journal: Path) -> tuple[PastUpdate, ...]:
    """Every update that the journal tells of, oldest first."""
    records: Iterable[object] = read(journal) if journal.is_file() else ()
    return tuple(
        PastUpdate(datetime.fromtimestamp(one.at_ms / 1000, UTC), Ended(**one.body["ended"]))  # type: ignore[attr-defined]
        for one in records
    )


def _trial(registry: Registry, rules: OnlineRules, champion: int, version: int, made: Update) -> Ended:
    where, label = rules.environment, registry.version(version).label
    ends = [one for one in registry.history(where) if (one.action, one.before) == ("withdraw", version)]
    if ends:
        why = f"{label} gets no trial: its last was ended on {ends[-1].at[:10]} by {ends[-1].who} ({ends[-1].why})"
        return Ended("registered", why, version)
    rows, loss = made.lineage["rows"], made.lineage["loss_before"]
    reason = Reason(
        WHO, f"version {champion} after {rows} more labels, which it forecast with a log loss of {loss:.4f}"
    )
    try:
        registry.move(where, "canary", version, None, reason)
    except (VersionDiffers, GateClosed) as error:
        return Ended("registered", f"{label} gets no trial: {error}", version)
    return Ended("canary", f"{label} is on trial in {where} beside version {champion}: {reason.why}", version)


def _noted(journal: Path, ended: Ended, lineage: dict[str, object]) -> Ended:
    at = int(clock.now().timestamp() * 1000)
    writer = Journal(journal)
    try:
        writer.append([Entry("update", plain({"ended": ended._asdict(), "lineage": lineage}))], at)
    finally:
        writer.close()
    return ended
