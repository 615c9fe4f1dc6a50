"""The catalog says where every table lives, and it lives there."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.project import configure_project
from kedro.io import DataCatalog
from kedro.pipeline import Node

from tests.conftest import BESIDES, STAGES
from tradewind.pipeline_registry import register_pipelines
from tradewind.settings import CONFIG_LOADER_ARGS, ProjectConfigLoader

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = {
    "raw": "data/01_raw",
    "intermediate": "data/02_intermediate",
    "primary": "data/03_primary",
    "feature": "data/04_feature",
    "model_input": "data/05_model_input",
    "models": "data/06_models",
    "model_output": "data/07_model_output",
    "reporting": "data/08_reporting",
    "deployment": "data/09_deployment",
}
# Contract tables and the validator that checks them on every save and load.
CONTRACTS = {
    "typed_bars", "quarantine", "bars", "side_vintages", "side_series", "features", "labels", "model_input", "folds",
    "{family}.{model}.forecasts", "positions", "backtests", "leaderboard", "holdout_leaderboard",
}  # fmt: skip


def load(env: str | None = None) -> ProjectConfigLoader:
    arguments = {**CONFIG_LOADER_ARGS, "default_run_env": env or "test"}
    return ProjectConfigLoader(str(PROJECT / "conf"), env=env, **{k: v for k, v in arguments.items() if k != "env"})


IN_NO_LAYER = ("MemoryDataset", "tradewind.datasets.RunFactsDataset", "tradewind.datasets.OriginsDataset")


def entries(catalog: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The datasets that are kept on disk; what stays in memory has no layer."""
    return {
        name: entry
        for name, entry in catalog.items()
        if not name.startswith("_") and entry.get("type") not in IN_NO_LAYER
    }


def misplaced(catalog: dict[str, Any]) -> Iterator[str]:
    """Entries without a layer, or outside their layer's folder."""
    for name, entry in entries(catalog).items():
        layer = entry.get("metadata", {}).get("kedro-viz", {}).get("layer")
        path = str(entry.get("filepath") or entry.get("path") or "")
        if layer not in FOLDER or not (path + "/").startswith(FOLDER[layer] + "/"):
            yield name


ENVIRONMENTS = sorted(
    folder.name for folder in (PROJECT / "conf").iterdir() if folder.is_dir() and folder.name not in ("base", "local")
)


@pytest.fixture(scope="module")
def catalog() -> dict[str, Any]:
    return load("base")["catalog"]


def test_every_dataset_has_its_layer_and_lies_in_that_layers_folder(catalog: dict[str, Any]) -> None:
    assert list(misplaced(catalog)) == []


@pytest.mark.parametrize("fault", ["no layer", "wrong folder"])
def test_a_misplaced_dataset_is_caught(catalog: dict[str, Any], fault: str) -> None:
    planted = copy.deepcopy(catalog)
    if fault == "no layer":
        del planted["folds"]["metadata"]["kedro-viz"]
    else:
        planted["folds"]["filepath"] = "data/04_feature/folds.parquet"
    assert list(misplaced(planted)) == ["folds"]


ORDER = list(FOLDER)


def backward(nodes: list[Node], layer_of: dict[str, str]) -> set[tuple[str, str, str]]:
    """Node, input and output where a later layer is read to write an earlier one: Kedro-Viz then draws no layers."""
    return {
        (node.name, read, written)
        for node in nodes
        for read in node.inputs
        for written in node.outputs
        if read in layer_of and written in layer_of and ORDER.index(layer_of[read]) > ORDER.index(layer_of[written])
    }


def test_layers_are_passed_one_way() -> None:
    configure_project("tradewind")
    nodes = [node for name in ("__default__", *BESIDES) for node in register_pipelines()[name].nodes]
    given = load("base")["catalog"]
    catalog, in_memory = DataCatalog.from_config(entries(given)), set(given) - set(entries(given))
    used = {name for node in nodes for name in (*node.inputs, *node.outputs)}
    names = {name for name in used if not name.startswith("param") and name not in in_memory}
    layer_of = {name: catalog.get(name).metadata["kedro-viz"]["layer"] for name in names}
    assert backward(nodes, layer_of) == set()
    planted = Node(lambda board: board, "leaderboard", "bars", name="planted")
    assert backward([*nodes, planted], layer_of) == {("planted", "leaderboard", "bars")}


def test_every_contract_table_has_a_validator(catalog: dict[str, Any]) -> None:
    missing = {name for name in CONTRACTS if "validator" not in catalog.get(name, {})}
    assert missing == set()


def test_no_dataset_lives_in_memory_unseen(catalog: dict[str, Any]) -> None:
    configure_project("tradewind")
    resolver = DataCatalog.from_config(entries(catalog)).config_resolver
    used = {
        name
        for pipeline in register_pipelines().values()
        for name in pipeline.datasets()
        if not name.startswith(("params:", "parameters"))
    }
    unknown = {name for name in used if name not in catalog and resolver.match_dataset_pattern(name) is None}
    assert unknown == set()


def test_every_declared_dataset_is_used(catalog: dict[str, Any]) -> None:
    used = {name for pipeline in register_pipelines().values() for name in pipeline.datasets()}
    plain = {name for name in entries(catalog) if "{" not in name}
    assert plain - used == set()


@pytest.mark.parametrize("env", ENVIRONMENTS)
@pytest.mark.parametrize("kind", ["catalog", "parameters"])
def test_an_overlay_changes_values_never_structure(
    env: str, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRADEWIND_DATA", str(tmp_path))
    base, overlaid = load("base")[kind], load(env)[kind]
    if kind == "catalog":
        assert overlaid.keys() == base.keys()
    else:
        blocks = tuple(
            f".{stage}.{name}." for stage in STAGES for name in set(base["models"]) - set(overlaid["models"])
        )
        assert _paths(overlaid) - _paths(base) == set()
        assert all(path.startswith(blocks) for path in _paths(base) - _paths(overlaid))


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_no_environment_writes_where_another_does(
    env: str, catalog: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRADEWIND_DATA", str(tmp_path))
    ours = entries(load(env)["catalog"])
    outside = {name for name, entry in ours.items() if not _written(entry).startswith(f"data/env/{env}/")}
    assert outside <= {
        "source_bars",
        "source_side_series",
        "source_oracle",
        "source_depth",
        "source_quotes",
        "source_trades",
        "recorded_depth",
        "recorded_quotes",
        "recorded_trades",
    }, "those are only read"
    assert not any(_written(entry).startswith("data/env/") for entry in entries(catalog).values())


def _written(entry: dict[str, Any]) -> str:
    return str(entry.get("filepath") or entry.get("path") or "")


def _paths(tree: Any, prefix: str = "") -> set[str]:
    if not isinstance(tree, dict):
        return {prefix}
    return {path for key, value in tree.items() for path in _paths(value, f"{prefix}.{key}")}


def test_every_parameter_belongs_to_a_stage_or_is_shared(catalog: dict[str, Any]) -> None:
    shared = {"universe", "trading", "compute", "seed", "models", "paper", "live", "operations", "truth", "arbitrage"}
    assert set(load("base")["parameters"]) == {*shared, *STAGES, *BESIDES}
