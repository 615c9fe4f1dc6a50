"""What an agent sees, may do and is rewarded for; without gymnasium or torch."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1000)]


class RewardRules(BaseModel):
    """What a bar is worth to the agent (`params:reinforcement_learning.AGENT.reward`).

    `base` is net_log_return (in units of `scale`, so that a usual bar is near 1), or differential_sharpe (Moody and
    Saffell 2001) with the memory of `memory_bars`. Taken off it: `downside_weight` times the loss of a losing bar,
    `turnover_weight` times the value traded (beyond its cost), `drawdown_weight` times what the drawdown grew by.
    `shaping_weight` adds the potential-based term (Ng, Harada and Russell 1999) of the unrealised profit, which pays
    earlier what is earned anyway and changes no optimal policy.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: Literal["net_log_return", "differential_sharpe"] = "net_log_return"
    scale: Annotated[float, Field(gt=0, le=1)] = 0.01
    memory_bars: Annotated[float, Field(ge=2, le=100_000)] = 500.0
    downside_weight: Share = 0.0
    turnover_weight: Share = 0.0
    drawdown_weight: Share = 0.0
    shaping_weight: Share = 0.0


class EnvironmentRules(BaseModel):
    """Episodes and actions (`params:reinforcement_learning.AGENT.environment`).

    An episode has `episode_bars` bars of one symbol, from a random bar on, or to the end of its segment. `actions` are
    discrete, one of `targets` (shares of equity, negative: short), or continuous in [-max_position, max_position].
    A continuous action closer than `dead_band` to the present target leaves it, so that noise is not traded.
    Of `features`, so many are seen that say most about the return on the training rows. Randomised at each episode,
    uniformly: costs by up to `cost_spread` (0.5: half to one and a half times), the observation by Gaussian noise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    episode_bars: Annotated[int, Field(ge=2, le=1_000_000)] = 336
    actions: Literal["discrete", "continuous"] = "discrete"
    targets: Annotated[tuple[Annotated[float, Field(ge=-125, le=125)], ...], Field(min_length=2)] = (-1.0, 0.0, 1.0)
    max_position: Annotated[float, Field(gt=0, le=125)] = 1.0
    dead_band: Annotated[float, Field(ge=0, lt=1)] = 0.1
    features: Annotated[int, Field(ge=0, le=10_000)] = 8
    cost_spread: Annotated[float, Field(ge=0, le=1)] = 0.0
    observation_noise: Annotated[float, Field(ge=0, le=10)] = 0.0

    @model_validator(mode="after")
    def _targets_rise(self) -> "EnvironmentRules":
        if list(self.targets) != sorted(set(self.targets)):
            raise ValueError(f"targets must rise without repetition, found {list(self.targets)}")
        return self
