"""Commands that search for leaks."""

from pathlib import Path
from typing import Any

import click
from kedro.framework.startup import ProjectMetadata

from tradewind.cli.project import project_context, reports_option, reports_path


@click.command("audit-features")
@click.option("--env", default=None, help="Environment whose bars to use, such as real.")
@click.option("--params", "-p", default="", help="Parameters to change, as for kedro run.")
@click.option("--symbol", default=None, help="Symbol to audit on; the reference symbol's successor by default.")
@click.option("--bars", type=click.IntRange(500), default=4000, show_default=True, help="How many of the latest bars.")
@click.option("--cuts", type=click.IntRange(10), default=200, show_default=True, help="Cut points for each law.")
@click.option("--verbose", is_flag=True, help="List the features that obey, too.")
@click.pass_obj
def audit_features(
    project: ProjectMetadata, env: str | None, params: str, symbol: str | None, bars: int, cuts: int, verbose: bool
) -> None:
    """Hold every selected feature, your own included, to the laws of causality on your data.

    Reads the bars that `kedro run --pipeline data_engineering` has written. Exits with 1 if a feature must not be used.
    """
    from tradewind.pipelines.feature_engineering.audit import audit_selected

    with project_context(project, env, params) as context:
        found, features = audit_selected(context.catalog, context.params, symbol, bars, cuts)
    faults = [finding for finding in found if finding.is_fault]
    by_name: dict[str, list[Any]] = {}
    for finding in found:
        by_name.setdefault(finding.feature, []).append(finding)
    for name in features:
        for finding in by_name.get(name, []):
            mark = "LEAK" if finding.law == "future" else "FAIL" if finding.is_fault else "note"
            click.echo(f"{mark}  {name:<34} {finding.law:<9} bar {finding.row}: {finding.detail}")
        if verbose and name not in by_name:
            click.echo(f"ok    {name}")
    names = {finding.feature for finding in faults}
    click.echo(
        f"{len(features)} features, {cuts} cuts: {len(features) - len(names)} obey, {len(names)} must not be used"
    )
    raise SystemExit(1 if faults else 0)


@click.command()
@click.option("--env", default=None, help="Environment to audit, such as real.")
@click.option("--params", "-p", default="", help="Parameters to change, as for kedro run.")
@click.option("--cuts", type=click.IntRange(1, 50), default=3, show_default=True, help="Whole runs: cuts, four each.")
@click.option(
    "--places",
    type=click.IntRange(0),
    default=2000,
    show_default=True,
    help="Cuts of bars, features and labels alone, and as many again on rare events.",
)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Runs side by side.")
@click.option("--planted", is_flag=True, help="Audit the audit instead: plant known leaks in a small simulated market.")
@reports_option("leak_audit.md", "Text to write; an existing one is replaced.", dir_okay=False)
@click.pass_obj
def audit(
    project: ProjectMetadata,
    env: str | None,
    params: str,
    cuts: int,
    places: int,
    workers: int,
    planted: bool,
    output: Path | None,
) -> None:
    """Search a whole run for leaks, from received rows to accounts.

    Repeats the run on histories that end at a cut and on histories that are other after it: nothing known at or before
    the cut may move. Makes futures in which another choice would have been better, and refuses what reads anything
    beside its inputs. Then says what features need to warm up. Exits with 1 if anything leaks.
    """
    from tradewind.atomic import write_bytes
    from tradewind.validation import audit_report
    from tradewind.validation.audit import audit_run, audit_settings
    from tradewind.validation.planted_leaks import check_planted_leaks
    from tradewind.validation.research_run import load_sources
    from tradewind.validation.warm_up import warm_up

    with project_context(project, env, params) as context:
        if planted:
            missed = 0
            for leak, first in check_planted_leaks(context.params):
                missed += (first is None) != (leak is None)
                click.echo(audit_report.planted_line(leak, first))
            click.echo("all are caught, and no false alarm" if not missed else f"{missed} wrong answers")
            raise SystemExit(1 if missed else 0)
        sources, settings = load_sources(context.catalog, context.params), audit_settings(context.params)
        found = audit_run(sources, settings, n_cuts=cuts, workers=workers, n_places=places)
        name = f"{env or 'base'}: {', '.join(sources.universe.symbols)}"
        text = audit_report.render(found, warm_up(sources, settings), name)
        path = reports_path(context, output, "leak_audit.md")
    write_bytes(path, text.encode())
    click.echo(text)
    click.echo(f"written to {path}")
    raise SystemExit(1 if found.leaks else 0)
