"""What makes agents' forecasts is stored: from its files it says, in another process, what it said in the run."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tradewind.adaptive.rl.forecasts import CLASSES_FILE, SPREAD_FILE, AgentForecaster
from tradewind.errors import BadModel

AGAIN = """
import sys, pathlib
import numpy as np, pandas as pd
from tradewind.adaptive.rl.forecasts import AgentForecaster
folder = pathlib.Path(sys.argv[1])
forecaster = AgentForecaster.from_files({path.name: path.read_bytes() for path in folder.glob("forecast_*")})
np.save(folder / "again.npy", forecaster.predict(pd.read_parquet(folder / "rows.parquet")))
"""


def make_rows(count: int = 800) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    x = rng.standard_normal((count, 3)).astype(np.float32)
    moved = 0.01 * np.exp(0.5 * x[:, 1]) * (x[:, 0] + rng.standard_normal(count))
    x[::11, 2] = np.nan
    at = pd.date_range("2023-01-01", periods=count, freq="h", tz="UTC").as_unit("ms")
    return pd.DataFrame(x, columns=["side", "size", "noise"]).assign(
        symbol="A", timestamp=at, label=np.sign(np.round(100 * moved)).astype(np.int8), forward_return=moved,
        exit_time=at, horizon_end=at, weight=1.0,
    )  # fmt: skip


def test_it_says_the_same_from_its_files_in_a_fresh_process(tmp_path: Path) -> None:
    rows = make_rows()
    forecaster = AgentForecaster.fitted(rows.iloc[:600], ["side", "size", "noise"])
    later = rows.iloc[600:]
    said = forecaster.predict(later)
    assert np.corrcoef(said[:, 2] - said[:, 0], later["side"])[0, 1] > 0.8
    assert np.corrcoef(np.log(said[:, 3]), later["size"])[0, 1] > 0.8
    files = forecaster.files()
    assert set(files) == {CLASSES_FILE, SPREAD_FILE} and AgentForecaster.from_files(files).files() == files
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    later.to_parquet(tmp_path / "rows.parquet")
    subprocess.run([sys.executable, "-c", AGAIN, str(tmp_path)], check=True)
    np.testing.assert_allclose(np.load(tmp_path / "again.npy"), said, rtol=1e-12)


def test_without_a_file_it_is_refused() -> None:
    files = AgentForecaster.fitted(make_rows(), ["side", "size"]).files()
    with pytest.raises(BadModel, match="the agents' forecasts need"):
        AgentForecaster.from_files({CLASSES_FILE: files[CLASSES_FILE]})
    with pytest.raises(BadModel, match="the agents' forecasts need"):
        AgentForecaster.from_files(files | {SPREAD_FILE: b"{}"})
