"""What a feature is, and the decorator that makes one of a function.

A feature is a causal fold over bars, `advance(state, chunk) -> (state, values)`: batch is one chunk, live is chunks of
one bar, and cutting the history anywhere while carrying the state changes nothing.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from tradewind.errors import BadParameters
from tradewind.learning.features.bars import Chunk, Floats
from tradewind.learning.features.expression import Expression, columns_of
from tradewind.learning.features.operators import Bars
from tradewind.market.timeframes import bar_duration_ms

State = Any  # belongs to the feature that made it; None before the first bar
Step = Callable[[State, Chunk], tuple[State, Floats]]

TIERS = {
    1: "Price and returns",
    2: "Trend and momentum",
    3: "Volatility, volume and microstructure",
    4: "Slower timeframes and cross-asset",
    5: "Side data and calendar",
}


@dataclass(frozen=True)
class Feature:
    """One named feature and everything there is to know of it.

    Attributes:
        name: `WHAT_PARAM[_TIMEFRAME]`.
        tier: a key of `TIERS`.
        family: the file it is written in.
        meaning: one line in words.
        formula: the expression it is computed by.
        lookback: bars before the current one that its value depends on; recursions state the number beyond which the
            past weighs less than 1e-6.
        expression: what the machine compiles; None for a feature that is written in Python.
        step: the fold within one segment of a feature written in Python; a new segment starts from None.
        slow_ms: length of the slower bars that the expression is computed on, 0 for the bars themselves.
        neutral: what it says of a price that does not move.
    """

    name: str
    tier: int
    family: str
    meaning: str
    formula: str
    lookback: int
    unit: str
    source: str
    expression: Expression | None = None
    step: Step | None = None
    slow_ms: int = 0
    neutral: float = 0.0

    def __str__(self) -> str:
        return self.name

    @property
    def side_series(self) -> frozenset[str]:
        """The side series that it reads."""
        names = columns_of(self.expression) if self.expression is not None else frozenset()
        return frozenset(name.removeprefix("side:") for name in names if name.startswith("side:"))

    def advance(self, state: State, chunk: Chunk) -> tuple[State, Floats]:
        """The new state, and one float64 value a bar: NaN until its segment has bars enough to compute it from."""
        from tradewind.learning.features.stream import Plan

        plan = Plan((self,))
        state = plan.begin() if state is None else state.copy()
        return state, plan.advance(state, chunk)[0]


@dataclass(frozen=True)
class FeatureFamily:
    """A function that makes features, one for each set of parameters; what `feature` turns a function into.

    Attributes:
        make: the feature of one set of parameters.
        variants: the parameters of the features that the catalogue lists.
    """

    name: str
    make: Callable[..., Feature]
    variants: tuple[tuple[Any, ...], ...]

    def __call__(self, *parameters: Any) -> Feature:
        return self.make(*parameters)

    def features(self) -> tuple[Feature, ...]:
        """The features of all variants."""
        return tuple(self.make(*parameters) for parameters in self.variants)


def feature(
    *, tier: int, unit: str, source: str = "definition", variants: Sequence[Any] | None = None, lookback: Any = None,
    neutral: float = 0.0, naming: str = "",
) -> Callable[[Callable[..., Any]], FeatureFamily]:  # fmt: skip
    """Make features of a function `f(bars, *parameters)`, one for each of `variants`.

    The function gets `Bars` and gives an expression; its lookback and formula follow from that. With `lookback` it gets
    a `Chunk` of plain arrays instead and gives one float64 a bar: for what the operators cannot say. Its name, its
    parameters and the first line of its docstring name and explain the feature.

    Parameters of the function, by their names (numbers of bars where nothing else is said):
        bars: the bar's columns, as expressions or as arrays.
        window: bars that are looked at, the present one included.
        lag: how long ago the other value is.
        skip: the latest bars, left out.
        span: of an exponential mean, whose newest value weighs 2 / (span + 1).
        period: of a mean of Wilder's, whose newest value weighs 1 / period.
        smooth: of the mean that smooths the result.
        fast: of the shortest mean or window.
        middle: of the one between.
        slow: of the longer one.
        lead: of the longest window of three.
        order: of a fractional difference, a number.
        share: of the window's values that lie below, from 0 to 1.
        width: largest distance that still counts, as a share of the price.
        series: name of a side series.
        name: which measure of a set.

    Args:
        tier: a key of `TIERS`.
        unit: of its values, in words.
        source: where the definition is from.
        variants: the parameters of each feature, a tuple each or the one parameter; None makes one feature without any.
        lookback: bars before the present one that an array function reads, or a function of the parameters that gives
            them.
        neutral: what it says of a price that does not move.
        naming: a pattern for other names than `NAME_PARAMETERS`, with {} for each parameter.

    Returns:
        A decorator that gives the family of features.

    Raises:
        BadParameters: no docstring, an unknown tier, or a result that is no expression.
    """

    def decorate(function: Callable[..., Any]) -> FeatureFamily:
        name, family = function.__name__, function.__module__.rpartition(".")[2]
        meaning = (inspect.getdoc(function) or "").partition("\n")[0]
        if not meaning or tier not in TIERS:
            raise BadParameters(f"feature {name} needs a docstring and a tier of {sorted(TIERS)}, found tier {tier!r}")

        def make(*parameters: Any) -> Feature:
            texts = [str(parameter).replace(".", "") for parameter in parameters]
            full = naming.format(*texts) if naming else "_".join([name, *texts])
            described = Feature(full, tier, family, meaning, "", 0, unit, source, neutral=neutral)
            if lookback is not None:
                reach = lookback(*parameters) if callable(lookback) else int(lookback)
                return replace(
                    described, formula="written in Python", lookback=reach,
                    step=windowed(lambda bars: function(bars, *parameters), reach),
                )  # fmt: skip
            expression = function(Bars(), *parameters)
            if not isinstance(expression, Expression):
                raise BadParameters(
                    f"feature {full} must give an expression of its bars, found {type(expression).__name__}; "
                    "state its lookback to compute it from arrays"
                )
            return replace(described, formula=expression.text, lookback=expression.lookback, expression=expression)

        listed = ((),) if variants is None else variants
        each = tuple(variant if isinstance(variant, tuple) else (variant,) for variant in listed)
        return FeatureFamily(name, make, each)

    return decorate


class Window(NamedTuple):
    """The state of a feature written in Python: bars of the segment so far, and those that it still reads."""

    seen: int
    bars: Chunk | None


def windowed(compute: Callable[[Chunk], Floats], lookback: int) -> Step:
    """A step from a function of a window of arrays: the state is the last `lookback` bars.

    Values are missing until the segment has `lookback` bars before the current one.
    """

    def step(state: State, chunk: Chunk) -> tuple[State, Floats]:
        seen, earlier = (0, None) if state is None else state
        joined = chunk.after(earlier)
        values = np.array(compute(joined), dtype=np.float64)[len(joined) - len(chunk) :]
        values[: max(lookback - seen, 0)] = np.nan
        return Window(seen + len(chunk), joined.tail(lookback) if lookback else None), values

    return step


def on_timeframe(feature: Feature, timeframe: str, base_ms: int) -> Feature:
    """The same feature on slower bars; a slower bar is visible from the bar at which it has closed.

    Args:
        feature: on the bars themselves.
        timeframe: of the slower bars, such as `4h`.
        base_ms: length of the bars, milliseconds.

    Returns:
        A feature of tier 4 named `NAME_TIMEFRAME`; its lookback is still in bars.

    Raises:
        BadParameters: the timeframe is not a whole multiple of the bar, or the feature is written in Python.
    """
    slow_ms = bar_duration_ms(timeframe)
    if slow_ms <= base_ms or slow_ms % base_ms:
        raise BadParameters(f"features.slower_timeframes: {timeframe} must be a whole multiple of the bar")
    if feature.expression is None:
        raise BadParameters(f"feature {feature.name} is written in Python and cannot move to {timeframe} bars")
    return replace(
        feature,
        name=f"{feature.name}_{timeframe}",
        tier=4,
        formula=f"{feature.formula}, on {timeframe} bars once closed",
        # One slower bar may be unfinished at either end.
        lookback=(feature.lookback + 2) * (slow_ms // base_ms),
        slow_ms=slow_ms,
    )
