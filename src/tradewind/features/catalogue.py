"""Every feature there is: a new one is a line in its family, or here if it stands on a slower timeframe."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tradewind.errors import BadParameters
from tradewind.features import calendar, cross_asset, price, side_data, trend, volatility, volume
from tradewind.features.spec import Feature, on_timeframe
from tradewind.market.timeframes import bar_duration_ms

FAMILIES = (
    *price.FEATURES,
    *trend.FEATURES,
    *volatility.FEATURES,
    *volume.FEATURES,
    *cross_asset.FEATURES,
    *side_data.FEATURES,
    *calendar.FEATURES,
)

# Windows are exact and short: a slower timeframe forgets nothing quickly.
ON_SLOWER_TIMEFRAMES = (
    price.log_return(1),
    price.log_return(6),
    price.position_in_range(14),
    trend.sma_distance(10),
    trend.rsi_cutler(14),
    volatility.realised_volatility(10),
)


class FeatureSelection(BaseModel):
    """Which features to compute (`params:feature_engineering.features`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tiers: Annotated[tuple[Annotated[int, Field(ge=1, le=5)], ...], Field(min_length=1)] = (1, 2, 3, 4, 5)
    slower_timeframes: tuple[str, ...] = ("4h", "1d")
    exclude: tuple[str, ...] = ()


def select(selection: FeatureSelection, timeframe: str, side_series: tuple[str, ...]) -> tuple[Feature, ...]:
    """The chosen features, in a fixed order. Those that read a side series are chosen only where there is one.

    Raises:
        BadParameters: a slower timeframe that is none, a name to exclude that no feature has, or nothing left.
    """
    base_ms = bar_duration_ms(timeframe)
    slower = []
    for name in selection.slower_timeframes:
        slow_ms = bar_duration_ms(name)
        if slow_ms <= base_ms or slow_ms % base_ms:
            raise BadParameters(
                f"feature_engineering.features.slower_timeframes: {name} must be a multiple of the bar, {timeframe}"
            )
        slower += [on_timeframe(feature, name, base_ms) for feature in ON_SLOWER_TIMEFRAMES]
    available = {feature.name: feature for feature in (*FAMILIES, *slower)}
    unknown = sorted(set(selection.exclude) - set(available))
    if unknown:
        raise BadParameters(f"feature_engineering.features.exclude: no feature is named {', '.join(unknown)}")
    chosen = tuple(
        feature
        for name, feature in available.items()
        if feature.tier in selection.tiers
        and name not in selection.exclude
        and (feature.needs is None or feature.needs in side_series)
    )
    if not chosen:
        raise BadParameters("feature_engineering.features: the selection leaves no feature")
    return chosen
