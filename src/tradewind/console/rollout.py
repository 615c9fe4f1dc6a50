"""Commands of a staged rollout."""

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

PLAN = click.option("--plan", type=click.Path(path_type=Path), default=Path("conf/base/rollout.yml"), show_default=True,
                    help="Stages and gates.")  # fmt: skip
PROJECT = click.option("--project", type=click.Path(path_type=Path), default=Path(), show_default=True,
                       help="Its folder.")  # fmt: skip
NAME = click.option("--as", "name", required=True, help="Who signs: a name of the plan.")
KEY = click.option("--key", type=click.Path(path_type=Path), required=True, help="File of the signer's private key.")


def _signed(command: Callable[..., None]) -> Callable[..., None]:
    for option in (PROJECT, PLAN, KEY, NAME):
        command = option(command)
    return command


def _rollout(plan: Path, project: Path) -> Any:
    from tradewind.operations.rollout.plan import read_rollout
    from tradewind.operations.rollout.rollout import Rollout

    return Rollout(project, read_rollout(plan))


def _signer(name: str, key: Path) -> Any:
    from tradewind.operations.rollout.people import read_signer

    return read_signer(name, key)


@click.group()
def rollout() -> None:
    """Stages of capital: evidence, two people's approval, forward, and back."""


@rollout.command()
@click.argument("path", type=click.Path(path_type=Path))
def person(path: Path) -> None:
    """Make a private key in the file PATH, and print its public key for the plan."""
    from tradewind.operations.rollout.people import make_person

    click.echo(make_person(path))


@rollout.command()
@PLAN
@PROJECT
def status(plan: Path, project: Path) -> None:
    """The stage, and every gate to the next one as things are now."""
    from tradewind.operations.rollout.history import day_of

    found = _rollout(plan, project).status()
    since = f" since {day_of(found.since_ms):%Y-%m-%d %H:%M} UTC" if found.since_ms else ""
    capital = "no capital" if found.capital is None else "capital {:,.6g} to {:,.6g}".format(*found.capital)
    symbols = "all symbols" if found.symbols is None else f"the first {found.symbols} symbols"
    click.echo(f"stage {found.stage}{since}: {found.days:.1f} days, {capital}, {symbols}")
    if not found.next_stage:
        click.echo("the last stage")
        return
    click.echo(f"to {found.next_stage}:")
    for gate in found.gates:
        click.echo(f"  {'open  ' if gate.is_open else 'CLOSED'}  {gate.name:<14} {gate.found}; needed: {gate.needed}")
    approved = ", ".join(one.name for one in found.approvals) or "nobody"
    fresh = found.evidence is not None and found.evidence.is_fresh
    click.echo(f"evidence: {'collected' if fresh else 'none of the last 24 hours'}; approved by {approved}")


@rollout.command()
@_signed
@click.option("--backup-plan", type=click.Path(path_type=Path), default=Path("conf/base/backup.yml"), show_default=True,
              help="What is kept.")  # fmt: skip
@click.option("--backup-key", type=click.Path(path_type=Path), default=None, help="Default: that of the backup plan.")
def drill(name: str, key: Path, plan: Path, project: Path, backup_plan: Path, backup_key: Path | None) -> None:
    """Hold a fault drill on copies of what is in production, and keep what came of it."""
    from tradewind.operations.backup.plan import read_key, read_plan
    from tradewind.operations.rollout.drill import hold_drill

    own, signer, kept = _rollout(plan, project), _signer(name, key), read_plan(backup_plan)
    steps = hold_drill(project, own.plan.run, kept, read_key(backup_key or Path(kept.key)))
    for step in steps:
        click.echo(f"  {'passed' if step['passed'] else 'FAILED'}  {step['name']}: {step['detail']}")
    if not own.record_drill(signer, steps):
        raise click.ClickException("the drill failed; it is recorded, and the gate is closed")


@rollout.command()
@_signed
def collect(name: str, key: Path, plan: Path, project: Path) -> None:
    """Measure the account's journal, and keep it as the evidence that people approve."""
    click.echo(_rollout(plan, project).collect(_signer(name, key)))


@rollout.command()
@click.argument("evidence")
@_signed
def approve(evidence: str, name: str, key: Path, plan: Path, project: Path) -> None:
    """Approve EVIDENCE, by the first 12 characters of its hash or more."""
    _rollout(plan, project).approve(_signer(name, key), evidence)
    click.echo(f"{name} has approved {evidence}")


@rollout.command()
@_signed
def advance(name: str, key: Path, plan: Path, project: Path) -> None:
    """Enter the next stage, if every gate to it is open."""
    click.echo(f"stage {_rollout(plan, project).advance(_signer(name, key))}")


@rollout.command("allow-resume")
@click.option("--reason", required=True, help="Why; it is kept.")
@_signed
def allow_resume(reason: str, name: str, key: Path, plan: Path, project: Path) -> None:
    """Allow the HALTED account to go on. Beyond paper each of two people must, and then `tradewind resume` leads on."""
    _rollout(plan, project).allow_resume(_signer(name, key), reason)
    click.echo(f"{name} allows it to go on")


@rollout.command()
@click.option("--reason", required=True, help="Why; it is kept.")
@click.option("--who", default=getpass.getuser, show_default="you", help="Who says so.")
@PLAN
@PROJECT
def back(reason: str, who: str, plan: Path, project: Path) -> None:
    """Go one stage back at once. The running account only reduces until a person resumes it."""
    click.echo(f"stage {_rollout(plan, project).back(who, reason)}")


@rollout.command()
@PLAN
@PROJECT
def check(plan: Path, project: Path) -> None:
    """Go one stage back if the present one must not be stayed in; ends with 1 then. For a timer."""
    closed = _rollout(plan, project).check()
    for gate in closed:
        click.echo(f"CLOSED  {gate.name}: {gate.found}; needed: {gate.needed}")
    if closed:
        raise click.ClickException("went one stage back")
