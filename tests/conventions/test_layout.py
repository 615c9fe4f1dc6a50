"""Rooms, files and names are where a newcomer looks for them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import BESIDES, STAGES
from tradewind.pipeline_registry import register_pipelines

PROJECT = Path(__file__).resolve().parents[2]
SOURCE = PROJECT / "src/tradewind"
NAMELESS = {"utils", "util", "common", "helpers", "helper", "core", "misc", "manager", "base_classes", "v2"}
MODULE_LINES = 500


def modules() -> list[Path]:
    """All that somebody has written: gRPC's files are made by its compiler."""
    return sorted(path for path in SOURCE.rglob("*.py") if "_pb2" not in path.stem)


def nameless(paths: list[Path]) -> Iterator[Path]:
    """Modules and rooms named after nothing."""
    return (path for path in paths if NAMELESS & {path.stem, path.parent.name})


def undocumented(source: str) -> Iterator[str]:
    """Public modules, classes and functions without a docstring."""
    tree = ast.parse(source)
    if ast.get_docstring(tree) is None:
        yield "module"
    for node in tree.body:
        is_public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        if is_public and ast.get_docstring(node) is None:
            yield node.name


def test_no_room_is_named_after_nothing() -> None:
    assert list(nameless(modules())) == []
    assert list(nameless([SOURCE / "features/utils.py"])) != []


def test_modules_can_be_read_in_one_sitting() -> None:
    assert {str(path): n for path in modules() if (n := len(path.read_text().splitlines())) > MODULE_LINES} == {}


def test_what_is_public_is_documented() -> None:
    found = {
        f"{path.relative_to(SOURCE)}: {name}"
        for path in modules()
        if path.stem != "__init__"
        for name in undocumented(path.read_text())
    }
    assert found == set()
    assert list(undocumented("def shown() -> None: ...")) == ["module", "shown"]


def test_a_stage_has_one_name_in_every_place() -> None:
    for stage in (*STAGES, *BESIDES):
        assert (SOURCE / "pipelines" / stage / "pipeline.py").is_file()
        assert (PROJECT / f"conf/base/catalog_{stage}.yml").is_file()
        assert (PROJECT / f"conf/base/parameters_{stage}.yml").is_file()
        assert (PROJECT / f"tests/pipelines/test_{stage}.py").is_file()
        assert stage in register_pipelines()


def test_a_node_is_named_as_its_function() -> None:
    differing = {
        node.name
        for node in register_pipelines()["__default__"].nodes
        if node.name.split(".")[-1] != node.func.__name__
    }
    assert differing == set()


def test_configuration_files_stay_short() -> None:
    long = {str(path) for path in (PROJECT / "conf").rglob("*.yml") if len(path.read_text().splitlines()) > 150}
    assert long == set()


def test_no_machine_path_or_secret_is_tracked() -> None:
    suspicious = ("/" + "work/", "/" + "root/", "AK" + "IA", "BEGIN " + "PRIVATE KEY")
    found = {
        str(path)
        for folder in ("src", "conf", "docs", "tests", "notebooks")
        for path in (PROJECT / folder).rglob("*")
        if path.suffix in {".py", ".yml", ".md", ".ipynb", ".toml", ".j2"}
        if any(word in path.read_text() for word in suspicious)
    }
    assert found == set()


def test_every_command_of_the_documents_exists() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    documents = ("README.md", "CONTRIBUTING.md", "docs/reference/commands.md", "docs/testing.md", "docs/benchmarks.md")
    readme = "\n".join((PROJECT / name).read_text() for name in documents)
    targets = set(re.findall(r"`make ([a-z-]+)", readme)) | set(re.findall(r"^make ([a-z-]+)", readme, re.MULTILINE))
    assert targets >= {"run", "quick", "test", "test-all", "viz", "bench", "paper"}
    assert {target for target in targets if f"\n{target}:" not in makefile} == set()
    pipelines = set(re.findall(r"`kedro run --pipelines? ([a-z_]+)` \|", readme))
    assert {*STAGES, *BESIDES} <= pipelines <= set(register_pipelines())
    environments = set(re.findall(r"--env ([a-z_]+)", readme))
    assert {name for name in environments if not (PROJECT / "conf" / name).is_dir()} == set()
    links = re.findall(r"\]\(((?:docs|notebooks)[^)]*)\)", (PROJECT / "README.md").read_text())
    assert [link for link in links if not (PROJECT / link).exists()] == []


def test_the_makefile_calls_only_modules_that_exist() -> None:
    called = re.findall(r"-m (tradewind[\w.]*)", (PROJECT / "Makefile").read_text())
    missing = [name for name in called if not (PROJECT / "src" / (name.replace(".", "/") + ".py")).is_file()]
    assert missing == []
