"""The forecasters by short name: configuration chooses one by it, never by an import path."""

from typing import TYPE_CHECKING

from tradewind.errors import BadParameters
from tradewind.models.boosting import BoostingForecaster
from tradewind.models.lightgbm import LightGBMForecaster
from tradewind.models.xgboost import XGBoostForecaster

if TYPE_CHECKING:
    from tradewind.models.sequence.forecaster import SequenceForecaster
    from tradewind.models.sequence.last_value import LastValueForecaster

BOOSTING: dict[str, type[BoostingForecaster]] = {
    forecaster.name: forecaster for forecaster in (XGBoostForecaster, LightGBMForecaster)
}


def boosting(name: str) -> type[BoostingForecaster]:
    """The boosting forecaster called `name`.

    Raises:
        BadParameters: there is none.
    """
    if name not in BOOSTING:
        raise BadParameters(f"a boosting model is one of {sorted(BOOSTING)}, found {name!r}")
    return BOOSTING[name]


SEQUENCE = ("lstm", "tft", "linear_network", "last_value")


def sequence(name: str) -> "type[SequenceForecaster] | type[LastValueForecaster]":
    """The model over windows of bars called `name`; torch is imported only when a network is asked for.

    Raises:
        BadParameters: there is none.
    """
    match name:
        case "last_value":
            from tradewind.models.sequence.last_value import LastValueForecaster

            return LastValueForecaster
        case "lstm" | "tft" | "linear_network":
            from tradewind.models.sequence import forecaster

            networks = (
                forecaster.LSTMForecaster,
                forecaster.TemporalFusionForecaster,
                forecaster.LinearNetworkForecaster,
            )
            return next(network for network in networks if network.name == name)
    raise BadParameters(f"a sequence model is one of {sorted(SEQUENCE)}, found {name!r}")
