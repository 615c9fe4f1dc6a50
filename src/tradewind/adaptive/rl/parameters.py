"""Which agents there are and how they learn; without torch, so that configuration is checked before anything heavy."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tradewind.parameters import Parameters

Multiples = Annotated[tuple[Annotated[float, Field(ge=0, le=10)], ...], Field(min_length=1, max_length=100)]
Sizes = Annotated[tuple[Annotated[float, Field(gt=0, le=10)], ...], Field(min_length=1, max_length=100)]
# An agent is a namespace of the stage, and a block of parameters.
AGENTS = ("ppo", "recurrent_ppo", "sac", "td3")
# As people write them.
TITLES = {"ppo": "PPO", "recurrent_ppo": "recurrent PPO", "sac": "SAC", "td3": "TD3"}
OFF_POLICY = ("sac", "td3")
GAMMA = 0.97  # the discount a bar, of agents and of the potential in their reward


class AgentParameters(Parameters):
    """An agent and how it learns (`params:reinforcement_learning.AGENT.agent`).

    The names are those of stable-baselines3. `total_timesteps` are bars of all `n_envs` episodes together, in `parts`,
    after each of which the agent is validated. `n_steps` bars of each come before an update: PPO makes `n_epochs`
    passes over them, SAC and TD3 take `gradient_steps` batches from the replay buffer (`keep_replay` stores it with the
    policy, to go on from). recurrent_ppo carries a memory of `hidden` units from bar to bar. `ent_coef` weighs the
    entropy in PPO and SAC; TD3 explores by noise of `action_noise`. `gae_lambda` and `target_kl` are PPO only.

    `clone_epochs` passes before all else imitate the rule of the signals on the forecasts (in when the mean edge is
    0.1, out below 0.02), over `clone_bars` bars of each environment: a warm start; 0 begins from nothing.

    Curricula have a number for each part, the last one to the end: what multiplies the costs (cheap at first teaches
    direction before thrift), the volatility, and the length of an episode.
    """

    renamed: ClassVar[Mapping[str, str]] = {
        "steps": "total_timesteps", "environments": "n_envs", "rollout": "n_steps", "epochs": "n_epochs",
        "discount": "gamma", "entropy": "ent_coef", "updates": "gradient_steps", "exploration": "action_noise",
    }  # fmt: skip

    algorithm: Literal["ppo", "recurrent_ppo", "sac", "td3"] = "ppo"
    total_timesteps: Annotated[int, Field(ge=1, le=1_000_000_000)] = 200_000
    parts: Annotated[int, Field(ge=1, le=100)] = 5
    n_envs: Annotated[int, Field(ge=1, le=65_536)] = 64
    n_steps: Annotated[int, Field(ge=1, le=65_536)] = 64
    batch_size: Annotated[int, Field(ge=2, le=1_000_000)] = 1024
    n_epochs: Annotated[int, Field(ge=1, le=100)] = 5
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    gamma: Annotated[float, Field(ge=0, lt=1)] = GAMMA
    gae_lambda: Annotated[float, Field(ge=0, le=1)] = 0.9
    ent_coef: Annotated[float, Field(ge=0, le=1)] = 0.003
    gradient_steps: Annotated[int, Field(ge=1, le=1_000_000)] = 64
    keep_replay: bool = False
    action_noise: Annotated[float, Field(ge=0, le=2)] = 0.3
    target_kl: Annotated[float, Field(gt=0)] | None = 0.05
    clone_epochs: Annotated[int, Field(ge=0, le=1000)] = 0
    clone_bars: Annotated[int, Field(ge=2, le=100_000)] = 256
    cost_curriculum: Multiples = (1.0,)
    volatility_curriculum: Sizes = (1.0,)
    length_curriculum: Sizes = (1.0,)
    hidden: Annotated[int, Field(ge=1, le=4096)] = 32


def at_part(curriculum: tuple[float, ...], part: int) -> float:
    """A curriculum's number for this part of a training."""
    return curriculum[min(part, len(curriculum) - 1)]
