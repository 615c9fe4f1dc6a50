"""A sealed file: age's encryption of a stream, behind a head with hash and authentication code.

Everything is checked before a byte is decrypted, and everything is decrypted before a byte is parsed. Without this
program: `tail -c +1025 FILE | age --decrypt --identity KEY | tar --list`.
"""

import hashlib
import hmac
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from tradewind.atomic import atomic_file
from tradewind.errors import BadData, BadParameters
from tradewind.operations.backup.plan import Key
from tradewind.operations.journal.records import canonical

HEAD_BYTES = 1024
FORMAT = "tradewind backup 1"
_CHUNK = 1 << 20
_DAMAGED = "{} is damaged or no backup: take another one; nothing was restored"


def _code(key: Key, head: dict[str, Any]) -> str:
    own = hmac.digest(key.secret, b"tradewind backup: authentication", "sha256")
    return hmac.new(own, canonical(head), "sha256").hexdigest()


def seal(path: Path, key: Key, write: Callable[[IO[bytes]], None]) -> None:
    """Write a sealed file, whole or not at all.

    Args:
        path: of the file.
        key: seals it, and is needed to open it.
        write: is given the stream that takes the content.

    Raises:
        TemporaryOutage: the disk is full or fails.
    """
    with atomic_file(path) as temporary:
        temporary.touch(mode=0o600)
        with temporary.open("r+b") as file:
            file.write(b" " * HEAD_BYTES)
            _encrypt(file, key, write)
            file.flush()
            file.seek(HEAD_BYTES)
            head = {"format": FORMAT, "key": key.name, **_measured(file)}
            head["code"] = _code(key, head)
            head["check"] = hashlib.sha256(canonical(head)).hexdigest()[:16]
            file.seek(0)
            file.write(canonical(head).ljust(HEAD_BYTES - 1) + b"\n")


def _encrypt(target: IO[bytes], key: Key, write: Callable[[IO[bytes]], None]) -> None:
    """Encrypt in a thread what `write` puts into a pipe: nothing unencrypted touches a disk."""
    import pyrage

    reading, writing = os.pipe()
    failed: list[BaseException] = []

    def work() -> None:
        with os.fdopen(reading, "rb") as source:
            try:
                pyrage.encrypt_io(source, target, [key.identity.to_public()])
            except Exception as error:  # noqa: BLE001 - raised by the thread that waits
                failed.append(error)
                while source.read(_CHUNK):  # so that the writer is not kept waiting
                    pass

    thread = threading.Thread(target=work)
    thread.start()
    try:
        with os.fdopen(writing, "wb") as stream:
            write(stream)
    finally:
        thread.join()
    if failed:
        raise failed[0]


def _measured(file: IO[bytes]) -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    while part := file.read(_CHUNK):
        digest.update(part)
        size += len(part)
    return {"sha256": digest.hexdigest(), "bytes": size}


@contextmanager
def opened(path: Path, key: Key) -> Iterator[IO[bytes]]:
    """The content of a sealed file as a stream, once its hash, its key and its authentication code have been checked.

    Raises:
        BadData: it is no backup, is damaged or cut off, or was not made with this key.
        BadParameters: it was sealed with another key, or is not there.
    """
    import pyrage

    try:
        file = path.open("rb")
    except OSError as error:
        raise BadParameters(f"{path} cannot be read ({error.strerror}): name the backup") from error
    with file:
        _check(file, path, key)
        file.seek(HEAD_BYTES)
        reading, writing = os.pipe()
        failed: list[BaseException] = []

        def work() -> None:
            with os.fdopen(writing, "wb") as target:
                try:
                    pyrage.decrypt_io(file, target, [key.identity])
                except BrokenPipeError:
                    pass
                except Exception as error:  # noqa: BLE001 - raised by the thread that waits
                    failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            with os.fdopen(reading, "rb") as stream:
                yield stream
                while stream.read(_CHUNK):
                    pass
        finally:
            thread.join()
        if failed:
            raise BadData(f"{path} does not open with this key ({failed[0]}): take another backup")


def read_head(head: bytes, where: str, key: Key) -> dict[str, Any]:
    """What the head says of the content behind it: `sha256` and `bytes`; written by whoever has the key.

    Args:
        head: the first `HEAD_BYTES`.
        where: what to call the backup.
        key: that it must have been sealed with.

    Raises:
        BadData: it is no head, is damaged, or was written without the key.
        BadParameters: it was written with another key.
    """
    damaged, fields = BadData(_DAMAGED.format(where)), {}
    with suppress(ValueError, RecursionError):
        fields = json.loads(head)
    if not isinstance(fields, dict) or set(fields) != {"format", "key", "sha256", "bytes", "code", "check"}:
        raise damaged
    check = fields.pop("check")
    if hashlib.sha256(canonical(fields)).hexdigest()[:16] != check or fields["format"] != FORMAT or head[-1:] != b"\n":
        raise damaged
    if fields["key"] != key.name:
        raise BadParameters(
            f"{where} was sealed with the key {fields['key']}, not {key.name}: name the right file with --key"
        )
    code = fields.pop("code")
    if not hmac.compare_digest(code, _code(key, fields)):
        raise BadData(f"{where} was not made by whoever has the key: it is forged; take another backup")
    return fields


def _check(file: IO[bytes], path: Path, key: Key) -> None:
    head = read_head(file.read(HEAD_BYTES), str(path), key)
    if _measured(file) != {"sha256": head["sha256"], "bytes": head["bytes"]}:
        raise BadData(_DAMAGED.format(path))
