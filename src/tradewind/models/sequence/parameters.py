"""What a network is and how it learns; without torch, so that configuration can be checked before anything heavy."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class SequenceParameters(BaseModel):
    """A network and how it learns. `max_rounds` counts epochs, `early_stopping_rounds` epochs without a better
    validation loss."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_bars: Annotated[int, Field(ge=1, le=10_000)] = 24
    hidden: Annotated[int, Field(ge=1, le=4096)] = 24
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 512
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 3e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    gradient_clip: Annotated[float, Field(gt=0)] = 1.0
    quantile_share: Annotated[float, Field(ge=0)] = 0.5
    max_rounds: Annotated[int, Field(ge=1, le=10_000)] = 12
    early_stopping_rounds: Annotated[int, Field(ge=1)] = 4
