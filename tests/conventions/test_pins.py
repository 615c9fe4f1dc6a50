"""The pins fit each other's needs on every Python that the project promises, not only on the one that made them."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[2]
PROMISED = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["requires-python"]
PINNED = dict(re.findall(r"^([\w.-]+)==(\S+)$", (PROJECT / "constraints.txt").read_text(), re.MULTILINE))
# Debian 12, which docs/howto/deployment.md names, has 3.11.2.
OLDEST = "3.11.0"


def too_new(needs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Packages that refuse the oldest Python of those promised.

    Args:
        needs: each package's name and its `Requires-Python`.
    """
    return (f"{name} needs Python {python}" for name, python in needs if not SpecifierSet(python).contains(OLDEST))


def test_every_pinned_package_installs_on_the_oldest_python_that_is_promised() -> None:
    assert SpecifierSet(PROMISED).contains(OLDEST)
    pinned = {canonicalize_name(name): version for name, version in PINNED.items()}
    needs = [
        (str(one.metadata["Name"]), str(one.metadata.get("Requires-Python") or ""))
        for one in metadata.distributions()
        if pinned.get(canonicalize_name(one.metadata["Name"])) == one.version
    ]
    assert len(needs) > 200  # what is installed is what is pinned
    assert list(too_new(needs)) == []
    assert list(too_new([*needs, ("soupsieve", ">=3.11.5")])) == ["soupsieve needs Python >=3.11.5"]
