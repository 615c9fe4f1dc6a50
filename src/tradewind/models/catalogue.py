"""The forecasters by short name: configuration chooses one by it, never by an import path."""

from typing import TYPE_CHECKING

from tradewind.errors import BadParameters
from tradewind.models.boosting import BoostingForecaster
from tradewind.models.lightgbm import LightGBMForecaster
from tradewind.models.xgboost import XGBoostForecaster

if TYPE_CHECKING:
    from tradewind.models.sequence.forecaster import SequenceForecaster

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


def sequence(name: str) -> "type[SequenceForecaster]":
    """The network called `name`; torch is imported only when one is asked for.

    Raises:
        BadParameters: there is none.
    """
    from tradewind.models.sequence.forecaster import SEQUENCE

    if name not in SEQUENCE:
        raise BadParameters(f"a sequence model is one of {sorted(SEQUENCE)}, found {name!r}")
    return SEQUENCE[name]
