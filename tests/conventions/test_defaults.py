"""A parameter has one default: what every block in conf/base says is what its class says."""

import inspect
import typing
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.project import configure_project
from pydantic import BaseModel

from tradewind.parameters import Parameters
from tradewind.settings import CONFIG_LOADER_ARGS, ProjectConfigLoader

PROJECT = Path(__file__).parents[2]


def typed_blocks() -> dict[str, Any]:
    """The class that each `params:` name is read as, by the annotations of the nodes."""
    configure_project("tradewind")
    from tradewind.pipeline_registry import register_pipelines

    out: dict[str, Any] = {}
    for pipeline in register_pipelines().values():
        for node in pipeline.nodes:
            hints, inputs = typing.get_type_hints(node.func), node._inputs
            names = [inputs] if isinstance(inputs, str) else inputs
            pairs = (
                names.items()
                if isinstance(names, dict)
                else zip(inspect.signature(node.func).parameters, names, strict=False)
            )
            out |= {name[7:]: hints.get(argument) for argument, name in pairs if name.startswith("params:")}
    return out


def stated(where: str, kind: Any, block: Any) -> Iterator[tuple[type[BaseModel], str, str, Any]]:
    """Class, field, where it stands and the value of every field that a block states, inner blocks included."""
    if not (inspect.isclass(kind) and issubclass(kind, BaseModel) and isinstance(block, dict)):
        return
    checked = kind.model_validate(block)
    for name in block.keys() & kind.model_fields.keys():  # a union of classes has no fields of its own
        inner, annotation = block[name], kind.model_fields[name].annotation
        if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
            yield from stated(f"{where}.{name}", annotation, inner)
        else:
            yield kind, name, f"{where}.{name}", getattr(checked, name)


def second_defaults(blocks: Mapping[str, tuple[Any, Any]]) -> list[str]:
    """Fields of which every block states one value and the class another, so that no run has the class's.

    Where blocks differ, or leave it to the class, they are settings of one model or agent each. A default
    that switches something off (None, 0, False, nothing) is none to keep twice: a block that wants it says so.
    """
    found, users = defaultdict(list), defaultdict(set)
    for where, (kind, block) in blocks.items():
        for owner, name, place, value in stated(where, kind, block):
            found[owner, name].append((place, value))
            users[owner].add(place.rpartition(".")[0])
    out = []
    for (owner, name), values in found.items():
        field = owner.model_fields[name]
        default = field.get_default(call_default_factory=True) if not field.is_required() else None
        is_one = len(values) == len(users[owner]) and all(value == values[0][1] for _, value in values)
        if default and is_one and values[0][1] != default:
            out.append(f"{owner.__name__}.{name} is {default}, and {values[0][0]} is {values[0][1]}")
    return out


@pytest.fixture(scope="module")
def blocks() -> dict[str, tuple[Any, Any]]:
    arguments = {name: value for name, value in CONFIG_LOADER_ARGS.items() if name != "env"}
    loader = ProjectConfigLoader(str(PROJECT / "conf"), env="base", **{**arguments, "default_run_env": "base"})
    out = {}
    for name, kind in typed_blocks().items():
        value: Any = loader["parameters"]
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        out[name] = (kind, value)
    return out


def test_no_default_is_kept_in_two_places(blocks: dict[str, tuple[Any, Any]]) -> None:
    assert sum(inspect.isclass(kind) and issubclass(kind, Parameters) for kind, _ in blocks.values()) > 15
    assert second_defaults(blocks) == []


class Inner(Parameters):
    window: int = 24


class Rules(Parameters):
    rounds: int = 200
    seeds: int = 0
    inner: Inner = Inner()


def test_a_default_that_differs_from_the_configuration_is_found() -> None:
    assert second_defaults({"a": (Rules, {"rounds": 200, "inner": {"window": 24}})}) == []
    assert second_defaults({"a": (Rules, {"rounds": 300})}) == ["Rules.rounds is 200, and a.rounds is 300"]
    inner = {"a": (Rules, {"inner": {"window": 8}})}
    assert second_defaults(inner) == ["Inner.window is 24, and a.inner.window is 8"]
    both = {"a": (Rules, {"rounds": 300}), "b": (Rules, {"rounds": 300, "seeds": 3})}
    assert second_defaults(both) == ["Rules.rounds is 200, and a.rounds is 300"]
    assert second_defaults({"a": (Rules, {"rounds": 300}), "b": (Rules, {"rounds": 8})}) == []
    assert second_defaults({"a": (Rules, {"rounds": 300}), "b": (Rules, {"seeds": 3})}) == []
