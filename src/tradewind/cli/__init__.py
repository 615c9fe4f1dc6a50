"""The project's own Kedro commands; one module for each kind."""

import click

from tradewind.cli import audits, exports, health, imports, ingestion, market, runs


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
    exports.export_model,
    exports.mirror_registry,
):
    cli.add_command(command)
