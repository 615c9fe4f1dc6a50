"""The forecasters by short name: configuration chooses one by it, never by an import path."""

from tradewind.errors import BadParameters
from tradewind.models.boosting import BoostingForecaster
from tradewind.models.lightgbm import LightGBMForecaster
from tradewind.models.xgboost import XGBoostForecaster

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
