"""The command that runs pipelines: Kedro's own."""

import copy
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run


def _run(**options: Any) -> Any:
    """Run the pipeline."""
    if options["pipeline"] and not options["pipelines"]:
        # The same; Kedro warns that the first spelling will go, which nobody who runs a project must be told each time.
        options |= {"pipelines": [options["pipeline"]], "pipeline": None}
    return kedro_run.callback(**options)


run: click.Command = copy.copy(kedro_run)
run.callback = _run
