"""Commands that look at finished runs."""

from pathlib import Path

import click
from kedro.framework.startup import ProjectMetadata

from tradewind.cli.project import mlflow_settings, output_option, project_context


@click.command()
@click.argument("first", default="last~1")
@click.argument("second", default="last")
@output_option("data/08_reporting/comparison.html", "Page to write; an existing one is replaced.", dir_okay=False)
@click.pass_obj
def compare(project: ProjectMetadata, first: str, second: str, output: Path) -> None:
    """Compare two runs: what was changed, and whether the difference is more than noise.

    FIRST and SECOND are `last`, `last~1` (the one before), a run's name, or the start of its MLflow id; without them
    the last two are compared.
    """
    from tradewind.tracking import load_run

    mlflow = mlflow_settings(project)
    runs = [
        load_run(one, mlflow["server"]["mlflow_tracking_uri"], mlflow["tracking"]["experiment"]["name"])
        for one in (first, second)
    ]
    from tradewind.atomic import write_bytes
    from tradewind.reports import compare as comparison
    from tradewind.reports.markdown import table

    path = output if output.is_absolute() else project.project_path / output
    write_bytes(path, comparison.render_comparison(*runs).encode())
    for rows in (comparison.fact_rows, comparison.parameter_rows, comparison.strategy_rows):
        click.echo(table(rows(*runs)) + "\n")
    click.echo(f"written to {path}")


@click.command()
@click.option("--env", default=None, help="Environment that was run, such as real.")
@click.pass_obj
def scorecard(project: ProjectMetadata, env: str | None) -> None:
    """Print the scorecard of the last run, with times measured now.

    Trains every fold of every boosting model anew (minutes on real data) and asks the last one for single rows.
    """
    from tradewind.reports.markdown import table
    from tradewind.reports.text import scorecard_rows
    from tradewind.validation.timing import with_times

    with project_context(project, env) as context:
        click.echo(table(scorecard_rows(with_times(context.catalog, context.params))))
