"""Signatures of named people (Ed25519): what makes more risk possible bears one, and nobody can make another's."""

import functools
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tradewind.atomic import explain, make_folder
from tradewind.errors import BadParameters, TradewindError
from tradewind.operations.journal.records import canonical


class Forbidden(TradewindError):
    """Who asks may not do this alone, or not any more: the attempt is recorded."""


class Signer(NamedTuple):
    """A person at work: name and private key (32 bytes)."""

    name: str
    secret: bytes


def make_person(path: Path) -> str:
    """A new private key in a file that only its owner may read; the public key, for the plan.

    Raises:
        BadParameters: a file is there.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    secret = Ed25519PrivateKey.generate().private_bytes_raw()
    try:
        make_folder(path.parent)
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(secret.hex() + "\n")
    except FileExistsError as error:
        raise BadParameters(f"{path} is there: choose another name, an old key may still be needed") from error
    except OSError as error:
        raise explain(path, error) from error
    return public_key(secret)


def public_key(secret: bytes) -> str:
    """The public key of a private one, in hexadecimal digits."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw().hex()


def read_signer(name: str, path: Path) -> Signer:
    """A person's private key.

    Raises:
        BadParameters: it is not there, others may read it, or it is no key.
    """
    try:
        mode, text = path.stat().st_mode, path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadParameters(f"the key {path} cannot be read: make one with `tradewind rollout person`") from error
    if stat.S_IMODE(mode) & 0o077:
        raise BadParameters(f"the key {path} may be read by others: chmod 600 {path}")
    try:
        secret = bytes.fromhex(text)
        public_key(secret)
    except ValueError:
        raise BadParameters(f"{path} holds no key of a person: 64 hexadecimal digits") from None  # not its content
    return Signer(name, secret)


def sign(signer: Signer, kind: str, body: Mapping[str, Any], after: tuple[int, str]) -> str:
    """The signature of a record at its place in the journal.

    Args:
        signer: who signs.
        kind: of the record.
        body: of the record, without its signature.
        after: number and hash of the record before it.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(signer.secret).sign(_message(kind, body, after)).hex()


def is_signed(key: str, kind: str, body: Mapping[str, Any], after: tuple[int, str]) -> bool:
    """Whether a record bears the signature of a key.

    Args:
        key: the public key.
        kind: of the record.
        body: of the record, with its `signature`.
        after: number and hash of the record before it.
    """
    rest = {name: value for name, value in body.items() if name != "signature"}
    return _verified(key, _message(kind, rest, after), str(body.get("signature", "")))


def _message(kind: str, body: Mapping[str, Any], after: tuple[int, str]) -> bytes:
    return b"tradewind rollout " + canonical({"kind": kind, "body": body, "after": list(after)})


@functools.lru_cache(maxsize=4096)
def _verified(key: str, message: bytes, signature: str) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(bytes.fromhex(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True
