"""The project's own Kedro commands, one module for each kind, loaded when they are called.

`kedro run` and Kedro's commands of catalog, registry and pipelines stand here, too, so that their errors are shown as
those of all others are.
"""

from tradewind.cli.errors import PlainGroup

cli = PlainGroup(
    name="tradewind",
    help="Commands of the Tradewind project.",
    lazy_subcommands={
        "run": "tradewind.cli.pipelines.run",
        "catalog": "kedro.framework.cli.catalog.catalog",
        "registry": "kedro.framework.cli.registry.registry",
        "doctor": "tradewind.cli.health.doctor",
        "status": "tradewind.cli.status.status",
        "simulate-market": "tradewind.cli.market.simulate_market_command",
        "import-bars": "tradewind.cli.imports.import_bars",
        "download": "tradewind.cli.download.download",
        "backfill": "tradewind.cli.ingestion.backfill",
        "store-status": "tradewind.cli.ingestion.store_status",
        "audit-features": "tradewind.cli.audits.audit_features",
        "audit": "tradewind.cli.audits.audit",
        "truth": "tradewind.cli.truth.truth",
        "compare": "tradewind.cli.runs.compare",
        "scorecard": "tradewind.cli.runs.scorecard",
        "retrain": "tradewind.cli.retraining.retrain",
        "paper": "tradewind.cli.paper.paper",
        "arbitrage": "tradewind.cli.arbitrage.arbitrage",
        "execute": "tradewind.cli.arbitrage.execute",
        "export-model": "tradewind.cli.exports.export_model",
        "mirror-registry": "tradewind.cli.exports.mirror_registry",
    },
)
