"""The project's own Kedro commands; one module for each kind."""

import click

from tradewind.cli import audits, health, imports, ingestion, market, paper, runs


@click.group(name="tradewind")
def cli() -> None:
    """Commands of the Tradewind project."""


for command in (
    health.doctor,
    market.simulate_market_command,
    imports.import_bars,
    ingestion.backfill,
    ingestion.store_status,
    audits.audit_features,
    audits.audit,
    audits.truth,
    runs.compare,
    runs.scorecard,
    paper.paper,
):
    cli.add_command(command)
