"""When models are retrained, and what a retrained one must show before it is tried."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tradewind.operations.registry.records import Environment
from tradewind.parameters import Parameters

Because = Literal["manual", "scheduled", "drift", "degraded"]
BECAUSE: tuple[Because, ...] = ("manual", "scheduled", "drift", "degraded")


class RetrainingRules(Parameters):
    """Of `kedro retrain` (`params:operations.retraining`).

    Attributes:
        environment: of the registry, whose champion may get a successor.
        tune: whether the search for parameters is made anew, where the command does not say.
        at_least: the verdict without which nothing is registered.
        cool_down_days: how long after a retraining drift and degradation start none.
        most_a_month: retrainings begun within 30 days, above which only a person starts one; all kinds count.
        resume_hours: how long after its last step an unfinished retraining is still gone on with.
        push_to: where what was registered is kept, too: `s3://BUCKET/PREFIX` or a folder; empty: nowhere.
        push_endpoint: of a server other than Amazon's; empty: as `AWS_ENDPOINT_URL` says.
    """

    environment: Environment
    tune: bool
    at_least: Literal["go", "watch"]
    cool_down_days: Annotated[float, Field(ge=0)]
    most_a_month: Annotated[int, Field(ge=1)]
    resume_hours: Annotated[float, Field(gt=0)]
    push_to: str
    push_endpoint: Annotated[str, Field(pattern=r"^(https?://[^/@]+/?)?$")]

    @model_validator(mode="after")
    def _endpoint_of_something(self) -> "RetrainingRules":
        if self.push_endpoint and not self.push_to.startswith("s3://"):
            raise ValueError("push_endpoint is of a bucket: push_to must be s3://BUCKET/PREFIX beside it")
        return self
