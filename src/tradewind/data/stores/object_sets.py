"""Growing sets kept as immutable objects, so that writers who know nothing of each other lose nothing.

An object holds some members of a set and is named by its content: the same members again are the same object, and an
object that is torn, altered or somebody else's is not what its name says. A set is the union of the objects in its
folder. Objects are only ever added, and merged: the merged one is written first and what it holds is removed after, so
that a kill in between leaves members twice, never not at all.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from tradewind.data.stores.objects import Objects
from tradewind.errors import BadData, TemporaryOutage

Members = TypeVar("Members")
Given = TypeVar("Given")
Made = TypeVar("Made")

_LISTINGS = 20


@dataclass(frozen=True)
class Codec(Generic[Members]):
    """How members become an object and back, and how they are united.

    `stem` is what the name tells of the members, in the form of `stem_form`. `encode` gives equal bytes for equal
    members; `decode` raises ValueError, KeyError or TypeError at what it did not encode, and where `is_checked` also
    at bytes that were altered, which is then not looked for again.
    """

    suffix: str
    stem_form: str
    is_checked: bool
    stem: Callable[[Members], str]
    encode: Callable[[Members], bytes]
    decode: Callable[[bytes], Members]
    merge: Callable[[Sequence[Members]], Members]


class ObjectSets(Generic[Members]):
    """The sets of one kind in a place for objects, each in a folder."""

    def __init__(self, objects: Objects, codec: Codec[Members]) -> None:
        self._objects = objects
        self._codec = codec
        self._form = re.compile(rf"(?P<stem>{codec.stem_form})\.(?P<sha256>[0-9a-f]{{32}})\.{codec.suffix}")

    def add(self, folder: str, members: Members) -> str:
        """Add the members; the name of their object."""
        content = self._codec.encode(members)
        name = f"{folder}/{self._codec.stem(members)}.{_sha256(content)}.{self._codec.suffix}"
        self._objects.write(name, content)
        return name

    def names(self, folder: str) -> list[str]:
        """The objects below the folder.

        Raises:
            BadData: one is not named as ours are.
        """
        names = self._objects.names(folder)
        for name in names:
            if self._form.fullmatch(name.rsplit("/", 1)[1]) is None:
                raise BadData(f"{self._objects.where(name)} is not a file of this store: move it elsewhere")
        return names

    def settled_names(self, folder: str) -> list[str]:
        """The objects below the folder, at two listings the same.

        A listing that runs while objects are merged may miss both the merged one, not there when it began, and those
        removed before it ended; the next listing sees it.
        """
        names = self.names(folder)
        for _ in range(_LISTINGS):
            before, names = names, self.names(folder)
            if names == before:
                return names
        raise TemporaryOutage(f"{self._objects.where(folder)} changes all the time: read it when less is written")

    def read(self, folder: str, is_wanted: Callable[[str], bool] = lambda _: True) -> dict[str, Members]:
        """What the wanted objects below the folder hold, by their names: all that was there, perhaps twice.

        Raises:
            BadData: an object is not what its name says.
        """
        by_name: dict[str, Members] = {}
        names = [name for name in self.names(folder) if is_wanted(name)]
        for _ in range(_LISTINGS):
            unread = [name for name in names if name not in by_name]
            for name, members in zip(unread, in_threads(self._load, unread, self._objects.threads), strict=True):
                if members is not None:
                    by_name[name] = members
            names = [name for name in self.names(folder) if is_wanted(name)]
            if all(name in by_name for name in names):
                return by_name
        raise TemporaryOutage(f"{self._objects.where(folder)} changes all the time: read it when less is written")

    def compact(self, folder: str, more_than: int) -> None:
        """Merge the folder's objects into one, if there are more than so many."""
        if len(self.names(folder)) <= more_than:
            return
        sets = self.read(folder)
        merged = self.add(folder, self._codec.merge(list(sets.values())))
        self._objects.remove(name for name in sets if name != merged)
        self._objects.tidy(folder)

    def _load(self, name: str) -> Members | None:
        try:
            content = self._objects.read(name)
        except FileNotFoundError:
            return None  # merged into another since it was listed
        stem, sha256, _ = name.rsplit("/", 1)[1].split(".")
        try:
            if not self._codec.is_checked and _sha256(content) != sha256:
                raise ValueError("its content is not what its name says")
            members = self._codec.decode(content)
            if self._codec.stem(members) != stem:
                raise ValueError(f"it holds {self._codec.stem(members)}")
        except (ValueError, KeyError, TypeError) as error:
            raise BadData(
                f"{self._objects.where(name)} is torn or altered ({error}): restore it from a copy, or move it away "
                "and fetch its bars again"
            ) from error
        return members


def stem_of(name: str) -> str:
    """What the name of an object tells of its members."""
    return name.rsplit("/", 1)[1].split(".", 1)[0]


def in_threads(function: Callable[[Given], Made], items: Iterable[Given], threads: int) -> list[Made]:
    """What the function makes of each item, some at a time, since disks and servers wait rather than work.

    Args:
        function: safe to call from several threads; its error is raised here.
        items: its arguments.
        threads: at most.

    Returns:
        In the order of the items.
    """
    given = list(items)
    if len(given) < 2 or threads < 2:
        return [function(item) for item in given]
    with ThreadPoolExecutor(min(threads, len(given))) as executor:
        return list(executor.map(function, given))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
