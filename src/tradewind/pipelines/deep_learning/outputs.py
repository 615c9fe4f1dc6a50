"""What the training of one network gives, by name: the pipeline is built from the names."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd


class Trained(NamedTuple):
    """The outputs of `train`, in their order."""

    forecasts: "pd.DataFrame"
    learning_curves: "pd.DataFrame"
    importance: "pd.DataFrame"
    models: dict[str, str]
    horizon_forecasts: "pd.DataFrame"
    epochs: "pd.DataFrame"
    health: "pd.DataFrame"
    attention: "pd.DataFrame"
    alarms: "pd.DataFrame"
