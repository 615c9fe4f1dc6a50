"""The project's own Kedro commands: `kedro doctor` and `kedro simulate-market`."""

from pathlib import Path
from typing import Any

import click
from kedro.framework.startup import ProjectMetadata

from tradewind.errors import TradewindError

MARK = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}


@click.group(name="tradewind")
def cli() -> None:
    """Commands of the Tradewind project."""


@cli.command()
@click.pass_obj
def doctor(project: ProjectMetadata) -> None:
    """Check versions, processor, GPU, disk, write permission and the MLflow store."""
    from kedro.config import OmegaConfigLoader

    from tradewind.doctor import examine
    from tradewind.settings import CONFIG_LOADER_ARGS

    loader = OmegaConfigLoader(
        str(project.project_path / "conf"), **CONFIG_LOADER_ARGS, config_patterns={"mlflow": ["mlflow*"]}
    )
    tracking_uri = loader["mlflow"]["server"]["mlflow_tracking_uri"]
    failed = 0
    for finding in examine(project.project_path, tracking_uri):
        failed += finding.status == "fail"
        click.echo(f"{MARK[finding.status]}  {finding.subject:<22} {finding.detail}")
    click.echo("all is well" if not failed else f"{failed} to mend before a run")
    raise SystemExit(1 if failed else 0)


@cli.command("simulate-market")
@click.option("--symbols", type=click.IntRange(1, 200), default=3, show_default=True, help="How many symbols.")
@click.option("--days", type=click.IntRange(1, 20_000), default=730, show_default=True, help="Length in days.")
@click.option("--timeframe", default="1h", show_default=True, help="Bar, such as 1m, 5m, 15m or 1h.")
@click.option("--edge", type=float, default=0.0, show_default=True, help="Annualised gross Sharpe planted; 0: nothing.")
@click.option("--seed", type=click.IntRange(0), default=7, show_default=True, help="Same seed, same bytes.")
@click.option("--outages", type=click.IntRange(0), default=0, show_default=True, help="Exchange outages.")
@click.option("--dirty-rows", type=click.IntRange(0), default=0, show_default=True, help="Deliberately bad rows.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("data/01_raw/market.sqlite"),
    show_default=True,
    help="SQLite file to write; an existing one is replaced.",
)
def simulate_market_command(symbols: int, output: Path, **settings: Any) -> None:
    """Write a simulated market to SQLite, with the oracle's positions and Sharpe beside it.

    The default output is the demo's own file: the next `kedro run` reads it.
    """
    from tradewind.datasets.simulated_market import write_market
    from tradewind.market.simulator import SimulationSpec, simulate_market

    try:
        spec = SimulationSpec(n_symbols=symbols, **settings)
        market = simulate_market(spec)
        write_market(market, output, origin="command")
    except (TradewindError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    for name, value in market.summary.items():
        click.echo(f"{name:<28} {value}")
    click.echo(f"written to {output}")
