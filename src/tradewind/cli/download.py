"""The command from nothing to a store that `kedro run --env imported` reads."""

from typing import Any

import click
from kedro.framework.startup import ProjectMetadata

from tradewind.cli.connections import MarketConfiguration
from tradewind.cli.ingestion import INSTANT, aligned, split_words
from tradewind.errors import BadParameters, TemporaryOutage

STORE = "imported"


@click.command()
@click.option("--venue", required=True, help="A source of globals.yml, or an exchange as ccxt calls it: binance, okx.")
@click.option(
    "--symbols", multiple=True, required=True, callback=split_words, help="Such as --symbols BTCUSDT ETHUSDT."
)
@click.argument("more_symbols", nargs=-1, metavar="", callback=split_words)
@click.option("--timeframe", default="1h", show_default=True, help="Bar, such as 5m, 1h or 1d.")
@click.option("--since", type=INSTANT, required=True, help="First opening time, UTC, such as 2023-01-01.")
@click.option("--until", type=INSTANT, default=None, help="End of the opening times, UTC; default: now.")
@click.option("--store", default=STORE, show_default=True, help="A store of globals.yml.")
@click.option("--env", default=None, help="Environment whose stores and sources count.")
@click.pass_obj
def download(project: ProjectMetadata, /, venue: str, store: str, env: str | None, **options: Any) -> None:
    """Download bars from an exchange or an archive into the store that `kedro run --env imported` reads.

    Each page is stored before the next is asked for: what was interrupted goes on when the same command is given
    again, and a later one fetches only what is new. `kedro backfill` does the same with more options. Exits with 1 if a
    symbol failed.
    """
    from tradewind import clock
    from tradewind.data.ingestion import report
    from tradewind.data.ingestion.backfill import backfill
    from tradewind.datasets.stored_universe import run_command

    configuration = MarketConfiguration.of_environment(project, env)
    fetch = _settings(options)
    with configuration.store(store).store() as opened, configuration.source(venue).source() as asked:
        wanted = fetch.bars(asked.venue)
        click.echo(f"asking {asked.name} for {', '.join(map(str, wanted.bars))} since {fetch.since:%Y-%m-%d} ...")
        outcomes = backfill(asked, opened, wanted, fetch.rules, clock.now)
        held = opened.keys()
    failed = report.failed(outcomes)
    if failed and all(isinstance(one.error, TemporaryOutage) for one in outcomes):
        raise click.ClickException(
            f"{venue} cannot be reached ({failed[0].error}). Look at the network, or at a proxy in HTTPS_PROXY; "
            "the same command, given again, goes on where it stopped"
        )
    click.echo(aligned(report.outcome_rows(outcomes)))
    if failed:
        failures = "; ".join(f"{one.key}: {one.error}" for one in failed)
        raise click.ClickException(f"{len(failed)} of {len(outcomes)} failed: {failures}")
    if store == STORE:
        click.echo(f"\nnext: {run_command(wanted.bars, held, STORE)}")


def _settings(options: dict[str, Any]) -> Any:
    """What to fetch, typed.

    Raises:
        BadParameters: it cannot be fetched so; in the words of the field.
    """
    from pydantic import ValidationError

    from tradewind.data.ingestion.fetch import FetchSettings

    symbols = options["symbols"] + options["more_symbols"]
    given = {name: options[name] for name in ("since", "until", "timeframe") if options[name] is not None}
    try:
        return FetchSettings.model_validate({"symbols": symbols, **given})
    except ValidationError as error:
        wrong = "; ".join(f"--{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())
        raise BadParameters(f"what to download is not clear: {wrong}") from error
