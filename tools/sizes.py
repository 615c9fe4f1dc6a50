"""How long the stages take and how much memory they hold, by the size of the market: the tables of docs/benchmarks.md.

`make sizes`, or `python tools/sizes.py stocks --symbols 50 125 250 500`: every stage is a `kedro run` of its own in a
copy of the project, two models as in `--env quick`. Seconds are user CPU and wall time, memory is the largest resident
set of the process.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
STAGES = ("data_engineering", "regimes", "feature_engineering", "classifier", "evaluation")
# What `--env quick` sets, for environments that set other things.
QUICK = (
    "models=lightgbm linear",
    "feature_engineering.features.tiers=1 2 5",
    "feature_engineering.features.slower_timeframes=",
    "classifier.lightgbm.tuning.n_trials=1",
    "classifier.lightgbm.tuning.row_stride=8",
    "classifier.lightgbm.training.row_stride=4",
    "evaluation.statistics.n_resamples=500",
    "evaluation.robustness.cost_multiples=1 2",
    "evaluation.robustness.delays_bars=0 1 2",
    "evaluation.robustness.entry_thresholds=0.05 0.1 0.2",
    "evaluation.robustness.smoothing_bars=0 3 5",
)
EDGE, SEED = 2.2, 7
FIRST_HOUR, FIRST_SESSION, YEARS = "2018-01-01", "2010-01-01", 14


@dataclass(frozen=True)
class Size:
    """A market: which environment reads it, how it is made, and what is asked for beside.

    Attributes:
        title: of its table.
        env: Kedro's environment.
        timeframe: of its bars.
        days: that it covers, nights and weekends included.
        symbols: how many it has, unless the command says.
    """

    title: str
    env: str
    timeframe: str
    days: int
    symbols: tuple[int, ...]


SIZES = {
    "refused": Size("1 symbol, 300 hourly bars", "quick", "1h", 13, (1,)),
    "small": Size("1 symbol, 3,000 hourly bars", "quick", "1h", 125, (1,)),
    "hourly": Size("six years of hourly bars", "quick", "1h", 2192, (5, 10, 20)),
    "stocks": Size("fourteen years of daily sessions", "stocks", "1d", 0, (50, 125, 250, 500)),
}


@dataclass(frozen=True)
class Used:
    """What a command took."""

    user: float
    wall: float
    peak_mib: float
    status: int


def measured(command: list[str], folder: Path, log: Path, **environment: str) -> Used:
    """Run a command; what it printed is in the log."""
    settings = {
        **os.environ, "PYTHONPATH": str(folder / "src"), "KEDRO_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1",
        "OMP_NUM_THREADS": "2", **environment,
    }  # fmt: skip
    settings.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.monotonic()
    with log.open("w") as printed:
        process = subprocess.Popen(command, cwd=folder, env=settings, stdout=printed, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Used(usage.ru_utime, time.monotonic() - began, usage.ru_maxrss / 1024, process.returncode)


def write_stocks(folder: Path, symbols: int) -> None:
    """Simulated daily bars on the sessions of the New York Stock Exchange, a file a symbol."""
    sys.path.insert(0, str(PROJECT / "src"))
    import pandas as pd

    from tradewind.market.calendars import DAY_MS, Calendar
    from tradewind.market.simulation.simulator import SimulationSpec, simulate_market

    spec = SimulationSpec(
        venue="us_stocks", n_symbols=symbols, days=round(YEARS * 365.25), timeframe="1d", start=FIRST_SESSION,
        edge=EDGE, seed=SEED,
    )  # fmt: skip
    opens = spec.open_ms
    sessions = Calendar.of("1d", "XNYS").expected(int(opens[0]), int(opens[-1]) + DAY_MS)
    folder.mkdir(parents=True, exist_ok=True)
    for partition, bars in simulate_market(spec).bars.items():
        rows = bars[bars["open_time"].isin(sessions)]
        dated = rows.assign(open_time=pd.to_datetime(rows["open_time"], unit="ms", utc=True))
        dated.rename(columns={"open_time": "timestamp"}).to_parquet(
            folder / f"{partition.split('/')[1]}-1d.parquet", index=False
        )


def copy_project(folder: Path) -> None:
    """The sources with their compiled kernels, and the configuration."""
    for name in ("src", "conf"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("*.egg-info", "credentials.yml"))
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(PROJECT / name, folder)
    for layer in (PROJECT / "data").glob("0*"):
        (folder / "data" / layer.name).mkdir(parents=True)


def run_size(
    name: str, symbols: int, folder: Path, stages: Sequence[str], params: str = ""
) -> Iterator[tuple[str, Used]]:
    """Make a market of this size in a copy of the project at `folder`, and run the stages on it.

    Yields:
        What each stage took, up to the one that failed.
    """
    size = SIZES[name]
    copy_project(folder)
    kedro = str(Path(sys.executable).with_name("kedro"))
    listed = " ".join(f"SIM{number}" for number in range(1, symbols + 1))
    settings = [f"universe.timeframe={size.timeframe}", f"universe.symbols={listed}", *filter(None, [params])]
    environment = {}
    if size.env == "quick":
        market = folder / "data/env/quick/01_raw/market.sqlite"
        made = [
            kedro, "simulate-market", "--symbols", str(symbols), "--days", str(size.days), "--start", FIRST_HOUR,
            "--timeframe", size.timeframe, "--edge", str(EDGE), "--seed", str(SEED), "--output", str(market),
        ]  # fmt: skip
        yield "simulate-market", measured(made, folder, folder / "simulate-market.log")
    else:
        write_stocks(folder / "stocks", symbols)
        environment["TRADEWIND_DATA"] = str(folder / "stocks")
        settings += ["universe.reference_symbol=SIM1", "universe.chosen=beforehand", *QUICK]
    for stage in stages:
        command = [kedro, "run", "--env", size.env, "--pipelines", stage, "--params", ",".join(settings)]
        log = folder / f"{stage}.log"
        used = measured(command, folder, log, **environment)
        yield stage, used
        if used.status:
            print(log.read_text()[-2000:])
            return


def print_size(name: str, symbols: int, folder: Path, stages: Sequence[str], params: str) -> None:
    """The lines of a Markdown table as they come, the last one of all stages together."""
    total = Used(0.0, 0.0, 0.0, 0)
    for stage, used in run_size(name, symbols, folder, stages, params):
        print(_row(symbols, stage, used), flush=True)
        peak = max(total.peak_mib, used.peak_mib)
        total = Used(total.user + used.user, total.wall + used.wall, peak, used.status)
    print(_row(symbols, "all", total), flush=True)


def _row(symbols: int, stage: str, used: Used) -> str:
    return f"| {symbols} | {stage} | {used.user:.1f} | {used.wall:.1f} | {used.peak_mib:,.0f} |"


def main() -> None:
    """Measure the sizes that are asked for, all of them unless named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", choices=[*SIZES, []], help="which; all unless named")
    parser.add_argument("--symbols", type=int, nargs="*", help="how many, instead of those of the size")
    parser.add_argument("--stages", nargs="*", default=STAGES, help="which are run, in their order")
    parser.add_argument("--params", default="", help="more parameters, as in kedro run --params")
    parser.add_argument("--folder", type=Path, help="kept; otherwise a temporary one")
    asked = parser.parse_args()
    for name in asked.sizes or SIZES:
        print(
            f"\n{SIZES[name].title}\n\n| symbols | stage | user CPU, s | wall, s | peak, MiB |\n|---|---|---|---|---|"
        )
        for symbols in asked.symbols or SIZES[name].symbols:
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(asked.folder or temporary) / f"{name}-{symbols}"
                print_size(name, symbols, folder, asked.stages, asked.params)


if __name__ == "__main__":
    main()
