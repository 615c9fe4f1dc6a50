"""Tokens with scopes: only their hashes are on disk, and a token is read from the header alone."""

import hashlib
import hmac
import json
import logging
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tradewind.atomic import write_bytes
from tradewind.errors import BadParameters
from tradewind.operations.prometheus.denials import NO_TOKEN, SCOPE, UNKNOWN
from tradewind.serving.refusals import Refusal

logger = logging.getLogger(__name__)

Scope = Literal["read", "predict", "operate", "admin"]
SCOPES: tuple[Scope, ...] = ("read", "predict", "operate", "admin")
MAKE_ONE = "make a token with `tradewind token NAME --scopes read,predict` and send it as `Authorization: Bearer TOKEN`"


class Holder(NamedTuple):
    """Whom a token belongs to, and what it may be used for."""

    name: str
    scopes: tuple[str, ...]


def add_token(path: Path, name: str, scopes: tuple[str, ...]) -> str:
    """A new token in place of an older one of that name; only its hash is kept.

    Args:
        path: of the file of tokens, which only its owner may read.
        name: of whoever uses it.
        scopes: what it allows.

    Returns:
        The token, which is not shown again.

    Raises:
        BadParameters: no scope, or one that there is not.
    """
    if not scopes or set(scopes) - set(SCOPES):
        raise BadParameters(f"scopes are of {', '.join(SCOPES)}, found {', '.join(scopes) or 'none'}")
    token = secrets.token_urlsafe(32)
    kept = [one for one in _read(path) if one["name"] != name] if path.exists() else []
    kept.append({"name": name, "scopes": list(scopes), "sha256": hashlib.sha256(token.encode()).hexdigest()})
    write_bytes(path, (json.dumps(kept, indent=1) + "\n").encode())
    path.chmod(0o600)
    return token


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        return [{"name": str(one["name"]), "scopes": tuple(one["scopes"]), "sha256": str(one["sha256"])}
                for one in json.loads(path.read_bytes())]  # fmt: skip
    except OSError as error:
        raise _unreadable(path, error) from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadParameters(f"{path} is not a file of tokens ({error}): delete it and make tokens anew") from error


def _unreadable(path: Path, error: OSError) -> BadParameters:
    return BadParameters(
        f"the tokens of {path} cannot be read ({error.strerror}): let who serves own the file, or name another with "
        "--tokens"
    )


class Tokens:
    """The tokens of a file, read again when it changes, with a limit of requests for each holder."""

    def __init__(
        self, path: Path, requests_a_second: float, denied: Callable[[str, str, str], object] = lambda *_: None
    ) -> None:
        """The tokens of a file.

        Args:
            path: of the file.
            requests_a_second: that each holder may make.
            denied: hears of everybody who is not let in: door, scope and why (`operations.prometheus.denials`).
        """
        self._path, self._rate, self.denied = path, requests_a_second, denied
        self._changed, self._known = -1, list[dict[str, Any]]()
        self._left: dict[str, tuple[float, float]] = {}
        self._looked = float("-inf")

    def check(self) -> bool:
        """Whether anybody may ask, read from the file before the service starts.

        Raises:
            BadParameters: the file is there and cannot be read, or is no file of tokens.
        """
        return bool(self._read_again())

    def holder(self, header: str | None, scope: str, door: str = "rest") -> Holder:
        """Who asks.

        Args:
            header: `Authorization` as it came.
            scope: that is needed.
            door: by which it came.

        Raises:
            Refusal: 401 without a token or with a wrong one, 403 without the scope, 429 above the rate.
        """
        kind, _, token = (header or "").partition(" ")
        if kind.lower() != "bearer" or not token:
            self.denied(door, scope, NO_TOKEN)
            raise Refusal(401, "a token is needed in the Authorization header", MAKE_ONE)
        digest = hashlib.sha256(token.strip().encode()).hexdigest()
        found = [one for one in self._tokens() if hmac.compare_digest(one["sha256"], digest)]
        if not found:
            self.denied(door, scope, UNKNOWN)
            raise Refusal(401, "the token is not known", MAKE_ONE)
        holder = Holder(found[0]["name"], found[0]["scopes"])
        if scope not in holder.scopes and "admin" not in holder.scopes:
            self.denied(door, scope, SCOPE)
            raise Refusal(403, f"the token of {holder.name} lacks the scope {scope}", MAKE_ONE)
        self._spend(holder.name)
        return holder

    def _tokens(self) -> list[dict[str, Any]]:
        now = time.monotonic()
        if now - self._looked > 1.0:
            self._looked = now
            try:
                self._read_again()
            except BadParameters as error:  # while it serves: whom it cannot read of it does not let in
                self._known, self._changed = [], -1
                logger.error("nobody is let in: %s", error)
        return self._known

    def _read_again(self) -> list[dict[str, Any]]:
        try:
            changed = self._path.stat().st_mtime_ns
        except FileNotFoundError:
            changed = 0
        except OSError as error:
            raise _unreadable(self._path, error) from error
        if changed != self._changed:
            self._known = _read(self._path) if changed else []
            self._changed = changed
        return self._known

    def _spend(self, name: str) -> None:
        """A bucket of ten seconds' requests, which fills as time passes."""
        now, most = time.monotonic(), 10 * self._rate
        left, at = self._left.get(name, (most, now))
        left = min(most, left + (now - at) * self._rate)
        if left < 1:
            raise Refusal(429, f"more than {self._rate:g} requests a second", "ask less often", retry_after_s=1)
        self._left[name] = (left - 1, now)
