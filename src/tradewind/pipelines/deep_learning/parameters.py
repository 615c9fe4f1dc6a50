"""Parameters of a model of the deep_learning stage (`params:deep_learning.MODEL`)."""

from tradewind.parameters import Parameters


class NetworkChoice(Parameters):
    """Which model a namespace trains (`params:deep_learning.NAMESPACE.model`)."""

    name: str
