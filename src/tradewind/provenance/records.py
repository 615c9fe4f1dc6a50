"""The record of one stored dataset: a small JSON document that says what made it and what it came to.

A record holds no time and no path of a machine: the same settings, sources and code give the same fingerprint.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tradewind.atomic import write_bytes
from tradewind.errors import BadData

FORMAT = 1
FOLDER = "provenance"
_ABSENT = "not set"
_SHOWN = 3

Flat = Mapping[str, Any]


def digest(content: Any) -> str:
    """SHA-256 of a document in its one canonical spelling."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


@dataclass(frozen=True)
class Origin:
    """What a dataset is made of.

    Attributes:
        node: that writes it; empty for a collection of what several have written.
        format: of what its stage stores.
        inputs: the fingerprints of what the node reads, by dataset.
        parameters: every parameter that reaches it, its own and those of all before it, by dotted path.
        sources: by dataset, what identifies the content of every source that reaches it.
        code: by folder of the package, a hash of the code that reaches it.
    """

    node: str = ""
    format: int = 0
    inputs: Mapping[str, str] = field(default_factory=dict)
    parameters: Flat = field(default_factory=dict)
    sources: Mapping[str, Flat] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def fingerprint(self) -> str:
        """The same for the same origin, on every machine."""
        return digest(self.document())

    def document(self) -> dict[str, Any]:
        """As it is stored."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def reading(self, name: str, other: "Origin") -> "Origin":
        """This origin with one input more, and all that reaches that."""
        return replace(
            self,
            inputs={**self.inputs, name: other.fingerprint},
            parameters={**other.parameters, **self.parameters},
            sources={**other.sources, **self.sources},
            code={**other.code, **self.code},
        )


@dataclass(frozen=True)
class Record:
    """What made a dataset, and what it came to.

    Attributes:
        dataset: its name in the catalog.
        environment: `--env` of the run, for messages only: what an environment changes is in the origin.
        content: hash of what was stored; empty where the dataset is no file.
        origin: of what it is made.
    """

    dataset: str
    environment: str
    content: str
    origin: Origin

    @property
    def fingerprint(self) -> str:
        """Of its origin."""
        return self.origin.fingerprint

    def document(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            "format": FORMAT, "dataset": self.dataset, "environment": self.environment, "content": self.content,
            "fingerprint": self.fingerprint, "origin": self.origin.document(),
        }  # fmt: skip

    @classmethod
    def of_document(cls, document: Any, where: str) -> "Record":
        """From a stored document.

        Raises:
            BadData: it is no record, is of another format, or its fingerprint is not that of what it says.
        """
        remedy = "delete it, the next `kedro run` makes the table anew"
        try:
            if document["format"] != FORMAT:
                raise BadData(f"{where} has format {document['format']}, this version reads {FORMAT}: {remedy}")
            record = cls(
                document["dataset"], document["environment"], document["content"], Origin(**document["origin"])
            )
            stated = document["fingerprint"]
        except (KeyError, TypeError) as error:
            raise BadData(f"{where} is no record of what made a table ({error}): {remedy}") from error
        if stated != record.fingerprint:
            raise BadData(f"{where} was altered: its fingerprint is not that of its content: {remedy}")
        return record


class Records:
    """All records of one data folder."""

    def __init__(self, data: Path) -> None:
        """Those below `data`, which is made when the first is written."""
        self._folder = data / FOLDER

    def read(self, name: str) -> Record | None:
        """The record of a dataset; None where there is none that can be trusted."""
        path = self._path(name)
        try:
            return Record.of_document(json.loads(path.read_bytes()), str(path))
        except (OSError, ValueError):
            return None

    def write(self, record: Record) -> None:
        """Replace the record of its dataset."""
        content = json.dumps(record.document(), indent=1, sort_keys=True, ensure_ascii=False)
        write_bytes(self._path(record.dataset), f"{content}\n".encode())

    def withdraw(self, name: str) -> None:
        """From now on nothing is known of the dataset: it is being written."""
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def differences(old: Origin, new: Origin) -> Iterator[str]:
    """What differs between two origins, each in a clause: sources first, then parameters, then code."""
    for name in sorted({*old.sources, *new.sources}):
        before, now = old.sources.get(name, {}), new.sources.get(name, {})
        yield from (f"source {name}: {change}" for change in _changes(before, now))
    yield from (f"parameter {change}" for change in _changes(old.parameters, new.parameters))
    if old.format != new.format:
        yield f"the format of what {new.node} stores was {old.format}, is {new.format}"
    folders = sorted(one for one in {*old.code, *new.code} if old.code.get(one) != new.code.get(one))
    if folders:
        more = f" and {len(folders) - _SHOWN} more folders" if len(folders) > _SHOWN else ""
        yield f"the code in {', '.join(folders[:_SHOWN])}{more} changed"
    if old.node != new.node:
        yield f"it was made by {old.node}, is by {new.node}"


def describe_differences(old: Origin, new: Origin) -> str:
    """What differs, in one clause; the first few are shown."""
    found = list(differences(old, new))
    if not found:
        apart = sorted(name for name in {*old.inputs, *new.inputs} if old.inputs.get(name) != new.inputs.get(name))
        return f"it was made from other tables: {', '.join(apart) or 'unknown'}"
    more = f", and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more


def _changes(old: Flat, new: Flat) -> Iterator[str]:
    for key in sorted({*old, *new}):
        before, now = old.get(key, _ABSENT), new.get(key, _ABSENT)
        if before != now:
            yield f"{key} was {_short(before)}, is {_short(now)}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def flat(value: Any, path: str) -> dict[str, Any]:
    """A block of parameters as values of JSON by dotted path; an empty block or list stands for itself."""
    found = plain(value)
    if not isinstance(found, dict) or not found:
        return {path: found}
    return {key: one for name, inner in found.items() for key, one in flat(inner, f"{path}.{name}".strip(".")).items()}


def plain(value: Any) -> Any:
    """Parameters as values of JSON, whether Kedro has made objects of them or not."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)
