"""Networks as forecasters: windows, standardisation, training, calibration, and files without pickles."""

import json
from typing import ClassVar, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save

from tradewind.errors import BadData, BadModel
from tradewind.models.base import PROBABILITIES, QUANTILES, Files
from tradewind.models.calibration import ProbabilityScaling, fit_scaling
from tradewind.models.sequence.networks import QUANTILE_LEVELS, Network
from tradewind.models.sequence.parameters import SequenceParameters
from tradewind.models.sequence.training import Targets, apply_network, train_network
from tradewind.models.sequence.windows import Rows, Standardiser, Windows, make_windows
from tradewind.models.walk_forward import TrainingRules, part_masks, thin
from tradewind.splits.purged import Mask

Floats = NDArray[np.float64]
WEIGHTS, OUTSIDE = "weights.safetensors", "forecaster.json"


class _Outside(BaseModel):
    """What stands beside the weights in `forecaster.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    parameters: SequenceParameters
    seed: int
    best_rounds: int
    standardiser: Standardiser
    return_scale: float
    scaling: ProbabilityScaling
    quantile_shift: tuple[float, ...]
    curve: tuple[tuple[float, float, float], ...]


class SequenceForecaster:
    """A network over windows of bars: classes, calibrated, and quantiles of the return, conformal.

    Unlike the trees it reads the bars before a row, too. A row whose window is not whole has no forecast (NaN).
    """

    name: ClassVar[str]

    def __init__(self, parameters: SequenceParameters, seed: int) -> None:
        """An unfitted forecaster."""
        # Byte for byte the same on any machine: sums are taken in one order only.
        torch.set_num_threads(1)
        self.parameters, self.seed = parameters, seed
        self._outside: _Outside | None = None
        self._network: Network | None = None

    @property
    def _fitted(self) -> tuple[_Outside, Network]:
        if self._outside is None or self._network is None:
            raise BadModel(f"{self.name} has not been fitted: call learn or from_files first")
        return self._outside, self._network

    def learn(self, past: pd.DataFrame, rules: TrainingRules) -> Self:
        """Fitted on purged training rows: parts of them train, stop and calibrate, in the order of time.

        Raises:
            BadData: a part has no whole window, or the training labels are of one class only.
        """
        fit, valid, calibration = part_masks(past, rules)
        standardiser = Standardiser.fitted(past[fit])
        windows = make_windows(past, standardiser, self.parameters.window_bars)
        train, stop, calibrate = (
            np.flatnonzero(mask[windows.source]) for mask in (fit & thin(past, rules.row_stride), valid, calibration)
        )
        for part, chosen in (("training", train), ("validation", stop), ("calibration", calibrate)):
            if not len(chosen):
                raise BadData(
                    f"{self.name}: the {part} part has no whole window of {self.parameters.window_bars} bars: take a "
                    "shorter window or more history"
                )
        if len(np.unique(past["label"].to_numpy()[windows.source[train]])) < 2:
            raise BadData(f"{self.name}: the training labels are all the same: there is nothing to tell apart")
        moved = past["forward_return"].to_numpy(dtype=np.float64)
        scale = float(moved[windows.source[train]].std()) or 1.0
        targets = Targets(
            label=past["label"].to_numpy(dtype=np.int64)[windows.source] + 1,
            scaled_return=(moved[windows.source] / scale).astype(np.float32),
            weight=past["weight"].to_numpy(dtype=np.float32)[windows.source],
        )
        self._network = Network(self.name, len(standardiser.features), self.parameters.hidden)
        history, best = train_network(self._network, windows, targets, train, stop, self.parameters, self.seed)
        probability, quantiles, _ = apply_network(self._network, windows, calibrate)
        rows = windows.source[calibrate]
        label, weight = past["label"].to_numpy(np.int8)[rows], past["weight"].to_numpy(dtype=np.float64)[rows]
        self._outside = _Outside(
            name=self.name, parameters=self.parameters, seed=self.seed, best_rounds=best, standardiser=standardiser,
            return_scale=scale, scaling=fit_scaling(probability, label, weight),
            quantile_shift=_conformal_shift(quantiles, moved[rows] / scale),
            curve=tuple((epoch.train_loss, epoch.valid_loss, epoch.gradient_norm) for epoch in history),
        )  # fmt: skip
        return self

    def forecast(self, rows: pd.DataFrame, testing: Mask) -> pd.DataFrame:
        """Probabilities, expected log return and its quantiles over the horizon, for `rows[testing]` in their order.

        Windows reach back into the rows before the test: they were known. Rows without a whole window have NaN.
        """
        outside, network = self._fitted
        first = int(np.argmax(testing)) if testing.any() else 0
        start = rows["timestamp"].iloc[first]
        # Far enough back for every symbol's first window; whether it is whole is for the windows to say.
        reach = np.sort(rows.loc[rows["timestamp"] < start, "timestamp"].unique())[-outside.parameters.window_bars :]
        near = (rows["timestamp"] >= (reach[0] if len(reach) else start)).to_numpy()
        part = rows[near]
        windows = make_windows(part, outside.standardiser, outside.parameters.window_bars)
        wanted = testing[near]
        chosen = np.flatnonzero(wanted[windows.source])
        probability, quantiles, _ = apply_network(network, windows, chosen)
        columns = [*PROBABILITIES, "expected_return", *QUANTILES]
        out = np.full((len(part), len(columns)), np.nan)
        shifted = np.sort(quantiles + np.array(outside.quantile_shift), axis=1) * outside.return_scale
        calibrated = outside.scaling.apply(probability)
        out[windows.source[chosen]] = np.column_stack([calibrated, shifted[:, 2], shifted])
        return pd.DataFrame(out[wanted], columns=columns, index=part.index[wanted])

    def learning_curve(self) -> pd.DataFrame:
        """iteration, train_loss and valid_loss, one row an epoch."""
        return self.epochs()[["epoch", "train_loss", "valid_loss"]].rename(columns={"epoch": "iteration"})

    def epochs(self) -> pd.DataFrame:
        """epoch, train_loss, valid_loss, gradient_norm (mean before clipping), is_best; one row an epoch."""
        outside, _ = self._fitted
        curve = pd.DataFrame(outside.curve, columns=["train_loss", "valid_loss", "gradient_norm"])
        table = curve.rename_axis("epoch").reset_index()
        return table.assign(is_best=table["epoch"] == outside.best_rounds - 1)

    def importance(self, rows: pd.DataFrame) -> pd.DataFrame:
        """feature, gain_share and mean_abs_shap: integrated gradients of up less down (Sundararajan, Taly and Yan
        2017), from the mean of the training rows, summed over the bars of a window, averaged without their sign."""
        outside, network = self._fitted
        windows = make_windows(rows, outside.standardiser, outside.parameters.window_bars)
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
        """The weights as safetensors, the rest as JSON."""
        outside, network = self._fitted
        weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
        return {WEIGHTS: save(weights), OUTSIDE: json.dumps(outside.model_dump(mode="json"), indent=1).encode()}

    @classmethod
    def from_files(cls, files: Files) -> Self:
        """The forecaster again.

        Raises:
            BadModel: a file is missing, damaged, or belongs to another network or version.
        """
        if set(files) != {WEIGHTS, OUTSIDE}:
            raise BadModel(f"{cls.name} needs {WEIGHTS} and {OUTSIDE}, found {sorted(files)}")
        try:
            outside = _Outside.model_validate_json(files[OUTSIDE])
        except ValidationError as error:
            raise BadModel(f"{cls.name}: {OUTSIDE} was written by another version: {error}") from error
        if outside.name != cls.name:
            raise BadModel(f"{OUTSIDE} belongs to {outside.name}, not to {cls.name}")
        forecaster = cls(outside.parameters, outside.seed)
        network = Network(cls.name, len(outside.standardiser.features), outside.parameters.hidden)
        try:
            network.load_state_dict(load(files[WEIGHTS]))
        except (SafetensorError, RuntimeError) as error:
            raise BadModel(f"{cls.name}: {WEIGHTS} does not fit the network: {error}") from error
        forecaster._outside, forecaster._network = outside, network
        return forecaster


class LSTMForecaster(SequenceForecaster):
    """An LSTM with attention over the last bars."""

    name = "lstm"


class LinearNetworkForecaster(SequenceForecaster):
    """The same heads and training on the last bar alone: what the memory has to beat."""

    name = "linear_network"


SEQUENCE: dict[str, type[SequenceForecaster]] = {one.name: one for one in (LSTMForecaster, LinearNetworkForecaster)}


def _conformal_shift(quantiles: Floats, scaled_return: Floats) -> tuple[float, ...]:
    """What to add to each quantile so that its share of the calibration rows lies below (Romano, Patterson and Candes
    2019, one side at a time)."""
    miss = scaled_return[:, None] - quantiles
    return tuple(float(np.quantile(miss[:, at], level)) for at, level in enumerate(QUANTILE_LEVELS))


def _integrated_gradients(network: Network, windows: Windows, chosen: Rows, steps: int = 8) -> Floats:
    x = torch.from_numpy(windows.gather(chosen))
    total = torch.zeros_like(x)
    for step in range(steps):
        at = (x * ((step + 0.5) / steps)).requires_grad_(True)
        probability = torch.softmax(network(at)[0], dim=1)
        (gradient,) = torch.autograd.grad((probability[:, 2] - probability[:, 0]).sum(), at)
        total += gradient
    effect = (x * total / steps).sum(dim=1).abs().mean(dim=0)
    return np.asarray(effect.detach().numpy(), dtype=np.float64)
