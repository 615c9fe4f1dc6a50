"""Commands that fill a store and look into one."""

from collections.abc import Sequence
from typing import Any

import click
from kedro.framework.startup import ProjectMetadata

from tradewind.cli.connections import MarketConfiguration
from tradewind.errors import BadParameters

INSTANT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"])
_NEEDED = ("symbols", "since")


def split_words(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """The words of an option that may be given several times, each with several words or commas."""
    return tuple(word for value in values for word in value.replace(",", " ").split())


_env = click.option("--env", default=None, help="Environment whose settings count, such as exchange.")
_store = click.option("--store", default=None, help="A store of globals.yml; default: the environment's, or local.")


@click.command()
@click.option("--source", default=None, help="A source of globals.yml, a kind of source, or an exchange, as binance.")
@click.option("--symbols", multiple=True, callback=split_words, help="Such as --symbols BTCUSDT ETHUSDT.")
@click.argument("more_symbols", nargs=-1, metavar="", callback=split_words)
@click.option("--since", type=INSTANT, default=None, help="First opening time, UTC, such as 2023-01-01.")
@click.option("--until", type=INSTANT, default=None, help="End of the opening times, UTC; default: now.")
@click.option("--timeframe", default=None, help="Bar, such as 1m; default: 1h.")
@click.option("--market", default=None, help="What the source calls `market`: of an exchange spot or swap.")
@click.option("--side", multiple=True, callback=split_words, help="Side series instead of bars, such as funding.")
@_store
@_env
@click.option("--workers", type=click.IntRange(1, 64), default=None, help="Symbols at once, within the rate limit.")
@click.option(
    "--recheck",
    type=click.Choice(["settling", "gaps", "all"]),
    default=None,
    help="What is asked for again: young gaps (default), every gap, or all bars.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be asked for, and ask nothing.")
@click.pass_obj
def backfill(project: ProjectMetadata, /, env: str | None, dry_run: bool, **options: Any) -> None:
    """Fetch what a store lacks, and nothing else: new bars, older ones, and holes.

    Each page is stored before the next is asked for; what was interrupted goes on when the same command is given
    again. What is not said is taken from the environment's `source_bars`. Exits with 1 if a symbol failed.
    """
    from tradewind import clock
    from tradewind.data.ingestion import backfill as ingestion
    from tradewind.data.ingestion import report

    configuration = MarketConfiguration.of_environment(project, env)
    fetch, store = _fetch_settings(configuration, options), configuration.store(options["store"])
    source = configuration.source(options["source"], options["market"])
    with store.store() as opened, source.source() as asked:
        wanted = fetch.side() if options["side"] else fetch.bars(asked.venue)
        if dry_run:
            tasks = ingestion.plan(opened, wanted, fetch.rules, clock.now())
            click.echo(aligned(report.plan_rows(tasks)))
            return
        outcomes = ingestion.backfill(asked, opened, wanted, fetch.rules, clock.now)
    click.echo(aligned(report.outcome_rows(outcomes)))
    failed = report.failed(outcomes)
    if failed:
        failures = "".join(f"\n  {one.key}: {one.error}" for one in failed)
        raise click.ClickException(
            f"{len(failed)} of {len(outcomes)} are not up to date; the same command, given again, goes on:{failures}"
        )


@click.command("store-status")
@_store
@_env
@click.pass_obj
def store_status(project: ProjectMetadata, env: str | None, store: str | None) -> None:
    """Show what a store holds: rows, first and last bar, gaps and known gaps, last delivery; side series likewise."""
    from tradewind import clock
    from tradewind.data.ingestion import status
    from tradewind.data.ingestion.report import table_rows
    from tradewind.data.ingestion.rules import IngestionRules

    configuration = MarketConfiguration.of_environment(project, env)
    rules = IngestionRules(**configuration.fetch.get("rules", {}))
    with configuration.store(store).store() as opened:
        tables = [status.describe_bars(opened, rules, clock.now()), status.describe_side(opened)]
    filled = [table for table in tables if len(table)]
    for table in filled:
        click.echo(aligned(table_rows(table)) + "\n")
    if not filled:
        click.echo("the store is empty: `kedro backfill` fills it")


def _fetch_settings(configuration: MarketConfiguration, options: dict[str, Any]) -> Any:
    """The environment's `fetch` settings, as far as the options do not say otherwise."""
    from pydantic import ValidationError

    from tradewind.data.ingestion.fetch import FetchSettings
    from tradewind.parameters import faults

    given = {
        "symbols": options["symbols"] + options["more_symbols"],
        "series": options["side"],
        **{name: options[name] for name in ("since", "until", "timeframe")},
    }
    settings = {**configuration.fetch, **{name: value for name, value in given.items() if value}}
    rules = {name: options[name] for name in ("workers", "recheck") if options[name] is not None}
    missing = [f"--{name}" for name in _NEEDED if name not in settings]
    if missing:
        raise BadParameters(f"say {' and '.join(missing)}: the environment has no stored market that says it")
    try:
        return FetchSettings.model_validate({**settings, "rules": {**settings.get("rules", {}), **rules}})
    except ValidationError as error:
        raise BadParameters(f"what to fetch is not clear: {faults(error)}") from error


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """The rows as columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]).rstrip()
        for row in rows
    )
