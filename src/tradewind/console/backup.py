"""Commands that keep what is in production, and bring it back."""

from pathlib import Path
from typing import Any

import click

PLAN = click.option("--plan", type=click.Path(path_type=Path), default=Path("conf/base/backup.yml"), show_default=True,
                    help="What is kept, and the file of the key.")  # fmt: skip
KEY = click.option("--key", type=click.Path(path_type=Path), default=None,
                   help="File of the key; default: that of the plan.")  # fmt: skip


def _key(plan: Path, key: Path | None) -> Any:
    from tradewind.operations.backup.plan import read_key, read_plan

    return read_key(key or Path(read_plan(plan).key))


@click.command("backup-key")
@click.argument("path", type=click.Path(path_type=Path))
def backup_key(path: Path) -> None:
    """Make a key in the file PATH. Keep a copy elsewhere: without it no backup opens."""
    from tradewind.operations.backup.plan import make_key

    click.echo(f"{path}: key {make_key(path).name}; keep a copy elsewhere")


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@PLAN
@KEY
@click.option("--project", type=click.Path(path_type=Path), default=Path(), show_default=True, help="Its folder.")
@click.option(
    "--keep", type=click.IntRange(1), default=None, help="How many of the newest stay in TARGET; default: all."
)
def backup(target: Path, plan: Path, key: Path | None, project: Path, keep: int | None) -> None:
    """Write a sealed backup into the folder TARGET, while everything runs."""
    from tradewind.operations.backup.making import make_backup
    from tradewind.operations.backup.plan import read_plan

    made = make_backup(project, read_plan(plan), _key(plan, key), target, keep)
    click.echo(f"{made.path}: {made.path.stat().st_size} bytes")
    for name, said in made.contents["parts"].items():
        click.echo(f"  {name:<12} {said['path']} {_state(said)}")
    for name in made.absent:
        click.echo(f"  {name:<12} is not there and was left out")


@click.command()
@click.argument("backup_file", type=click.Path(path_type=Path))
@PLAN
@KEY
@click.option("--into", type=click.Path(path_type=Path), default=Path(), show_default=True,
              help="The project's folder, or another one.")  # fmt: skip
@click.option("--replace", is_flag=True, help="Put aside what is there.")
@click.option("--accept-older", is_flag=True, help="Lose the records that were made after the backup.")
def restore(backup_file: Path, plan: Path, key: Path | None, into: Path, replace: bool, accept_older: bool) -> None:
    """Restore BACKUP_FILE. Everything in it is checked before anything takes its place."""
    from tradewind.operations.backup.restoring import Rules
    from tradewind.operations.backup.restoring import restore as bring_back

    done = bring_back(backup_file, _key(plan, key), into, Rules(replace, accept_older))
    for name, path in done.paths.items():
        click.echo(f"  {name:<12} {path} {_state(done.contents['parts'][name])}")
    for path in done.aside:
        click.echo(f"  put aside    {path}")
    click.echo(f"restored from {done.contents['at']}")


def _state(said: dict[str, Any]) -> str:
    if "head" in said:
        return f"head {said['head'][0]} {said['head'][1]}"
    return f"registry {said['registry']}" if "registry" in said else ""
