"""Bundles in a bucket or a folder elsewhere: each under its identity, the manifest last, checked before parsing."""

import hashlib
import re
from pathlib import Path

from tradewind.data.stores.objects import Objects
from tradewind.errors import BadModel, BadParameters
from tradewind.operations.bundle.sealing import MANIFEST, MANIFEST_BYTES, Files, entries_of, identity_of, manifest_of

_IDENTITY_FROM = re.compile(r"[0-9a-f]{12,64}")


def push_bundle(objects: Objects, files: Files) -> str:
    """Keep a bundle there: its files under its identity, then its manifest, so that a cut-off upload never looks whole.

    Args:
        objects: the place.
        files: of the bundle, as the registry gives them: with every hash checked.

    Returns:
        The identity. A bundle that is there already is not sent again.

    Raises:
        TemporaryOutage: the server does not answer; the same again goes on.
    """
    manifest = manifest_of(files)
    identity = identity_of(manifest)
    try:
        if objects.read_at_most(f"{identity}/{MANIFEST}", MANIFEST_BYTES) == manifest:
            return identity
    except FileNotFoundError:
        pass
    for name, content in files.items():
        objects.write(f"{identity}/{name}", content)
    objects.write(f"{identity}/{MANIFEST}", manifest)
    return identity


def pull_bundle(objects: Objects, wanted: str) -> Files:
    """The files of a bundle there, each of the size and hash that its manifest says, and that of its own identity.

    Args:
        objects: the place; nothing that lies there is trusted.
        wanted: the identity, or its first 12 digits or more.

    Returns:
        Its files, for `Registry.register`.

    Raises:
        BadParameters: several begin so, or it is no identity.
        BadModel: it is not there, its upload did not end, or anything was altered, left out or is too large.
        TemporaryOutage: the server does not answer.
    """
    identity = _whole(objects, wanted)
    place = Path(identity[:24])
    manifest = _read(objects, f"{identity}/{MANIFEST}", MANIFEST_BYTES)
    if identity_of(manifest) != identity:
        raise _refused(objects, identity, "its manifest is another one")
    files = {}
    for name, (digest, size) in entries_of(manifest, place).items():
        content = _read(objects, f"{identity}/{name}", size)
        if len(content) != size or hashlib.sha256(content).hexdigest() != digest:
            raise _refused(objects, identity, f"{name} was altered")
        files[name] = content
    return files


def _whole(objects: Objects, wanted: str) -> str:
    if not _IDENTITY_FROM.fullmatch(wanted):
        raise BadParameters(f"{wanted!r} is no identity: 12 to 64 hexadecimal digits, as `tradewind models list` shows")
    found = sorted({name.split("/")[0] for name in objects.names("") if name.endswith(f"/{MANIFEST}")})
    fitting = [one for one in found if one.startswith(wanted) and len(one) == 64]
    if len(fitting) > 1:
        raise BadParameters(f"{len(fitting)} bundles begin with {wanted}: give more of its digits")
    if not fitting:
        raise BadModel(
            f"no whole bundle {wanted} is at {objects.where('')}: it was not pushed there, or its upload did not end; "
            "push it again"
        )
    return fitting[0]


def _read(objects: Objects, name: str, most: int) -> bytes:
    identity = name.split("/")[0]
    try:
        content = objects.read_at_most(name, most)
    except FileNotFoundError as error:
        raise _refused(objects, identity, f"{name.split('/')[1]} is missing") from error
    if len(content) > most:
        raise _refused(objects, identity, f"{name.split('/')[1]} is larger than it may be")
    return content


def _refused(objects: Objects, identity: str, why: str) -> BadModel:
    return BadModel(f"bundle {identity[:12]} at {objects.where('')} is refused: {why}; push it again from its registry")
