"""The command that imports files as found in the wild."""

import re
import shlex
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from kedro.framework.startup import ProjectMetadata

from tradewind.cli.project import output_option
from tradewind.errors import BadParameters, TradewindError

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from tradewind.data.file_import.importer import ImportPlan
    from tradewind.data.files.deliveries import Delivery
    from tradewind.data.files.dialect import ImportSettings
    from tradewind.data.stores.base import Store

# The store that import-bars fills by default, and the environment whose runs read it (conf/imported).
IMPORTED, RUNS_ON_IMPORTED = "data/01_raw/imported.sqlite", "imported"
_LISTS = ("column_names",)
_SHOWN_KEYS = 24


@click.command("import-bars")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Show what is detected, and write nothing.")
@click.option("--venue", help="Venue of the rows, such as binance, where no column says it.")
@click.option("--symbol", help="Symbol of the rows, such as BTCUSDT, where no column says it.")
@click.option("--timeframe", help="Bar, such as 1h; by default told from the distance of the rows.")
@click.option(
    "--kind",
    type=click.Choice(["bars", "trades", "funding", "events", "stream"]),
    help="What the rows are; by default told from the columns.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="What the file does not say: timezone=Europe/London, volume_unit=base|quote|none, date_order=dmy|mdy|ymd, "
    "time_is=close, time_format=STRPTIME, time_unit=ms, delimiter=;, decimal=,, skip_lines=2, columns.volume=NAME, "
    "column_names=A,B,..., encoding=utf-16-le. May be given several times.",
)
@click.option("--store", default=None, help="A store of globals.yml to add to, instead of --output.")
@click.option("--env", default=None, help="Environment whose stores count, such as exchange.")
@output_option(IMPORTED, "SQLite store that bars and side series are added to.", dir_okay=False)
@click.option(
    "--tables",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("data/01_raw/imported"),
    show_default=True,
    help="Folder for trades and order books, as Parquet, and for the rejected rows of files that hold no bars.",
)
@click.pass_obj
def import_bars(project: ProjectMetadata, /, files: tuple[Path, ...], dry_run: bool, **options: Any) -> None:
    """Import FILES of bars, trades, funding rates, events or a raw exchange stream.

    CSV, JSON, Parquet, Feather, packed by gzip or not. Delimiter, header, columns, time unit, date order, time zone and
    volume unit are told from the file where it determines them, and each with its evidence; what it does not
    determine is asked for, never guessed. Every row is imported or rejected with a reason. The same file twice changes
    nothing. Exits with 1 if a file was not imported.
    """
    from rich.console import Console

    from tradewind import clock
    from tradewind.cli.import_targets import OneCommand
    from tradewind.data.file_import.importer import inspect_file
    from tradewind.data.file_import.outcome import require_usable, to_deliveries
    from tradewind.data.files.bar_key import BarKey
    from tradewind.datasets.stored_universe import run_command

    together = OneCommand()
    console, failed, imported = Console(highlight=False), 0, list[BarKey]()
    given = {name: options[name] for name in ("venue", "symbol", "timeframe", "kind")}
    chosen = import_settings(given, options["settings"])
    store = partial(_open_store, project, options)
    for path in files:
        try:
            plan = inspect_file(path, chosen)
            if dry_run:
                _show(plan, console)
                failed += bool(plan.notes.missing_settings)
                if not plan.notes.missing_settings:
                    require_usable(to_deliveries(plan, clock.now()))
                asked = [one.setting for one in plan.notes.missing_settings]
                if asked:
                    console.print("\nThe words in capitals are yours to fill in.")
                console.print(f"\nnext: {_command(path, options, asked)}", soft_wrap=True, markup=False)
            else:
                plan.require_complete()
                together.require_alike(plan)
                for line in _write(plan, store, project.project_path / options["tables"], options):
                    console.print(f"{path.name}: {line}", soft_wrap=True, markup=False)
                imported += [bars.key for bars in plan.bars]
        except TradewindError as error:
            failed += 1
            console.print(f"Error: {_message_of(error, path)}", soft_wrap=True, style="red", markup=False)
    if imported and not failed and _is_read_by_runs(project, options):
        with store() as opened:
            held = opened.keys()
        console.print(
            f"\nnext: {run_command(imported, held, RUNS_ON_IMPORTED, chosen.week_start)}", soft_wrap=True, markup=False
        )
    raise SystemExit(1 if failed else 0)


def _message_of(error: TradewindError, path: Path) -> str:
    """What is wrong with a file, which is named once, and how what is asked for is given."""
    from tradewind.data.files.dialect import ImportSettings

    text = str(error)
    names = "|".join(ImportSettings.model_fields)
    names_a_setting = re.search(rf"\b({names})[.=]|\bskip_lines\b", text) and "--set" not in text
    where = "" if str(path) in text else f"{path.name}: "
    return where + text + (" (with --set NAME=VALUE)" if names_a_setting else "")


def _is_read_by_runs(project: ProjectMetadata, options: dict[str, Any]) -> bool:
    """Whether the rows went to the store that `kedro run --env imported` reads."""
    if options["store"] is not None:
        return bool(options["store"] == RUNS_ON_IMPORTED)
    return Path(project.project_path / options["output"]) == Path(project.project_path / IMPORTED)


def _command(path: Path, options: dict[str, Any], asked: list[str]) -> str:
    """The command that imports this file with these options, and with what it still asks for."""
    words = ["kedro", "import-bars", str(path)]
    for name in ("venue", "symbol", "timeframe", "kind", "store"):
        words += [f"--{name}", options[name]] if options[name] is not None else []
    for setting in options["settings"]:
        words += ["--set", setting]
    return shlex.join(words) + "".join(f" --set {setting}" for setting in asked)


def import_settings(given: dict[str, str | None], pairs: Iterable[str]) -> "ImportSettings":
    """The settings that the options say.

    Raises:
        BadParameters: an unknown name or a value that it may not have.
    """
    from pydantic import ValidationError

    from tradewind.data.files.dialect import ImportSettings
    from tradewind.parameters import faults

    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    for name, value in _pairs(pairs).items():
        part, _, column = name.partition(".")
        if column:
            values.setdefault(part, {})[column] = value
        else:
            values[name] = tuple(value.split(",")) if name in _LISTS else value
    try:
        return ImportSettings(**values)
    except ValidationError as error:
        raise BadParameters(f"--set: {faults(error)}; see kedro import-bars --help") from error


def _pairs(texts: Iterable[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, mark, value = text.partition("=")
        if not mark or not name or not value:
            raise BadParameters(f"--set takes NAME=VALUE, found {text!r}")
        found[name.strip()] = value
    return found


def _open_store(project: ProjectMetadata, options: dict[str, Any]) -> "AbstractContextManager[Store]":
    """The store that the options name, closed at the end of the block."""
    from contextlib import closing

    from tradewind.cli.connections import MarketConfiguration
    from tradewind.data.stores.catalogue import open_store

    if options["store"] is not None:
        return MarketConfiguration.of_environment(project, options["env"]).store(options["store"]).store()
    return closing(open_store({"kind": "sqlite", "path": project.project_path / options["output"]}))


def _write(
    plan: "ImportPlan", opened: "Callable[[], AbstractContextManager[Store]]", folder: Path, options: dict[str, Any]
) -> list[str]:
    """Write what a file holds; a line for each thing written."""
    from tradewind import clock
    from tradewind.cli.import_targets import folder_of, write_table, write_tables
    from tradewind.data.file_import.outcome import rejections, require_unshifted, require_usable, to_deliveries
    from tradewind.data.files.bar_key import BarKey

    lines = []
    if plan.bars or plan.vintages is not None:
        deliveries = to_deliveries(plan, clock.now())
        require_usable(deliveries)
        with opened() as store:
            for delivery in deliveries:
                require_unshifted(delivery, _stored_nearby(store, delivery))
            for delivery in deliveries:
                receipt = store.append(delivery)
                lines.append(
                    f"{delivery.key}: {receipt.rows_received:,} rows: {receipt.rows_new:,} new, "
                    f"{receipt.rows_known:,} known, {receipt.rows_rejected:,} rejected"
                    + (f" ({rejections(delivery)})" if receipt.rows_rejected else "")
                )
            if plan.vintages is not None:
                new = store.append_side(plan.vintages)
                accepted, rejected = plan.accepted, len(plan.rejected.reason)
                lines.append(f"{plan.rows:,} rows: {accepted:,} values, {new:,} new, {rejected:,} rejected")
    venue, symbol = options["venue"], options["symbol"]
    lines += [str(receipt) for receipt in write_tables(plan, folder, venue, symbol)]
    if not plan.bars and len(plan.rejected.reason):
        key = BarKey(venue="", symbol=plan.path.name, timeframe="")
        aside = folder_of(plan, folder, venue, symbol) / "rejected.parquet"
        write_table(plan.quarantine(key), aside)
        lines.append(f"{len(plan.rejected.reason):,} rejected rows in {aside}")
    return lines


def _stored_nearby(store: "Store", delivery: "Delivery") -> "pd.DataFrame":
    """What a store has of a delivery's bars, and of the days around them."""
    from tradewind.data.file_import.outcome import NEAR_MS
    from tradewind.data.files.deliveries import Span, stored_columns

    if delivery.rows.empty:
        return stored_columns()
    first, last = int(delivery.rows["open_time"].min()), int(delivery.rows["open_time"].max())
    return store.read(delivery.key, Span(first - NEAR_MS, last + NEAR_MS))


def _show(plan: "ImportPlan", console: "Console") -> None:
    """Print what is detected in a file."""
    from rich.table import Table

    title = f"{plan.path.name}: {plan.kind}, {plan.rows:,} rows"
    decisions = Table(title=title, title_justify="left", show_lines=False)
    for heading in ("decision", "detected as", "because"):
        decisions.add_column(heading, overflow="fold")
    for finding in plan.notes.findings:
        style = None if finding.proven else "yellow"
        because = finding.evidence if finding.proven else f"assumed: {finding.evidence}"
        decisions.add_row(*map(_plain, (finding.decision, finding.value, because)), style=style)
    for missing in plan.notes.missing_settings:
        decisions.add_row("needed", _plain(f"--set {missing.setting}"), _plain(missing.why), style="red")
    console.print(decisions)
    if plan.notes.missing_settings:
        return
    if plan.bars:
        _show_bars(plan, console)
    reasons = plan.rejected.counts()
    console.print(f"{plan.accepted:,} rows accepted, {sum(reasons.values()):,} rejected")
    for reason, count in reasons.items():
        first = int((plan.rejected.reason == reason).argmax())
        row, content = plan.rejected.source_row[first], plan.rejected.content[first]
        console.print(f"  {count:,} x {reason}; first in row {row}: {content[:160]}", markup=False, soft_wrap=True)
    previews = dict(plan.tables)
    if plan.vintages is not None:
        previews["values"] = plan.vintages
    for name, table in previews.items():
        console.print(f"\n{name}: {len(table):,} rows", markup=False)
        console.print(table.head(3).to_string(index=False), markup=False, soft_wrap=True)


def _show_bars(plan: "ImportPlan", console: "Console") -> None:
    """Print a line for each key, and the first bars of the first."""
    from tradewind import clock
    from tradewind.data.file_import.outcome import summarise
    from tradewind.data.files.cleaning import SUPERSEDED

    preview = None
    for bars in plan.bars[:_SHOWN_KEYS]:
        found = summarise(plan, bars, clock.now())
        opened = found.bars["open_time"].astype("str").str.slice(0, 16).to_list() if len(found.bars) else ["", ""]
        preview = found.bars if preview is None else preview
        others = len(found.rejected) - found.repeated - found.replaced
        console.print(
            f"{bars.key}: {found.rows:,} rows: {len(found.bars):,} bars from {opened[0]} to {opened[-1]} UTC, "
            f"{found.repeated:,} repeated, {others:,} rejected; {found.gaps:,} gaps lack {found.missing:,} bars",
            markup=False, soft_wrap=True,
        )  # fmt: skip
        if found.replaced:
            console.print(
                f"  replaced by a later row of the same time with other values: {found.replaced:,}, "
                f"{_first_of(found.rejected, SUPERSEDED)}",
                style="yellow", markup=False, soft_wrap=True,
            )  # fmt: skip
    if len(plan.bars) > _SHOWN_KEYS:
        console.print(f"and {len(plan.bars) - _SHOWN_KEYS} more")
    if preview is not None and len(preview):
        shown = preview.drop(columns=["venue", "symbol", "timeframe", "timestamp"]).head(3)
        console.print(shown.to_string(index=False), markup=False, soft_wrap=True)


def _first_of(rejected: "pd.DataFrame", reason: str) -> str:
    """The first of the rows that were rejected for this reason."""
    first = rejected[rejected["reason"] == reason].iloc[0]
    return f"first row {first['source_row']}: {first['content'][:160]}"


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
