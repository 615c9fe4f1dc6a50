"""Compile what many tests run, once, before the workers begin: `python -m tests.kernels`.

Each worker would compile the same kernels otherwise, and so would each copy of the project. The two parts have few
kernels in common and are run side by side, each by its name.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

PARTS = ("market", "agents")
PROJECT = Path(__file__).resolve().parents[1]


def kept_kernels() -> list[Path]:
    """The compiled kernels that may be used: none where a source is newer than one, and then they are removed.

    numba looks at the file of the function alone, not at the functions that were compiled into it from elsewhere: an
    old `step.trade` would live on inside a cached `backtest.fold`.
    """
    source = PROJECT / "src/tradewind"
    newest = max(file.stat().st_mtime for file in source.rglob("*.py"))
    compiled = [file for pattern in ("*.nbi", "*.nbc") for file in source.rglob(pattern)]
    if all(file.stat().st_mtime >= newest for file in compiled):
        return compiled
    for file in compiled:
        file.unlink(missing_ok=True)
    return []


def compile_kernels() -> None:
    """Both parts, each in a process of its own.

    Raises:
        RuntimeError: a part failed; the message has what it printed.
    """
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.kernels", part],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for part in PARTS
    ]
    for part, process in zip(PARTS, started, strict=True):
        output, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(f"the kernels of {part} could not be compiled:\n{output}")


def compile_market() -> None:
    """Features, labels, positions, accounts and what is measured of them: a small market is judged."""
    from tests.laws.test_labels import SCHEMES, SETTINGS
    from tradewind.evaluation import robustness
    from tradewind.evaluation.traded_market import TradedMarket
    from tradewind.learning.labels.rules import LabelRules, make_labels
    from tradewind.learning.labels.weights import WeightRules
    from tradewind.settings import CONFIG_LOADER_ARGS, CONFIG_LOADER_CLASS
    from tradewind.validation.experiment import Case, judge_run, simulated
    from tradewind.validation.research_run import MODEL, RunSettings, lazily, run_research

    parameters = CONFIG_LOADER_CLASS(str(PROJECT / "conf"), **CONFIG_LOADER_ARGS)["parameters"]
    case = Case(edge=6, days=365, seed=1, n_symbols=2)
    settings, sources = RunSettings.from_parameters(parameters, seed=case.seed), simulated(case)
    run = run_research(sources, settings)
    judge_run(case, sources, run, settings)
    traded = TradedMarket.load(lazily(run.bars), run.side_series, sources.universe, settings.trading)
    varied = robustness.RobustnessRules.model_validate(parameters["evaluation"]["robustness"])
    robustness.stress(lazily({MODEL: run.positions[MODEL]}), traded, run.folds, varied, case.seed)
    some = next(iter(run.bars.values())).iloc[:300].reset_index(drop=True)
    for method in SETTINGS.values():
        for scheme in SCHEMES:
            make_labels(some, LabelRules.model_validate(method), WeightRules.model_validate({"scheme": scheme}))


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
                kept = PROJECT / file.relative_to(project.folder)
                kept.parent.mkdir(exist_ok=True)  # where nothing has been imported yet
                shutil.copy2(file, kept)


def compile_agents() -> None:
    """Episodes of agents, one by one and many at a time, and of a whole portfolio."""
    from tests.adaptive.rl.conftest import COSTS, made_history
    from tradewind.adaptive.rl.environments import TradingEnv, TradingVecEnv
    from tradewind.adaptive.rl.market import TradingMarket, TradingTerms
    from tradewind.adaptive.rl.rules import EnvironmentRules
    from tradewind.trading.execution.orders import OrderRules

    histories = {"A": made_history(1)}
    features = {"A": np.random.default_rng(3).standard_normal((600, 4)).astype(np.float32)}
    market, rules = TradingMarket.from_histories(histories, features), EnvironmentRules()
    terms = TradingTerms.from_rules(COSTS, OrderRules(), rules, 8766.0)
    one = TradingEnv(market, terms, rules)
    one.reset(seed=1)
    one.step(one.action_space.sample())
    many = TradingVecEnv(market, terms, rules, count=2)
    many.reset()
    many.step(np.zeros(2, dtype=np.int64))


if __name__ == "__main__":
    if sys.argv[1:] == ["market"]:
        compile_market()
        compile_pipeline()
    elif sys.argv[1:] == ["agents"]:
        compile_agents()
    elif not kept_kernels():
        compile_kernels()
