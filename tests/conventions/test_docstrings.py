"""Public functions of more than two parameters say in their docstring what each of them is.

What a decorator registers (features, strategies) has its parameters described once for all, by the decorator. A command
shows its docstring as its help: its options each have a help of their own, and its docstring names its arguments.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "tradewind"
ALLOWED = 2
# Decorators that register a function, and where each says what the function's parameters mean by their names.
REGISTERING = {"strategy": "trading/strategy/spec.py", "feature": "learning/features/spec.py"}
SECTION = re.compile(r"^ *(Args|Returns|Raises|Yields|Attributes|Examples?):$", re.MULTILINE)
ENTRY = re.compile(r"^ +\*{0,2}(\w+)(?: \([^)]*\))?:", re.MULTILINE)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def public_functions(tree: ast.Module | ast.ClassDef, owner: str = "") -> Iterator[tuple[str, Function]]:
    """Public functions and methods by name, those of private classes and functions inside functions left out."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node, f"{node.name}.")
        elif isinstance(node, Function) and not node.name.startswith("_"):
            yield owner + node.name, node


def registered_by(function: Function) -> str | None:
    """The decorator of `REGISTERING` that it has, if any."""
    called = [one.func for one in function.decorator_list if isinstance(one, ast.Call)]
    names = [name.id for name in called if isinstance(name, ast.Name) and name.id in REGISTERING]
    return names[0] if names else None


def is_command(function: Function) -> bool:
    """Whether a decorator makes it a command of the command line."""
    called = [one.func for one in function.decorator_list if isinstance(one, ast.Call)]
    return any(isinstance(name, ast.Attribute) and name.attr == "command" for name in called)


def click_calls(tree: ast.AST, kind: str) -> Iterator[tuple[str, set[str], int]]:
    """Calls of `click.option` or `click.argument` below the tree: first word, keywords, and line."""
    for node in ast.walk(tree):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Attribute) and called.attr == kind and ast.unparse(called) == f"click.{kind}":
            first = node.args[0]
            assert isinstance(first, ast.Constant)
            yield str(first.value), {str(one.arg) for one in node.keywords}, node.lineno


def unexplained_words(tree: ast.Module) -> list[str]:
    """Options without a help, and arguments that the docstring of their command does not name as its usage does."""
    out = [f"{line} {name}: help" for name, given, line in click_calls(tree, "option") if "help" not in given]
    for name, function in public_functions(tree):
        words = re.findall(r"[A-Z_]+", ast.get_docstring(function) or "")
        for decorator in function.decorator_list:
            shown = [one for one, given, _ in click_calls(decorator, "argument") if "metavar" not in given]
            out += [f"{function.lineno} {name}: {one.upper()}" for one in shown if one.upper() not in words]
    return out


@cache
def registered_parameters(decorator: str) -> frozenset[str]:
    """The parameters that the decorator's docstring explains for all functions that it registers."""
    tree = ast.parse((SOURCE / REGISTERING[decorator]).read_text())
    docstring = next(ast.get_docstring(one) or "" for name, one in public_functions(tree) if name == decorator)
    _, _, after = docstring.partition("Parameters of the function, by their names")
    return frozenset(ENTRY.findall(after.partition("\n\n")[0]))


def parameters(function: Function) -> list[str]:
    """The names of the parameters, without self, cls and those called `_`: they are not used."""
    arguments = function.args
    names = [*arguments.posonlyargs, *arguments.args, arguments.vararg, *arguments.kwonlyargs, arguments.kwarg]
    return [one.arg for one in names if one is not None and one.arg not in ("self", "cls") and one.arg.strip("_")]


def described(docstring: str) -> set[str]:
    """The parameters that the section Args names."""
    sections = SECTION.split(docstring)
    texts = [text for title, text in zip(sections[1::2], sections[2::2], strict=True) if title == "Args"]
    return set(ENTRY.findall(texts[0])) if texts else set()


def undescribed(source: str) -> list[str]:
    """Functions of more than `ALLOWED` parameters, with the parameters that their docstring leaves out or makes up."""
    tree = ast.parse(source)
    out = unexplained_words(tree)
    for name, function in public_functions(tree):
        if is_command(function):
            continue
        names, decorator = set(parameters(function)), registered_by(function)
        if decorator is not None:
            wrong = names - registered_parameters(decorator)
        elif len(names) > ALLOWED:
            wrong = names ^ described(ast.get_docstring(function) or "")
        else:
            continue
        if wrong:
            out.append(f"{function.lineno} {name}: {', '.join(sorted(wrong))}")
    return out


@pytest.mark.parametrize("room", sorted(path.name for path in SOURCE.iterdir() if path.name[0] not in "._"))
def test_every_parameter_of_a_public_function_is_described(room: str) -> None:
    place = SOURCE / room
    files = [place] if place.is_file() else sorted(place.rglob("*.py"))
    files = [path for path in files if "DO NOT EDIT" not in path.read_text()[:200]]  # those that protoc makes
    assert files
    missing = [f"{path.relative_to(SOURCE)}:{one}" for path in files for one in undescribed(path.read_text())]
    assert not missing, "say in Args what these are:\n" + "\n".join(missing)


COMPLETE = '''
def cost(price: float, units: float, fee: float) -> float:
    """What a fill costs.

    Args:
        price: of one unit.
        units: bought or sold.
        fee: a share of the value.

    Returns:
        Quote currency.
    """
'''


def test_a_parameter_that_is_left_out_or_made_up_is_found() -> None:
    assert undescribed(COMPLETE) == []
    assert undescribed(COMPLETE.replace("        fee: a share of the value.\n", "")) == ["2 cost: fee"]
    assert undescribed(COMPLETE.replace("        fee: a", "        tax: a")) == ["2 cost: fee, tax"]
    assert undescribed(COMPLETE.replace("    Args:\n", "")) == ["2 cost: fee, price, units"]
    method = "class Book:\n" + COMPLETE.replace("\n", "\n    ").replace("(price", "(self, price").replace(
        "units:", "x:", 1
    )
    assert undescribed(method) == ["3 Book.cost: units, x"]
    assert undescribed(COMPLETE.replace("def cost", "def _cost").replace("fee:", "tax:")) == []


def test_what_a_decorator_registers_uses_the_names_that_the_decorator_explains() -> None:
    feature = '@feature(tier=1)\ndef slope(bars: Bars, lag: int, window: int) -> Expression:\n    """Slope."""\n'
    assert undescribed(feature) == []
    assert undescribed(feature.replace("lag:", "stride:")) == ["2 slope: stride"]
    assert undescribed(feature.replace("@feature", "@strategy")) == ["2 slope: lag, window"]
    assert undescribed(feature.replace("@feature", "@other")) == ["2 slope: bars, lag, window"]


def test_a_command_explains_its_options_and_names_its_arguments() -> None:
    command = '''
@group.command("move")
@click.argument("version", type=int)
@click.option("--reason", help="Why.")
@click.option("--force", is_flag=True, help="Even so.")
def move(version: int, reason: str, force: bool) -> None:
    """Move to VERSION."""
'''
    assert undescribed(command) == []
    assert undescribed(command.replace("Move to VERSION", "Move")) == ["6 move: VERSION"]
    assert undescribed(command.replace(', help="Why."', "")) == ["4 --reason: help"]
    assert undescribed(command.replace("@group.command", "@group.callback")) == ["6 move: force, reason, version"]
