"""What a backup holds, and with which key it is sealed (`conf/base/backup.yml`)."""

import stat
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Field, model_validator

from tradewind.atomic import explain, make_folder
from tradewind.errors import BadParameters
from tradewind.operations.typed_yaml import WrongAt, read_yaml
from tradewind.parameters import Parameters

Kind = Literal["run", "journal", "registry", "sqlite", "folder"]
NAME = r"[a-z][a-z0-9_]{0,31}"


def _inside(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or not path.parts or ".." in path.parts:
        raise ValueError("is a path inside the project, such as data/09_paper/run")
    return str(path)


Inside = Annotated[str, AfterValidator(_inside)]


class Part(Parameters):
    """One thing that is kept.

    Attributes:
        kind: `run` of a paper account (journals, snapshots), a `journal` alone, the model `registry` with its bundles,
            a `sqlite` file, or a `folder` of files that are replaced whole.
        path: where it is, from the project's folder.
        anchors: of a run or journal: the file with its heads.
    """

    kind: Kind
    path: Inside
    anchors: Inside | None = None


class BackupPlan(Parameters):
    """What is kept, by name, and the file with the key; a part that is not there yet is said and left out."""

    key: str
    parts: Annotated[dict[Annotated[str, Field(pattern=NAME)], Part], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_path_once(self) -> "BackupPlan":
        paths: dict[str, str] = {}
        for name, part in self.parts.items():
            for other, path in paths.items():
                if part.path == path or part.path.startswith(f"{path}/") or path.startswith(f"{part.path}/"):
                    raise WrongAt(f"lies in the path of {other}: name each thing once", ("parts", name, "path"))
            paths[name] = part.path
        return self


def read_plan(path: Path) -> BackupPlan:
    """The plan of a file.

    Raises:
        BadParameters: it is not there or something in it is wrong; with the line.
    """
    return read_yaml(path, BackupPlan)


class Key(NamedTuple):
    """The key that seals and opens backups.

    Attributes:
        identity: of age (`pyrage.x25519.Identity`).
        secret: its text, from which the key of the seal's authentication is derived.
        name: tells keys apart and gives nothing away.
    """

    identity: Any
    secret: bytes
    name: str


def make_key(path: Path) -> Key:
    """A new key in a file that only its owner may read.

    Raises:
        BadParameters: a file is there: it may be the only key of older backups.
    """
    import pyrage

    identity = pyrage.x25519.Identity.generate()
    try:
        make_folder(path.parent)
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(f"# {identity.to_public()}\n{identity}\n")
    except FileExistsError as error:
        raise BadParameters(f"{path} is there: older backups may need it; choose another name") from error
    except OSError as error:
        raise explain(path, error) from error
    return read_key(path)


def read_key(path: Path) -> Key:
    """The key of a file: one age identity, as `tradewind backup-key` and `age-keygen` write it.

    Raises:
        BadParameters: it is not there, others may read it, or it holds no key.
    """
    import pyrage

    try:
        mode = path.stat().st_mode
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise BadParameters(
            f"the key {path} cannot be read ({why}): make one with `tradewind backup-key {path}`"
        ) from error
    if stat.S_IMODE(mode) & 0o077:
        raise BadParameters(f"the key {path} may be read by others: chmod 600 {path}")
    kept = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    try:
        (text,) = kept
        identity = pyrage.x25519.Identity.from_str(text)
    except (ValueError, pyrage.IdentityError):
        raise BadParameters(f"{path} holds no key: it has one line AGE-SECRET-KEY-1...") from None  # not its content
    return Key(identity, text.encode(), str(identity.to_public())[:24])
