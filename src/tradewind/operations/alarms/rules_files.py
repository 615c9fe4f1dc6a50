"""Rules of Prometheus, read strictly: a misspelt key is refused with its line, and each alert leads to the runbook."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tradewind.errors import BadParameters
from tradewind.operations.typed_yaml import WrongAt, read_yaml
from tradewind.parameters import Parameters

Text = Annotated[str, Field(min_length=1)]
Duration = Annotated[str, Field(pattern=r"^[0-9]+(ms|s|m|h|d)$")]
Name = Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")]


class AlertLabels(Parameters):
    """How urgent an alert is: page wakes somebody, ticket waits for the day, none is the dead man's switch."""

    severity: Literal["page", "ticket", "none"]


class Annotations(Parameters):
    """The text of an alert, and where to read what to do: a file of the project, `#`, and the section's name."""

    summary: Text
    runbook: Annotated[str, Field(pattern=r"^[\w./-]+\.md#[\w-]+$")]


class Rule(Parameters):
    """One rule: a figure that is recorded, or an alert with its urgency and its section of the runbook.

    Attributes:
        record, alert: its name; one of the two.
        expr: in PromQL.
        for_: how long it must hold, `for` in the file.
        labels, annotations: of an alert.
    """

    record: Name | None = None
    alert: Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]*$")] | None = None
    expr: Text
    for_: Annotated[Duration | None, Field(alias="for")] = None
    labels: AlertLabels | None = None
    annotations: Annotations | None = None

    @model_validator(mode="after")
    def _is_one_of_two(self) -> "Rule":
        if (self.record is None) == (self.alert is None):
            raise ValueError("a rule has either record or alert: give one of them")
        if self.alert is not None and (self.labels is None or self.annotations is None):
            raise ValueError(f"alert {self.alert} needs labels (severity) and annotations (summary, runbook)")
        if self.record is not None and (self.labels or self.annotations or self.for_):
            raise ValueError(f"{self.record} is recorded: labels, annotations and for belong to alerts")
        return self


class Group(Parameters):
    """Rules that are computed together."""

    name: Name
    interval: Duration | None = None
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]


class Rules(Parameters):
    """A file of rules."""

    groups: Annotated[tuple[Group, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_are_unique(self) -> "Rules":
        seen: set[str] = set()
        for at, group in enumerate(self.groups):
            for place, rule in enumerate(group.rules):
                name = str(rule.alert or rule.record)
                if name in seen:
                    where = ("groups", at, "rules", place, "alert" if rule.alert else "record")
                    raise WrongAt(f"{name} is there twice: rename one", where)
                seen.add(name)
        return self

    def alerts(self) -> Iterator[Rule]:
        """Those that may fire."""
        return (rule for group in self.groups for rule in group.rules if rule.alert is not None)


def check_rules(folder: Path, project: Path) -> dict[Path, Rules]:
    """The files of rules in `folder`, each with what is in it.

    Args:
        folder: of `*.yml`.
        project: folder that runbook links are relative to.

    Raises:
        BadParameters: a key, value or link is wrong, with the line; or there is no file.
    """
    found = {path: read_yaml(path, Rules) for path in sorted(folder.glob("*.yml"))}
    if not found:
        raise BadParameters(f"there are no rules in {folder}: name the folder that has the files *.yml")
    sections: dict[Path, set[str]] = {}
    for path, rules in found.items():
        for rule in rules.alerts():
            link = rule.annotations.runbook if rule.annotations else ""
            document, _, anchor = link.partition("#")
            there = sections.setdefault(project / document, anchors_of(project / document))
            if anchor not in there:
                raise BadParameters(
                    f"{path} line {_line_of(path, link)}: alert {rule.alert} links {link}, which has no such section: "
                    "write it"
                )
    return found


def anchors_of(document: Path) -> set[str]:
    """The sections that a link can name, as GitHub and MkDocs do; none where the document is not there."""
    if not document.is_file():
        return set()
    headings = re.findall(r"^#{1,6} +(.+?)\s*$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", one.lower())) for one in headings}


def _line_of(path: Path, text: str) -> int:
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((number for number, line in enumerate(lines, 1) if text in line), 1)
