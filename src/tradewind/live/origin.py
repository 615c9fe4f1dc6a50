"""What a run was begun with: the settings and the code that decide what follows from an event.

Code counts as far as the session and its policy reach it through imports; pages, feeds and venues do not: what they
tell is recorded, and a change of them changes no command that follows from it.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tradewind.errors import BadParameters
from tradewind.live.session.session import Session
from tradewind.operations.journal.records import canonical, plain
from tradewind.provenance.code import Code

SESSION, CODE = "tradewind.live.session.session", "deciding_code"
PARTS = {
    "decider": "model, features, symbols or timeframe",
    "setup": "params:trading",
    "rules": "params:live",
    "instruments": "the venue's tick or lot sizes",
    "references": "the references of the drift guardrail",
}
DEEPEST = 8  # a policy of strategies, of which one is filtered by a model, is four objects deep


def _parts(session: Session) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "decider": session.decider.fingerprint, "setup": session.setup.model_dump(mode="json"),
        "rules": session.rules.model_dump(mode="json"),
        "instruments": {name: one.model_dump(mode="json") for name, one in session.instruments.items()},
    }  # fmt: skip
    if session.references:
        parts["references"] = {
            symbol: {kind: plain(one.as_document()) for kind, one in kinds.items()}
            for symbol, kinds in session.references.items()
        }
    return parts


def settings_of(session: Session) -> dict[str, str]:
    """A hash of each part of what decides, by the names of `PARTS`."""
    return {name: hashlib.sha256(canonical({name: one})).hexdigest() for name, one in _parts(session).items()}


def fingerprint_of(session: Session) -> str:
    """One hash of all parts."""
    return hashlib.sha256(canonical(_parts(session))).hexdigest()


def code_of(session: Session, code: Code | None = None) -> dict[str, str]:
    """By folder of the package, a hash of the modules that turn events into commands.

    Args:
        session: whose policy and features are looked at.
        code: the source; by default that of the package that is running.
    """
    decider = session.decider
    policy = decider.policy, decider.plan.features, tuple(decider.regimes.values())
    return (code or Code()).of_all({SESSION, *_modules(policy, set(), DEEPEST)})


def _modules(value: Any, seen: set[int], depth: int) -> Iterator[str]:
    """The package's modules that an object, and what it holds, is written in."""
    if depth == 0 or id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, (list, tuple, Mapping)):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _modules(one, seen, depth - 1)
    written = value if callable(value) and hasattr(value, "__name__") else type(value)
    if str(written.__module__).startswith("tradewind."):
        yield written.__module__
        for one in getattr(value, "__dict__", {}).values():
            yield from _modules(one, seen, depth - 1)


def require_same(session: Session, begun: Mapping[str, Any], folder: Path) -> None:
    """Nothing, where the run was begun with these settings.

    Args:
        session: what is to go on.
        begun: the run's first record.
        folder: of the run.

    Raises:
        BadParameters: a setting, the model or the venue's terms are others; the message names which.
    """
    now, then = settings_of(session), begun.get("settings")
    if then is None:  # of a run that an earlier version began
        changed = [] if begun["fingerprint"] == fingerprint_of(session) else ["something"]
    else:
        changed = [PARTS[name] for name in PARTS if now.get(name) != then.get(name)]
    if changed:
        raise BadParameters(
            f"the run in {folder} was begun with other settings ({', '.join(changed)} changed): set them back, or "
            "start with --new-run"
        )


def changed_code(session: Session, begun: Mapping[str, Any], updates: Sequence[Mapping[str, Any]]) -> list[str]:
    """Folders whose deciding code is not that which the run was begun or last updated with; none of a run that does
    not say.

    Args:
        session: what is to go on.
        begun: the run's first record.
        updates: its records of updates, oldest first.
    """
    then = (updates[-1] if updates else begun).get(CODE)
    if then is None:
        return []
    now = code_of(session)
    return sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name))


def require_same_code(changed: list[str], folder: Path) -> None:
    """Nothing, where no deciding code has changed.

    Raises:
        BadParameters: some has; the message says where, and the two ways on.
    """
    if changed:
        raise BadParameters(
            f"the program was changed since the run in {folder} was begun ({', '.join(changed)}): start once with "
            "--updated, which goes on if every command of the run comes out the same, or with --new-run"
        )
