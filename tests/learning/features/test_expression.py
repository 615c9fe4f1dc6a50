"""An expression looks backwards only, knows its lookback, and says what it is."""

from collections.abc import Callable

import numpy as np
import pytest

from tradewind.errors import BadData, BadParameters
from tradewind.learning.features import catalogue, price, trend
from tradewind.learning.features import operators as op
from tradewind.learning.features.bars import Chunk
from tradewind.learning.features.operators import Bars
from tradewind.learning.features.spec import feature, on_timeframe

BARS = Bars()

LOOKBACKS: list[tuple[object, int, str]] = [
    (op.lag(BARS.close, 3), 3, "lag(close, 3)"),
    (op.mean(BARS.close, 24), 23, "mean(close, 24)"),
    (op.mean(op.lag(BARS.close, 3), 24), 26, "mean(lag(close, 3), 24)"),
    (BARS.one_bar_return, 1, "r"),
    (op.root_mean_square(BARS.one_bar_return, 24), 24, "rms(r, 24)"),
    (op.log(BARS.close / op.highest(BARS.high, 5)), 4, "log(close / highest(high, 5))"),
    (2 * (BARS.close - BARS.open) ** 2, 0, "2 * (close - open)^2"),
    (-BARS.close + 1, 0, "(-close) + 1"),
    (op.where(BARS.close > BARS.open, 1.0, -op.lag(BARS.close, 2)), 2, "where(close > open, 1, -lag(close, 2))"),
]


@pytest.mark.parametrize(("expression", "lookback", "text"), LOOKBACKS, ids=lambda value: str(value)[:20])
def test_lookback_and_formula_follow_from_what_is_written(expression: object, lookback: int, text: str) -> None:
    assert (expression.lookback, expression.text) == (lookback, text)  # type: ignore[attr-defined]


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "a negative lag": (lambda: op.lag(BARS.close, -1), "only the past is known"),
    "a lag of nothing": (lambda: op.lag(BARS.close, 0), "at least one whole bar"),
    "a window of nothing": (lambda: op.mean(BARS.close, 0), "at least one whole bar"),
    "a window in parts": (lambda: op.mean(BARS.close, 2.5), "at least one whole bar"),  # type: ignore[arg-type]
    "a span of nothing": (lambda: op.ema(BARS.close, 0), "at least one whole bar"),
    "a share above 1": (lambda: op.quantile(BARS.close, 5, 1.5), "a share from 0 to 1"),
    "a rank of one": (lambda: op.rank(BARS.close, 1), "at least 2 bars"),
    "a line through two": (lambda: op.trend_t_statistic(BARS.close, 2), "at least 3 bars"),
    "a cube": (lambda: BARS.close**3, "may only be squared"),
    "a truth value": (lambda: 1 if BARS.close > BARS.open else 0, "has no single truth value"),
    "no docstring": (lambda: feature(tier=1, unit="x")(lambda bars: bars.close), "needs a docstring and a tier"),
    "an unknown tier": (lambda: feature(tier=9, unit="x")(_documented), "needs a docstring and a tier"),
    "no expression": (lambda: feature(tier=1, unit="x")(_wrong)(), "must give an expression"),
    "a faster timeframe": (lambda: on_timeframe(price.log_return(1), "30m", 3_600_000), "whole multiple of the bar"),
}


def _documented(bars: Bars) -> object:
    """A close."""
    return bars.close


def _wrong(bars: Bars) -> object:
    """A number."""
    return 3.0


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_with_the_reason(name: str) -> None:
    make, words = REFUSED[name]
    with pytest.raises(BadParameters, match=words):
        make()


def test_a_python_feature_cannot_move_to_slower_bars() -> None:
    def own(bars: Chunk) -> np.ndarray:
        """The close."""
        return bars.close

    with pytest.raises(BadParameters, match="written in Python"):
        on_timeframe(feature(tier=1, unit="x", lookback=0)(own)(), "4h", 3_600_000)


def test_bars_without_a_side_series_are_refused_by_name(chunk: Chunk) -> None:
    (level,) = [f for f in catalogue.side_data.features_of("open_interest") if f.name == "open_interest_level"]
    with pytest.raises(BadData, match="without the side series 'open_interest'"):
        level.advance(None, chunk)
    assert level.side_series == {"open_interest"}


def test_every_feature_is_explained() -> None:
    selection = catalogue.FeatureSelection(sets=("tradewind", "alpha158"))
    features = catalogue.select(selection, "1h", ("funding", "sentiment"))
    assert len(features) >= 150 + 158
    for one in features:
        assert one.meaning and one.formula and one.unit and one.source, one.name
        assert one.meaning.endswith((".", "?")), one.name
        assert one.name == one.name.lower() and " " not in one.name
    assert len({one.name for one in features}) == len(features)


def test_parameters_of_a_family_may_be_added() -> None:
    selection = catalogue.FeatureSelection(variants={"rsi": ((10,), (21,))}, include=("rsi_*",))
    names = [one.name for one in catalogue.select(selection, "1h", ())]
    assert {"rsi_7", "rsi_14", "rsi_28", "rsi_10", "rsi_21"} <= set(names)
    assert trend.rsi(10).lookback > trend.rsi(7).lookback
