"""What plugins and libraries load without need at every start."""

import sys
import warnings
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import click

MLFLOW_COMMANDS = "kedro_mlflow.framework.cli.cli"


def defer_mlflow_commands() -> None:
    """Until `kedro mlflow` is called, a stand-in for the module of kedro-mlflow's commands.

    Kedro loads every plugin's commands before it knows which command it is to run, and these import MLflow, at 1.5 s of
    CPU for each. The stand-in has the one group that kedro-mlflow adds; whatever else is asked of it is answered by the
    real module, which then takes its place.
    """
    if MLFLOW_COMMANDS not in sys.modules:
        sys.modules[MLFLOW_COMMANDS] = _DeferredModule(MLFLOW_COMMANDS)


def skip_address_grammar() -> None:
    """Let jsonschema go without its check of internationalised addresses, where it is not loaded yet.

    Plotly loads it by nbformat for its figures' types, and the check builds a grammar at import, at 2 s of CPU for
    every run. No document of the project has such an address; jsonschema does without where the library is missing.
    """
    if "jsonschema" not in sys.modules:
        sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]


def look_for_ibis_once() -> None:
    """Where Ibis is not installed, say so once.

    Kedro tries to import it for each value in memory, 800 parameters of them, and Python looks through all folders
    each time: 0.1 s for every catalog.
    """
    if "ibis" not in sys.modules and find_spec("ibis") is None:
        sys.modules["ibis"] = None  # type: ignore[assignment]


class _DeferredModule(ModuleType):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.commands = click.Group(
            "Mlflow", {"mlflow": _DeferredCommand("mlflow", help="MLflow's pages and kedro-mlflow's configuration.")}
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_real(), name)


class _DeferredCommand(click.Command):
    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **extra: Any) -> click.Context:
        """The real command's: click goes on with the command of the context."""
        command: click.Command = _real().mlflow_commands
        return command.make_context(info_name, args, *rest, **extra)


def _real() -> ModuleType:
    if isinstance(sys.modules.get(MLFLOW_COMMANDS), _DeferredModule):
        del sys.modules[MLFLOW_COMMANDS]
    return import_kedro_mlflow(MLFLOW_COMMANDS)


def import_kedro_mlflow(name: str) -> ModuleType:
    """A module of kedro-mlflow, without MLflow's warning of a class there that has no type hints.

    MLflow puts a filter of its own before all others when it warns of that, so that none of ours could hold it back.
    """
    with warnings.catch_warnings(record=True) as caught:
        module = import_module(name)
    for one in caught:
        if "Add type hints to the `predict` method" not in str(one.message):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return module
