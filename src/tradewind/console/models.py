"""Commands of the registry."""

import getpass
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

REGISTRY = Path("data/09_deployment/registry")
ENVIRONMENT = click.option(
    "--environment", type=click.Choice(["development", "staging", "production"]), default="production",
    show_default=True, help="Where.",
)  # fmt: skip
VERSION = click.argument("version", type=int)
OVERRIDE = click.option("--override", is_flag=True,
                        help="Let it into production against the gate; this is kept and shown.")  # fmt: skip
REASON = click.option("--reason", required=True, help="Why; it is kept with the move.")
EXPECTED = click.option("--expected", type=int, default=None, help="The version that has the role now.")
FOLDER = click.option("--registry", "folder", type=click.Path(path_type=Path), default=REGISTRY, show_default=True,
                      help="Folder of the registry.")  # fmt: skip


def _registry(folder: Path) -> Any:
    from tradewind.errors import BadParameters
    from tradewind.operations.registry.registry import Registry

    if not folder.is_dir():
        raise BadParameters(f"there is no registry at {folder}: run kedro run --pipelines deployment first")
    return Registry(folder)


def _reason(why: str) -> Any:
    from tradewind.operations.registry.records import Reason

    return Reason(getpass.getuser(), why)


def _takes_a_version(command: Callable[..., None]) -> Callable[..., None]:
    """The argument and options of a command that gives a role to a version."""
    for option in (FOLDER, ENVIRONMENT, REASON, EXPECTED, OVERRIDE, VERSION):
        command = option(command)
    return command


def _give(
    role: str, *, version: int, override: bool, expected: int | None, reason: str, environment: Any, folder: Path
) -> None:
    roles = _registry(folder).move(environment, role, version, expected, _reason(reason), override)
    click.echo(f"{environment}: {roles}")


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    cells = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[at]) for row in cells) for at in range(len(head))]
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@click.group()
def models() -> None:
    """Registered versions: list, compare, move, roll back."""


@models.command("list")
@FOLDER
def list_models(folder: Path) -> None:
    """Every version, with its verdict and its roles."""
    from tradewind.operations.registry.records import ENVIRONMENTS

    registry = _registry(folder)
    roles: dict[int, list[str]] = {}
    for environment in ENVIRONMENTS:
        for role, version in registry.roles(environment)._asdict().items():
            if version is not None:
                mark = " (gate overridden)" if registry.is_overridden(environment, version) else ""
                roles.setdefault(version, []).append(f"{environment} {role}{mark}")
    rows = [(one.label, one.verdict, one.registered_at[:19], one.identity[:12], ", ".join(roles.get(one.version, [])))
            for one in registry.versions()]  # fmt: skip
    _table(("version", "verdict", "registered", "identity", "roles"), rows)


@models.command()
@click.argument("first", type=int)
@click.argument("second", type=int)
@click.option("--all", "show_all", is_flag=True, help="Lines that are equal, too.")
@FOLDER
def compare(first: int, second: int, show_all: bool, folder: Path) -> None:
    """Compare the versions FIRST and SECOND in one table."""
    from tradewind.operations.registry.comparison import compare as side_by_side

    registry = _registry(folder)
    compared = side_by_side(registry.load(first), registry.load(second))
    _table(("", str(first), str(second)), [row for row in compared if show_all or row.differs])


@models.command()
@_takes_a_version
def move(**chosen: Any) -> None:
    """Make VERSION the champion of an environment, if `--expected` is champion there now (none: nobody is)."""
    _give("champion", **chosen)


@models.command()
@click.option("--expected", type=int, required=True, help="The champion now.")
@REASON
@ENVIRONMENT
@FOLDER
def rollback(expected: int, reason: str, environment: Any, folder: Path) -> None:
    """Go back to the last good champion."""
    roles = _registry(folder).rollback(environment, expected, _reason(reason))
    click.echo(f"{environment}: {roles}")


@models.command()
@click.option("--model", default=None, help="Of one model alone, such as lightgbm.")
@FOLDER
def history(model: str | None, folder: Path) -> None:
    """Every move there ever was."""
    moves = _registry(folder).history(name=model)
    rows = [(one.seq, one.at[:19], one.environment, one.role, one.action, one.before, one.after, one.who, one.why,
             one.overridden) for one in moves]  # fmt: skip
    _table(("move", "at", "environment", "role", "action", "from", "to", "who", "why", "overridden"), rows)


ENDPOINT = click.option("--endpoint", default=None,
                        help="Of a server other than Amazon's, such as https://minio.example.org.")  # fmt: skip


@models.command()
@VERSION
@click.argument("address")
@ENDPOINT
@FOLDER
def push(version: int, address: str, endpoint: str | None, folder: Path) -> None:
    """Keep the bundle of VERSION at ADDRESS, too: s3://BUCKET/PREFIX or a folder.

    Credentials are sought where Amazon's own tools seek them: environment, profile, machine role.
    """
    from tradewind.data.stores.places import open_objects
    from tradewind.operations.bundle.transfer import push_bundle

    registry = _registry(folder)
    files = registry.read(version)
    identity = push_bundle(open_objects(address, endpoint), files)
    size = sum(map(len, files.values())) / 1e6
    click.echo(f"{registry.version(version).label} is at {address}: {len(files)} files, {size:.1f} MB, {identity[:12]}")


@models.command()
@click.argument("identity")
@click.argument("address")
@ENDPOINT
@FOLDER
def pull(identity: str, address: str, endpoint: str | None, folder: Path) -> None:
    """Register the bundle IDENTITY of ADDRESS here, every hash checked before it is parsed; it gets no role."""
    from tradewind.data.stores.places import open_objects
    from tradewind.operations.bundle.transfer import pull_bundle
    from tradewind.operations.registry.registry import Registry

    found = Registry(folder).register(pull_bundle(open_objects(address, endpoint), identity))
    click.echo(f"{found.label} is registered: {found.identity[:12]}, verdict {found.verdict}")


@click.group()
def canary() -> None:
    """The trial of a version beside the champion."""


@canary.command()
@_takes_a_version
def start(**chosen: Any) -> None:
    """Try VERSION: running services score it beside the champion from now on."""
    _give("canary", **chosen)


@canary.command()
@click.option("--expected", type=int, required=True, help="The canary now.")
@REASON
@ENVIRONMENT
@FOLDER
def stop(expected: int, reason: str, environment: Any, folder: Path) -> None:
    """End the trial; the champion answers everything."""
    click.echo(f"{environment}: {_registry(folder).withdraw(environment, expected, _reason(reason))}")
