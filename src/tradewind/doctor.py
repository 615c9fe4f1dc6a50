"""Is this machine fit to run the project? One finding a line, each with what to do about it."""

import os
import platform
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from time import perf_counter
from typing import Literal

from packaging.requirements import Requirement

from tradewind import kernel_cache
from tradewind.extras import MODULES, missing_modules

Status = Literal["ok", "warn", "fail"]
MINIMUM_FREE_GB = 2.0  # a real run with its MLflow artifacts takes about 1 GB


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it stands, and what was found or what to do."""

    subject: str
    status: Status
    detail: str


def check_versions() -> Iterator[Finding]:
    """Python and every declared dependency against its version range; those of extras where they are installed."""
    python = platform.python_version()
    fits = python.startswith("3.11.")
    yield Finding("python", "ok" if fits else "fail", python if fits else f"{python}: Python 3.11 is needed")
    for line in requires("tradewind") or []:
        requirement = Requirement(line)
        marker = requirement.marker
        is_core = marker is None or marker.evaluate({"extra": ""})
        if marker is not None and not any(marker.evaluate({"extra": extra}) for extra in ("", *MODULES)):
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            if not is_core:
                continue  # `check_extras` says which extras there are
            yield Finding(requirement.name, "fail", f"not installed: {requirement} is needed, run `make install`")
            continue
        fits = requirement.specifier.contains(found, prereleases=True)
        detail = found if fits else f"{found}: {requirement} is needed, run `make install`"
        yield Finding(requirement.name, "ok" if fits else "fail", detail)


def check_extras() -> Iterator[Finding]:
    """Which extras are installed, and how to install the others; none of them is needed by all runs."""
    for extra in MODULES:
        missing = missing_modules(extra)
        state = f"not installed ({', '.join(missing)}): pip install 'tradewind[{extra}]'" if missing else "installed"
        yield Finding(f"extra {extra}", "ok", state)


def check_machine(project: Path) -> Iterator[Finding]:
    """Processor, memory and free disk."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("processor", "ok", f"{platform.machine()}, {cores} cores usable")
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
        enough = memory >= 4
        yield Finding("memory", "ok" if enough else "warn", f"{memory:.1f} GiB" + ("" if enough else ": 4 are needed"))
    free = shutil.disk_usage(project).free / 2**30
    enough = free >= MINIMUM_FREE_GB
    detail = f"{free:.1f} GiB free" + ("" if enough else f": at least {MINIMUM_FREE_GB:.0f} are needed")
    yield Finding("disk", "ok" if enough else "fail", detail)
    if kernel_cache.is_temporary():
        remedy = f"name a folder that may be written to in {kernel_cache.FOLDER}"
        yield Finding("kernels", "warn", f"compiled at each start, for they can be kept nowhere: {remedy}")
    else:
        yield Finding("kernels", "ok", "compiled once and kept")


def check_accelerator(size: int = 1024, repeats: int = 10) -> Iterator[Finding]:
    """The devices torch can use, each with the speed of a `size` x `size` float32 matrix product."""
    if missing_modules("deep"):
        yield Finding("gpu", "ok", "not looked for: networks and agents are not installed")
        return
    import torch

    def measure(device: str) -> float:
        left = torch.ones((size, size), device=device)
        right = torch.ones((size, size), device=device)
        _ = (left @ right).sum().item()  # warm-up; item() waits for the device
        start = perf_counter()
        for _ in range(repeats):
            product = left @ right
        product.sum().item()
        return 2 * size**3 * repeats / (perf_counter() - start) / 1e9

    yield Finding("cpu matmul", "ok", f"{measure('cpu'):,.0f} GFLOP/s with {torch.get_num_threads()} threads")
    if not torch.cuda.is_available():
        built_for = torch.version.cuda or torch.version.hip
        reason = "no device answers" if built_for else "this torch is a CPU build"
        yield Finding("gpu", "warn", f"none ({reason}): everything runs on the CPU")
        return
    kind = f"ROCm {torch.version.hip}" if torch.version.hip else f"CUDA {torch.version.cuda}"
    for index in range(torch.cuda.device_count()):
        speed = measure(f"cuda:{index}")
        yield Finding("gpu", "ok", f"{torch.cuda.get_device_name(index)}, {kind}, {speed:,.0f} GFLOP/s")


def check_folders(project: Path) -> Iterator[Finding]:
    """Write permission in every data layer."""
    layers = sorted(path for path in (project / "data").glob("0*") if path.is_dir())
    if not layers:
        yield Finding("data layers", "fail", f"{project / 'data'} holds no layer folders: restore them from git")
    for layer in layers:
        try:
            with tempfile.TemporaryFile(dir=layer):
                pass
        except OSError as error:
            yield Finding(f"data/{layer.name}", "fail", f"cannot be written: {error.strerror}")
        else:
            yield Finding(f"data/{layer.name}", "ok", "writable")


def check_mlflow(tracking_uri: str, project: Path) -> Iterator[Finding]:
    """The MLflow store, and whether it opens."""
    if not tracking_uri.startswith("sqlite:///"):
        import mlflow

        client = mlflow.MlflowClient(tracking_uri)
        try:
            count = len(client.search_experiments())
        except Exception as error:  # noqa: BLE001 - whatever a remote store answers is the finding
            yield Finding("mlflow", "fail", f"{tracking_uri} does not answer: {error}")
        else:
            yield Finding("mlflow", "ok", f"{tracking_uri}, {count} experiments")
        return
    store = project / tracking_uri.removeprefix("sqlite:///")
    if not store.exists():
        yield Finding("mlflow", "ok", f"{store.name} is made by the first run")
        return
    try:
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as connection:
            (runs,) = connection.execute("SELECT COUNT(*) FROM runs").fetchone()
    except sqlite3.Error as error:
        yield Finding("mlflow", "fail", f"{store} cannot be read: {error}; move it away, the next run makes a new one")
    else:
        yield Finding("mlflow", "ok", f"{store.name}, {runs} runs")


def examine(project: Path, tracking_uri: str, speed: bool = False) -> Iterator[Finding]:
    """All findings, the cheap ones first.

    Args:
        project: the folder of the project.
        tracking_uri: MLflow's store.
        speed: whether to look for GPUs and measure every device, which imports torch.
    """
    yield from check_versions()
    yield from check_extras()
    yield from check_machine(project)
    yield from check_folders(project)
    yield from check_mlflow(tracking_uri, project)
    if speed:
        yield from check_accelerator()
