"""Every feature there is: a new one is a decorated function in its family, or a line here if it is on slower bars."""

import logging
from fnmatch import fnmatchcase
from types import ModuleType
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from tradewind.errors import BadParameters
from tradewind.learning.features import (
    alpha158,
    calendar,
    cross_asset,
    own,
    price,
    side_data,
    trend,
    volatility,
    volume,
)
from tradewind.learning.features.spec import Feature, FeatureFamily, on_timeframe
from tradewind.market.timeframes import bar_duration_ms
from tradewind.parameters import Parameters

logger = logging.getLogger(__name__)

ROOMS = (price, trend, volatility, volume, cross_asset, calendar, own)

ON_SLOWER_TIMEFRAMES = (
    price.log_return(1),
    price.log_return(6),
    price.log_return(12),
    price.position_in_range(14),
    price.drawdown(24),
    price.efficiency_ratio(10),
    trend.sma_distance(10),
    trend.rsi_cutler(14),
    trend.trend_t_statistic(12),
    volatility.realised_volatility(10),
    volatility.volatility_ratio(4, 20),
    volume.relative_volume(12),
)

USUAL_SLOWER = ("4h", "1d")


def families_of(room: ModuleType) -> tuple[FeatureFamily, ...]:
    """The decorated functions of a file, in the order they are written."""
    return tuple(value for value in vars(room).values() if isinstance(value, FeatureFamily))


class FeatureSelection(Parameters):
    """Which features to compute (`params:feature_engineering.features`).

    `include` and `exclude` are names, in which * stands for anything. `variants` adds parameters to a family:
    `rsi: [[10], [50]]`. `slower_timeframes` null are those of `USUAL_SLOWER` that are whole multiples of the bar.
    """

    sets: Annotated[tuple[Literal["tradewind", "alpha158"], ...], Field(min_length=1)] = ("tradewind",)
    tiers: Annotated[tuple[Annotated[int, Field(ge=1, le=5)], ...], Field(min_length=1)] = (1, 2, 3, 4, 5)
    slower_timeframes: tuple[str, ...] | None = None
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    variants: dict[str, tuple[tuple[Any, ...], ...]] = {}

    @field_validator("slower_timeframes", mode="before")
    @classmethod
    def _split_words(cls, value: Any) -> Any:
        return tuple(value.split()) if isinstance(value, str) else value

    def slower_than(self, timeframe: str) -> tuple[str, ...]:
        """The slower timeframes that go with this bar; those that are not slower are left out, which is logged."""
        bar = bar_duration_ms(timeframe)
        if self.slower_timeframes is not None:
            slower = tuple(one for one in self.slower_timeframes if bar_duration_ms(one) > bar)
            left = [one for one in self.slower_timeframes if one not in slower]
            if left:
                logger.warning(
                    "feature_engineering.features.slower_timeframes: %s not slower than the bar of %s, left out",
                    f"{', '.join(left)} {'is' if len(left) == 1 else 'are'}", timeframe,
                )  # fmt: skip
            return slower
        return tuple(slow for slow in USUAL_SLOWER if bar_duration_ms(slow) > bar and bar_duration_ms(slow) % bar == 0)


def select(selection: FeatureSelection, timeframe: str, side_series: tuple[str, ...]) -> tuple[Feature, ...]:
    """The chosen features, in a fixed order.

    Args:
        selection: tiers, sets, slower timeframes and patterns of names to include and exclude.
        timeframe: of the bars, such as `1h`.
        side_series: names of the universe's side series; each gets the features of `side_data`.

    Returns:
        In the order of the catalogue, which is that of the columns of the feature table.

    Raises:
        BadParameters: a slower timeframe that is none, a name or family that no feature has, or nothing left.
    """
    available = _available(selection, timeframe, side_series)
    for field in ("include", "exclude"):
        patterns = getattr(selection, field)
        unknown = [one for one in patterns if not any(fnmatchcase(name, one) for name in available)]
        if unknown:
            raise BadParameters(f"feature_engineering.features.{field}: no feature is named {', '.join(unknown)}")
    chosen = tuple(
        feature
        for name, feature in available.items()
        if feature.tier in selection.tiers
        and any(fnmatchcase(name, one) for one in selection.include)
        and not any(fnmatchcase(name, one) for one in selection.exclude)
    )
    if not chosen:
        raise BadParameters("feature_engineering.features: the selection leaves no feature")
    return chosen


def _available(selection: FeatureSelection, timeframe: str, side_series: tuple[str, ...]) -> dict[str, Feature]:
    features: list[Feature] = []
    if "tradewind" in selection.sets:
        features += [one for room in ROOMS for family in families_of(room) for one in family.features()]
        features += [one for series in side_series for one in side_data.features_of(series)]
        features += _variants(selection)
        base_ms = bar_duration_ms(timeframe)
        features += [
            on_timeframe(one, slow, base_ms)
            for slow in selection.slower_than(timeframe)
            for one in ON_SLOWER_TIMEFRAMES
        ]
    if "alpha158" in selection.sets:
        features += alpha158.features()
    return {feature.name: feature for feature in features}


def _variants(selection: FeatureSelection) -> list[Feature]:
    families = {family.name: family for room in ROOMS for family in families_of(room)}
    unknown = sorted(set(selection.variants) - set(families))
    if unknown:
        raise BadParameters(f"feature_engineering.features.variants: no family is named {', '.join(unknown)}")
    features = []
    for name, variants in selection.variants.items():
        for parameters in variants:
            try:
                features.append(families[name](*parameters))
            except TypeError as error:
                raise BadParameters(
                    f"feature_engineering.features.variants.{name}: {list(parameters)}: {error}"
                ) from error
    return features
