"""Commands that make a market."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from tradewind import clock
from tradewind.cli.project import output_option
from tradewind.errors import BadParameters


@click.command("simulate-market")
@click.option("--symbols", type=click.IntRange(1, 1000), default=3, show_default=True, help="How many symbols.")
@click.option("--days", type=click.IntRange(1, 20_000), default=730, show_default=True, help="Length in days.")
@click.option("--timeframe", default="1h", show_default=True, help="Bar, such as 1m, 5m, 15m or 1h.")
@click.option("--start", default="2022-01-01", show_default=True, help="First day; no bar may close in the future.")
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
    from tradewind.market.timeframes import bar_duration_ms

    spec = SimulationSpec(n_symbols=symbols, **settings)
    end = datetime.fromtimestamp((spec.open_ms[-1] + bar_duration_ms(spec.timeframe)) / 1000, UTC)
    if end > clock.now():
        raise BadParameters(
            f"--days {spec.days} from {spec.start} end on {end:%Y-%m-%d}: no run takes a bar that has not closed yet; "
            "give an earlier --start, or fewer days"
        )
    market = simulate_market(spec)
    write_market(market, output, origin="command")
    for name, value in market.summary.items():
        click.echo(f"{name:<28} {value}")
    click.echo(f"written to {output}")
