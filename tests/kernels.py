"""Compile what many tests run, once, before the workers begin: `python -m tests.kernels`.

Each worker would compile the same kernels otherwise, and so would each copy of the project. The two parts have few
kernels in common and are run side by side, each by its name.
"""

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tradewind.cli import kernels

PROJECT = Path(__file__).resolve().parents[1]


def kept_kernels() -> list[Path]:
    """The compiled kernels that may be used: none where a source is newer than one, and then they are removed.

    numba looks at the file of the function alone, not at the functions that were compiled into it from elsewhere: an
    old `step.trade` would live on inside a cached `backtest.fold`.
    """
    source = PROJECT / "src/tradewind"
    newest = max(file.stat().st_mtime for file in source.rglob("*.py"))
    compiled = [file for pattern in ("*.nbi", "*.nbc") for file in source.rglob(pattern)]
    if all(_is_at_least(file, newest) for file in compiled):
        return compiled
    for file in compiled:
        file.unlink(missing_ok=True)
    return []


def _is_at_least(file: Path, newest: float) -> bool:
    try:
        return file.stat().st_mtime >= newest
    except FileNotFoundError:  # another run of the tests removes them, too
        return False


def compile_kernels() -> None:
    """Both parts side by side, each in a process of its own."""
    kernels.compile_kernels([sys.executable, "-m", "tests.kernels"], PROJECT)


def compile_part(part: str) -> None:
    """What the project compiles, every labelling method with every weighting scheme, and what a pipeline adds."""
    if part != "market":
        return kernels.main(part)
    from tests.laws.test_labels import SCHEMES, SETTINGS
    from tradewind.learning.labels.rules import LabelRules, make_labels
    from tradewind.learning.labels.weights import WeightRules

    bars = kernels.compile_market()
    for method in SETTINGS.values():
        for scheme in SCHEMES:
            make_labels(bars, LabelRules.model_validate(method), WeightRules.model_validate({"scheme": scheme}))
    return compile_pipeline()


def compile_pipeline() -> None:
    """What only a run of the pipeline compiles: tables out of files are read-only, which is another type to numba.

    A copy of the project is run, and its kernels are taken over.

    Raises:
        RuntimeError: the run failed; the message has what it printed.
    """
    from tests.end_to_end.conftest import copy_project, write_lean

    with TemporaryDirectory() as folder:
        project = copy_project(Path(folder) / "project")
        write_lean(project)
        process = project.start("run", "--env", "lean")
        output, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(output)
        for pattern in ("*.nbc", "*.nbi"):  # an index after what it names
            for file in (project.folder / "src").rglob(pattern):
                target = PROJECT / file.relative_to(project.folder)
                target.parent.mkdir(exist_ok=True)  # where nothing has been imported yet
                shutil.copy2(file, target)


if __name__ == "__main__":
    if sys.argv[1:]:
        compile_part(sys.argv[1])
    elif not kept_kernels():
        compile_kernels()
