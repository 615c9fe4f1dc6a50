"""`kedro arbitrage` and `kedro execute`: a paper account over two venues."""

import asyncio
import getpass
from pathlib import Path
from typing import Any

import click
from kedro.framework.startup import ProjectMetadata

from tradewind.cli.project import project_context
from tradewind.errors import BadParameters, TradewindError

_SHARED = (
    click.option("--env", default=None, help="Environment whose configuration is taken."),
    click.option("--params", default="", help="Changed parameters, such as arbitrage.capital=10000."),
    click.option("--pair", default="BTC/USDT", show_default=True, help="Coin, and what it is priced in."),
    click.option("--venues", default="",
                 help="Two venues of Binance's protocol, as NAME=ADDRESS NAME=ADDRESS; empty: simulated."),
    click.option("--resume", default="",
                 help="Why an account that was halted may trade again; its loss limits begin anew."),
)  # fmt: skip


def _shared(command: Any) -> Any:
    for option in reversed(_SHARED):
        command = option(command)
    return command


@click.command()
@_shared
@click.option("--seconds", type=click.FloatRange(0.0), default=None, help="End by itself; else on Ctrl-C.")
@click.pass_obj
def arbitrage(project: ProjectMetadata, /, env: str | None, params: str, **options: Any) -> None:
    """Trade price differences between two venues on paper: both legs as one intent, each order through the risk gate
    and in the journal. Fills are simulated; nothing is sent.

    The run lies in the folder of params:arbitrage and goes on where it ended; a file HALT there stops it.
    """
    _run(project, env, params, options)


@click.command()
@_shared
@click.option("--units", type=float, required=True, help="To be bought; sold: negative.")
@click.option("--within", "within_s", type=click.FloatRange(0.0, min_open=True), default=60.0, show_default=True,
              help="Seconds until the deadline.")  # fmt: skip
@click.pass_obj
def execute(project: ProjectMetadata, /, env: str | None, params: str, **options: Any) -> None:
    """Work one order over two venues on paper, planned anew on fills, refusals and silence until its deadline; each
    child through the risk gate and in the journal. Fills are simulated; nothing is sent.

    The run lies beside that of params:arbitrage, in a folder `execute`.
    """
    _run(project, env, params, options)


def _run(project: ProjectMetadata, env: str | None, params: str, options: dict[str, Any]) -> None:
    from tradewind.live.across.desk import Desk, run_across
    from tradewind.live.across.rules import ArbitrageRules

    with project_context(project, env, params) as context:
        try:
            rules = ArbitrageRules.model_validate(context.params["arbitrage"])
            folder = Path(context.project_path) / rules.folder
            desk = Desk(
                rules, folder if "units" not in options else folder / "execute", pair_of(options["pair"]),
                venues_of(options["venues"]), options.get("seconds"), options.get("units"),
                options.get("within_s", 0.0), options["resume"], getpass.getuser(),
            )  # fmt: skip
            asyncio.run(run_across(desk, click.echo))
        except KeyboardInterrupt:
            click.echo("ended")
        except TradewindError as error:
            raise click.ClickException(str(error)) from error


def pair_of(text: str) -> Any:
    """BTC/USDT as a coin and what it is priced in.

    Raises:
        BadParameters: it is no pair.
    """
    from tradewind.live.across.books import Pair

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
