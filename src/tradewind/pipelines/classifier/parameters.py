"""Parameters of a model of the classifier stage (`params:classifier.MODEL`)."""

from typing import Annotated

from pydantic import Field

from tradewind.parameters import Parameters


class ModelChoice(Parameters):
    """Which forecaster a namespace trains (`params:classifier.NAMESPACE.model`)."""

    name: str


class SeedRules(Parameters):
    """From how many other seeds a model is trained anew, wholly each time (`params:classifier.NAMESPACE.seeds`)."""

    others: Annotated[int, Field(ge=0, le=100)] = 0
