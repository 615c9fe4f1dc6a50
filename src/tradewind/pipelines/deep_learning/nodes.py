"""Walk-forward training of one network."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict

from tradewind.labels.rules import LabelRules
from tradewind.models import catalogue, walk_forward
from tradewind.models.sequence.parameters import SequenceParameters
from tradewind.models.walk_forward import TrainingRules

Partitions = Mapping[str, Callable[[], pd.DataFrame]]


class NetworkChoice(BaseModel):
    """Which network a namespace trains (`params:deep_learning.NAMESPACE.model`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str


def train(
    model_input: Partitions,
    folds: pd.DataFrame,
    model_store: Any,
    model: NetworkChoice,
    network: SequenceParameters,
    training: TrainingRules,
    labels: LabelRules,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[str, str], pd.DataFrame]:
    """Forecasts out of sample, learning curves, importance, the store's key of each fold's network, and its epochs.

    The same folds, purging and store as boosting; nothing is searched.
    """
    rows = walk_forward.pool({name: load() for name, load in model_input.items()})
    kind = catalogue.sequence(model.name)
    trained = walk_forward.train_folds(kind, network, rows, folds, training, model_store, seed)
    epochs = [result.forecaster.epochs().assign(fold=result.fold.fold) for result in trained]
    return *walk_forward.trained_tables(trained, labels.horizon_bars), pd.concat(epochs, ignore_index=True)
