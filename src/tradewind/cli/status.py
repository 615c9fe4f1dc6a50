"""The command that says which datasets are there."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import click
from kedro.framework.startup import ProjectMetadata

from tradewind.cli.project import project_context
from tradewind.cli.starts import without_collection

SOURCE = "source"
MANIFEST = "_manifest.json"
_UNITS = ("B", "kB", "MB", "GB", "TB")


class Stored(NamedTuple):
    """What lies where a dataset is kept.

    Attributes:
        at: when it was last written.
        size: bytes.
        rows: of tables, where the file says so without being read.
    """

    at: datetime
    size: int
    rows: int | None


class DatasetStatus(NamedTuple):
    """A dataset of the catalog, by the stage that makes it.

    Attributes:
        stage: that makes it.
        name: in the catalog.
        stored: None where it is missing.
        state: fresh, or stale and because of what; empty for sources and stores, which no run makes.
    """

    stage: str
    name: str
    stored: Stored | None
    state: str = ""


@click.command()
@click.option("--env", default=None, help="Environment whose catalog counts, such as real.")
@click.option("--stage", "stages", multiple=True, help="Show this stage alone. May be given several times.")
@click.option("--missing", is_flag=True, help="Show only what is missing.")
@click.option("--stale", is_flag=True, help="Show only what is stale.")
@click.option("--params", "-p", default="", help="Parameters to change, as for kedro run.")
@click.pass_obj
def status(
    project: ProjectMetadata, env: str | None, stages: tuple[str, ...], missing: bool, stale: bool, params: str
) -> None:
    """Show every dataset of the catalog, by stage: when it was written, its rows and size, or that it is missing.

    Fresh is what a run with the present settings, sources and code would make again as it is; of what is stale the
    reason is told.
    """
    from kedro.framework.project import pipelines

    from tradewind.errors import TradewindError
    from tradewind.sessions import project_of

    with without_collection(), project_context(project, env, params) as context:
        registered = dict(pipelines)
        made_by = stages_of_datasets(registered)
        catalog = context.catalog
        recorded = project_of(context, catalog, registered)

        def state_of(name: str) -> str:
            if name not in recorded.writer or not recorded.is_kept(name):
                return ""
            try:
                state = recorded.state(name)
            except TradewindError as error:
                return f"not known: {error}"
            return "fresh" if state.is_fresh else f"stale: {state.why}"

        found = list(statuses(made_by, recorded.entry, Path(project.project_path), state_of, stages))
        recorded.contents.keep()
    known = {one.stage for one in found}
    if set(stages) - known:
        raise click.UsageError(f"--stage is one of {', '.join(sorted(known))}")
    shown = [one for one in found if not stages or one.stage in stages]
    for line in table(shown):
        if line.is_shown(missing, stale):
            click.echo(line.text)
    click.echo(f"\n{in_short(shown, env)}")


def in_short(found: Sequence[DatasetStatus], env: str | None) -> str:
    """The table in one line, with the command that makes what is missing or stale.

    Args:
        found: the datasets that are shown.
        env: their environment.
    """
    made = [one for one in found if one.stage != SOURCE]
    there = sum(one.stored is not None for one in made)
    stale = sum(one.state.startswith("stale") for one in made)
    command = "kedro run" + (f" --env {env}" if env else "")
    if not there:
        short = "" if env else ", `kedro run --env quick` in a minute"
        return f"nothing has been made yet: `{command}` begins{short}"
    advice = f"; `{command}` makes them anew" if stale else ""
    return f"{there} of {len(made)} datasets are there, {stale} of them stale{advice}"


def stages_of_datasets(pipelines: Mapping[str, Any]) -> dict[str, str]:
    """Dataset to stage, in the order of the stages: the smallest pipeline that writes it, or `source` if none does."""
    found: dict[str, str] = {}
    by_size = sorted(pipelines, key=lambda name: len(pipelines[name].nodes))
    for name in by_size:
        for dataset in sorted(pipelines[name].all_outputs()):
            found.setdefault(dataset, name)
    read = sorted({one for name in by_size for one in pipelines[name].all_inputs()} - set(found))
    order = {name: number for number, name in enumerate((SOURCE, *pipelines))}
    every = found | {name: SOURCE for name in read if not name.startswith(("params:", "parameters"))}
    return dict(sorted(every.items(), key=lambda pair: (order[pair[1]], pair[0])))


def statuses(
    made_by: Mapping[str, str],
    configuration: Any,
    project: Path,
    state_of: Callable[[str], str] = lambda name: "",
    stages: Sequence[str] = (),
) -> Iterator[DatasetStatus]:
    """What there is of each dataset that is kept in a file or folder.

    Args:
        made_by: dataset to stage.
        configuration: from a dataset's name to its entry in the catalog.
        project: the folder that paths are relative to.
        state_of: whether a dataset that is there is fresh, or why not.
        stages: whose datasets are shown, and so asked for their state; empty: all.
    """
    for name, stage in made_by.items():
        entry = configuration(name)
        place = entry.get("filepath") or entry.get("path")
        if place is not None:
            stored = stored_at(project / str(place), entry.get("manifest", MANIFEST))
            is_asked = stored is not None and (not stages or stage in stages)
            yield DatasetStatus(stage, name, stored, state_of(name) if is_asked else "")


def stored_at(path: Path, manifest_name: str = MANIFEST) -> Stored | None:
    """What lies there; None where there is nothing whole: a folder of tables is there once its manifest is."""
    if path.is_dir():
        manifest = path / manifest_name
        files = [file for file in path.rglob("*") if file.is_file() and _is_content(file)]
        if manifest_name != MANIFEST and not manifest.is_file():
            return None
        if manifest.is_file():
            parts = json.loads(manifest.read_bytes())["partitions"].values()
            written, size, rows = manifest.stat().st_mtime, sum(part["bytes"] for part in parts), None
            rows = sum(part["rows"] for part in parts)
        elif files and not any(file.suffix == ".parquet" for file in files):
            written, size, rows = max(f.stat().st_mtime for f in files), sum(f.stat().st_size for f in files), None
        else:
            return None
    elif path.is_file():
        about = path.stat()
        written, size, rows = about.st_mtime, about.st_size, _rows(path)
    else:
        return None
    return Stored(datetime.fromtimestamp(written, UTC), size, rows)


def _is_content(file: Path) -> bool:
    """Whether a run wrote it: a clone has `.gitkeep` in empty folders, and a killed run leaves partial files."""
    return not file.name.startswith(".") and ".partial" not in file.name


def _rows(path: Path) -> int | None:
    if path.suffix != ".parquet":
        return None
    import pyarrow.parquet as pq
    from pyarrow import ArrowInvalid

    try:
        return int(pq.read_metadata(path).num_rows)
    except ArrowInvalid:
        return None  # whoever reads the file says what is wrong with it


class Line(NamedTuple):
    """A line of the table; of a dataset that is there or of one that is missing."""

    text: str
    made: bool
    stale: bool = False
    heading: bool = False

    def is_shown(self, missing: bool, stale: bool) -> bool:
        """Whether it belongs to what was asked for: all, what is missing, what is stale, or both."""
        return self.heading or not (missing or stale) or (missing and not self.made) or (stale and self.stale)


def table(found: Iterable[DatasetStatus]) -> Iterator[Line]:
    """The lines of the table, below a heading for each stage with how many of its datasets are there."""
    by_stage: dict[str, list[DatasetStatus]] = {}
    for one in found:
        by_stage.setdefault(one.stage, []).append(one)
    width = max((len(one.name) for rows in by_stage.values() for one in rows), default=0)
    for stage, rows in by_stage.items():
        there = sum(one.stored is not None for one in rows)
        stale = sum(one.state.startswith("stale") for one in rows)
        also = f", {stale} of them stale" if stale else ""
        yield Line(f"\n{stage}: {there} of {len(rows)} datasets are there{also}", False, heading=True)
        for one in rows:
            text = f"  {one.name:<{width}}  {_described(one.stored)}  {one.state}".rstrip()
            yield Line(text, one.stored is not None, one.state.startswith("stale"))


def _described(stored: Stored | None) -> str:
    if stored is None:
        return "missing"
    rows = "" if stored.rows is None else f"{stored.rows:,} rows"
    return f"{stored.at:%Y-%m-%d %H:%M} UTC  {_size(stored.size):>9}  {rows:>16}"


def _size(size: int) -> str:
    value, unit = float(size), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"
