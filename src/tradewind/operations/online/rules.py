"""How the champion goes on learning between two retrainings, and how far it may go."""

from typing import Annotated

from pydantic import Field

from tradewind.learning.models.online import OnlineLearning
from tradewind.operations.registry.records import Environment
from tradewind.parameters import Parameters


class OnlineRules(Parameters):
    """Of `kedro retrain --online` (`params:operations.online`).

    Attributes:
        enabled: whether updates are made at all.
        environment: of the registry, whose champion is updated.
        learning: half-life, trees and calibration.
        least_rows: settled labels since the champion's last one, below which there is nothing to do.
        most_change: of any probability on the champion's probe rows, between the champion and its update.
        most_divergence: mean Kullback-Leibler divergence of the update's forecasts from the champion's on these rows,
            in nats.
        most_from_training: as `most_change`, between the update and the last version that was trained from the start.
        most_updates: one upon the other since then.
    """

    enabled: bool = False
    environment: Environment = "development"
    learning: OnlineLearning = OnlineLearning()
    least_rows: Annotated[int, Field(ge=1)] = 24
    most_change: Annotated[float, Field(gt=0, le=1)] = 0.1
    most_divergence: Annotated[float, Field(gt=0)] = 0.02
    most_from_training: Annotated[float, Field(gt=0, le=1)] = 0.3
    most_updates: Annotated[int, Field(ge=1)] = 60
