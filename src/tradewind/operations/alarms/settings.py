"""Whom alarms reach, and how: `conf/local/notify.yml`, which only its owner may read."""

import stat
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tradewind.errors import BadParameters
from tradewind.operations.typed_yaml import WrongAt, read_yaml
from tradewind.parameters import Parameters


class Target(Parameters):
    """One way to reach people.

    Attributes:
        name: in logs and figures.
        url: in apprise's notation (mailto, slack, twilio, json ...); it holds secrets and is never shown.
        severities: which alarms go there.
    """

    name: Annotated[str, Field(pattern=r"^[\w-]{1,40}$")]
    url: Annotated[str, Field(min_length=8, repr=False)]
    severities: tuple[Literal["page", "ticket"], ...] = ("page", "ticket")


class NotifyRules(Parameters):
    """Whom alarms reach (`conf/local/notify.yml`).

    Attributes:
        targets: ways to reach people.
        keep: messages that wait for a target that does not answer; older ones are dropped and counted.
        retry_s: between two tries of such a target.
        timeout_s: within which a target must answer.
        journal: file of lines, where every alarm and what became of it is kept on this machine.
    """

    targets: Annotated[tuple[Target, ...], Field(min_length=1)]
    keep: Annotated[int, Field(ge=1, le=100_000)] = 500
    retry_s: Annotated[float, Field(gt=0)] = 15.0
    timeout_s: Annotated[float, Field(gt=0)] = 10.0
    journal: str = "data/09_paper/alarms.jsonl"

    @model_validator(mode="after")
    def _names_are_unique(self) -> "NotifyRules":
        names = [one.name for one in self.targets]
        for at, name in enumerate(names):
            if name in names[:at]:
                raise WrongAt(f"{name} is there twice: rename one", ("targets", at, "name"))
        return self


def read_notify_rules(path: Path) -> NotifyRules:
    """The file, if only its owner may read it.

    Raises:
        BadParameters: others may read it, or a key or value is wrong, with the line and never the value.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise BadParameters(f"{path} cannot be read ({error.strerror}): docs/operations.md has an example") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BadParameters(f"{path} holds secrets and others may read it: chmod 600 {path}")
    return read_yaml(path, NotifyRules)
