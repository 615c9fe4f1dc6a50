"""One record of a journal: its bytes, its hash, and how both are read back."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tradewind.errors import BadData

FIRST = "0" * 64  # what the first record says it follows
LONGEST_LINE = 8 << 20  # bytes; a line is in memory whole, and what it says many times over


class Record(NamedTuple):
    """One line of a journal.

    Attributes:
        seq: its number, from 1.
        at_ms: when it was written, UTC milliseconds.
        kind: what happened, such as `decision`.
        cause: the number of the record that it follows from, 0 for none.
        body: what is recorded, in values of JSON.
        hash: of the hash before it and its own bytes.
    """

    seq: int
    at_ms: int
    kind: str
    cause: int
    body: Mapping[str, Any]
    hash: str


def canonical(value: Any) -> bytes:
    """The one way in which a value is written: sorted keys, no spaces, floats as their shortest exact decimal.

    Raises:
        BadData: a number that is not finite (write None), or something that JSON has not.
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError) as error:
        raise BadData(f"a journal takes finite numbers, text, lists and tables: {error}") from error
    return text.encode()


def plain(value: Any) -> Any:
    """`value` as a journal takes it: a number that is not finite becomes None, a tuple a list."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, str | int) or value is None:
        return value
    if isinstance(value, Sequence):
        return [plain(one) for one in value]
    return plain(value.item())  # a number of numpy


def line_of(before: str, seq: int, at_ms: int, kind: str, cause: int, body: Mapping[str, Any]) -> tuple[bytes, str]:
    """The line of a record, and its hash: `HASH JSON`, where the hash is of the hash before and these very bytes.

    Args:
        before: hash of the record before, `FIRST` for none.
        seq: number of the record.
        at_ms: when it is written, UTC milliseconds.
        kind: what happened.
        cause: number of the record that it follows from.
        body: what is recorded.

    Raises:
        BadData: a body that has no place in a journal, or is larger than a line may be.
    """
    content = canonical({"seq": seq, "at_ms": at_ms, "kind": kind, "cause": cause, "body": body})
    if len(content) + len(FIRST) + 2 > LONGEST_LINE:
        raise BadData(f"a record of {kind} has {len(content):,} bytes, a journal's line {LONGEST_LINE:,} at most")
    digest = chained(before, content)
    return digest.encode() + b" " + content + b"\n", digest


def chained(before: str, content: bytes) -> str:
    """The hash of a record's bytes that follow a record with the hash `before`."""
    return hashlib.sha256(before.encode() + b" " + content).hexdigest()


def read_line(line: bytes, before: str, seq: int, where: str) -> Record:
    """The record of a line.

    Args:
        line: hash, blank and content, without the line's end.
        before: hash of the record before.
        seq: the number that it must have.
        where: the file, for messages.

    Returns:
        The record.

    Raises:
        BadData: anything about it is not as it was written.
    """
    digest, space, content = line.partition(b" ")
    if not space or digest.decode("ascii", "replace") != chained(before, content):
        raise BadData(f"{where}: record {seq} is not what was written there, or the one before it was removed")
    found = json.loads(content)
    if found["seq"] != seq:
        raise BadData(f"{where}: record {seq} says that it is number {found['seq']}")
    return Record(seq, found["at_ms"], found["kind"], found["cause"], found["body"], digest.decode())
