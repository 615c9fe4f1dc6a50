"""Every model of regimes by its short name: configuration chooses by it, never by an import path."""

from tradewind.errors import BadParameters
from tradewind.learning.regimes.base import RegimeModel
from tradewind.learning.regimes.baselines import ClimatologyModel, PersistenceModel
from tradewind.learning.regimes.boosting import BoostingModel
from tradewind.learning.regimes.change_point import ChangePointModel
from tradewind.learning.regimes.jump import JumpModel
from tradewind.learning.regimes.markov import MarkovModel

MODELS: dict[str, type[RegimeModel]] = {
    model.name: model
    for model in (MarkovModel, JumpModel, ChangePointModel, BoostingModel, PersistenceModel, ClimatologyModel)
}


def model(name: str) -> type[RegimeModel]:
    """The class of the model called `name`.

    Raises:
        BadParameters: there is none.
    """
    if name not in MODELS:
        raise BadParameters(f"a model of regimes is one of {sorted(MODELS)}, found {name!r}")
    return MODELS[name]
