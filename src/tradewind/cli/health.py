"""The command that looks at the machine."""

import click
from kedro.framework.startup import ProjectMetadata

from tradewind.cli.project import mlflow_settings

MARK = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}


@click.command()
@click.option("--speed", is_flag=True, help="Look for GPUs, too, and measure every device.")
@click.pass_obj
def doctor(project: ProjectMetadata, speed: bool) -> None:
    """Check versions, extras, processor, disk, write permission and the MLflow store."""
    from tradewind.doctor import examine

    tracking_uri = mlflow_settings(project)["server"]["mlflow_tracking_uri"]
    failed = 0
    for finding in examine(project.project_path, tracking_uri, speed):
        failed += finding.status == "fail"
        click.echo(f"{MARK[finding.status]}  {finding.subject:<22} {finding.detail}")
    click.echo("all is well" if not failed else f"{failed} to mend before a run")
    raise SystemExit(1 if failed else 0)
