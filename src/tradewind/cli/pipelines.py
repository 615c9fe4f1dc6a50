"""The command that runs pipelines: Kedro's own, which can also be told to run what is up to date."""

import copy
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run


def _run(force: bool = False, **options: Any) -> Any:
    """Run the pipeline."""
    from tradewind.sessions import FORCE

    click.get_current_context().meta[FORCE] = force
    if options["pipeline"] and not options["pipelines"]:
        # The same; Kedro warns that the first spelling will go, which nobody who runs a project must be told each time.
        options |= {"pipelines": [options["pipeline"]], "pipeline": None}
    return kedro_run.callback(**options)


run: click.Command = copy.copy(kedro_run)
run.callback = _run
run.params = [
    *kedro_run.params,
    click.Option(["--force"], is_flag=True, help="Run every node of the pipeline, also those that are up to date."),
]
