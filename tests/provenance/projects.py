"""A project of a few nodes whose tables are small files, with parameters and sources that tests change."""

import copy
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tradewind.provenance.code import Code
from tradewind.provenance.origins import Project

# Stage, name, inputs, outputs.
NODES = (
    ("data", "type_bars", ("source_bars", "params:universe"), ("typed",)),
    ("data", "check_bars", ("typed", "params:market"), ("bars", "counts")),
    ("features", "compute", ("bars", "params:features", "params:universe"), ("features",)),
    ("features", "label", ("bars", "params:labels"), ("labels",)),
    ("features", "join", ("features", "labels", "params:join"), ("rows",)),
    ("model", "train", ("rows", "params:model", "store"), ("forecasts", "models")),
    ("model", "draw", ("forecasts",), ("picture",)),
    ("model", "write_card", ("forecasts", "models", "picture"), ("card",)),
    ("model", "gather_cards", ("card",), ("cards",)),
    ("judging", "load_market", ("bars", "params:costs"), ("market",)),
    ("judging", "trade", ("cards", "market", "params:signal"), ("accounts",)),
    ("judging", "judge", ("accounts", "ledger_before", "params:rules"), ("verdict", "ledger")),
)
PARAMETERS = {
    "universe": {"symbols": ["A", "B"], "timeframe": "1h"},
    "market": {"gap": 12, "share": 0.01},
    "features": {"tiers": [1, 2], "windows": {"fast": 8, "slow": 24}},
    "labels": {"horizon": 24, "method": "barrier"},
    "join": {"missing": 0.5},
    "model": {"rounds": 40, "rate": 0.1},
    "costs": {"fee": 5.0, "spread": 1.0},
    "signal": {"entry": 0.1},
    "rules": {"confidence": 0.95},
}
SOURCES = {"source_bars": {"kind": "simulation", "edge": 8.0, "seed": 7}}
KINDS = {
    "cards": "DocumentFolderDataset",
    "store": "ModelStoreDataset",
    "picture": "FigureDataset",
    "ledger": "TrialLedgerDataset",
}
MODULE = "tradewind.pipelines.{stage}"


@dataclass(frozen=True)
class FakeNode:
    """As much of Kedro's node as the plan looks at."""

    name: str
    namespace: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def func(self) -> Any:
        return type("function", (), {"__module__": MODULE.format(stage=self.namespace)})


FAKE_NODES = tuple(FakeNode(f"{stage}.{name}", stage, reads, writes) for stage, name, reads, writes in NODES)
STAGES = tuple(dict.fromkeys(node.namespace for node in FAKE_NODES))


@dataclass
class Small:
    """The project in a folder, as one environment sees it."""

    folder: Path
    parameters: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(PARAMETERS))
    sources: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(SOURCES))

    def entry(self, name: str) -> dict[str, Any]:
        if name == "market":
            return {}
        if name == "cards":
            return {"type": "DocumentFolderDataset", "path": str(self.folder / "data/cards")}
        kind = "TrialLedgerDataset" if name.startswith("ledger") else KINDS.get(name, "JSONDataset")
        file = "ledger" if name == "ledger_before" else f"cards/{name}" if name == "card" else name
        entry = {"type": f"tradewind.datasets.{kind}", "filepath": str(self.folder / f"data/{file}.json")}
        return entry | ({"metadata": {"tracking": "models"}} if name == "models" else {})

    def project(self) -> Project:
        """What it should be made of now."""
        return Project(
            FAKE_NODES, self.entry, lambda name: self.parameters[name.removeprefix("params:")], self._identity,
            self.folder / "data", code=Code(self.folder / "src"),
        )  # fmt: skip

    def _identity(self, name: str) -> dict[str, Any]:
        if name == "ledger_before":
            file = self.folder / "data/ledger.json"
            return {"entries": json.loads(file.read_text()) if file.exists() else []}
        return dict(self.sources[name])

    def write_code(self) -> None:
        """One module for each stage, each of which reads the one below."""
        folder = self.folder / "src/pipelines"
        folder.mkdir(parents=True)
        for stage in STAGES:
            (folder / f"{stage}.py").write_text("from tradewind.reports import drawing\n")
        (self.folder / "src/reports").mkdir()
        (self.folder / "src/reports/drawing.py").write_text("")

    def run(self, nodes: Any, env: str = "test") -> None:
        """Write what the nodes write and record it, as a run does."""
        project = self.project()
        project.will_be_made(name for node in nodes for name in node.outputs)
        for node in nodes:
            project.withdraw(node.outputs)
            for name in node.outputs:
                if project.is_kept(name):
                    path = Path(self.entry(name)["filepath"])
                    path.parent.mkdir(parents=True, exist_ok=True)
                    made: Any = [project.origin(name).fingerprint] if name != "ledger" else self._tried(path)
                    if name == "models":
                        made = {"0": made[0]}
                        kept = path.parent / "folds" / made["0"][:24]
                        kept.mkdir(parents=True, exist_ok=True)
                        (kept / "manifest.json").write_text("{}")
                    path.write_text(json.dumps(made))
            project.record(node, env)

    def _tried(self, path: Path) -> list[str]:
        """The ledger with this configuration added."""
        before = json.loads(path.read_text()) if path.exists() else []
        return sorted({*before, json.dumps(self.parameters, sort_keys=True)})


def of_stage(*stages: str) -> list[FakeNode]:
    """The nodes of these stages."""
    return [node for node in FAKE_NODES if node.namespace in stages]
