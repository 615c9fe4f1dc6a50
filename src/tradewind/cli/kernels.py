"""Compile the kernels once, before they are needed: `python -m tradewind.cli.kernels` does it, as does `make`.

They compile themselves when they are called first, which takes most of a minute of the first run. Here a small market
is judged, and beside it, in a process of its own, some steps of an agent's episodes: they have few kernels in common.
"""

import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import pandas as pd

PARTS = ("market", "agents")


def compile_kernels(command: Sequence[str], folder: Path | None = None) -> None:
    """All parts, each in a process of its own.

    Args:
        command: what compiles a part, whose name is its last argument.
        folder: where it is run; None: here.

    Raises:
        RuntimeError: a part failed; the message has what it printed.
    """
    started = [
        subprocess.Popen(  # noqa: S603
            [*command, part], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for part in PARTS
    ]
    for part, process in zip(PARTS, started, strict=True):
        output, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(f"the kernels of {part} could not be compiled:\n{output}")


def compile_market() -> pd.DataFrame:
    """Features, labels, regimes, positions, accounts and what is measured of them; the bars of a symbol."""
    from tradewind.evaluation import robustness
    from tradewind.evaluation.traded_market import TradedMarket
    from tradewind.learning.regimes.walk_forward import RegimePlan, walk
    from tradewind.settings import CONFIG_LOADER_ARGS, CONFIG_LOADER_CLASS, PROJECT
    from tradewind.validation.cases import Case
    from tradewind.validation.experiment import judge_run, simulated
    from tradewind.validation.research_run import MODEL, RunSettings, lazily, run_research

    parameters = CONFIG_LOADER_CLASS(str(PROJECT / "conf"), **CONFIG_LOADER_ARGS)["parameters"]
    case = Case(edge=6, days=365, seed=1, n_symbols=2)
    settings, sources = RunSettings.from_parameters(parameters, seed=case.seed), simulated(case)
    run = run_research(sources, settings)
    judge_run(case, sources, run, settings)
    traded = TradedMarket.load(lazily(run.bars), run.side_series, sources.universe, settings.trading)
    varied = robustness.RobustnessRules.model_validate(parameters["evaluation"]["robustness"])
    robustness.stress(lazily({MODEL: run.positions[MODEL]}), traded, run.folds, varied, case.seed)
    bars = next(iter(run.bars.values())).iloc[:1100].reset_index(drop=True)
    walk(bars, RegimePlan(first_fit_bars=1000), case.seed)  # as few as a model of regimes learns from
    return bars.iloc[:300]


def main(part: str = "") -> None:
    """Compile a part, or all of them."""
    from tradewind.extras import missing_modules

    if not part:
        compile_kernels([sys.executable, "-m", "tradewind.cli.kernels"])
    elif part == "market":
        compile_market()
    elif not missing_modules("agents"):
        import_module("tradewind.adaptive.rl.loaded_kernels")


if __name__ == "__main__":
    main(*sys.argv[1:])
