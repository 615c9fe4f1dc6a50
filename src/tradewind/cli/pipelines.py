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
    project = find_kedro_project(Path.cwd())
    if project is not None and project != Path.cwd():
        if options.get("conf_source"):
            options["conf_source"] = str(Path(options["conf_source"]).absolute())
        os.chdir(project)  # stores and MLflow's artifacts are named from there
    if options["pipeline"] and not options["pipelines"]:
        # The same; Kedro warns that the first spelling will go, which nobody who runs a project must be told each time.
        options |= {"pipelines": [options["pipeline"]], "pipeline": None}
    return kedro_run.callback(**options)


def run_packaged(words: Sequence[str]) -> None:
    """`kedro run` of the installed package, in a folder that holds its configuration; ends the process.

    Args:
        words: options of `kedro run`.

    Raises:
        BadParameters: there is no configuration.
    """
    from kedro.framework.project import configure_project

    from tradewind.cli.errors import plainly

    given = any(word.partition("=")[0] == "--conf-source" for word in words)
    asks = any(word in ("--help", "-h") for word in words)
    if not given and not asks and not (Path("conf") / "base").is_dir():
        raise BadParameters(
            f"there is no configuration in {Path.cwd()}: run it in a folder that holds the project's `conf`, or name "
            "one with --conf-source; `kedro package` puts it beside the wheel (tar -xzf conf-tradewind.tar.gz)"
        )
    configure_project("tradewind")
    plainly(run).main(list(words), prog_name="tradewind run")


run: click.Command = copy.copy(kedro_run)
run.callback = _run
run.params = [
    *kedro_run.params,
    click.Option(["--force"], is_flag=True, help="Run every node of the pipeline, also those that are up to date."),
]
