"""The forecasters by short name: configuration chooses one by it, never by an import path."""

from functools import cache
from typing import TYPE_CHECKING

from tradewind.errors import BadParameters
from tradewind.learning.models.boosting import BoostingForecaster
from tradewind.learning.models.lightgbm import LightGBMForecaster
from tradewind.learning.models.xgboost import XGBoostForecaster

if TYPE_CHECKING:
    from tradewind.learning.models.sequence.forecaster import SequenceForecaster
    from tradewind.learning.models.sequence.last_value import LastValueForecaster

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


LAST_VALUE = "last_value"
# Models over windows of bars: a backbone is a file in `sequence/backbones` and its name here.
SEQUENCE = ("lstm", "tft", "linear_network", LAST_VALUE)


@cache
def sequence(name: str) -> "type[SequenceForecaster] | type[LastValueForecaster]":
    """The model over windows of bars called `name`; torch is imported only when a network is asked for.

    Raises:
        BadParameters: there is none.
    """
    if name not in SEQUENCE:
        raise BadParameters(f"a sequence model is one of {sorted(SEQUENCE)}, found {name!r}")
    if name == LAST_VALUE:
        from tradewind.learning.models.sequence.last_value import LastValueForecaster

        return LastValueForecaster
    from tradewind.learning.models.sequence.forecaster import network_forecaster

    return network_forecaster(name)
