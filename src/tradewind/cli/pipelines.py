"""The command that runs pipelines: Kedro's own, which can also be told to run what is up to date."""

import copy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.utils import find_kedro_project

from tradewind.errors import BadParameters


def _run(force: bool = False, **options: Any) -> Any:
    """Run the pipeline."""
    from tradewind.sessions import FORCE

    click.get_current_context().meta[FORCE] = force
    _require_runner(options.get("runner"))
    project = find_kedro_project(Path.cwd())
    if project is not None and project != Path.cwd():
        if options.get("conf_source"):
            options["conf_source"] = str(Path(options["conf_source"]).absolute())
        os.chdir(project)  # stores and MLflow's artifacts are named from there
    if options["pipeline"] and not options["pipelines"]:
        # The same; Kedro warns that the first spelling will go, which nobody who runs a project must be told each time.
        options |= {"pipelines": [options["pipeline"]], "pipeline": None}
    return kedro_run.callback(**options)


def _require_runner(name: str | None) -> None:
    """Refuse the name of what runs no pipelines; a name that leads nowhere is Kedro's to tell."""
    from kedro.runner import AbstractRunner
    from kedro.utils import load_obj

    found: Any = load_obj(name, "kedro.runner") if name else AbstractRunner
    if not (isinstance(found, type) and issubclass(found, AbstractRunner)):
        raise BadParameters(f"--runner {name} runs no pipelines: SequentialRunner, ThreadRunner and ParallelRunner do")


def run_packaged(words: Sequence[str]) -> None:
    """`kedro run` of the installed package, in a folder that holds its configuration; ends the process.

    Args:
        words: options of `kedro run`.
    """
    from kedro.framework.project import configure_project

    from tradewind.cli.errors import plainly

    configure_project("tradewind")
    plainly(run).main(list(words), prog_name="tradewind run")


run: click.Command = copy.copy(kedro_run)
run.callback = _run
run.params = [
    *kedro_run.params,
    click.Option(["--force"], is_flag=True, help="Run every node of the pipeline, also those that are up to date."),
]
