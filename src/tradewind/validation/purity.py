"""What a step or a feature reads beside its inputs: files, the network, tables kept in a module, and its own memory.

A repeated run cannot see such a leak: whatever the history, a table from elsewhere says the same. So the audit looks at
what is opened while steps run, at what their code refers to, and whether a second call gives what the first one gave.
"""

import dis
import os
import sys
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import numpy as np
import pandas as pd

import tradewind
from tradewind.learning.features import catalogue
from tradewind.market.universe import Universe
from tradewind.trading.strategy import baselines
from tradewind.validation.comparing import Leak, Row, moved
from tradewind.validation.histories import truncated
from tradewind.validation.research_run import RunSettings, Sources, Steps, Tables, lazily, make_bars, make_features

PRODUCT, WHOLE_HISTORY = "inputs", "any"
TABLES = (pd.DataFrame, pd.Series, np.ndarray)
# Reading by these is reading from outside; the operators that steps are made of know none of them.
READERS = frozenset({
    "read_parquet", "read_csv", "read_feather", "read_hdf", "read_pickle", "read_sql", "read_table", "read_json",
    "urlopen", "fromfile", "memmap", "read_text", "read_bytes", "now", "today", "utcnow", "environ", "getenv",
    "time_ns", "perf_counter",
})  # fmt: skip
_WATCHING: list[list[str]] = []
_LOCK = threading.Lock()
_INSTALLED = False


def refused(steps: Steps, settings: RunSettings, universe: Universe) -> list[Row]:
    """A leak for every step, feature and rule whose code refers to something outside its inputs.

    Args:
        steps: the steps of the run.
        settings: whose features are looked at.
        universe: whose timeframe and side series decide which features there are.
    """
    named: list[tuple[str, Any]] = [(name, step) for name, step in vars(steps).items()]
    for one in catalogue.select(settings.features, universe.timeframe, universe.side_series):
        if one.step is not None and one.expression is None:
            named.append((one.name, one.step))
    named += [(name, rule.rule) for name, rule in baselines.DIRECTIONS.items()]
    rows: list[Row] = []
    for name, function in named:
        found = outside(function)
        leak = Leak(PRODUCT, name, WHOLE_HISTORY, pd.NaT, pd.NaT, "", f"it reads {', '.join(found)}") if found else None
        rows.append((PRODUCT, name, 1, leak))
    return rows


def outside(function: Any) -> list[str]:
    """What the code of a function refers to that is not among its inputs: readers, clocks, tables and memories.

    Functions that it closes over, and those of its own module that it calls, are looked at as well.
    """
    found: dict[str, None] = {}
    seen: set[int] = set()
    waiting = [function]
    while waiting:
        one = waiting.pop()
        if isinstance(one, partial):
            waiting += [one.func, *one.args, *one.keywords.values()]
            continue
        if not isinstance(one, FunctionType) or id(one) in seen:
            continue
        seen.add(id(one))
        held = [cell.cell_contents for cell in one.__closure__ or () if _is_filled(cell)]
        held += [*(one.__defaults__ or ()), *(one.__kwdefaults__ or {}).values()]
        for value in held:
            found.update(dict.fromkeys(_kept(value, "its closure")))
        waiting += [value for value in held if callable(value)]
        for code in _codes(one.__code__):
            for name, is_global in _names(code):
                # The data stage asks the clock which bars have closed; nothing else may.
                allowed = name == "now" and one.__module__.startswith("tradewind.data.")
                if not allowed and ((is_global and name == "open") or (not is_global and name in READERS)):
                    found[f"{name}()"] = None
                value = one.__globals__.get(name) if is_global else None
                found.update(dict.fromkeys(_kept(value, f"the module's {name}")))
                if isinstance(value, FunctionType) and value.__module__ == one.__module__:
                    waiting.append(value)
    return list(found)


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _names(code: CodeType) -> Iterator[tuple[str, bool]]:
    """Names that the code loads, and whether they are the module's."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield str(instruction.argval), True
        elif instruction.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            yield str(instruction.argval), False


def _kept(value: Any, where: str) -> list[str]:
    """A table kept somewhere, or an empty container that waits to be filled."""
    if isinstance(value, TABLES) and np.size(value):
        return [f"a table in {where}"]
    if isinstance(value, dict | list | set):
        inside = list(value.values()) if isinstance(value, dict) else list(value)
        if not inside:
            return [f"a memory in {where}"]
        if any(isinstance(one, TABLES) for one in inside):
            return [f"tables in {where}"]
    return []


@contextmanager
def watched() -> Iterator[list[str]]:
    """Collects what is read from outside while the body runs: files that are not the installation's, and sockets."""
    global _INSTALLED
    with _LOCK:
        if not _INSTALLED:
            sys.addaudithook(_hook)
            _INSTALLED = True
    found: list[str] = []
    _WATCHING.append(found)
    try:
        yield found
    finally:
        _WATCHING.remove(found)


def _allowed_roots() -> tuple[str, ...]:
    """The interpreter, what is installed and its caches, the project's own code, and the machine's description."""
    caches = str(Path.home() / ".cache"), str(Path.home() / ".config" / "matplotlib")
    roots = [
        sys.prefix,
        sys.base_prefix,
        *sysconfig.get_paths().values(),
        str(Path(tradewind.__file__).parent),
        *caches,
    ]
    return (*(str(Path(one).resolve()) for one in roots), "/proc", "/sys", "/dev", "/etc", "/usr")


_ALLOWED = _allowed_roots()


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _WATCHING:
        return
    if event == "open" and isinstance(arguments[0], str | bytes):
        path, mode, flags = arguments
        reads = "r" in mode and "+" not in mode if isinstance(mode, str) else (flags or 0) & 3 == 0
        name = path.decode(errors="replace") if isinstance(path, bytes) else path
        # Code is no data: tracebacks and compilers read it where it lies.
        if reads and not name.endswith((".py", ".pyc")) and not os.path.abspath(name).startswith(_ALLOWED):  # noqa: PTH100
            _note(name)
    elif event == "socket.connect":
        _note(f"the network ({arguments[1]})")


def _note(what: str) -> None:
    for found in _WATCHING:
        if what not in found:
            found.append(what)


def as_rows(reads: list[str], cut: pd.Timestamp) -> list[Row]:
    """A leak for everything that was read from outside."""
    rows: list[Row] = [(PRODUCT, "files and network", 1, None)]
    for one in reads:
        rows.append(
            (PRODUCT, "files and network", 0, Leak(PRODUCT, one, WHOLE_HISTORY, cut, cut, "", "read while steps ran"))
        )
    return rows


@dataclass(frozen=True)
class Memory:
    """Bars, features and labels of a shortened history, made before anything longer was seen."""

    cut: pd.Timestamp
    products: tuple[Tables, Tables, Tables]

    @classmethod
    def of(cls, sources: Sources, settings: RunSettings, steps: Steps) -> "Memory":
        """Made of the first three quarters of the history.

        Args:
            sources: the received rows.
            settings: of the run.
            steps: that make the products.
        """
        table = max(sources.bars.values(), key=len)
        opened = table["open_time"].iloc[len(table) * 3 // 4]
        cut = opened if isinstance(opened, pd.Timestamp) else pd.Timestamp(int(opened), unit="ms", tz="UTC")
        return cls(cut, cheap_products(truncated(sources, cut), settings, steps))

    def compare(self, sources: Sources, settings: RunSettings, steps: Steps) -> list[Row]:
        """The same again after a longer history was seen: what differs was remembered.

        Args:
            sources: the received rows.
            settings: of the run.
            steps: that make the products.
        """
        again = cheap_products(truncated(sources, self.cut), settings, steps)
        rows: list[Row] = []
        for product, mine, theirs in zip(("bars", "features", "labels"), self.products, again, strict=True):
            rows += moved(product, mine, theirs, self.cut, self.cut, "a second call")
        return rows


def cheap_products(sources: Sources, settings: RunSettings, steps: Steps) -> tuple[Tables, Tables, Tables]:
    """Bars, features and labels of a history.

    Args:
        sources: the received rows.
        settings: parameters of the run.
        steps: the steps of the run.
    """
    universe = sources.universe
    bars, side_series = make_bars(sources, settings, steps)
    features = make_features(bars, side_series, universe, settings, steps)
    labels, _ = steps.make_labels(lazily(bars), universe, settings.labels, settings.weights, settings.seed)
    return bars, features, labels
