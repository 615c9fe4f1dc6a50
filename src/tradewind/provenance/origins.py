"""What every dataset of the project should be made of, by the present settings, sources and code."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tradewind.provenance.code import Code
from tradewind.provenance.contents import (
    COLLECTIONS,
    DRAWN,
    LEDGERS,
    STORES,
    VOLATILE,
    Contents,
    Entry,
    is_kept,
    kind_of,
)
from tradewind.provenance.records import FOLDER, Origin, Record, Records, describe_differences, flat

# What the tables of a stage mean; raised where they mean something else although no code that makes them has changed.
FORMATS = {
    "data_engineering": 1, "regimes": 1, "feature_engineering": 1, "classifier": 1, "deep_learning": 1,
    "reinforcement_learning": 1, "evaluation": 1, "order_book": 1, "execution": 1,
    "deployment": 1,
}  # fmt: skip
# Blocks that say how or where something is computed, or what is done with what a run has made.
NOT_IN_TABLES = ("compute", "paper", "live", "order_book", "execution_study", "floors", "deployment", "arbitrage",
                 "operations")  # fmt: skip
# Settings inside blocks that leave every byte as it is.
WITHOUT_EFFECT = ("executor", "workers", "address", "threads", "fits_side_by_side")
_PARAMETERS = "params:"


@dataclass(frozen=True)
class State:
    """How a stored dataset stands to the present settings, sources and code.

    Attributes:
        is_there: whether something whole is stored.
        why: what it is stale because of; empty where it is fresh or missing.
    """

    is_there: bool
    why: str = ""

    @property
    def is_fresh(self) -> bool:
        """Whether it is what a run would make now."""
        return self.is_there and not self.why


class Project:
    """The nodes, datasets and parameters of a project, and the records of what made what is stored."""

    def __init__(
        self,
        nodes: Iterable[Any],
        entry_of: Callable[[str], Entry],
        load_parameters: Callable[[str], Any],
        identify: Callable[[str], Mapping[str, Any]],
        data: Path,
        project: Path | None = None,
        code: Code | None = None,
    ) -> None:
        """A project as the catalog, the pipelines and the parameters describe it.

        Args:
            nodes: of all pipelines.
            entry_of: from a dataset's name to its entry in the catalog; empty where it is kept in memory.
            load_parameters: from `params:NAME` or `parameters` to the values.
            identify: from the name of a source to what tells its content from another.
            data: the data folder, where the records are.
            project: the folder that paths of the catalog are relative to; default: they are whole.
            code: the source; default: the package's own.
        """
        self.nodes = tuple({node.name: node for node in nodes}.values())
        self.writer = {name: node for node in self.nodes for name in node.outputs}
        self.records = Records(data)
        self.contents = Contents(project or Path(), data / FOLDER / "_hashes.json")
        self._entry_of, self._load_parameters, self._identify = entry_of, load_parameters, identify
        self._code = code or Code()
        self._entries: dict[str, Entry] = {}
        self._origins: dict[str, Origin] = {}
        self._identities: dict[str, dict[str, Any]] = {}
        self._present: set[str] = set()
        self._given: dict[str, dict[str, Any]] = {}

    def entry(self, name: str) -> Entry:
        """A dataset's entry in the catalog."""
        if name not in self._entries:
            self._entries[name] = self._entry_of(name)
        return self._entries[name]

    def is_kept(self, name: str) -> bool:
        """Whether a dataset is stored as a whole, and so has a record."""
        return is_kept(self.entry(name))

    def is_table(self, name: str) -> bool:
        """Whether a dataset is stored and is neither a page nor a figure."""
        return self.is_kept(name) and kind_of(self.entry(name)) not in DRAWN

    def is_collection(self, name: str) -> bool:
        """Whether a dataset is all documents of a folder, each written by a node of its own."""
        return kind_of(self.entry(name)) in COLLECTIONS

    def members(self, name: str) -> list[str]:
        """The documents of a collection that are there, or will be when it is read."""
        writer = self.writer.get(name)
        named = [one for one in writer.inputs if self.is_kept(one)] if writer is not None else []
        return [one for one in named if one in self._present or self.stored(one) is not None]

    def will_be_made(self, names: Iterable[str]) -> None:
        """From now on these datasets count as there: the run makes them."""
        self._present |= set(names)

    def take_as_given(self, identities: Mapping[str, Mapping[str, Any]]) -> None:
        """From now on these datasets have the given identities, whatever they would be made of now.

        A source is as it was when tables were made from it. A table that a node writes is no reason to run that node
        while it is there, and what is made from it says so.

        Args:
            identities: by dataset, of a source as a record has it.
        """
        self._given |= {name: dict(identity) for name, identity in identities.items()}

    def stored(self, name: str) -> str | None:
        """What is stored of a dataset, as a hash; None where it is missing."""
        return self.contents.of_entry(self.entry(name))

    def origin(self, name: str) -> Origin:
        """What the dataset should be made of."""
        if name not in self._origins:
            if name in self._given:
                made = Origin(sources={name: self._given[name]})
            elif self.is_collection(name):
                made = Origin()
                for member in self.members(name):
                    made = made.reading(member, self.origin(member))
            elif name in self.writer:
                made = self._of_node(self.writer[name], kind_of(self.entry(name)) in DRAWN)
            else:
                made = Origin(sources={name: self._identity(name)})
            self._origins[name] = made
        return self._origins[name]

    def _of_node(self, node: Any, is_drawn: bool) -> Origin:
        stage = (node.namespace or "").partition(".")[0]
        own: dict[str, Any] = {}
        for name in node.inputs:
            if name.startswith(_PARAMETERS):
                own |= self._parameters(name.removeprefix(_PARAMETERS), self._load_parameters(name))
            elif name == "parameters":
                every = {key: one for key, one in self._load_parameters(name).items() if key not in NOT_IN_TABLES}
                own |= self._parameters("", every)
        code = self._code.of(node.func.__module__, is_drawn)
        made = Origin(node.name, FORMATS.get(stage, 1), parameters=own, code=code)
        for name in node.inputs:
            if name == "parameters" or name.startswith(_PARAMETERS):
                continue
            kind = kind_of(self.entry(name))
            is_only_listed = kind in DRAWN and not is_drawn  # no table is made of a picture
            if kind not in {*STORES, *VOLATILE} and not is_only_listed:
                made = made.reading(name, self.origin(name))
        return made

    @staticmethod
    def _parameters(path: str, value: Any) -> dict[str, Any]:
        if path.partition(".")[0] in NOT_IN_TABLES[:1]:
            return {}
        found = flat(value, path)
        return {key: one for key, one in found.items() if key.rpartition(".")[2] not in WITHOUT_EFFECT}

    def _identity(self, name: str) -> dict[str, Any]:
        if name not in self._identities:
            self._identities[name] = flat(self._identify(name), "")
        return self._identities[name]

    def state(self, name: str) -> State:
        """Whether what is stored of a dataset is what a run would make now, and why not."""
        content = self.stored(name)
        if content is None:
            return State(False)
        if name in self._given:
            return State(True)
        record = self.records.read(name)
        if record is None:
            return State(True, "nothing says what made it: it is older than this version, or a run was stopped")
        if record.content != content:
            return State(True, "it was changed after it had been made")
        if record.fingerprint != self.origin(name).fingerprint:
            reason = describe_differences(record.origin, self.origin(name))
            return State(True, reason + (f" (made by --env {record.environment})" if record.environment else ""))
        return State(True)

    def record(self, node: Any, environment: str) -> None:
        """Write down what has just made the outputs of a node."""
        if any(kind_of(self.entry(name)) in LEDGERS for name in (*node.inputs, *node.outputs)):
            self._origins.clear()  # what was tried before has grown by this run
            self._identities = {
                name: one for name, one in self._identities.items() if kind_of(self.entry(name)) not in LEDGERS
            }
        for name in node.outputs:
            content = self.stored(name) if self.is_kept(name) else None
            if content is not None:
                self.records.write(Record(name, environment, content, self.origin(name)))

    def withdraw(self, names: Iterable[str]) -> None:
        """Nothing is known of these datasets until they are recorded again: they are being written."""
        for name in names:
            if self.is_kept(name):
                self.records.withdraw(name)
