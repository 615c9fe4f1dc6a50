"""Networks against pytorch-forecasting's own way; see `conftest` for how."""

import logging
import warnings
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tradewind.learning.models import catalogue
from tradewind.learning.models.sequence.dataset import ForecastingDataset, Targets, TradingDataset, make_loader
from tradewind.learning.models.sequence.exported import ExportedForecaster
from tradewind.learning.models.sequence.networks import Network
from tradewind.learning.models.sequence.parameters import SequenceParameters
from tradewind.learning.models.sequence.training import train_network
from tradewind.learning.models.sequence.windows import Standardiser, make_windows
from tradewind.learning.models.walk_forward import TrainingRules, split_training

pytestmark = pytest.mark.benchmark
ENCODER, DECODER, BATCH = 24, 4, 128
NAMES = [f"f{number}" for number in range(16)]


@pytest.fixture(scope="module", autouse=True)
def one_thread_and_quiet() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    rng, count = np.random.default_rng(0), 2500
    at = pd.date_range("2023-01-01", periods=count, freq="h", tz="UTC").as_unit("ms")
    tables = []
    for symbol in ("A", "B"):
        x = rng.standard_normal((count, len(NAMES))).astype(np.float32)
        moved = 0.01 * (np.r_[0, x[:-1, 0]] + rng.standard_normal(count))
        tables.append(
            pd.DataFrame(x, columns=NAMES).assign(
                symbol=symbol, timestamp=at, step=np.arange(count), forward_return=moved, weight=1.0,
                label=np.digitize(moved, [-0.005, 0.005]).astype(np.int8) - np.int8(1),
                horizon_end=at + pd.Timedelta(4, unit="h"), exit_time=at + pd.Timedelta(4, unit="h"),
                target=moved.astype(np.float32),
            )
        )  # fmt: skip
    return pd.concat(tables, ignore_index=True)


@pytest.fixture(scope="module")
def stock(rows: pd.DataFrame) -> Any:
    from pytorch_forecasting import TimeSeriesDataSet

    flat = rows[["symbol", "step", "target"]].copy()
    flat[NAMES] = Standardiser.fitted(rows, NAMES).apply(rows)
    return TimeSeriesDataSet(
        flat, time_idx="step", target="target", group_ids=["symbol"], max_encoder_length=ENCODER,
        min_encoder_length=ENCODER, max_prediction_length=DECODER, min_prediction_length=DECODER,
        time_varying_unknown_reals=NAMES, scalers=dict.fromkeys(NAMES), target_normalizer=None,
    )  # fmt: skip


def test_batches_against_their_data_set(rows: pd.DataFrame, stock: Any, compare: Callable[..., None]) -> None:
    windows = make_windows(rows, Standardiser.fitted(rows, NAMES), ENCODER + DECODER)
    ours = ForecastingDataset(windows, rows["target"].to_numpy(), rows["step"].to_numpy(), DECODER)
    peer = stock.to_dataloader(train=False, batch_size=BATCH, num_workers=0)

    def mine() -> Any:
        loader = make_loader(ours, np.arange(len(ours)), BATCH)
        return torch.cat([x["encoder_cont"].sum(dim=(1, 2)) + y[:, -1] for x, (y, _) in loader]).numpy()

    def theirs() -> Any:
        return torch.cat([x["encoder_cont"].sum(dim=(1, 2)) + y[:, -1] for x, (y, _) in peer]).numpy()

    case = f"{len(ours):,} windows of {ENCODER} + {DECODER} bars in batches, TimeSeriesDataSet and its DataLoader"
    compare(case, mine, theirs, goal=0.05, rounds=3)


def test_an_epoch_of_the_transformer_against_their_trainer(
    rows: pd.DataFrame, stock: Any, compare: Callable[..., None]
) -> None:
    """One epoch over the same windows and the same hidden sizes, without validation: theirs by Lightning's Trainer."""
    from lightning.pytorch import Trainer
    from pytorch_forecasting import QuantileLoss, TemporalFusionTransformer

    parameters = SequenceParameters(
        window_bars=ENCODER, hidden=16, attention_heads=2, batch_size=BATCH, max_rounds=1, head="softmax"
    )
    windows = make_windows(rows, Standardiser.fitted(rows, NAMES), ENCODER)
    places = np.arange(len(windows))[: len(stock)]
    moved = rows["forward_return"].to_numpy()[windows.source]
    targets = Targets(
        label=rows["label"].to_numpy(dtype=np.int64)[windows.source] + 1,
        scaled_return=np.repeat(100 * moved[:, None], DECODER, axis=1).astype(np.float32),
        weight=np.ones(len(windows), dtype=np.float32),
    )
    dataset = TradingDataset(windows, targets)

    def mine() -> Any:
        network = Network("tft", len(NAMES), (1, 2, 3, 4), parameters)
        return train_network(network, dataset, places, places[:1], parameters, 7)

    def theirs() -> Any:
        model = TemporalFusionTransformer.from_dataset(
            stock, hidden_size=16, hidden_continuous_size=16, attention_head_size=2, dropout=0.0,
            loss=QuantileLoss([0.05, 0.25, 0.5, 0.75, 0.95]), learning_rate=1e-3,
        )  # fmt: skip
        trainer = Trainer(
            max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, gradient_clip_val=1.0,
        )  # fmt: skip
        trainer.fit(model, stock.to_dataloader(train=True, batch_size=BATCH, num_workers=0))

    compare(f"an epoch of the TFT over {len(places):,} windows, Lightning's Trainer", mine, theirs, 1 / 1.5, 3, False)


@pytest.mark.parametrize("name", ["lstm", "tft", "linear_network"])
def test_one_forecast_against_the_limit(rows: pd.DataFrame, name: str, results: list[dict[str, Any]]) -> None:
    """From feature rows to a finished forecast, one thread; the peer is the limit itself."""
    parameters = SequenceParameters(window_bars=ENCODER, hidden=16, batch_size=BATCH, max_rounds=1)
    ordered = rows.sort_values(["timestamp", "symbol"], ignore_index=True)
    forecaster = catalogue.model(name)(parameters, 7).fit(
        split_training(ordered.iloc[:4000], TrainingRules(row_stride=8))
    )
    exported = ExportedForecaster.from_files(forecaster.files())
    alone = rows[rows["symbol"] == "A"]
    taken = []
    for at in range(500):
        bars = alone.iloc[at : at + ENCODER]
        begun = perf_counter()
        exported.predict(bars)
        taken.append(1000 * (perf_counter() - begun))
    found = float(np.quantile(taken[20:], 0.99))
    case = f"{name}: one exported forecast from feature rows, 99 % of calls"
    results.append(
        {"case": case, "ours": found, "peer": 5.0, "unit": "ms", "ratio": found / 5, "goal": 1.0, "rounds": 480}
    )
    assert np.isfinite(exported.predict(bars)["p_up"]).all()
