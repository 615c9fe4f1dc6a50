"""What the training of one agent gives, by name: the pipeline is built from the names."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd


class TrainedAgents(NamedTuple):
    """The outputs of `train`, in their order."""

    positions: "pd.DataFrame"
    seed_positions: "pd.DataFrame"
    transitions: "pd.DataFrame"
    training_log: "pd.DataFrame"
    responses: "pd.DataFrame"
    models: dict[str, str]
