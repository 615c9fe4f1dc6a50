"""Commands that keep what is in production, and bring it back."""

from pathlib import Path
from typing import Any

import click

PLAN = click.option("--plan", type=click.Path(path_type=Path), default=Path("conf/base/backup.yml"), show_default=True,
                    help="What is kept, and the file of the key.")  # fmt: skip
KEY = click.option("--key", type=click.Path(path_type=Path), default=None,
                   help="File of the key; default: that of the plan.")  # fmt: skip
ENDPOINT = click.option("--endpoint", default=None,
                        help="Of a server other than Amazon's, such as https://minio.example.org.")  # fmt: skip


def _key(plan: Path, key: Path | None) -> Any:
    from tradewind.operations.backup.plan import read_key, read_plan

    return read_key(key or Path(read_plan(plan).key))


def _check_endpoint(address: str, endpoint: str | None) -> None:
    if endpoint and not address.startswith("s3://"):
        raise click.UsageError(f"--endpoint is of a bucket, and {address} is none: leave it out, or name s3://...")


@click.command("backup-key")
@click.argument("path", type=click.Path(path_type=Path))
def backup_key(path: Path) -> None:
    """Make a key in the file PATH. Keep a copy elsewhere: without it no backup opens."""
    from tradewind.operations.backup.plan import make_key

    click.echo(f"{path}: key {make_key(path).name}; keep a copy elsewhere")


@click.command()
@click.argument("target")
@PLAN
@KEY
@click.option("--project", type=click.Path(path_type=Path), default=Path(), show_default=True, help="Its folder.")
@click.option(
    "--keep", type=click.IntRange(1), default=None, help="How many of the newest stay in TARGET; default: all."
)
@ENDPOINT
def backup(target: str, plan: Path, key: Path | None, project: Path, keep: int | None, endpoint: str | None) -> None:
    """Write a sealed backup into the folder TARGET, or to s3://BUCKET/PREFIX, while everything runs.

    Credentials are sought where Amazon's own tools seek them: environment, profile, machine role.
    """
    from tradewind.operations.backup.plan import read_plan

    read = read_plan(plan)
    _check_endpoint(target, endpoint)
    if target.startswith("s3://"):
        from tradewind.data.stores.places import open_objects
        from tradewind.operations.backup.elsewhere import send_backup

        objects = open_objects(target, endpoint)
        sent = send_backup(project, read, _key(plan, key), objects, keep)
        made, where, size = sent.made, f"{target.rstrip('/')}/{sent.name}", sent.size
    else:
        from tradewind.operations.backup.making import make_backup

        made = make_backup(project, read, _key(plan, key), Path(target), keep)
        where, size = str(made.path), made.path.stat().st_size
    click.echo(f"{where}: {size} bytes")
    for name, facts in made.contents["parts"].items():
        click.echo(f"  {name:<12} {facts['path']} {_state(facts)}")
    for name in made.absent:
        click.echo(f"  {name:<12} is not there and was left out")


@click.command()
@click.argument("backup_file")
@PLAN
@KEY
@click.option("--into", type=click.Path(path_type=Path), default=Path(), show_default=True,
              help="The project's folder, or another one.")  # fmt: skip
@click.option("--replace", is_flag=True, help="Put aside what is there.")
@click.option("--accept-older", is_flag=True, help="Lose the records that were made after the backup.")
@ENDPOINT
def restore(
    backup_file: str, plan: Path, key: Path | None, into: Path, replace: bool, accept_older: bool, endpoint: str | None
) -> None:
    """Restore BACKUP_FILE, a path or s3://BUCKET/PREFIX/NAME. Everything is checked before anything takes its place."""
    from tradewind.operations.backup.restoring import Rules
    from tradewind.operations.backup.restoring import restore as bring_back

    rules = Rules(replace, accept_older)
    _check_endpoint(backup_file, endpoint)
    if backup_file.startswith("s3://"):
        from tradewind.data.stores.places import open_objects
        from tradewind.operations.backup.elsewhere import restore_from

        place, _, name = backup_file.removeprefix("s3://").rpartition("/")
        done = restore_from(
            open_objects(f"s3://{place or name}", endpoint), name if place else "", _key(plan, key), into, rules
        )
    else:
        done = bring_back(Path(backup_file), _key(plan, key), into, rules)
    for name, path in done.paths.items():
        click.echo(f"  {name:<12} {path} {_state(done.contents['parts'][name])}")
    for path in done.aside:
        click.echo(f"  put aside    {path}")
    click.echo(f"restored from {done.contents['at']}")


def _state(facts: dict[str, Any]) -> str:
    if "head" in facts:
        return f"head {facts['head'][0]} {facts['head'][1]}"
    return f"registry {facts['registry']}" if "registry" in facts else ""
