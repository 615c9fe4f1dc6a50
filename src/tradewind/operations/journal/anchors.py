"""Heads of a journal kept in a second place: a chain of hashes alone does not show that its end was cut off."""

import json
import os
from pathlib import Path
from typing import NamedTuple

from tradewind.atomic import explain, make_folder
from tradewind.errors import BadData
from tradewind.operations.journal.journal import read, unfinished_bytes
from tradewind.operations.journal.records import canonical


class Anchor(NamedTuple):
    """A head as it was: number and hash of the last record, and when."""

    seq: int
    hash: str
    at_ms: int


class Verdict(NamedTuple):
    """What a check of a whole journal found: its records, its head, and the anchors that it was held against."""

    records: int
    hash: str
    anchors: int
    torn_bytes: int


def drop_anchor(path: Path, head: tuple[int, str], at_ms: int) -> None:
    """Add a head to the anchors in `path`; it is on the disk when this returns.

    Args:
        path: a file in another place than the journal: another disk, another machine's folder.
        head: number and hash of the journal's last record.
        at_ms: the time it is, UTC milliseconds.

    Raises:
        TemporaryOutage: the disk is full or fails.
    """
    try:
        make_folder(path.parent)
        with path.open("ab") as file:
            file.write(canonical({"seq": head[0], "hash": head[1], "at_ms": at_ms}) + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise explain(path, error) from error


def read_anchors(path: Path) -> list[Anchor]:
    """The anchors of a file, oldest first; none where there is no file.

    Raises:
        BadData: a line is no anchor.
    """
    if not path.is_file():
        return []
    anchors = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            found = json.loads(line)
            anchors.append(Anchor(found["seq"], found["hash"], found["at_ms"]))
        except (ValueError, KeyError, TypeError) as error:
            raise BadData(f"{path}: line {number} is no anchor") from error
    return anchors


def verify(path: Path, anchors: Path | None = None) -> Verdict:
    """Check every record of a journal, and that every anchor is one of its heads.

    Raises:
        BadData: the first record that is not what was written, or an anchor that the journal does not hold: its end
            was cut off, or it is another journal.
    """
    wanted = {anchor.seq: anchor for anchor in (read_anchors(anchors) if anchors else [])}
    seq, digest, met = 0, "", 0
    for record in read(path):
        seq, digest = record.seq, record.hash
        anchor = wanted.get(seq)
        if anchor is not None:
            if anchor.hash != digest:
                raise BadData(f"{path}: record {seq} is not the one that was anchored: this is another journal")
            met += 1
    missing = [anchor for anchor in wanted.values() if anchor.seq > seq]
    if missing:
        last = max(missing)
        raise BadData(f"{path} ends at record {seq}; its anchor holds number {last.seq}: the end was cut off")
    with path.open("rb") as file:
        return Verdict(seq, digest, met, unfinished_bytes(file.fileno()))
