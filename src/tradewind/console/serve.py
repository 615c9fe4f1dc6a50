"""Commands of the service."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import click

from tradewind.console.models import REGISTRY
from tradewind.service_command import Service

TOKENS = click.option("--tokens", type=click.Path(path_type=Path), default=Path("conf/local/tokens.json"),
                      show_default=True, help="File of the tokens' hashes.")  # fmt: skip


@click.command(cls=Service)
@click.option("--registry", type=click.Path(path_type=Path), default=REGISTRY, show_default=True,
              help="Folder of the registry.")  # fmt: skip
@click.option("--environment", type=click.Choice(["development", "staging", "production"]), default="development",
              show_default=True, help="Whose champion answers.")  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True, help="Address; other machines reach only what you say.")
@click.option("--port", type=int, default=8470, show_default=True, help="Of REST; 0: any that is free.")
@click.option("--grpc-port", type=int, default=8471, show_default=True, help="Of gRPC.")
@click.option("--metrics-port", type=int, default=8472, show_default=True, help="Of the metrics for Prometheus.")
@click.option("--max-age-bars", type=float, default=None, help="How old features may be; in development any age.")
@click.option("--cost-forecasts", type=click.Path(path_type=Path), default=None,
              help="File of the execution_study stage, by which plans with a book state costs.")  # fmt: skip
@click.option("--exchange-info", type=click.Path(path_type=Path), default=None,
              help="File of the venue's answer to exchangeInfo: lot, tick and smallest order.")  # fmt: skip
@click.option("--canary-share", type=click.FloatRange(0.01, 0.1), default=0.05, show_default=True,
              help="Of symbol-days that a canary answers.")  # fmt: skip
@click.option("--canary-days", type=click.FloatRange(14.0, 365.0), default=60.0, show_default=True,
              help="Days of settled labels after which an undecided trial keeps the champion.")  # fmt: skip
@TOKENS
def serve(canary_share: float, canary_days: float, registry: Path, **settings: Any) -> None:
    """Serve the champion of an environment: REST with its page at /docs, gRPC and metrics."""
    from tradewind.errors import BadParameters
    from tradewind.operations.canary.rules import CanaryRules
    from tradewind.serving.server import Ports, serve_until
    from tradewind.serving.settings import ServingSettings

    if not registry.is_dir():
        raise BadParameters(f"there is no registry at {registry}: run kedro run --pipelines deployment first")
    _require_tokens(settings["tokens"])
    rules = CanaryRules(share=canary_share, max_days=canary_days)
    typed = ServingSettings(registry=registry, canary=rules, **settings)

    def show_ports(ports: Ports) -> None:
        click.echo(f"REST    http://{typed.host}:{ports.rest}/docs")
        click.echo(f"gRPC    {typed.host}:{ports.grpc}")
        click.echo(f"metrics http://{typed.host}:{ports.metrics}/metrics")

    async def run() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        for one in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(one, stop.set)
        await serve_until(stop, typed, show_ports)

    import uvloop

    uvloop.run(run())


def _require_tokens(path: Path) -> None:
    """A file of tokens that was named must be there; the usual one may be made while the service answers."""
    from tradewind.errors import BadParameters
    from tradewind.serving.tokens import Tokens

    named = click.get_current_context().get_parameter_source("tokens") is not click.core.ParameterSource.DEFAULT
    if not Tokens(path, requests_a_second=1.0).check() and named and not path.exists():
        raise BadParameters(
            f"there is no file of tokens at {path}: make one with `tradewind token NAME --tokens {path}`, then serve"
        )


@click.command()
@click.argument("name")
@click.option("--scopes", default="read,predict", show_default=True, help="Of read, predict, operate, admin.")
@TOKENS
def token(name: str, scopes: str, tokens: Path) -> None:
    """Make a token for NAME and print it: it is shown only now, its hash is kept."""
    from tradewind.serving.tokens import add_token

    click.echo(add_token(tokens, name, tuple(one.strip() for one in scopes.split(",") if one.strip())))
