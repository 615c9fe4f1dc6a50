"""Parameters of the feature_engineering stage beside the selection of features and labels."""

from typing import Annotated

from pydantic import Field

from tradewind.parameters import Parameters


class StudyRules(Parameters):
    """How features are studied (`params:feature_engineering.study`): over which horizons, in bars."""

    horizons_bars: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (1, 4, 12, 24, 96)
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.9


class HorizonRules(Parameters):
    """Over how many bars models that forecast several horizons look (`params:feature_engineering.horizons`).

    None may be longer than the label's own, by which folds are purged; that one is always among them.
    """

    bars: Annotated[tuple[Annotated[int, Field(ge=1, le=10_000)], ...], Field(min_length=1)] = (1, 4, 12, 24)
