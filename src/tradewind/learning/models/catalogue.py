"""Every model by its short name: configuration chooses by it, never by an import path.

A new model is its file and a line in `MODELS`: it is then trained in its stage where `params:models` lists it, and
appears among the forecasts, on the leaderboard and in the law book.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from tradewind.errors import BadParameters
from tradewind.learning.models.base import Forecaster
from tradewind.learning.models.lightgbm import LightGBMForecaster
from tradewind.learning.models.linear import LinearForecaster, VolatilityForecaster
from tradewind.learning.models.panel_ridge import PanelRidgeForecaster
from tradewind.learning.models.row_model import RowForecaster
from tradewind.learning.models.scikit_learn import ESTIMATORS, estimator_forecaster
from tradewind.learning.models.xgboost import XGBoostForecaster


@dataclass(frozen=True)
class OverWindows:
    """A model over windows of bars, whose class is loaded when it is asked for: most need what `extra` brings."""

    load: Callable[[], type[Forecaster]]
    has_direction: bool = True
    extra: str | None = "deep"


def _network(name: str) -> type[Forecaster]:
    from tradewind.learning.models.sequence.forecaster import network_forecaster

    return network_forecaster(name)


def _last_value() -> type[Forecaster]:
    from tradewind.learning.models.sequence.last_value import LastValueForecaster

    return LastValueForecaster


# A network is a file in `sequence/backbones` and its name here.
MODELS: dict[str, type[RowForecaster] | OverWindows] = {
    "xgboost": XGBoostForecaster,
    "lightgbm": LightGBMForecaster,
    "lstm": OverWindows(partial(_network, "lstm")),
    "tft": OverWindows(partial(_network, "tft")),
    "linear_network": OverWindows(partial(_network, "linear_network")),
    "last_value": OverWindows(_last_value, has_direction=False, extra=None),
    "linear": LinearForecaster,
    "panel_ridge": PanelRidgeForecaster,
    "volatility_only": VolatilityForecaster,
    **{name: estimator_forecaster(name) for name in ESTIMATORS},
}


def _entry(name: str) -> type[RowForecaster] | OverWindows:
    if name not in MODELS:
        raise BadParameters(f"a model is one of {sorted(MODELS)}, found {name!r}")
    return MODELS[name]


@cache
def model(name: str) -> Any:
    """The class (`base.Forecaster`) of the model called `name`; torch is imported only when a network is asked for.

    Raises:
        BadParameters: there is none.
    """
    entry = _entry(name)
    return entry.load() if isinstance(entry, OverWindows) else entry


def row_model(name: str) -> type[RowForecaster]:
    """The class of the model of rows called `name`.

    Raises:
        BadParameters: there is none.
    """
    entry = _entry(name)
    if isinstance(entry, OverWindows):
        raise BadParameters(f"{name} reads windows of bars; a model of rows is one of {rows_of(tuple(MODELS))}")
    return entry


def rows_of(names: tuple[str, ...]) -> tuple[str, ...]:
    """Those that read one row: the classifier stage trains them."""
    return tuple(name for name in names if not isinstance(_entry(name), OverWindows))


def windows_of(names: tuple[str, ...]) -> tuple[str, ...]:
    """Those that read windows of bars: the deep_learning stage trains them."""
    return tuple(name for name in names if isinstance(_entry(name), OverWindows))


def is_tuned(name: str) -> bool:
    """Whether its parameters are searched, and it is trained from other seeds, too."""
    entry = _entry(name)
    return not isinstance(entry, OverWindows) and bool(entry.search_space)


def has_direction(name: str) -> bool:
    """Whether it knows up from down: one that does not is never traded."""
    return _entry(name).has_direction


def is_traded(name: str) -> bool:
    """Whether forecasts under this name are traded: all but those of models here that know no direction."""
    return name not in MODELS or has_direction(name)


def draws_at_random(name: str) -> bool:
    """Whether another seed could give another result; a regression is the same from any. Unknown names might."""
    entry = MODELS.get(name)
    return not (isinstance(entry, type) and issubclass(entry, LinearForecaster))


def extra_of(name: str) -> str | None:
    """The extra of the installation that it needs, if any."""
    entry = _entry(name)
    return entry.extra if isinstance(entry, OverWindows) else None


def stage_of(name: str) -> str:
    """The stage that trains it, which is the first part of its datasets' names."""
    return "deep_learning" if isinstance(_entry(name), OverWindows) else "classifier"
