"""What a run has stored acts outside it: an agent and a linear model, in a fresh process, from their files alone."""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

from tests.adaptive.rl.test_preparation import made, plan
from tradewind.adaptive.rl.forecasts import CLASSES_FILE, fold_forecasts
from tradewind.adaptive.rl.policies import POLICY
from tradewind.adaptive.rl.walk_forward import train_folds as train_agents
from tradewind.datasets.model_store import FolderModelStore
from tradewind.errors import BadModel
from tradewind.learning.models.linear import LinearForecaster, LinearParameters
from tradewind.learning.models.walk_forward import TrainingRules, train_folds
from tradewind.learning.splits.purged import test_mask

# Everything that acts is read from the store; bars, features and the terms of trade are the market's.
AGAIN = """
import sys
from pathlib import Path
import pandas as pd
from tests.adaptive.rl.test_preparation import made, plan
from tradewind.adaptive.rl.stored import StoredAgent
from tradewind.datasets.model_store import FolderModelStore
from tradewind.learning.models.linear import LinearForecaster

folder, agent, linear, fold = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
_, folds, known = made()
rows = pd.read_parquet(folder / "rows.parquet")
window = folds.set_index("fold").loc[fold]
stored = StoredAgent.from_files(FolderModelStore(folder / "agents").get(agent))
held = stored.positions(rows, known, (window["test_start"], window["test_end"]), plan().trading)
held.to_parquet(folder / "held.parquet")
model = LinearForecaster.from_files(FolderModelStore(folder / "linear").get(linear))
model.predict(rows).to_parquet(folder / "said.parquet")
assert "torch" not in sys.modules
"""


class Run(NamedTuple):
    """What a run has left, with what it held and said."""

    folder: Path
    agent: str
    linear: str
    fold: int
    held: pd.DataFrame
    said: pd.DataFrame


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    rows, folds, known = made()
    told = fold_forecasts(rows, folds)
    files = {fold: forecaster.files() for fold, forecaster in told.forecasters.items()}
    store = FolderModelStore(folder / "agents")
    agents = train_agents((rows, told.table), folds, known, plan(seeds=1), store, files)[0]
    linear = train_folds(
        LinearForecaster, LinearParameters(), rows, folds, TrainingRules(), FolderModelStore(folder / "linear"), 7
    )[0]
    fold = next(folds.itertuples(index=False))
    rows[test_mask(rows, fold)].to_parquet(folder / "rows.parquet")
    held = agents.transitions[["symbol", "timestamp", "target"]]
    return Run(folder, next(iter(agents.keys.values())), linear.key, agents.fold, held, linear.forecasts)


def again(run: Run) -> subprocess.CompletedProcess[str]:
    arguments = [str(run.folder), run.agent, run.linear, str(run.fold)]
    return subprocess.run([sys.executable, "-c", AGAIN, *arguments], capture_output=True, text=True, check=False)


def test_a_stored_agent_and_a_stored_linear_model_act_as_in_their_run(run: Run) -> None:
    done = again(run)
    assert done.returncode == 0, done.stderr[-3000:]
    held, said = (pd.read_parquet(run.folder / f"{name}.parquet") for name in ("held", "said"))
    assert run.held["target"].nunique() > 1
    pd.testing.assert_frame_equal(held, run.held.reset_index(drop=True), check_exact=True)
    pd.testing.assert_frame_equal(said.reset_index(drop=True), run.said.reset_index(drop=True), check_exact=True)


@pytest.mark.parametrize(("of", "file"), [("agents", POLICY), ("agents", CLASSES_FILE), ("linear", "")])
def test_a_changed_byte_is_refused_by_its_hash(run: Run, of: str, file: str) -> None:
    key = run.agent if of == "agents" else run.linear
    folder = run.folder / of / key[:24]
    path = folder / file if file else next(one for one in folder.iterdir() if one.name != "manifest.json")
    content = path.read_bytes()
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 1
    path.write_bytes(changed)
    try:
        with pytest.raises(BadModel, match=f"{path.name}: the hash is not the manifest's, the file was altered"):
            FolderModelStore(run.folder / of).get(key)
        done = again(run) if file == CLASSES_FILE else None
    finally:
        path.write_bytes(content)
    assert done is None or (done.returncode != 0 and "the hash is not the manifest's" in done.stderr)
