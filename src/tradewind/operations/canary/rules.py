"""How a canary is tried, and by what it is judged."""

from typing import Annotated

from pydantic import Field

from tradewind.parameters import Parameters


class CanaryRules(Parameters):
    """The trial of a canary.

    Attributes:
        share: of symbol-days that the canary answers; all are scored by both.
        seed: of the routing.
        alpha: how often each sequential check may roll an honest canary back.
        min_decisions: before the spread and the correlation are looked at.
        latency_multiple: of the baseline's 99th percentile, above which an answer counts as slow.
        spread_low, spread_high: the ratio of the spreads of the two edges, as a multiple of the one expected.
        max_lag_bars: how much older the canary's features may be than the champion's.
        probe_every: decisions between two looks at the whole probe.
        probe_row_every: decisions between two of its rows, which take the way that requests take.
        promote_at: the e-value that promotes: evidence of 20 to 1 that the canary's log loss is lower.
        min_days, max_days: of settled labels before it may be promoted, and after which the champion stays.
    """

    share: Annotated[float, Field(ge=0.01, le=0.1)] = 0.05
    seed: int = 7
    alpha: Annotated[float, Field(gt=0, le=0.05)] = 0.002
    min_decisions: Annotated[int, Field(ge=10)] = 20
    latency_multiple: Annotated[float, Field(gt=1)] = 1.5
    spread_low: Annotated[float, Field(gt=0, lt=1)] = 0.5
    spread_high: Annotated[float, Field(gt=1)] = 2.0
    max_lag_bars: Annotated[float, Field(ge=1)] = 1.0
    probe_every: Annotated[int, Field(ge=1)] = 50
    probe_row_every: Annotated[int, Field(ge=1)] = 5
    promote_at: Annotated[float, Field(gt=1)] = 20.0
    min_days: Annotated[float, Field(gt=0)] = 14.0
    max_days: Annotated[float, Field(gt=0)] = 60.0
