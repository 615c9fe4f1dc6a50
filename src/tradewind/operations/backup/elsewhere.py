"""Backups in a bucket: sealed here, sent in parts, and checked like those of a folder when they come back.

The object appears under its name when the server has put its last part together, so an upload that was cut off is not
there. Its head is read and authenticated before the rest is fetched: nothing that lies there decides how much that is.
"""

import tempfile
from pathlib import Path
from typing import NamedTuple

from tradewind.atomic import explain, make_folder
from tradewind.data.stores.objects import Objects
from tradewind.errors import BadData, BadParameters
from tradewind.operations.backup.envelope import HEAD_BYTES, read_head
from tradewind.operations.backup.making import Made, in_order, make_backup
from tradewind.operations.backup.plan import BackupPlan, Key
from tradewind.operations.backup.restoring import Restored, Rules, restore


class Sent(NamedTuple):
    """A backup that was sent: the object's name and size, and what was made."""

    name: str
    size: int
    made: Made


def send_backup(project: Path, plan: BackupPlan, key: Key, objects: Objects, keep: int | None = None) -> Sent:
    """Make a backup in the folder of temporary files (`TMPDIR`) and send it.

    Args:
        project: the folder that the parts' paths are relative to.
        plan: what is kept.
        key: seals it, before it is sent.
        objects: the place; whoever reads there sees sizes and dates alone.
        keep: so many of the newest backups stay there; None: all.

    Raises:
        BadParameters: no part is there, or the bucket does not take it.
        BadData: a part is damaged.
        TemporaryOutage: the disk is full, or the server does not answer; no backup was taken away.
    """
    with tempfile.TemporaryDirectory(prefix="tradewind-backup-") as folder:
        made = make_backup(project, plan, key, Path(folder))
        there, stem = set(objects.names("")), made.path.stem
        name, number = f"{stem}.backup", 1
        while name in there:
            name, number = f"{stem}-{number}.backup", number + 1
        size = made.path.stat().st_size
        objects.send(name, made.path)
    if keep:
        objects.remove(in_order(one for one in objects.names("") if "/" not in one)[:-keep])
    return Sent(name, size, made)


def restore_from(objects: Objects, name: str, key: Key, into: Path, rules: Rules | None = None) -> Restored:
    """Fetch a backup and restore it below a folder.

    Args:
        objects: the place; nothing that lies there is trusted.
        name: of the backup there.
        key: that it was sealed with.
        into: the project's folder, or another one, whose disk has room for the backup beside its content.
        rules: what may be done; by default nothing that is there is touched.

    Raises:
        BadData: the backup is damaged, cut off, forged, or older than what is there.
        BadParameters: there is none by that name, the key is another one, something is there, or it is in use.
        TemporaryOutage: the disk is full, or the server does not answer.
    """
    where = objects.where(name)
    try:
        if not in_order([name]):
            raise FileNotFoundError(where)
        size = _checked_size(objects, name, key)
        try:
            make_folder(into)
            fetched = tempfile.TemporaryDirectory(prefix=".fetching-", dir=into)
        except OSError as error:
            raise explain(into, error) from error
        with fetched as folder:
            file = Path(folder) / "fetched.backup"
            objects.receive(name, file, size)
            try:
                return restore(file, key, into, rules)
            except (BadData, BadParameters) as error:
                raise type(error)(str(error).replace(str(file), where)) from error
    except FileNotFoundError as error:
        newest = in_order(objects.names("" if in_order([name]) else name))[-1:]
        hint = f"the newest there is {objects.where(newest[0])}" if newest else "none is there"
        raise BadParameters(f"{where} is no backup: {hint}") from error


def _checked_size(objects: Objects, name: str, key: Key) -> int:
    """How many bytes the object has, which are as many as its authentic head says."""
    head = read_head(objects.read_at_most(name, HEAD_BYTES - 1), objects.where(name), key)
    size = HEAD_BYTES + int(head["bytes"])
    if objects.size(name) != size:
        raise BadData(f"{objects.where(name)} is damaged or cut off: take another one; nothing was restored")
    return size
