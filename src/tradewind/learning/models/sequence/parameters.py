"""What a network is and how it learns; without torch, so that configuration can be checked before anything heavy."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tradewind.learning.models.base import ModelParameters


class SequenceParameters(ModelParameters):
    """A network and how it learns (`params:deep_learning.NETWORK.network`).

    `most_features` keeps the features that say most about the return on the training rows (null: all of them).
    `head` is how the classes are given: softmax, or dirichlet, which also says how much evidence it has seen.
    `schedule` of the learning rate: a warm-up over `warm_up_share` of the steps, then one_cycle (down to a
    ten-thousandth) or cosine (down to a hundredth). A step follows on `accumulate_batches` batches. `precision` is
    Lightning's; `device` auto takes a GPU (CUDA or ROCm) where there is one. `recompute` keeps no activations for the
    way back: slower, for long windows. `max_rounds` counts epochs, `early_stopping_rounds` epochs without a better
    validation loss.
    """

    window_bars: Annotated[int, Field(ge=1, le=10_000)] = 24
    most_features: Annotated[int, Field(ge=2, le=10_000)] | None = None
    hidden: Annotated[int, Field(ge=1, le=4096)] = 24
    attention_heads: Annotated[int, Field(ge=1, le=64)] = 2
    head: Literal["softmax", "dirichlet"] = "softmax"
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 512
    accumulate_batches: Annotated[int, Field(ge=1, le=1024)] = 1
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 3e-3
    schedule: Literal["one_cycle", "cosine"] = "one_cycle"
    warm_up_share: Annotated[float, Field(ge=0, lt=1)] = 0.3
    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    gradient_clip: Annotated[float, Field(gt=0)] = 1.0
    quantile_share: Annotated[float, Field(ge=0)] = 0.5
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    device: Literal["auto", "cpu", "cuda"] = "cpu"
    compile: bool = False
    recompute: bool = False
    max_rounds: Annotated[int, Field(ge=1, le=10_000)] = 12
    early_stopping_rounds: Annotated[int, Field(ge=1)] = 4

    def within(self, max_rounds: int, early_stopping_rounds: int) -> Self:
        """The same with as many epochs as a training may take."""
        return self.model_copy(update={"max_rounds": max_rounds, "early_stopping_rounds": early_stopping_rounds})

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> "SequenceParameters":
        if self.hidden % self.attention_heads:
            raise ValueError(f"hidden {self.hidden} must be a multiple of attention_heads {self.attention_heads}")
        if self.precision == "16-mixed" and self.device == "cpu":
            raise ValueError(
                "precision 16-mixed needs a GPU (device: auto or cuda); on a CPU take bf16-mixed or 32-true"
            )
        return self
