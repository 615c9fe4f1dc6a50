"""Building the pipelines loads no node module and no library of theirs, and nothing of the functions is lost by it."""

import inspect
import json
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.reduction import ForkingPickler
from typing import Any

import pytest
from kedro.pipeline import Node, Pipeline
from kedro.validation.type_extractor import TypeExtractor

from tradewind.pipeline_registry import register_pipelines
from tradewind.pipelines import deferred
from tradewind.pipelines.classifier import nodes as classifier_nodes
from tradewind.pipelines.deferred import NodeModule

HEAVY = {"numba", "scipy", "plotly", "sklearn", "lightgbm", "xgboost", "torch", "optuna", "mlflow", "kedro_datasets"}
BUILD = "from tradewind.pipeline_registry import register_pipelines\nregister_pipelines()\n"
TELL = "import json, sys\nprint(json.dumps(sorted(sys.modules)))\n"


def loaded_by(program: str) -> set[str]:
    """Heavy libraries and modules of nodes that a fresh process has loaded after it."""
    told = subprocess.run([sys.executable, "-c", program + TELL], capture_output=True, text=True, check=True).stdout
    of_nodes = re.compile(r"tradewind\.pipelines\.\w+\.(\w+_)?nodes")
    return {name for name in json.loads(told) if name in HEAVY or of_nodes.fullmatch(name)}


def real(node: Node) -> Any:
    """The function itself."""
    return getattr(sys.modules[node.func.__module__], node.func.__name__)


@pytest.fixture(scope="module")
def nodes() -> list[Node]:
    found = {(node.func.__module__, node.func.__name__): node for one in register_pipelines().values()
             for node in one.nodes}  # fmt: skip
    for module, _ in found:
        __import__(module)
    return list(found.values())


def test_building_the_pipelines_loads_no_node_and_no_library_of_theirs() -> None:
    assert loaded_by(BUILD) == set()
    planted = "from tradewind.pipelines.evaluation import nodes\n"  # as a pipeline module would that imports its nodes
    assert loaded_by(planted + BUILD) >= {"numba", "tradewind.pipelines.evaluation.nodes"}


def test_every_node_is_deferred(nodes: list[Node]) -> None:
    def at_once(some: list[Node]) -> list[str]:
        return [node.name for node in some if type(node.func) is not deferred.NodeFunction]

    assert len(nodes) > 50
    assert at_once(nodes) == []
    planted = Node(classifier_nodes.train_seeds, list("abcdefghi"), "out", name="planted")
    assert at_once([*nodes, planted]) == ["planted"]


def test_what_is_read_from_the_text_is_what_the_function_has(nodes: list[Node]) -> None:
    def shape(function: Any) -> Iterator[tuple[Any, ...]]:
        for one in inspect.signature(function).parameters.values():
            yield one.name, one.kind, one.default is inspect.Parameter.empty

    for node in nodes:
        assert list(shape(node.func)) == list(shape(real(node))), node.name
        assert node.func.__doc__ == inspect.getdoc(real(node)), node.name
        assert node.func.__name__ == real(node).__name__ == node.func.__qualname__


def test_parameters_have_the_types_that_the_functions_ask_for(nodes: list[Node], monkeypatch: Any) -> None:
    def types_of(some: list[Node]) -> dict[str, type]:
        return TypeExtractor({"all": Pipeline(some)}).extract_types_from_pipelines()

    plain = types_of([node._copy(func=real(node)) for node in nodes])
    assert len(plain) > 30
    assert types_of(nodes) == plain
    monkeypatch.setattr(deferred, "_BLOCK", "no class {}")
    fresh = [node._copy(func=getattr(NodeModule(node.func.__module__), node.func.__name__)) for node in nodes]
    assert types_of(fresh) == {}


def test_defaults_and_all_kinds_of_parameters_are_read(tmp_path: Any, monkeypatch: Any) -> None:
    text = 'def f(a, /, b: int = 1, *rest, c, d: "x" = None, **more):\n    """Says.\n\n    More.\n    """\n'
    (tmp_path / "some.py").write_text(text)
    monkeypatch.setattr(deferred, "_PACKAGE", tmp_path)
    found = NodeModule("tradewind.some").f
    assert str(inspect.signature(found)) == "(a, /, b: 'int' = '1', *rest, c, d: \"'x'\" = 'None', **more)"
    assert found.__doc__ == "Says.\n\nMore."
    with pytest.raises(AttributeError, match=r"tradewind\.some defines no function g"):
        NodeModule("tradewind.some").g  # noqa: B018


def test_a_deferred_function_is_pickled_called_and_shown_as_a_function_is() -> None:
    function: Any = NodeModule("tradewind.pipelines.listing").gather_cards
    cards = [{"model": "b"}, {"model": "a"}]
    assert function(*cards) == cards[::-1]
    for copied in (pickle.loads(pickle.dumps(function)), pickle.loads(ForkingPickler.dumps(function))):
        assert copied(*cards) == cards[::-1]
        assert (copied.__module__, copied.__name__) == ("tradewind.pipelines.listing", "gather_cards")
    assert inspect.isfunction(function)  # Kedro-Viz asks this, and then for the code and its file
    assert inspect.getsource(function).startswith("def gather_cards(*cards")
    assert inspect.getfile(function).endswith("pipelines/listing.py")


def test_kedro_viz_finds_the_code_of_every_node(nodes: list[Node]) -> None:
    looked_at = pytest.importorskip("kedro_viz.models.flowchart.model_utils")._extract_wrapped_func
    for node in nodes:
        assert f"def {node.func.__name__}(" in inspect.getsource(looked_at(node.func))
