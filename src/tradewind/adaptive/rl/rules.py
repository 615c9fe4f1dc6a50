"""What an agent sees, may do and is rewarded for; without gymnasium or torch."""

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from tradewind.parameters import Parameters

Share = Annotated[float, Field(ge=0, le=1000)]
# What an agent sees of its account, in this order; and which forecasts there are (`preparation.with_forecasts`).
Account = Literal["position", "unrealised_profit", "time_in_trade", "drawdown", "cost_so_far"]
Forecast = Literal["forecast_edge", "forecast_edge_mean", "forecast_flat", "forecast_entropy", "forecast_spread"]
ACCOUNT_FEATURES: tuple[Account, ...] = get_args(Account)
FORECASTS: tuple[Forecast, ...] = get_args(Forecast)


class RewardRules(Parameters):
    """What a bar is worth to the agent (`params:reinforcement_learning.AGENT.reward`).

    `base` is net_log_return (in units of `scale`, so that a usual bar is near 1), or differential_sharpe (Moody and
    Saffell 2001) with the memory of `memory_bars`. Taken off it: `downside_weight` times the loss of a losing bar,
    `turnover_weight` times the value traded (beyond its cost), `drawdown_weight` times what the drawdown grew by.
    `shaping_weight` adds the potential-based term (Ng, Harada and Russell 1999) of the unrealised profit, which pays
    earlier what is earned anyway and changes no optimal policy.
    """

    base: Literal["net_log_return", "differential_sharpe"] = "net_log_return"
    scale: Annotated[float, Field(gt=0, le=1)] = 0.01
    memory_bars: Annotated[float, Field(ge=2, le=100_000)] = 500.0
    downside_weight: Share = 0.0
    turnover_weight: Share = 0.0
    drawdown_weight: Share = 0.0
    shaping_weight: Share = 0.0


class EnvironmentRules(Parameters):
    """Episodes, observations and actions (`params:reinforcement_learning.AGENT.environment`).

    An episode has `episode_bars` bars of one symbol, from a random bar on, or to the end of its segment. `actions` are
    discrete, one of `targets` (shares of equity, negative: short), or continuous in [-max_position, max_position].
    A continuous action closer than `dead_band` to the present target leaves it, so that noise is not traded.

    The observation is float32 of shape (features + forecasts + 5,), what is known at the bar's close:

    - so many `features` as say most about the return on the training rows, in deviations from their mean there, within
      five (a policy reads them as they are and standardises them itself);
    - the chosen `forecasts` over the label's horizon, standardised likewise. forecast_edge: probability of up less
      that of down; forecast_edge_mean: its mean over about 12 bars; forecast_flat: the probability of neither;
      forecast_entropy: of the three probabilities, as a share of the largest there can be; forecast_spread: from the
      5 % to the 95 % quantile of the forward return, in log-return;
    - the `account`; what is left out of it reads 0. position: share of equity; unrealised_profit: log(1 + per cent of
      equity), with its sign; time_in_trade: log(1 + bars held) / 5; drawdown: share below the episode's peak, times
      ten; cost_so_far: log(1 + per cent of equity).

    Randomised at each episode, uniformly: costs by up to `cost_spread` (0.5: half to one and a half times), the delay
    of its orders by up to `latency_spread` bars more than the run's; at each bar the features by Gaussian noise of
    `observation_noise` deviations. At each part of a training paths of `bootstrap_share` times the history's length
    join it, blocks of `bootstrap_block_bars` bars on average in another order (`augmentation.add_bootstrap_path`).
    """

    episode_bars: Annotated[int, Field(ge=2, le=1_000_000)] = 336
    actions: Literal["discrete", "continuous"] = "discrete"
    targets: Annotated[tuple[Annotated[float, Field(ge=-125, le=125)], ...], Field(min_length=2)] = (-1.0, 0.0, 1.0)
    max_position: Annotated[float, Field(gt=0, le=125)] = 1.0
    dead_band: Annotated[float, Field(ge=0, lt=1)] = 0.1
    features: Annotated[int, Field(ge=0, le=10_000)] = 8
    cost_spread: Annotated[float, Field(ge=0, le=1)] = 0.0
    forecasts: tuple[Forecast, ...] = FORECASTS
    account: tuple[Account, ...] = ACCOUNT_FEATURES
    latency_spread: Annotated[int, Field(ge=0, le=1000)] = 0
    observation_noise: Annotated[float, Field(ge=0, le=10)] = 0.0
    bootstrap_share: Annotated[float, Field(ge=0, le=10)] = 0.0
    bootstrap_block_bars: Annotated[float, Field(ge=2, le=100_000)] = 100.0

    @model_validator(mode="after")
    def _names_and_targets_are_in_order(self) -> "EnvironmentRules":
        if list(self.targets) != sorted(set(self.targets)):
            raise ValueError(f"targets must rise without repetition, found {list(self.targets)}")
        for name in ("forecasts", "account"):
            chosen = getattr(self, name)
            if len(set(chosen)) < len(chosen):
                raise ValueError(f"{name} must name each once, found {list(chosen)}")
        return self
