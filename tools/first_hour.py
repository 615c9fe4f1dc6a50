"""The first hour of a new user, from a fresh clone: every step as the README says it, its commands counted and timed.

`make first-hour`, or `python tools/first_hour.py --steps clone,run`; `--quick` trains the two models of `--env quick`
where a new user would train all. The clone is lent this project's installation, which would be a download.
"""

import argparse
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
SNIPPETS = {
    "src/tradewind/learning/features/own.py": "@feature",
    "src/tradewind/trading/strategy/own.py": "@strategy",
    "src/tradewind/learning/models/scikit_learn.py": "def _decision_tree",
}
ASKED = re.compile(r"^next: (kedro import-bars .*)$", re.MULTILINE)
NEXT = re.compile(r"^next: (kedro run .*)$", re.MULTILINE)


@dataclass
class Step:
    """One thing that a new user does."""

    name: str
    commands: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0


@dataclass
class Hour:
    """The clone, and what was done there."""

    folder: Path
    is_quick: bool = False
    steps: list[Step] = field(default_factory=list)

    @property
    def clone(self) -> Path:
        """The project's copy."""
        return self.folder / "tradewind"

    def run(self, command: str, folder: Path | None = None) -> str:
        """What a command prints; it must succeed, and may print no warning of Python's.

        Raises:
            SystemExit: it failed, with the end of what it printed.
        """
        words = shlex.split(command)
        tool = Path(sys.executable).with_name(words[0])
        if tool.exists():
            words[0] = str(tool)
        environment = {**os.environ, "KEDRO_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "NO_MKDOCS_2_WARNING": "1"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # else each command compiles its modules
        environment["PYTHONPATH"] = str(self.clone / "src")
        environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
        began, used = time.monotonic(), _cpu()
        done = subprocess.run(
            words,
            cwd=folder or self.clone,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        step = self.steps[-1]
        step.commands += 1
        step.seconds += time.monotonic() - began
        step.cpu_seconds += _cpu() - used
        if done.returncode:
            raise SystemExit(f"Error: {step.name}: `{command}` ended with {done.returncode}:\n{done.stdout[-4000:]}")
        noise = re.findall(r"^.*(?:Warning:|Traceback).*$", done.stdout, re.MULTILINE)
        if noise:
            raise SystemExit(f"Error: {step.name}: `{command}` printed {noise[0]!r}: nobody who runs it can mend that")
        return done.stdout

    def told(self, command: str, *words: str) -> str:
        """What a command prints, which must hold these words.

        Raises:
            SystemExit: they are not there.
        """
        printed = self.run(command)
        for word in words:
            if word not in printed:
                raise SystemExit(f"Error: {self.steps[-1].name}: `{command}` does not say {word!r}:\n{printed[-4000:]}")
        return printed


def clone(hour: Hour) -> None:
    """`git clone`, and the environment of this project instead of `make install`."""
    hour.run(f"git clone --quiet {PROJECT} {hour.clone}", PROJECT)
    (hour.clone / ".venv").symlink_to(Path(sys.prefix))


def run(hour: Hour) -> None:
    """The demo: `make run` without the installation."""
    if hour.is_quick:
        hour.told("kedro run --env quick", "walk-forward", "oracle")
        return
    hour.told("kedro run", "walk-forward", "oracle")
    hour.told("kedro run --pipelines deployment", "is registered in")


def own_file(hour: Hour) -> None:
    """A plain CSV: looked at, then every command as the one before it ends: the import, and the run."""
    market = "kedro simulate-market --symbols 2 --days 1000 --timeframe 4h --edge 0 --seed 3"
    hour.run(f"{market} --output {hour.folder / 'source.sqlite'}")
    _write_csv(hour.folder / "source.sqlite", hour.clone)
    hour.steps[-1].commands -= 1  # a new user has the files
    for symbol in ("BTCUSDT", "ETHUSDT"):
        following = _import(hour, f"{symbol}.csv", symbol)
    hour.told(following, "BTCUSDT ETHUSDT", "walk-forward")


def one_symbol(hour: Hour) -> None:
    """One of the symbols alone."""
    hour.told("kedro run --env imported --params=universe.symbols=ETHUSDT", "binance ETHUSDT 4h", "walk-forward")


def daily_file(hour: Hour) -> None:
    """A file of days, in the same store."""
    _import(hour, "BTCUSDT-days.csv", "BTCUSDT", "timezone=UTC")  # days say no zone
    hour.told("kedro run --env imported --params=universe.timeframe=1d,universe.symbols=BTCUSDT", "BTCUSDT 1d")


def own_feature(hour: Hour) -> None:
    """The README's feature, in its file: in the model input of the next run, and audited."""
    _add_snippet(hour, "src/tradewind/learning/features/own.py")
    hour.run("kedro run --env quick")
    dictionary = (hour.clone / "data/env/quick/08_reporting/feature_dictionary.html").read_text()
    _require(hour, "weekly_pull_24" in dictionary, "the feature is not in the dictionary")
    hour.run("kedro audit-features --env quick --cuts 20")


def own_strategy(hour: Hour) -> None:
    """The README's strategy, in its file: on the leaderboard."""
    _add_snippet(hour, "src/tradewind/trading/strategy/own.py")
    hour.run("kedro run --env quick")
    report = (hour.clone / "data/env/quick/08_reporting/report.md").read_text()
    _require(hour, "follow the day" in report, "the strategy is not in the report")


def own_model(hour: Hour) -> None:
    """The README's classifier, in its file and in `params:models`."""
    _add_snippet(hour, "src/tradewind/learning/models/scikit_learn.py")
    hour.run("kedro run --env quick --pipelines models '--params=models=lightgbm linear decision_tree'")
    report = (hour.clone / "data/env/quick/08_reporting/report.md").read_text()
    _require(hour, "decision tree" in report, "the model is not in the report")


def compare(hour: Hour) -> None:
    """What was changed between the last two runs, and what it did: in one screen."""
    lines = hour.told("kedro compare last~1 last", "decision").splitlines()
    _require(hour, len(lines) <= 60, f"kedro compare printed {len(lines)} lines: a screen has 60")


def notebooks(hour: Hour) -> None:
    """Both, executed and exported."""
    os.environ["KEDRO_ENV"] = "quick"
    for path in sorted((hour.clone / "notebooks").glob("0*.ipynb")):
        hour.run(f"jupyter nbconvert --to html --execute --log-level ERROR --output-dir {hour.folder} {path}")
        page = (hour.folder / f"{path.stem}.html").read_text()
        _require(hour, "plotly" in page, f"{path.name} shows no figure when it is exported")
    del os.environ["KEDRO_ENV"]


def graph(hour: Hour) -> None:
    """The graph as a page."""
    hour.run("kedro viz build --include-previews")
    _require(hour, (hour.clone / "build/index.html").is_file(), "there is no build/index.html")


def docs(hour: Hour) -> None:
    """The documentation as a site: `make docs` without the installation."""
    hour.run("mkdocs build")
    _require(hour, (hour.clone / "site/search/search_index.json").is_file(), "the site has no search")


STEPS: dict[str, Callable[[Hour], None]] = {
    "clone": clone,
    "run": run,
    "own_file": own_file,
    "one_symbol": one_symbol,
    "daily_file": daily_file,
    "own_feature": own_feature,
    "own_strategy": own_strategy,
    "own_model": own_model,
    "compare": compare,
    "notebooks": notebooks,
    "graph": graph,
    "docs": docs,
}


def _import(hour: Hour, file: str, symbol: str, *settings: str) -> str:
    """Import by the command that a look at the file prints; the command that this prints."""
    said = " ".join(f"--set {setting}" for setting in ("volume_unit=base", *settings))
    seen = hour.run(f"kedro import-bars {file} --dry-run --venue binance --symbol {symbol} {said}")
    command = ASKED.findall(seen)
    _require(hour, bool(command), f"a look at {file} ends without the command that imports it")
    following = NEXT.findall(hour.run(command[-1].strip()))
    _require(hour, bool(following), f"the import of {file} ends without the next command")
    return str(following[-1].strip())


def _add_snippet(hour: Hour, path: str) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (hour.clone / "README.md").read_text(), re.DOTALL)
    (code,) = (block for block in blocks if block.startswith(SNIPPETS[path]))
    with (hour.clone / path).open("a") as file:
        file.write(f"\n\n{code}")


def _write_csv(source: Path, folder: Path) -> None:
    """Two files of four-hour bars and one of days, as exchanges write them."""
    import sqlite3

    import pandas as pd

    with sqlite3.connect(source) as connection:
        bars = pd.read_sql("SELECT symbol, open_time, open, high, low, close, volume FROM bars", connection)
    bars["time"] = pd.to_datetime(bars.pop("open_time"), unit="ms", utc=True)
    columns = ["time", "open", "high", "low", "close", "volume"]
    for old, new in (("SIM1", "BTCUSDT"), ("SIM2", "ETHUSDT")):
        own = bars[bars["symbol"] == old].sort_values("time")[columns]
        own.to_csv(folder / f"{new}.csv", index=False, date_format="%Y-%m-%dT%H:%M:%SZ")
        if new == "BTCUSDT":
            how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
            days = own.set_index("time").resample("1D").agg(how).reset_index()
            days.to_csv(folder / f"{new}-days.csv", index=False, date_format="%Y-%m-%d")


def _require(hour: Hour, holds: bool, what: str) -> None:
    if not holds:
        raise SystemExit(f"Error: {hour.steps[-1].name}: {what}")


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def table(steps: list[Step]) -> Iterator[str]:
    """The steps as lines."""
    yield f"{'step':<14} {'commands':>8} {'seconds':>8} {'CPU s':>8}"
    total = Step("all", *(sum(getattr(one, name) for one in steps) for name in ("commands", "seconds", "cpu_seconds")))
    for one in (*steps, total):
        yield f"{one.name:<14} {one.commands:>8} {one.seconds:>8.1f} {one.cpu_seconds:>8.1f}"


def main(given: list[str] | None = None) -> int:
    """Do the steps; 0, or 1 with the step that failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the two models of --env quick instead of all")
    parser.add_argument("--steps", default=",".join(STEPS), help="some of them, by comma")
    parser.add_argument("--folder", type=Path, default=None, help="where; kept, and gone on with, if it is given")
    options = parser.parse_args(given)
    unknown = sorted(set(options.steps.split(",")) - set(STEPS))
    if unknown:
        parser.error(f"no step is called {', '.join(unknown)}: {', '.join(STEPS)}")
    folder = options.folder or Path(tempfile.mkdtemp(prefix="first-hour-"))
    folder.mkdir(parents=True, exist_ok=True)
    hour = Hour(folder, options.quick)
    try:
        for name in options.steps.split(","):
            hour.steps.append(Step(name))
            STEPS[name](hour)
            sys.stdout.write(f"{name}: {hour.steps[-1].seconds:.1f} s\n")
            sys.stdout.flush()
    finally:
        sys.stdout.write("\n".join(table(hour.steps)) + "\n")
        if options.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
