"""A folder of files beside a manifest of their hashes, checked whole before anything in it is parsed."""

import hashlib
import json
import os
import re
import stat
from pathlib import Path
from typing import Any

from tradewind.atomic import new_folder, sync_folder
from tradewind.errors import BadModel

Files = dict[str, bytes]
MANIFEST = "manifest.json"
# Formats that cannot run code when they are parsed; nothing else has a place in a bundle.
SUFFIXES = {"json", "onnx", "txt", "ubj", "npy", "safetensors", "state"}
MANIFEST_BYTES, FILE_BYTES, MOST_FILES = (
    64 * 1024,
    512 * 1024 * 1024,
    128,
)  # an ensemble has the files of all its members
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\.(?P<suffix>[a-z0-9]{1,12})")
_IDENTITY = re.compile(r"[0-9a-f]{64}")


def manifest_of(files: Files) -> bytes:
    """The manifest: every file's SHA-256 and size. Its own SHA-256 is the identity of the bundle.

    Raises:
        BadModel: a file's name or format has no place in a bundle.
    """
    if not files or len(files) > MOST_FILES:
        raise BadModel(f"a bundle has 1 to {MOST_FILES} files, found {len(files)}")
    for name in files:
        _check_name(name)
    entries = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in sorted(files.items())
    }
    return (json.dumps({"format": 1, "files": entries}, indent=1) + "\n").encode()


def identity_of(manifest: bytes) -> str:
    """The identity of the bundle with this manifest."""
    return hashlib.sha256(manifest).hexdigest()


def write_bundle(folder: Path, files: Files) -> str:
    """Keep the files in a folder of their own below `folder`, whole or not at all.

    Returns:
        The identity, whose first 24 characters name the folder. The same files again change nothing.

    Raises:
        BadModel: a file's name or format has no place in a bundle, or another bundle stands in the place.
        TemporaryOutage: the disk is full or fails.
    """
    manifest = manifest_of(files)
    identity = identity_of(manifest)
    place = place_of(folder, identity)
    if place.exists():
        read_bundle(place, identity)
        return identity
    with new_folder(place, {**files, MANIFEST: manifest}) as temporary:
        temporary.chmod(0o755)
        temporary.rename(place)
        sync_folder(folder)
    return identity


def place_of(folder: Path, identity: str) -> Path:
    """Where the bundle of this identity lies.

    Raises:
        BadModel: it is not an identity.
    """
    if not _IDENTITY.fullmatch(identity):
        raise BadModel("a bundle's identity is 64 hexadecimal digits")
    return folder / identity[:24]


def read_bundle(place: Path, identity: str) -> Files:
    """The files, after all of their hashes were checked against the manifest, and that against the identity.

    No link is followed and nothing is parsed but the manifest, whose own hash was checked first.

    Args:
        place: the bundle's folder.
        identity: that the registry has recorded: it tells an older or another bundle in its place.

    Raises:
        BadModel: anything is missing, added, linked, of another size or altered.
    """
    try:
        folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise _refused(place, f"the folder cannot be opened ({os.strerror(error.errno or 0)})") from error
    try:
        manifest = _read(folder, MANIFEST, MANIFEST_BYTES, place)
        if identity_of(manifest) != identity:
            raise _refused(place, "its manifest is not the one that was registered")
        entries = entries_of(manifest, place)
        found = set(os.listdir(folder))  # noqa: PTH208 - of the folder that was opened, whatever its path is by now
        if found != {MANIFEST, *entries}:
            raise _refused(place, f"it should hold {sorted(entries)} and a manifest, found {sorted(found)}")
        files = {}
        for name, (digest, size) in entries.items():
            content = _read(folder, name, size, place)
            if len(content) != size or hashlib.sha256(content).hexdigest() != digest:
                raise _refused(place, f"{name} was altered")
            files[name] = content
        return files
    finally:
        os.close(folder)


def entries_of(manifest: bytes, place: Path) -> dict[str, tuple[str, int]]:
    """Hash and size of each file that a manifest names; `place` is for the words of an error.

    Raises:
        BadModel: it cannot be read, or names what has no place in a bundle.
    """
    try:
        document: dict[str, Any] = json.loads(manifest)
        entries = {str(name): (str(one["sha256"]), int(one["bytes"])) for name, one in document["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _refused(place, f"its manifest cannot be read ({type(error).__name__})") from error
    if not entries or len(entries) > MOST_FILES or any(not 0 <= size <= FILE_BYTES for _, size in entries.values()):
        raise _refused(place, "its manifest names no files, too many, or one that is too large")
    for name in entries:
        _check_name(name)
    return entries


def _check_name(name: str) -> None:
    found = _NAME.fullmatch(name)
    if found is None or found["suffix"] not in SUFFIXES or name == MANIFEST:
        raise BadModel(
            f"{name!r} has no place in a bundle: a name is lower case, digits, _ and -, its format one of "
            f"{', '.join(sorted(SUFFIXES))}"
        )


def _read(folder: int, name: str, most: int, place: Path) -> bytes:
    """At most one byte more than `most`, of a plain file."""
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError as error:
        raise _refused(place, f"{name} cannot be opened ({os.strerror(error.errno or 0)})") from error
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise _refused(place, f"{name} is not a plain file")
        parts, left = [], most + 1
        while left > 0 and (part := os.read(file, min(left, 1 << 20))):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    finally:
        os.close(file)


def _refused(place: Path, why: str) -> BadModel:
    return BadModel(f"bundle {place.name} is refused: {why}; restore it, or deploy the model again")
