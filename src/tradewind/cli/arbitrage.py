"""`kedro arbitrage`: a paper account that trades price differences between two venues."""

import asyncio
import getpass
from pathlib import Path
from typing import Any

import click
from kedro.framework.startup import ProjectMetadata

from tradewind.cli.project import project_context
from tradewind.errors import BadParameters, TradewindError


@click.command()
@click.option("--env", default=None, help="Environment whose configuration is taken.")
@click.option("--params", default="", help="Changed parameters, such as arbitrage.capital=10000.")
@click.option("--seconds", type=click.FloatRange(0.0), default=None, help="End by itself; else on Ctrl-C.")
@click.option("--pair", default="BTC/USDT", show_default=True, help="Coin, and what it is priced in, at both venues.")
@click.option("--venues", default="",
              help="Two venues of Binance's protocol, as NAME=ADDRESS NAME=ADDRESS; empty: simulated.")  # fmt: skip
@click.option(
    "--resume", default="", help="Why an account that was halted may trade again; its loss limits begin anew."
)
@click.pass_obj
def arbitrage(project: ProjectMetadata, /, env: str | None, params: str, **options: Any) -> None:
    """Trade price differences between two venues on paper: both legs as one intent, each order through the risk gate
    and in the journal. Fills are simulated; nothing is sent.

    The run lies in the folder of params:arbitrage and goes on where it ended; a file HALT there stops it.
    """
    from tradewind.live.arbitrage.desk import Desk, run_arbitrage
    from tradewind.live.arbitrage.rules import ArbitrageRules

    with project_context(project, env, params) as context:
        try:
            rules = ArbitrageRules.model_validate(context.params["arbitrage"])
            folder = Path(context.project_path) / rules.folder
            desk = Desk(
                rules, folder, pair_of(options["pair"]), venues_of(options["venues"]), options["seconds"],
                options["resume"], getpass.getuser(),
            )  # fmt: skip
            asyncio.run(run_arbitrage(desk, click.echo))
        except KeyboardInterrupt:
            click.echo("ended")
        except TradewindError as error:
            raise click.ClickException(str(error)) from error


def pair_of(text: str) -> Any:
    """BTC/USDT as a coin and what it is priced in.

    Raises:
        BadParameters: it is no pair.
    """
    from tradewind.live.arbitrage.books import Pair

    base, _, quote = text.partition("/")
    if not (base.isalnum() and quote.isalnum() and base != quote):
        raise BadParameters(f"--pair is a coin and what it is priced in, such as BTC/USDT: found {text!r}")
    return Pair(base.upper(), quote.upper())


def venues_of(text: str) -> dict[str, str]:
    """Addresses by name.

    Raises:
        BadParameters: they are not two, share a name, or one is no address.
    """
    words = [word.partition("=") for word in text.split()]
    found = {name: address for name, _, address in words}
    named = all(name.isidentifier() and address.startswith(("http://", "https://")) for name, address in found.items())
    if words and not (len(words) == len(found) == 2 and named):
        raise BadParameters(f"--venues are two, as NAME=https://... NAME=https://...: found {text!r}")
    return found
