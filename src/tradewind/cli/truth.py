"""The experiment on markets of known answer: which are asked for, what judges them, and what is on the disk already."""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from kedro.framework.startup import ProjectMetadata

from tradewind.cli.project import project_context, reports_option, reports_path
from tradewind.errors import BadParameters


@click.command()
@click.option("--light", is_flag=True, help="Short markets and few features: seconds a market (params:truth.light).")
@click.option("--null", type=click.IntRange(0), default=None, help="Markets without an edge; else as params:truth.")
@click.option("--planted", type=click.IntRange(0), default=None, help="Markets with one; else as params:truth.")
@click.option(
    "--worlds",
    type=click.IntRange(0),
    default=None,
    help="Null worlds of each kind made from candles; else as params:truth with --worlds-env, none without.",
)
@click.option("--edge", "edges", type=float, multiple=True, help="Only planted markets of this edge; may be repeated.")
@click.option("--years", type=float, multiple=True, help="Only planted markets of so many years; may be repeated.")
@click.option("--env", default=None, help="Environment whose parameters judge simulated markets.")
@click.option("--worlds-env", default=None, help="That of candles for null worlds, such as real; --env by default.")
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Markets side by side.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), default=None, help="Begin no market after so many.")
@reports_option(
    "truth",
    "Folder of the outcomes and the summary. An experiment that was stopped goes on there.",
    file_okay=False,
)
@click.pass_obj
def truth(project: ProjectMetadata, /, env: str | None, output: Path | None, **asked: Any) -> None:
    """Measure how often the verdict is wrong, on markets whose answer is known.

    False discoveries on null markets and null worlds, also when looked at every day; power by edge and years beside one
    test and perfect knowledge; what each rule costs; shares of what can be known; coverage of intervals. Every market's
    outcome is kept as soon as it is there, and the same command goes on where it stopped. About ten seconds a market
    and worker, two to ten with --light.
    """
    import json

    from tradewind.atomic import write_bytes
    from tradewind.validation.report import render
    from tradewind.validation.summary import summarise

    folder, outcomes, wanted = _judge_markets(project, env, output, Asked(**asked))
    summary = summarise(outcomes) | {"wanted": wanted}
    write_bytes(folder / "summary.json", (json.dumps(summary, indent=2) + "\n").encode())
    text = render(summary)
    write_bytes(folder / "truth.md", text.encode())
    click.echo(text)
    click.echo(f"written to {folder}")


@dataclass(frozen=True)
class Asked:
    """What the command line says; None leaves it to `params:truth`.

    Attributes:
        light: the light form.
        null: simulated markets with nothing to find.
        planted: markets with an edge.
        worlds: null worlds of each kind.
        edges: only these strengths.
        years: only these lengths.
        worlds_env: environment of the candles that null worlds are made of.
        workers: markets judged at once.
        minutes: after which none is begun.
    """

    light: bool = False
    null: int | None = None
    planted: int | None = None
    worlds: int | None = None
    edges: tuple[float, ...] = ()
    years: tuple[float, ...] = ()
    worlds_env: str | None = None
    workers: int = 2
    minutes: float | None = None

    def form(self, parameters: Any) -> Any:
        """The form that is asked for.

        Args:
            parameters: what Kedro loads, checked.

        Raises:
            BadParameters: more markets than there are seeds for.
        """
        from pydantic import ValidationError

        from tradewind.parameters import faults
        from tradewind.validation.cases import TruthRules

        rules = TruthRules.model_validate(parameters["truth"])
        worlds = 0 if self.worlds is None and self.worlds_env is None else self.worlds
        name = "light" if self.light else "full"
        try:
            form = getattr(rules, name)
            return form.changed(null_markets=self.null, planted_markets=self.planted, worlds=worlds)
        except ValidationError as error:
            raise BadParameters(faults(error, f"truth.{name}")) from error


def _judge_markets(
    project: ProjectMetadata, env: str | None, output: Path | None, asked: Asked
) -> tuple[Path, list[dict[str, Any]], int]:
    """Judge the markets that are missing, and give the folder, all outcomes in order, and how many were asked for."""
    from tradewind.cli.parameter_checks import check_all
    from tradewind.validation.cases import YEAR, null_cases, null_world_cases, planted_cases, with_features
    from tradewind.validation.experiment import SIDE_SERIES, CaseRunner, checked_sources
    from tradewind.validation.research_run import RunSettings, load_sources

    end = time.monotonic() + (math.inf if asked.minutes is None else 60 * asked.minutes)
    with project_context(project, env) as context:
        check_all(context)
        form = asked.form(context.params)
        folder = reports_path(context, output, "truth")
        parameters = with_features(context.params, form, SIDE_SERIES)
        lengths = [round(YEAR * years) for years in asked.years]
        wanted = [*null_cases(form), *planted_cases(form, asked.edges, lengths)]
        outcomes = _outcomes(wanted, CaseRunner(parameters), parameters, folder, asked, end)
    if form.worlds:
        with project_context(project, asked.worlds_env or env) as context:
            check_all(context)
            sources = load_sources(context.catalog, context.params)
            parameters = with_features(context.params, form, sources.universe.side_series)
            real = checked_sources(sources, RunSettings.from_parameters(parameters))
            worlds = null_world_cases(form.worlds, len(sources.universe.symbols), form.world_days, form.world_kinds)
            outcomes += _outcomes(worlds, CaseRunner(parameters, real), parameters, folder, asked, end)
            wanted += worlds
    if not outcomes:
        raise BadParameters("truth: no market is judged: ask for some with --null, --planted or --worlds, and for time")
    return folder, outcomes, len(wanted)


def _outcomes(
    wanted: list[Any], judge: Any, parameters: Any, folder: Path, asked: Asked, end: float
) -> list[dict[str, Any]]:
    from tradewind.validation.cases import identity
    from tradewind.validation.ledger import run_cases

    left = end - time.monotonic()
    return run_cases(wanted, judge, folder / "outcomes.jsonl", identity(parameters), asked.workers, seconds=left)
