"""Networks as forecasters: what they learn, that they repeat, and what they refuse."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tradewind.errors import BadData, BadModel, BadParameters
from tradewind.learning.models import catalogue
from tradewind.learning.models.base import PROBABILITIES, QUANTILES
from tradewind.learning.models.sequence import onnx_file
from tradewind.learning.models.sequence.exported import NETWORK, OUTSIDE, ExportedForecaster
from tradewind.learning.models.sequence.forecaster import WEIGHTS, SequenceForecaster
from tradewind.learning.models.sequence.parameters import SequenceParameters
from tradewind.learning.models.walk_forward import TrainingRules, split_training

QUICK = SequenceParameters(
    window_bars=6, hidden=12, batch_size=256, learning_rate=0.02, max_rounds=16, early_stopping_rounds=5
)
RULES = TrainingRules()
NAMES = pytest.mark.parametrize("name", ["lstm", "tft", "linear_network"])


def market(seed: int = 0, count: int = 2500) -> pd.DataFrame:
    """What happens next depends on the bar four before: a memory finds it, the last bar does not show it."""
    rng = np.random.default_rng(seed)
    at = pd.date_range("2023-01-01", periods=count, freq="h", tz="UTC").as_unit("ms")
    tables = []
    for symbol in ("A", "B"):
        x = rng.standard_normal((count, 3)).astype(np.float32)
        drift = np.r_[np.zeros(4), x[:-4, 0]] + 0.5 * rng.standard_normal(count)
        label = np.digitize(drift, [-0.5, 0.5]).astype(np.int8) - np.int8(1)
        tables.append(
            pd.DataFrame(x, columns=list("abc")).assign(
                symbol=symbol, timestamp=at, label=label, forward_return=0.01 * drift, weight=1.0,
                exit_time=at + pd.Timedelta(2, unit="h"), horizon_end=at + pd.Timedelta(2, unit="h"),
            )
        )  # fmt: skip
    return pd.concat(tables).sort_values(["timestamp", "symbol"], kind="stable", ignore_index=True)


def divided(rows: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    boundary = rows["timestamp"].min() + 0.8 * (rows["timestamp"].max() - rows["timestamp"].min())
    return rows[rows["horizon_end"] < boundary], (rows["timestamp"] >= boundary).to_numpy()


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return market()


@pytest.fixture(scope="module")
def lstm(rows: pd.DataFrame) -> SequenceForecaster:
    return catalogue.model("lstm")(QUICK, 7).fit(split_training(divided(rows)[0], RULES))


def skill(forecaster: SequenceForecaster, rows: pd.DataFrame) -> float:
    testing = divided(rows)[1]
    return float(
        np.corrcoef(forecaster.predict(rows, testing)["expected_return"], rows.loc[testing, "forward_return"])[0, 1]
    )


def test_a_memory_finds_what_the_last_bar_does_not_show(rows: pd.DataFrame, lstm: SequenceForecaster) -> None:
    linear = catalogue.model("linear_network")(QUICK, 7).fit(split_training(divided(rows)[0], RULES))
    assert skill(lstm, rows) > 0.6 and abs(skill(linear, rows)) < 0.15
    curve = lstm.learning_curve()
    assert list(curve) == ["iteration", "train_loss", "valid_loss"]
    assert curve["valid_loss"].min() < 0.9 * curve["valid_loss"].iloc[0]
    importance = lstm.importance(rows[divided(rows)[1]])
    assert importance["gain_share"].sum() == pytest.approx(1)
    assert importance.set_index("feature")["mean_abs_shap"].idxmax() == "a"


def test_forecasts_are_distributions_and_cover_what_they_say(rows: pd.DataFrame, lstm: SequenceForecaster) -> None:
    testing = divided(rows)[1]
    found = lstm.predict(rows, testing)
    assert list(found) == [*PROBABILITIES, "expected_return", *QUANTILES]
    pd.testing.assert_index_equal(found.index, rows.index[testing])
    np.testing.assert_allclose(found[PROBABILITIES].sum(axis=1), 1, atol=1e-9)
    assert (np.diff(found[QUANTILES].to_numpy(), axis=1) >= 0).all()
    moved = rows.loc[testing, "forward_return"]
    assert 0.84 < ((found["q05"] <= moved) & (moved <= found["q95"])).mean() < 0.96


@NAMES
def test_the_same_seed_gives_the_same_bytes_side_by_side_or_not(rows: pd.DataFrame, name: str) -> None:
    past = divided(rows)[0]
    short = QUICK.model_copy(update={"max_rounds": 2})

    def fit(seed: int) -> dict[str, bytes]:
        return catalogue.model(name)(short, seed).fit(split_training(past, RULES)).files()

    alone = fit(7)
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(fit, [7, 8, 7]))
    assert together[0] == together[2] == alone
    assert together[1][WEIGHTS] != alone[WEIGHTS]


def test_files_and_back_give_the_same_forecasts(rows: pd.DataFrame, lstm: SequenceForecaster) -> None:
    again = catalogue.model("lstm").from_files(lstm.files())
    testing = divided(rows)[1]
    pd.testing.assert_frame_equal(again.predict(rows, testing), lstm.predict(rows, testing))
    assert again.files() == lstm.files()


def test_the_future_does_not_move_a_forecast(rows: pd.DataFrame, lstm: SequenceForecaster) -> None:
    testing = divided(rows)[1]
    cut = rows.loc[testing, "timestamp"].iloc[200]
    changed = rows.copy()
    later = changed["timestamp"] > cut
    changed.loc[later, list("abc")] = 4.0
    changed[["label", "forward_return"]] = 0
    known = (rows.loc[testing, "timestamp"] <= cut).to_numpy()
    usual, other = (lstm.predict(one, testing) for one in (rows, changed))
    pd.testing.assert_frame_equal(usual[known], other[known])
    assert not usual[~known].equals(other[~known])
    # With the rows just before the test and no others, the forecasts are the same.
    near = rows[rows["timestamp"] >= rows.loc[testing, "timestamp"].iloc[0] - pd.Timedelta(6, unit="h")]
    pd.testing.assert_frame_equal(lstm.predict(near, testing[near.index]), usual)


def test_a_row_without_a_whole_window_has_no_forecast(rows: pd.DataFrame, lstm: SequenceForecaster) -> None:
    testing = divided(rows)[1]
    at = rows.loc[testing, "timestamp"].iloc[100]
    holed = rows[rows["timestamp"] != at].reset_index(drop=True)
    found = lstm.predict(holed, divided(holed)[1])
    gone = found["p_up"].isna().to_numpy()
    after = holed.loc[divided(holed)[1], "timestamp"]
    assert gone.sum() == 2 * 5 and (after[gone] > at).all() and (after[gone] < at + pd.Timedelta(6, unit="h")).all()


@pytest.mark.parametrize("fault", ["truncated", "swapped", "other version", "other training", "missing file"])
def test_damaged_files_are_refused(lstm: SequenceForecaster, rows: pd.DataFrame, fault: str) -> None:
    files = dict(lstm.files())
    if fault == "truncated":
        files[WEIGHTS] = files[WEIGHTS][:-100]
    elif fault == "swapped":
        files |= catalogue.model("linear_network")(QUICK, 7).fit(split_training(divided(rows)[0], RULES)).files()
    elif fault in {"other version", "other training"}:
        name = OUTSIDE if fault == "other version" else "training.json"
        files[name] = json.dumps({**json.loads(files[name]), "new": 1}).encode()
    else:
        del files[WEIGHTS]
    with pytest.raises(BadModel):
        catalogue.model("lstm").from_files(files)


def test_what_cannot_be_learned_is_refused(rows: pd.DataFrame) -> None:
    past = divided(rows)[0]
    with pytest.raises(BadData, match="all the same"):
        catalogue.model("lstm")(QUICK, 7).fit(split_training(past.assign(label=np.int8(1)), RULES))
    with pytest.raises(BadData, match="no whole window|no window of"):
        catalogue.model("lstm")(QUICK.model_copy(update={"window_bars": 5000}), 7).fit(split_training(past, RULES))
    wild = QUICK.model_copy(update={"learning_rate": 1.0, "gradient_clip": 1e30})
    broken = past.assign(weight=np.where(np.arange(len(past)) == 500, np.inf, 1.0))
    with pytest.raises(BadData, match="training broke down"):
        catalogue.model("lstm")(wild, 7).fit(split_training(broken, RULES))
    with pytest.raises(BadModel, match="has not been fitted"):
        catalogue.model("lstm")(QUICK, 7).files()
    with pytest.raises(BadParameters, match="one of .*lstm.*, found 'gru'"):
        catalogue.model("gru")


def test_missing_values_and_constant_features_are_lived_with(rows: pd.DataFrame) -> None:
    holed = rows.assign(b=np.where(np.arange(len(rows)) % 7 == 0, np.nan, rows["b"]), c=np.float32(1.0))
    past, testing = divided(holed)
    found = catalogue.model("lstm")(QUICK, 7).fit(split_training(past, RULES)).predict(holed, testing)
    assert np.isfinite(found["p_up"]).all()


def test_every_horizon_has_its_quantiles(rows: pd.DataFrame) -> None:
    """Returns over one bar are noise here, those over two bars are the label's."""
    noise = np.random.default_rng(1).standard_normal(len(rows))
    several = rows.assign(forward_return_1=0.02 * noise, forward_return_2=rows["forward_return"])
    past, testing = divided(several)
    forecaster: Any = catalogue.model("lstm")(QUICK, 7).fit(split_training(past, RULES))
    assert forecaster.horizons == (1, 2)
    details = forecaster.details(several, testing)
    assert details.quantiles.shape == (testing.sum(), 2, 5) and (np.diff(details.quantiles, axis=2) >= 0).all()
    moved = several.loc[testing, ["forward_return_1", "forward_return_2"]].to_numpy()
    inside = (details.quantiles[:, :, 0] <= moved) & (moved <= details.quantiles[:, :, 4])
    assert (inside.mean(axis=0) > 0.84).all() and (inside.mean(axis=0) < 0.96).all()
    skills = [np.corrcoef(details.quantiles[:, at, 2], moved[:, at])[0, 1] for at in (0, 1)]
    assert abs(skills[0]) < 0.15 and skills[1] > 0.6
    np.testing.assert_allclose(details.quantiles[:, 1], forecaster.predict(several, testing)[QUANTILES], atol=1e-12)
    assert details.attention.shape == (6,) and details.attention.sum() == pytest.approx(1)
    with pytest.raises(BadData, match="a return at every horizon; missing.*forward_return_1': 1"):
        catalogue.model("lstm")(QUICK, 7).fit(
            split_training(past.assign(forward_return_1=np.r_[np.nan, noise[1 : len(past)]]), RULES)
        )


def test_the_transformer_finds_the_feature_and_the_lag(rows: pd.DataFrame) -> None:
    wide = QUICK.model_copy(update={"head": "dirichlet", "max_rounds": 12})
    forecaster: Any = catalogue.model("tft")(wide, 7).fit(split_training(divided(rows)[0], RULES))
    assert skill(forecaster, rows) > 0.6
    details = forecaster.details(rows, divided(rows)[1])
    assert max(details.selection, key=details.selection.__getitem__) == "a"
    assert sum(details.selection.values()) == pytest.approx(1) and (details.evidence > 0).all()
    assert forecaster.importance(rows[divided(rows)[1]]).set_index("feature")["mean_abs_shap"].idxmax() == "a"


@NAMES
def test_what_is_exported_says_the_same_without_torch(rows: pd.DataFrame, name: str, tmp_path: Path) -> None:
    short = QUICK.model_copy(update={"max_rounds": 3, "most_features": 2})
    forecaster = catalogue.model(name)(short, 7).fit(split_training(divided(rows)[0], RULES))
    files, testing = forecaster.files(), divided(rows)[1]
    expected = forecaster.predict(rows, testing)
    rows.to_parquet(tmp_path / "rows.parquet")
    for file in (NETWORK, OUTSIDE):
        (tmp_path / file).write_bytes(files[file])
    code = """
import sys
from pathlib import Path
import pandas as pd
from tradewind.learning.models.sequence.exported import ExportedForecaster
folder = Path(sys.argv[1])
files = {name: (folder / name).read_bytes() for name in ("network.onnx", "forecaster.json")}
exported = ExportedForecaster.from_files(files)
rows = pd.read_parquet(folder / "rows.parquet")
exported.predict_all(rows).to_parquet(folder / "all.parquet")
exported.predict(rows[rows["symbol"] == "A"].iloc[:1000]).to_parquet(folder / "one.parquet")
raise SystemExit(any(name in sys.modules for name in ("torch", "lightning", "pytorch_forecasting")))
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = pd.read_parquet(tmp_path / "all.parquet")
    pd.testing.assert_frame_equal(found.loc[expected.index], expected, atol=1e-5)
    one = pd.read_parquet(tmp_path / "one.parquet")
    pd.testing.assert_frame_equal(one, found.loc[one.index], atol=1e-6)


def test_an_export_that_cannot_be_is_refused(rows: pd.DataFrame, lstm: SequenceForecaster) -> None:
    files = lstm.files()
    exported = ExportedForecaster.from_files(files)
    assert exported.features == ("a", "b", "c")
    with pytest.raises(BadData, match="reads 6 bars, found 5"):
        exported.predict(rows.iloc[:5])
    with pytest.raises(BadModel, match="cannot be read"):
        ExportedForecaster.from_files({**files, NETWORK: files[NETWORK][:300]})
    with pytest.raises(BadModel, match="needs"):
        ExportedForecaster.from_files({OUTSIDE: files[OUTSIDE]})


def test_a_network_that_changes_on_its_way_out_is_not_given_away(
    lstm: SequenceForecaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_file, "TOLERANCE", -1.0)
    with pytest.raises(BadModel, match="differs from the trained one"):
        lstm.files()
