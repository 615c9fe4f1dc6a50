"""Kedro-Viz opens on the stages: every node stands in its stage's namespace."""

from collections.abc import Iterable, Iterator

import pytest
from kedro.framework.project import configure_project
from kedro.pipeline import Node, Pipeline

from tests.conftest import BESIDES, STAGES
from tradewind.pipeline_registry import register_pipelines
from tradewind.pipelines.listing_nodes import REPORTED
from tradewind.reports.tables import BY_MODEL

MOST_INPUTS = 12
# Names that nodes had before their stage was their namespace, and may still be given to `kedro run`.
BEFORE = {"type_bars": "data_engineering", "make_folds": "feature_engineering", "make_positions": "evaluation"}


@pytest.fixture(scope="module")
def pipelines() -> dict[str, Pipeline]:
    configure_project("tradewind")
    return register_pipelines()


def outside(nodes: Iterable[Node], stage: str) -> Iterator[str]:
    """Nodes that do not stand in the stage's namespace."""
    return (node.name for node in nodes if (node.namespace or "").split(".")[0] != stage)


def wide(nodes: Iterable[Node]) -> dict[str, int]:
    """Nodes with more inputs than can be looked through."""
    return {node.name: len(node.inputs) for node in nodes if len(node.inputs) > MOST_INPUTS}


def test_every_node_stands_in_the_namespace_of_its_stage(pipelines: dict[str, Pipeline]) -> None:
    assert {name: list(outside(pipelines[name].nodes, name)) for name in (*STAGES, *BESIDES)} == {
        name: [] for name in (*STAGES, *BESIDES)
    }
    tops = {(node.namespace or "").split(".")[0] for node in pipelines["__default__"].nodes}
    assert tops == set(STAGES)
    planted = Node(lambda bars: bars, "bars", "others", name="planted")
    assert list(outside([*pipelines["evaluation"].nodes, planted], "evaluation")) == ["planted"]


def test_a_namespace_runs_alone_as_its_stage_does(pipelines: dict[str, Pipeline]) -> None:
    for stage in STAGES:
        alone = pipelines["__default__"].filter(node_namespaces=[stage])
        assert {node.name for node in alone.nodes} == {node.name for node in pipelines[stage].nodes}


@pytest.mark.parametrize("name", list(BEFORE))
def test_a_node_under_its_old_name_is_refused_with_the_new_one(pipelines: dict[str, Pipeline], name: str) -> None:
    for option in ("from_nodes", "to_nodes", "node_names"):
        with pytest.raises(ValueError, match=rf"Did you mean: \['{BEFORE[name]}.{name}'\]"):
            pipelines["__default__"].filter(**{option: [name]})


def test_no_node_reads_more_than_can_be_looked_through(pipelines: dict[str, Pipeline]) -> None:
    assert wide(pipelines["__default__"].nodes) == {}
    names = [f"table_{number}" for number in range(MOST_INPUTS + 1)]
    assert wide([Node(lambda *tables: tables, names, "all", name="planted")]) == {"planted": MOST_INPUTS + 1}


def unwritten(reported: dict[str, tuple[str, ...]], pipelines: dict[str, Pipeline]) -> set[tuple[str, str]]:
    """Stages and tables that are named for the report, and that not every model of the stage writes."""
    lacking = set()
    for stage, tables in reported.items():
        written = pipelines[stage].all_outputs()
        models = {name.removesuffix(".card") for name in written if name.endswith(".card")}
        assert models
        lacking |= {(stage, table) for table in tables for model in models if f"{model}.{table}" not in written}
    return lacking


def test_what_the_report_reads_is_written_by_every_model(pipelines: dict[str, Pipeline]) -> None:
    assert unwritten(REPORTED, pipelines) == set()
    assert {table for tables in REPORTED.values() for table in tables} == set(BY_MODEL)
    planted = {"classifier": (*REPORTED["classifier"], "epochs")}
    assert unwritten(planted, pipelines) == {("classifier", "epochs")}
