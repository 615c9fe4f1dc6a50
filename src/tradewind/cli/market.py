"""Commands that make a market."""

from pathlib import Path
from typing import Any

import click

from tradewind.cli.project import output_option


@click.command("simulate-market")
@click.option("--symbols", type=click.IntRange(1, 1000), default=3, show_default=True, help="How many symbols.")
@click.option("--days", type=click.IntRange(1, 20_000), default=730, show_default=True, help="Length in days.")
@click.option("--timeframe", default="1h", show_default=True, help="Bar, such as 1m, 5m, 15m or 1h.")
@click.option("--edge", type=float, default=0.0, show_default=True, help="Annualised gross Sharpe planted; 0: nothing.")
@click.option("--seed", type=click.IntRange(0), default=7, show_default=True, help="Same seed, same bytes.")
@click.option("--outages", type=click.IntRange(0), default=0, show_default=True, help="Exchange outages.")
@click.option("--inject-errors", type=click.IntRange(0), default=0, show_default=True, help="Bad rows, on purpose.")
@output_option("data/01_raw/market.sqlite", "SQLite file to write; an existing one is replaced.", dir_okay=False)
def simulate_market_command(symbols: int, output: Path, **settings: Any) -> None:
    """Write a simulated market to SQLite, with the oracle's positions and Sharpe beside it.

    The default output is the demo's own file: the next `kedro run` reads it.
    """
    from tradewind.datasets.simulated_market import write_market
    from tradewind.market.simulation.simulator import SimulationSpec, simulate_market

    market = simulate_market(SimulationSpec(n_symbols=symbols, **settings))
    write_market(market, output, origin="command")
    for name, value in market.summary.items():
        click.echo(f"{name:<28} {value}")
    click.echo(f"written to {output}")
