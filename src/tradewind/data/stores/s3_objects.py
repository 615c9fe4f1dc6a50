"""Objects in a bucket of any server that speaks S3."""

import errno
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from tradewind.atomic import atomic_file
from tradewind.errors import BadParameters, TemporaryOutage

if TYPE_CHECKING:
    from s3fs import S3FileSystem

PART_BYTES = 16 << 20  # two of them are in memory at most
_MOST_PARTS = 10_000  # of one object: Amazon's limit, https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html


class S3Access(BaseModel):
    """How to reach a bucket: the server (Amazon's without `endpoint_url`), its region and the credentials.

    Without `key` and `secret` they are sought where Amazon's own tools seek them (environment, profile, machine role).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    endpoint_url: str | None = Field(None, pattern=r"^https?://[^/@]+/?$")
    region: str | None = None
    key: SecretStr | None = None
    secret: SecretStr | None = None
    token: SecretStr | None = None
    timeout_s: float = Field(30, gt=0, le=600)
    attempts: int = Field(4, ge=1, le=20)


class S3Objects:
    """Objects below `prefix` in `bucket`. A PUT is atomic, so an object is never seen in part."""

    threads = 8

    def __init__(self, bucket: str, prefix: str, access: S3Access) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._access = access
        self._lock = threading.Lock()
        self._opened: tuple[int, S3FileSystem] | None = None
        self._connect()  # so that a missing extra raises at once

    def names(self, folder: str) -> list[str]:
        """The keys below the folder; names that begin with a dot or an underscore are not ours to read."""
        below = self._key(folder).rstrip("/")
        with self._explained(folder):
            paths = self._connect().find(self._bucket, prefix=f"{below}/" if below else "")
        own = len(self._bucket) + 1 + len(self._key(""))
        names = [path[own:] for path in paths]
        return sorted(name for name in names if not any(part[:1] in (".", "_", "") for part in name.split("/")))

    def read(self, name: str) -> bytes:
        """The object."""
        with self._missing_as_file_error(name):
            content: bytes = self._connect().cat_file(self._path(name))
            return content

    def read_at_most(self, name: str, most: int) -> bytes:
        """The object's first bytes, one more than `most` at most."""
        with self._missing_as_file_error(name):
            if not self._connect().info(self._path(name))["size"]:
                return b""  # of an empty object no range can be asked for
            content: bytes = self._connect().cat_file(self._path(name), start=0, end=most + 1)
            return content[: most + 1]

    def write(self, name: str, content: bytes) -> None:
        """Put the object."""
        with self._explained(name):
            self._connect().pipe_file(self._path(name), content)

    def send(self, name: str, file: Path) -> None:
        """Upload the file in parts; the object appears when the server has put all of them together."""
        part = max(PART_BYTES, -(-file.stat().st_size // _MOST_PARTS))
        with self._explained(name):
            self._connect().put_file(str(file), self._path(name), chunksize=part)

    def receive(self, name: str, file: Path, size: int) -> None:
        """Download the object range by range; one that is replaced meanwhile is not noticed here.

        Args:
            name: of the object.
            file: to be written, whole or not at all.
            size: so many bytes.
        """
        with atomic_file(file) as temporary, temporary.open("wb") as target:
            for start in range(0, size, PART_BYTES):
                with self._missing_as_file_error(name):
                    end = min(start + PART_BYTES, size)
                    part = self._connect().cat_file(self._path(name), start=start, end=end)
                target.write(part)

    def size(self, name: str) -> int:
        """The object's size."""
        with self._missing_as_file_error(name):
            return int(self._connect().info(self._path(name))["size"])

    def remove(self, names: Iterable[str]) -> None:
        """Delete the objects."""
        paths = [self._path(name) for name in names]
        if paths:
            with self._explained(""):
                self._connect().rm(paths)

    def tidy(self, folder: str) -> None:
        """Nothing: a PUT that was cut off leaves nothing to read; parts of an upload go by a rule of the bucket."""

    def where(self, name: str) -> str:
        """The object's address."""
        server = f" at {self._access.endpoint_url}" if self._access.endpoint_url else ""
        return f"s3://{self._path(name)}{server}"

    def close(self) -> None:
        """Forget the connection; a later use makes another."""
        with self._lock:
            self._opened = None

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    def _path(self, name: str) -> str:
        return f"{self._bucket}/{self._key(name)}"

    def _connect(self) -> "S3FileSystem":
        """The connection of this process; one made before a fork is left alone."""
        import s3fs

        with self._lock:
            if self._opened is None or self._opened[0] != os.getpid():
                secrets = {name: getattr(self._access, name) for name in ("key", "secret", "token")}
                filesystem = s3fs.S3FileSystem(
                    **{name: secret.get_secret_value() for name, secret in secrets.items() if secret is not None},
                    endpoint_url=self._access.endpoint_url,
                    client_kwargs={"region_name": self._access.region} if self._access.region else {},
                    config_kwargs=_limits(self._access),
                    use_listings_cache=False,
                    skip_instance_cache=True,
                    max_concurrency=1,  # an object is read by one request; several objects by several threads
                )
                filesystem.retries = self._access.attempts
                self._opened = (os.getpid(), filesystem)
            return self._opened[1]

    @contextmanager
    def _missing_as_file_error(self, name: str) -> Iterator[None]:
        try:
            with self._explained(name):
                yield
        except BadParameters as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise FileNotFoundError(errno.ENOENT, "no such object", self.where(name)) from error
            raise

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, NoCredentialsError, ParamValidationError

        try:
            yield
        except FileNotFoundError as error:
            raise BadParameters(f"{self.where(name)}: no such bucket or object: make the bucket first") from error
        except (PermissionError, NoCredentialsError) as error:
            raise BadParameters(
                f"{self.where(name)}: the server refuses this key and secret, or they may not do this "
                f"({self._redact(error)}): correct the credentials or their policy"
            ) from error
        except (BotoCoreError, OSError) as error:
            explained = f"{self.where(name)}: {self._redact(error)}"
            if isinstance(error, ParamValidationError) or getattr(error, "errno", 0) in (errno.EINVAL, errno.EREMCHG):
                raise BadParameters(f"{explained}: correct the bucket, region or endpoint_url") from error
            raise TemporaryOutage(f"{explained}: the server did not answer; run again when it does") from error

    def _redact(self, error: Exception) -> str:
        message = f"{type(error).__name__}: {error}"
        for secret in (self._access.key, self._access.secret, self._access.token):
            if secret is not None and secret.get_secret_value():
                message = message.replace(secret.get_secret_value(), "***")
        return message


def _limits(access: S3Access) -> dict[str, Any]:
    return {
        "connect_timeout": access.timeout_s,
        "read_timeout": access.timeout_s,
        "retries": {"mode": "standard", "total_max_attempts": access.attempts},
        "max_pool_connections": 16,
    }
