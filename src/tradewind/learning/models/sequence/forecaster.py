"""Networks as forecasters: windows, standardisation, training, calibration, and files without pickles."""

import json
from typing import ClassVar, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load

from tradewind.errors import BadData, BadModel
from tradewind.learning.models.base import Checkpoint, Files, Mask, ModelParameters, Training
from tradewind.learning.models.sequence import finishing
from tradewind.learning.models.sequence.dataset import Targets, TradingDataset
from tradewind.learning.models.sequence.exported import NETWORK, OUTSIDE, Outside
from tradewind.learning.models.sequence.feature_choice import choose_features
from tradewind.learning.models.sequence.finishing import Details, Finishing
from tradewind.learning.models.sequence.networks import Network
from tradewind.learning.models.sequence.onnx_file import to_onnx
from tradewind.learning.models.sequence.parameters import SequenceParameters
from tradewind.learning.models.sequence.stability import STEPS, Epoch, examine
from tradewind.learning.models.sequence.training import apply_network, network_loss, to_safetensors, train_network
from tradewind.learning.models.sequence.windows import Rows, Standardiser, Windows, make_windows
from tradewind.parameters import Parameters

Floats = NDArray[np.float64]
WEIGHTS, TRAINING = "weights.safetensors", "training.json"
EXAMINED = 512  # validation windows that the slice of the loss is taken on


class _Training(Parameters):
    """How the training went, beside the weights in `training.json`; a number that there is not is null."""

    parameters: SequenceParameters
    seed: int
    best_epoch: int
    epochs: tuple[tuple[float | None, ...], ...]
    dead_units: float
    attention_entropy: float
    landscape: tuple[float, ...]


class SequenceForecaster:
    """A network over windows of bars: classes, calibrated, and quantiles of the return, conformal.

    Unlike the trees it reads the bars before a row, too. A row whose window is not whole has no forecast (NaN).
    """

    name: ClassVar[str]
    family: ClassVar[str] = "sequence"
    has_direction: ClassVar[bool] = True
    parameters_class: ClassVar[type[ModelParameters]] = SequenceParameters

    def __init__(self, parameters: SequenceParameters, seed: int) -> None:
        """An unfitted forecaster."""
        # Byte for byte the same on any machine: sums are taken in one order only.
        torch.set_num_threads(1)
        self.parameters, self.seed = parameters, seed
        self._outside: Outside | None = None
        self._training: _Training | None = None
        self._network: Network | None = None

    @property
    def _fitted(self) -> tuple[Outside, _Training, Network]:
        if self._outside is None or self._training is None or self._network is None:
            raise BadModel(f"{self.name} has not been fitted: call fit or from_files first")
        return self._outside, self._training, self._network

    @property
    def horizons(self) -> tuple[int, ...]:
        """In bars, from short to long; the last is the label's."""
        return self._fitted[0].finishing.horizons

    @property
    def features(self) -> tuple[str, ...]:
        """The feature columns that it reads, in the order of `predict_row`."""
        return self._fitted[0].standardiser.features

    @property
    def window_bars(self) -> int:
        """How many bars a forecast reads."""
        return self._fitted[0].window_bars

    def fit(self, training: Training, checkpoint: Checkpoint | None = None) -> Self:
        """Fitted on the rows that are given to train, to stop and to calibrate.

        Raises:
            BadData: a part has no whole window, or the training labels are of one class only.
        """
        past = training.rows
        features = choose_features(past[training.fit], self.parameters.most_features)
        standardiser = Standardiser.fitted(past[training.fit], features)
        windows = make_windows(past, standardiser, self.parameters.window_bars)
        train, stop, calibrate = (
            np.flatnonzero(mask[windows.source]) for mask in (training.thinned, training.valid, training.calibration)
        )
        for part, chosen in (("training", train), ("validation", stop), ("calibration", calibrate)):
            if not len(chosen):
                raise BadData(
                    f"{self.name}: the {part} part has no whole window of {self.parameters.window_bars} bars: take a "
                    "shorter window or more history"
                )
        if len(np.unique(past["label"].to_numpy()[windows.source[train]])) < 2:
            raise BadData(f"{self.name}: the training labels are all the same: there is nothing to tell apart")
        horizons, returns = finishing.returns_by_horizon(past)
        scale = returns[windows.source[train]].std(axis=0)
        scale[scale == 0] = 1.0
        targets = Targets(
            label=past["label"].to_numpy(dtype=np.int64)[windows.source] + 1,
            scaled_return=(returns[windows.source] / scale).astype(np.float32),
            weight=past["weight"].to_numpy(dtype=np.float32)[windows.source],
        )
        dataset = TradingDataset(windows, targets)
        network = Network(self.name, len(features), horizons, self.parameters)
        history, best = train_network(network, dataset, train, stop, self.parameters, self.seed, checkpoint)
        near = stop[:: max(len(stop) // EXAMINED, 1)]
        health = examine(
            network, dataset[near], lambda outputs, batch: network_loss(outputs, batch, self.parameters), self.seed
        )
        logits, quantiles, _, _ = apply_network(network, windows, calibrate)
        rows = windows.source[calibrate]
        self._network = network
        self._outside = Outside(
            name=self.name, window_bars=self.parameters.window_bars, standardiser=standardiser,
            finishing=Finishing.fitted(
                self.parameters.head, horizons, tuple(scale.tolist()), logits, quantiles,
                past["label"].to_numpy(np.int8)[rows], returns[rows] / scale,
            ),
        )  # fmt: skip
        self._training = _Training(
            parameters=self.parameters, seed=self.seed, best_epoch=best, dead_units=health.dead_units,
            epochs=tuple(tuple(value if np.isfinite(value) else None for value in epoch) for epoch in history),
            attention_entropy=health.attention_entropy, landscape=health.landscape,
        )  # fmt: skip
        return self

    def predict(self, rows: pd.DataFrame, testing: Mask | None = None) -> pd.DataFrame:
        """Probabilities, expected log return and its quantiles over the label's horizon, for `rows[testing]` (all rows
        if not given) in their order.

        Windows reach back into the rows before the test: they were known. Rows without a whole window have NaN.
        """
        outside, _, network = self._fitted
        testing = np.ones(len(rows), dtype=np.bool_) if testing is None else testing
        windows, chosen, places = self._windows(rows, testing)
        logits, quantiles, _, _ = apply_network(network, windows, chosen)
        forecasts = outside.finishing.forecasts(logits, quantiles)
        return forecasts.set_axis(places).reindex(np.arange(int(testing.sum()))).set_axis(rows.index[testing])

    def predict_row(self, x: NDArray[np.float32]) -> Floats:
        """p_down, p_flat, p_up and expected log return (4,) of a window (window_bars, features), oldest bar first.

        What trades live reads the exported network (`exported.ExportedForecaster`), which needs no torch.
        """
        outside, _, network = self._fitted
        network.eval()
        with torch.no_grad():
            outputs = network(torch.from_numpy(outside.standardiser.scaled(np.atleast_2d(x))[None]))
        return outside.finishing.row(outputs.logits.double().numpy(), outputs.quantiles.double().numpy())

    def details(self, rows: pd.DataFrame, testing: Mask) -> Details:
        """What the network says of `rows[testing]` beyond the forecast."""
        outside, _, network = self._fitted
        windows, chosen, places = self._windows(rows, testing)
        logits, quantiles, attention, selection = apply_network(network, windows, chosen)
        shares = selection.mean(axis=0).tolist() if selection.shape[1] else []
        return Details(
            places, outside.finishing.quantiles(quantiles), finishing.evidence(logits, outside.finishing.head),
            attention.mean(axis=0), dict(zip(outside.standardiser.features, shares, strict=False)),
        )  # fmt: skip

    def _windows(self, rows: pd.DataFrame, testing: Mask) -> tuple[Windows, Rows, Rows]:
        """Windows around the test, those that end in it by the order of rows, and their places in `rows[testing]`."""
        outside, _, _ = self._fitted
        first = int(np.argmax(testing)) if testing.any() else 0
        start = rows["timestamp"].iloc[first]
        # Far enough back for every symbol's first window; whether it is whole is for the windows to say.
        reach = np.sort(rows.loc[rows["timestamp"] < start, "timestamp"].unique())[-outside.window_bars :]
        near = (rows["timestamp"] >= (reach[0] if len(reach) else start)).to_numpy()
        windows = make_windows(rows[near], outside.standardiser, outside.window_bars)
        wanted = testing[near]
        chosen = np.flatnonzero(wanted[windows.source])
        places = (np.cumsum(wanted) - 1)[windows.source[chosen]]
        order = np.argsort(places, kind="stable")
        return windows, chosen[order], places[order]

    def learning_curve(self) -> pd.DataFrame:
        """iteration, train_loss and valid_loss, one row an epoch."""
        return self.epochs()[["epoch", "train_loss", "valid_loss"]].rename(columns={"epoch": "iteration"})

    def epochs(self) -> pd.DataFrame:
        """epoch, the fields of `stability.Epoch`, is_best; one row an epoch."""
        training = self._fitted[1]
        table = pd.DataFrame(training.epochs, columns=list(Epoch._fields)).astype("float64")
        table = table.rename_axis("epoch").reset_index()
        return table.assign(is_best=table["epoch"] == training.best_epoch - 1)

    def health(self) -> pd.DataFrame:
        """dead_units, attention_entropy, step, loss: one row a step of the slice through the loss."""
        training = self._fitted[1]
        return pd.DataFrame(
            {
                "dead_units": training.dead_units,
                "attention_entropy": training.attention_entropy,
                "step": STEPS,
                "loss": training.landscape,
            }
        )

    def importance(self, rows: pd.DataFrame) -> pd.DataFrame:
        """feature, gain_share and mean_abs_shap: integrated gradients of up less down (Sundararajan, Taly and Yan
        2017), from the mean of the training rows, summed over the bars of a window, averaged without their sign."""
        outside, _, network = self._fitted
        windows = make_windows(rows, outside.standardiser, outside.window_bars)
        step = max(len(windows) // 256, 1)
        effect = _integrated_gradients(network, windows, np.arange(0, len(windows), step))
        total = float(effect.sum())
        return pd.DataFrame(
            {
                "feature": pd.Series(outside.standardiser.features, dtype="str"),
                "gain_share": effect / total if total > 0 else effect,
                "mean_abs_shap": effect,
            }
        )

    def files(self) -> Files:
        """The weights as safetensors, the network as ONNX for inference without torch, the rest as JSON.

        Raises:
            BadModel: the ONNX network says something else.
        """
        outside, training, network = self._fitted
        return {
            WEIGHTS: to_safetensors(network.state_dict()),
            TRAINING: json.dumps(training.model_dump(mode="json"), indent=1).encode(),
            OUTSIDE: json.dumps(outside.model_dump(mode="json"), indent=1).encode(),
            NETWORK: to_onnx(network, outside.window_bars, len(outside.standardiser.features)),
        }

    @classmethod
    def from_files(cls, files: Files) -> Self:
        """The forecaster again.

        Raises:
            BadModel: a file is missing, damaged, or belongs to another network or version.
        """
        needed = {WEIGHTS, TRAINING, OUTSIDE, NETWORK}
        if set(files) != needed:
            raise BadModel(f"{cls.name} needs {sorted(needed)}, found {sorted(files)}")
        outside = Outside.parsed(files[OUTSIDE])
        try:
            training = _Training.model_validate_json(files[TRAINING])
        except ValidationError as error:
            raise BadModel(f"{cls.name}: {TRAINING} was written by another version: {error}") from error
        if outside.name != cls.name:
            raise BadModel(f"{OUTSIDE} belongs to {outside.name}, not to {cls.name}")
        forecaster = cls(training.parameters, training.seed)
        network = Network(cls.name, len(outside.standardiser.features), outside.finishing.horizons, training.parameters)
        try:
            network.load_state_dict(load(files[WEIGHTS]))
        except (SafetensorError, RuntimeError) as error:
            raise BadModel(f"{cls.name}: {WEIGHTS} does not fit the network: {error}") from error
        forecaster._outside, forecaster._training, forecaster._network = outside, training, network
        return forecaster


def network_forecaster(name: str) -> type[SequenceForecaster]:
    """The forecaster around the backbone called `name`."""
    return type(f"{name}_forecaster", (SequenceForecaster,), {"name": name, "__doc__": f"The network {name}."})


def _integrated_gradients(network: Network, windows: Windows, chosen: Rows, steps: int = 8) -> Floats:
    x = torch.from_numpy(windows.gather(chosen))
    total = torch.zeros_like(x)
    for step in range(steps):
        at = (x * ((step + 0.5) / steps)).requires_grad_(True)
        probability = torch.softmax(network(at).logits, dim=1)
        (gradient,) = torch.autograd.grad((probability[:, 2] - probability[:, 0]).sum(), at)
        total += gradient
    effect = (x * total / steps).sum(dim=1).abs().mean(dim=0)
    return np.asarray(effect.detach().numpy(), dtype=np.float64)
