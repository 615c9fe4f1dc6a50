"""Which agents there are and how they learn; without torch, so that configuration is checked before anything heavy."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Multiple = Annotated[float, Field(ge=0, le=10)]
# An agent is a namespace of the stage, and a block of parameters.
AGENTS = ("ppo",)


class AgentParameters(BaseModel):
    """An agent and how it learns (`params:reinforcement_learning.AGENT.agent`).

    `steps` are bars lived through by all `environments` together. `rollout` bars of each come before an update:
    PPO makes `epochs` passes over them, SAC and TD3 `updates` batches from all that was ever seen. `entropy` weighs the
    policy's own in PPO and SAC; TD3 explores by noise of `exploration`. `gae_lambda` and `target_kl` are PPO's alone.
    In the fifths of a training the costs are multiplied by `cost_curriculum`, by its last number to the end: cheap at
    first teaches direction before thrift.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    algorithm: Literal["ppo", "sac", "td3"] = "ppo"
    steps: Annotated[int, Field(ge=1, le=1_000_000_000)] = 200_000
    environments: Annotated[int, Field(ge=1, le=65_536)] = 64
    rollout: Annotated[int, Field(ge=1, le=65_536)] = 64
    batch_size: Annotated[int, Field(ge=2, le=1_000_000)] = 1024
    epochs: Annotated[int, Field(ge=1, le=100)] = 5
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    discount: Annotated[float, Field(ge=0, lt=1)] = 0.97
    gae_lambda: Annotated[float, Field(ge=0, le=1)] = 0.9
    entropy: Annotated[float, Field(ge=0, le=1)] = 0.003
    updates: Annotated[int, Field(ge=1, le=1_000_000)] = 64
    exploration: Annotated[float, Field(ge=0, le=2)] = 0.3
    target_kl: Annotated[float, Field(gt=0)] | None = 0.05
    cost_curriculum: Annotated[tuple[Multiple, ...], Field(min_length=1, max_length=5)] = (1.0,)
    hidden: Annotated[int, Field(ge=1, le=4096)] = 32
