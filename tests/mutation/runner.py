"""Runs the tests of each fault on a copy of the source with the fault in it; `python -m tests.mutation.runner` for all.

Libraries are loaded once: each fault is a fork of this process, which then imports the project from the copy.
"""

import contextlib
import importlib
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ("numpy", "pandas", "pyarrow", "scipy.stats", "sklearn", "numba", "pydantic", "pandera.pandas", "pytest",
             "hypothesis", "xgboost", "lightgbm", "optuna")  # fmt: skip
KILLED, SURVIVED, BROKEN = "killed", "survived", "broken"


@contextlib.contextmanager
def copied_source() -> Iterator[Path]:
    """A copy of src with what was compiled, to put faults in."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        copy = Path(folder) / "src"
        shutil.copytree(ROOT / "src", copy, copy_function=shutil.copy2)
        yield copy


def judge(copy: Path, file: str, right: str, wrong: str, tests: str, plain: bool = False) -> tuple[str, str]:
    """Whether the tests notice the fault: killed, survived, or broken where they fail without it or cannot run.

    Args:
        copy: of the source, as it is before and after.
        file: below tradewind.
        right: text that stands there once.
        wrong: what is put in its place.
        tests: arguments of pytest.
        plain: compiled functions run as plain Python.

    Returns:
        The verdict, and the last lines that pytest wrote.
    """
    path = copy / "tradewind" / file
    source = path.read_text()
    if source.count(right) != 1:
        return BROKEN, f"{file} has the text {source.count(right)} times, not once: {right!r}"
    path.write_text(source.replace(right, wrong))
    os.utime(path, (time.time() + 5, time.time() + 5))
    try:
        code, said = _run(copy, tests, plain)
    finally:
        path.write_text(source)
        os.utime(path, (time.time() + 10, time.time() + 10))
    return ({0: SURVIVED, 1: KILLED}.get(code, BROKEN)), said


def _run(copy: Path, tests: str, plain: bool) -> tuple[int, str]:
    with tempfile.TemporaryFile("w+") as output:
        output.flush()
        child = os.fork()
        if child == 0:
            code = 99
            try:
                code = _in_child(copy, tests, plain, output.fileno())
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        output.seek(0)
        return os.waitstatus_to_exitcode(status), output.read()[-2000:]


def _in_child(copy: Path, tests: str, plain: bool, output: int) -> int:
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(ROOT)
    sys.dont_write_bytecode = True
    for name in [one for one in sys.modules if one.partition(".")[0] == "tradewind"]:
        del sys.modules[name]
    sys.path.insert(0, str(copy))
    os.environ["PYTHONPATH"] = str(copy)  # of processes that tests start
    if plain:
        import numba

        numba.config.DISABLE_JIT = 1
    import pytest

    return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-o", "addopts=", "--import-mode=importlib",
                            "-m", "not depth and not benchmark", *shlex.split(tests)]))  # fmt: skip


def main(names: Sequence[str] = ()) -> int:
    """Judge all faults, or those whose names hold a word that is given; how many were not killed."""
    from tests.mutation.faults import FAULTS

    for name in LIBRARIES:
        importlib.import_module(name)
    chosen = [one for one in FAULTS if not names or any(word in one.name for word in names)]
    counts = dict.fromkeys((KILLED, SURVIVED, BROKEN), 0)
    with copied_source() as copy:
        for fault in chosen:
            begun = time.process_time(), os.times().children_user
            verdict, said = judge(copy, *fault[1:])
            counts[verdict] += 1
            line = f"{verdict:8} {os.times().children_user - begun[1]:5.1f} s  {fault.name}"
            sys.stdout.write(line + ("" if verdict == KILLED else f"\n{said[-600:]}") + "\n")
            sys.stdout.flush()
    sys.stdout.write(f"{counts[KILLED]} of {len(chosen)} killed, {counts}\n")
    return counts[SURVIVED] + counts[BROKEN]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
