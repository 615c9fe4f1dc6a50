"""Node functions that are imported when they are first called, so that building the pipelines loads no library.

What Kedro asks of a function beforehand (its name, its parameters, its docstring, and which of them are typed blocks)
is read from the text of its module, so there is nothing to keep twice. A pipeline module writes

    if TYPE_CHECKING:
        from tradewind.pipelines.STAGE import nodes
    else:
        nodes = NodeModule("tradewind.pipelines.STAGE.nodes")

and `nodes.train` is the function to mypy and to the import rules, and a `NodeFunction` when it runs.
"""

import ast
import re
from functools import cached_property
from importlib import import_module
from inspect import Parameter, Signature
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

_PACKAGE = Path(__file__).resolve().parents[1]
_BLOCK = r"^class {}\((\w*Parameters|RootModel\[.*\])\):"


class NodeModule:
    """A module of node functions, of which only the text has been read."""

    def __init__(self, name: str) -> None:
        """Nothing is read yet.

        Args:
            name: of the module, which is one of this package: `tradewind.pipelines.classifier.nodes`.
        """
        self._name = name

    def __getattr__(self, name: str) -> "NodeFunction":
        """The function of this name.

        Raises:
            AttributeError: the module's text defines no such function.
        """
        if name not in self._functions:
            raise AttributeError(f"{self._name} defines no function {name}")
        return NodeFunction(self, self._name, self._functions[name])

    @cached_property
    def _tree(self) -> ast.Module:
        return ast.parse(_text_of(self._name))

    @cached_property
    def _functions(self) -> dict[str, ast.FunctionDef]:
        return {one.name: one for one in self._tree.body if isinstance(one, ast.FunctionDef)}

    @cached_property
    def _origins(self) -> dict[str, tuple[str, str]]:
        """Where each imported name is defined: by the name here, the module and the name there."""
        imports = [one for one in self._tree.body if isinstance(one, ast.ImportFrom) and one.module]
        return {to.asname or to.name: (str(one.module), to.name) for one in imports for to in one.names}

    def type_of(self, annotation: ast.expr | None) -> Any:
        """The block of parameters that an annotation names, which is imported; Any where it names something else."""
        if isinstance(annotation, ast.BinOp) and ast.unparse(annotation.right) == "None":
            return self.type_of(annotation.left) | None
        module, name = self._origins.get(ast.unparse(annotation) if annotation else "", ("", ""))
        is_block = module.startswith("tradewind.") and re.search(_BLOCK.format(name), _text_of(module), re.MULTILINE)
        return getattr(import_module(module), name) if is_block else Any


class NodeFunction:
    """A function of a module that is imported when it is called, pickled by name as a function is."""

    def __init__(self, module: NodeModule, name: str, definition: ast.FunctionDef) -> None:
        """The function as its text says.

        Args:
            module: that has it.
            name: of the module.
            definition: of the function in the module's text.
        """
        self._of, self._definition = module, definition
        self.__name__ = self.__qualname__ = definition.name
        self.__module__ = name
        self.__doc__ = ast.get_docstring(definition)

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # Kedro-Viz shows the code of what says that it is a function
        return FunctionType

    @cached_property
    def _function(self) -> Any:
        return getattr(import_module(self.__module__), self.__name__)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """What the function returns of these arguments."""
        return self._function(*arguments, **named)

    def __reduce__(self) -> tuple[Any, ...]:
        """By module and name."""
        return node_function, (self.__module__, self.__name__)

    @property
    def __code__(self) -> CodeType:
        code: CodeType = self._function.__code__
        return code

    @property
    def __closure__(self) -> Any:
        """What it closes over; Kedro-Viz looks for a wrapped function there."""
        return self._function.__closure__

    @cached_property
    def __signature__(self) -> Signature:
        """Parameters in their order, annotations as text."""
        return Signature([Parameter(one.arg, kind, default=default, annotation=_source_of(one.annotation))
                          for one, kind, default in _parameters(self._definition.args)])  # fmt: skip

    @cached_property
    def __annotations__(self) -> dict[str, Any]:  # type: ignore[override]
        """The typed blocks that it takes, and Any of everything else: what Kedro validates parameters by."""
        return {one.arg: self._of.type_of(one.annotation) for one, *_ in _parameters(self._definition.args)}


def node_function(module: str, name: str) -> NodeFunction:
    """The function of this name in a module of the package, which is not imported."""
    return NodeModule(module).__getattr__(name)


def _parameters(given: ast.arguments) -> list[tuple[ast.arg, Any, Any]]:
    """Of each parameter its text, its kind, and its default as text or that it has none."""
    placed: list[tuple[ast.arg, Any]] = [(one, Parameter.POSITIONAL_ONLY) for one in given.posonlyargs]
    placed += [(one, Parameter.POSITIONAL_OR_KEYWORD) for one in given.args]
    defaults = [None] * (len(placed) - len(given.defaults)) + [*given.defaults]
    found = [(one, kind, _source_of(default)) for (one, kind), default in zip(placed, defaults, strict=True)]
    found += [(given.vararg, Parameter.VAR_POSITIONAL, Parameter.empty)] if given.vararg else []
    found += [(one, Parameter.KEYWORD_ONLY, _source_of(default))
              for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)]  # fmt: skip
    return found + ([(given.kwarg, Parameter.VAR_KEYWORD, Parameter.empty)] if given.kwarg else [])


def _source_of(text: ast.expr | None) -> Any:
    return Parameter.empty if text is None else ast.unparse(text)


def _text_of(module: str) -> str:
    """The text of a module of the package."""
    path = _PACKAGE.joinpath(*module.split(".")[1:])
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")
