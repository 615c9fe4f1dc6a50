"""Which code makes a table: hashes of the modules of the package that a node's function reaches through imports.

Imports are found in the text, also those inside functions, without running anything. A module that loads others by
name reaches all modules of its folder.
"""

import hashlib
import os
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

# What says how things fail, wait or are written, and not what they come to.
_WITHOUT_EFFECT = {"errors.py", "clock.py", "extras.py", "atomic.py", "folder_lock.py"}
_DRAWING = ("reports/",)
_COMPILED = {".pyc", ".nbi", ".nbc"}
_FROM = re.compile(r"^[ \t]*from[ \t]+tradewind((?:\.\w+)*)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)", re.MULTILINE)
_IMPORT = re.compile(r"^[ \t]*import[ \t]+tradewind((?:\.\w+)+)", re.MULTILINE)
_BY_NAME = re.compile(r"\b(import_module|iter_modules)\(")
_NAME = re.compile(r"\w+")


class Code:
    """The package's source, as it lies on the disk."""

    def __init__(self, root: Path | None = None) -> None:
        """The source below `root`; by default the package that is running."""
        self._root = root or Path(__file__).resolve().parents[1]
        self._hashes: dict[str, bytes] = {}
        self._by_module: dict[tuple[str, bool], dict[str, str]] = {}
        self._imports: dict[str, frozenset[str]] = {}

    def of(self, module: str, is_drawn: bool = False) -> dict[str, str]:
        """By folder of the package, a hash of its modules that `module` (`tradewind.pipelines...`) reaches.

        Code outside the package has no hash here.

        Args:
            module: of the node's function.
            is_drawn: whether the output is a page or a figure; what draws those does not count in tables.
        """
        if (module, is_drawn) not in self._by_module:
            start = module.replace(".", "/").removeprefix("tradewind/") + ".py"
            is_ours = module.startswith("tradewind.") and start in self._files
            reached = self._reached(start, () if is_drawn else _DRAWING) if is_ours else set()
            self._by_module[module, is_drawn] = self._by_folder(reached)
        return self._by_module[module, is_drawn]

    def of_all(self, modules: Iterable[str]) -> dict[str, str]:
        """The same of what several modules of the package reach together.

        Args:
            modules: by their names (`tradewind.live...`).
        """
        starts = (one.replace(".", "/").removeprefix("tradewind/") for one in modules)
        files = ({f"{one}.py", f"{one}/__init__.py"} & self._files for one in starts)
        return self._by_folder({file for found in files for start in found for file in self._reached(start, _DRAWING)})

    def _by_folder(self, files: set[str]) -> dict[str, str]:
        folders: dict[str, list[str]] = {}
        for file in sorted(files):
            folders.setdefault(file.rpartition("/")[0] or file, []).append(file)
        return {folder: self._hash(inside) for folder, inside in folders.items()}

    def _reached(self, start: str, without: tuple[str, ...]) -> set[str]:
        found, waiting = set[str](), [start]
        while waiting:
            file = waiting.pop()
            if file not in found and not file.startswith(without):
                found.add(file)
                waiting.extend(self._imported_by(file))
        return found

    def _imported_by(self, file: str) -> frozenset[str]:
        """The files of the package that a module may load, and what lies below its folder beside code (templates)."""
        if file not in self._imports:
            folder = file.rpartition("/")[0]
            found = set(self._beside.get(folder, ())) if file.endswith(".py") else set()
            text = (self._root / file).read_text(encoding="utf-8") if file.endswith(".py") else ""
            modules = {one.replace(".", "/").strip("/") for one in _IMPORT.findall(text)}
            for package, names in _FROM.findall(text):
                inside = package.replace(".", "/").strip("/")
                modules |= {inside} | {f"{inside}/{name}".strip("/") for name in _NAME.findall(names)}
            found |= {one for name in modules for one in (f"{name}.py", f"{name}/__init__.py")}
            if _BY_NAME.search(text):
                found |= {one for one in self._files if one.rpartition("/")[0] == folder}
            self._imports[file] = frozenset((found & self._files) - _WITHOUT_EFFECT)
        return self._imports[file]

    @cached_property
    def _files(self) -> set[str]:
        """Every file of the package but what is compiled."""
        found = set()
        for place, folders, files in os.walk(self._root):
            folders[:] = [name for name in folders if name != "__pycache__"]
            path = Path(place).relative_to(self._root).as_posix()
            inside = "" if path == "." else f"{path}/"
            found |= {f"{inside}{name}" for name in files if Path(name).suffix not in _COMPILED}
        return found

    @cached_property
    def _beside(self) -> dict[str, list[str]]:
        """By folder with code, the files that lie in folders without code below it."""
        with_code = {file.rpartition("/")[0] for file in self._files if file.endswith(".py")}
        found: dict[str, list[str]] = {}
        for file in sorted(self._files):
            folder = file.rpartition("/")[0]
            if folder in with_code:
                continue
            while folder and folder not in with_code:
                folder = folder.rpartition("/")[0]
            found.setdefault(folder, []).append(file)
        return found

    def _hash(self, files: list[str]) -> str:
        total = hashlib.sha256()
        for file in files:
            if file not in self._hashes:
                self._hashes[file] = hashlib.sha256((self._root / file).read_bytes()).digest()
            total.update(f"{file}\n".encode() + self._hashes[file])
        return total.hexdigest()[:16]
