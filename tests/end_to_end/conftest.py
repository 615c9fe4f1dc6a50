"""A copy of the project in a temporary folder, run as a user would: `kedro run` in a process of its own."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

SOURCE = Path(__file__).resolve().parents[2]
# The line of a node that has ended.
NODE_ENDED = re.compile(r": [\d.]+ s \(\d+ of \d+\)$", re.MULTILINE)
LAYERS_THAT_REPEAT = (
    "01_raw", "02_intermediate", "03_primary", "04_feature", "05_model_input", "06_models", "07_model_output",
)  # fmt: skip
# Networks and agents that cost little, for what is judged on the trees.
SMALL_NETWORKS = ",".join(
    [
        *(f"deep_learning.{model}.training.max_rounds=1" for model in ("lstm", "tft", "linear_network")),
        *(f"deep_learning.{model}.training.row_stride=16" for model in ("lstm", "tft", "linear_network")),
        "deep_learning.lstm.network.window_bars=12",
        "deep_learning.tft.network.window_bars=6",
        "deep_learning.tft.network.hidden=8",
        "reinforcement_learning.ppo.rules.agent.total_timesteps=5000",
        "reinforcement_learning.ppo.rules.training.seeds=1",
        *(
            f"reinforcement_learning.{agent}.rules.agent.total_timesteps=2048"
            for agent in ("recurrent_ppo", "sac", "td3")
        ),
        *(f"reinforcement_learning.{agent}.rules.agent.clone_epochs=1" for agent in ("recurrent_ppo", "sac", "td3")),
    ]
)
# For what does not depend on how well the models are fitted.
FEW_FITS = ",".join(
    [
        "feature_engineering.folds.n_folds=2",
        *(f"classifier.{model}.tuning.n_trials=1" for model in ("xgboost", "lightgbm")),
        *(f"classifier.{model}.training.max_rounds=40" for model in ("xgboost", "lightgbm")),
        *(f"classifier.{model}.seeds.others=1" for model in ("xgboost", "lightgbm")),
        *(f"classifier.{model}.training.row_stride=8" for model in ("xgboost", "lightgbm")),
        SMALL_NETWORKS,
    ]
)

# The smallest run from data to the report: conf/lean of `write_lean`.
LEAN = {
    "models": ["lightgbm", "linear"],
    "feature_engineering": {"folds": {"n_folds": 2}, "features": {"tiers": [1], "slower_timeframes": []}},
    "classifier": {
        "lightgbm": {
            "tuning": {"n_trials": 1, "max_rounds": 10}, "training": {"max_rounds": 20}, "seeds": {"others": 1},
        },
    },
    "evaluation": {
        "statistics": {"n_resamples": 200},
        "robustness": {
            "cost_multiples": [1, 2], "delays_bars": [0, 1], "entry_thresholds": [0.05, 0.1], "smoothing_bars": [0, 12],
        },
    },
}  # fmt: skip


@dataclass
class Project:
    """A copied project and what a user does with it."""

    folder: Path
    _warm: dict[tuple[tuple[str, str], ...], subprocess.Popen[str]] = field(default_factory=dict, repr=False)

    def data(self, env: str) -> Path:
        """Where this environment keeps what its runs make."""
        return self.folder / "data/env" / env

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """A `kedro` command under way, in a process group of its own."""
        command = [str(Path(sys.executable).with_name("kedro")), *arguments]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self._environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # Tests that run in the background (`nohup make test &`) ignore Ctrl-C, and so would what they start.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def _environment(self, **changed: str) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.folder / "src"), "OMP_NUM_THREADS": "2", **changed}

    def kedro(self, *arguments: str, **environment: str) -> str:
        """What a `kedro` command printed; it must succeed."""
        status, output = self.try_kedro(*arguments, **environment)
        assert status == 0, output[-6000:]
        return output

    def try_kedro(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Exit status and output of a `kedro` command.

        The libraries are imported once for all commands with the same environment variables: they are forks of one
        process, which started with these (see `warm`).
        """
        variables = tuple(sorted(environment.items()))
        if variables not in self._warm:
            self._warm[variables] = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("warm.py"))],
                cwd=self.folder,
                env=self._environment(**environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        asks, answers = self._warm[variables].stdin, self._warm[variables].stdout
        assert asks is not None and answers is not None
        printed = self.folder.parent / "printed.txt"
        printed.unlink(missing_ok=True)
        asks.write(json.dumps({"arguments": arguments, "output": str(printed)}) + "\n")
        asks.flush()
        return int(answers.readline()), printed.read_text()

    def close(self) -> None:
        """No more commands."""
        for warm in self._warm.values():
            warm.communicate()

    def killed_at(self, line: str, *arguments: str) -> str:
        """What a `kedro` command printed that dies, with all its processes, when it prints this line."""
        process, printed = self.start(*arguments), ""
        assert process.stdout is not None
        for one in process.stdout:
            printed += one
            if line in one:
                break
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, f"it was over before {line!r}:\n{printed[-4000:]}"
        return printed

    def digests(self, *layers: str, env: str = "test") -> dict[str, str]:
        """SHA-256 of every file of an environment in the layers that must repeat byte for byte."""
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for layer in layers or LAYERS_THAT_REPEAT
            for path in sorted((self.data(env) / layer).rglob("*"))
            if path.is_file()
        }


def copy_project(folder: Path) -> Project:
    """The project's sources with their compiled kernels, configuration and notebooks, and its empty layers.

    numba knows a kernel by its source file's name, size and time, which a copy keeps: what was compiled once is not
    compiled anew in every copy.
    """
    for name in ("src", "conf", "notebooks"):
        ignored = shutil.ignore_patterns("*.tmp.*", "*.egg-info", "credentials.yml")
        shutil.copytree(SOURCE / name, folder / name, ignore=ignored)
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(SOURCE / name, folder)
    for layer in (SOURCE / "data").glob("0*"):
        (folder / "data" / layer.name).mkdir(parents=True)
    return Project(folder)


def write_lean(project: Project) -> None:
    """An environment `lean`: the market of `test`, two models, few features and figures."""
    environment = project.folder / "conf/lean"
    environment.mkdir()
    (environment / "globals.yml").write_text((project.folder / "conf/test/globals.yml").read_text())
    (environment / "parameters.yml").write_text(yaml.safe_dump(LEAN))


@pytest.fixture
def new_project(tmp_path: Path) -> Iterator[Project]:
    """A project that nobody has run, in a folder as people name theirs: blanks, signs, letters beyond ASCII."""
    project = copy_project(tmp_path / "Größe & Möwe 日本" / "the project")
    yield project
    project.close()


@pytest.fixture(scope="module")
def idle_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project for commands that write nothing which another one reads."""
    project = copy_project(tmp_path_factory.mktemp("idle") / "project")
    yield project
    project.close()


PLANTED = "CANARY-41d0c7be93"


def plant_secrets(project: Project) -> None:
    """Keys of an exchange in the file of credentials, one of them taken from the environment."""
    file = project.folder / "conf/local/credentials.yml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"binance: {{api_key: '${{oc.env:TRADEWIND_PLANTED,none}}', api_secret: {PLANTED}-file}}\n")
    file.chmod(0o600)


@pytest.fixture(scope="session")
def finished_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project after one default run in the small `test` environment; tests may run it again, not change it.

    One for all workers: who asks first runs it, the others wait.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "finished"
    digests = folder / "digests.json"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        if digests.exists():
            project = Project(folder / "project")
        else:
            shutil.rmtree(folder / "project", ignore_errors=True)
            project = copy_project(folder / "project")
            plant_secrets(project)
            process = project.start("run", "--env", "test", TRADEWIND_PLANTED=f"{PLANTED}-environment")
            output, _ = process.communicate()
            assert process.returncode == 0, output[-6000:]
            (folder / "printed.txt").write_text(output)
            digests.write_text(json.dumps(project.digests()))
    yield project
    project.close()


@pytest.fixture(scope="session")
def finished_digests(finished_project: Project) -> dict[str, str]:
    """What the default run wrote, by file; another worker may be running one of its stages again."""
    found: dict[str, str] = json.loads((finished_project.folder.parent / "digests.json").read_text())
    return found
