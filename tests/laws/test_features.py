"""The laws that every feature obeys, and the leaks that each law catches."""

import importlib.util
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.depth import deep
from tradewind.learning.features import audit, catalogue, matrix, price, trend
from tradewind.learning.features.audit import Finding
from tradewind.learning.features.bars import Chunk, Floats
from tradewind.learning.features.catalogue import FeatureSelection
from tradewind.learning.features.spec import Feature, FeatureFamily, feature, on_timeframe, windowed
from tradewind.market.resample import resample_closed

ALL = catalogue.select(FeatureSelection(sets=("tradewind", "alpha158")), "1h", ("funding", "sentiment"))
NAMES = [one.name for one in ALL]
HOUR_MS = 3_600_000
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", params=[50, deep(200)])
def findings(chunk: Chunk, request: pytest.FixtureRequest) -> dict[tuple[str, str], Finding]:
    """What the audit of every feature there is finds, by feature and law."""
    return {(finding.feature, finding.law): finding for finding in audit.audit(ALL, chunk, n_cuts=request.param)}


def of_law(findings: dict[tuple[str, str], Finding], law: str) -> dict[str, Finding]:
    return {name: finding for (name, broken), finding in findings.items() if broken == law}


@pytest.mark.parametrize("law", audit.FAULTS)
def test_every_feature_obeys(law: str, findings: dict[tuple[str, str], Finding]) -> None:
    assert of_law(findings, law) == {}


def test_the_currency_does_not_matter(findings: dict[tuple[str, str], Finding]) -> None:
    free = {one.name for one in ALL if one.family not in {"side_data", "alpha158"}}
    assert len(free) > 200
    assert {name: found for name, found in of_law(findings, "currency").items() if name in free} == {}


def test_the_time_of_day_matters_to_the_calendar_alone(findings: dict[tuple[str, str], Finding]) -> None:
    calendar = {one.name for one in ALL if one.family == "calendar"}
    assert set(of_law(findings, "clock")) == calendar == {one.name for one in ALL if audit.reads_clock(one)}
    assert calendar


def with_holes(chunk: Chunk) -> Chunk:
    """The same segments with bars missing here and there, and the reference symbol now and then absent."""
    rng = np.random.default_rng(3)
    kept = np.flatnonzero(rng.random(len(chunk)) > 0.02)
    columns = {f.name: getattr(chunk, f.name)[kept] for f in fields(Chunk) if f.name != "side"}
    columns["reference_close"] = np.where(rng.random(len(kept)) < 0.002, np.nan, columns["reference_close"])
    return Chunk(**columns, side={name: values[kept] for name, values in chunk.side.items()})


def test_a_history_with_holes_may_be_cut_anywhere(chunk: Chunk) -> None:
    holed = with_holes(chunk)
    assert audit.check_cuts(ALL, holed, audit.compute(ALL, holed), list(range(400, 1600, 3))) == []


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(0, 3000), max_size=8).map(sorted))
def test_the_history_may_be_cut_anywhere_or_not_at_all(chunk: Chunk, cuts: list[int]) -> None:
    np.testing.assert_array_equal(audit.in_chunks(ALL, chunk, cuts), _whole(chunk))


_known: dict[int, Floats] = {}


def _whole(chunk: Chunk) -> Floats:
    return _known.setdefault(id(chunk), audit.compute(ALL, chunk))


def test_a_feature_alone_is_the_same_as_among_all(chunk: Chunk) -> None:
    for row in range(0, len(ALL), 7):
        np.testing.assert_array_equal(ALL[row].advance(None, chunk)[1], _whole(chunk)[row])


def test_missing_values_pass(chunk: Chunk) -> None:
    """A gap in another symbol's prices spoils its window and nothing beyond it."""
    holes = np.arange(len(chunk)) == 1500
    holed = replace(chunk, reference_close=np.where(holes, np.nan, chunk.reference_close))
    for one in ALL:
        if one.family == "cross_asset":
            values, usual = one.advance(None, holed)[1], one.advance(None, chunk)[1]
            np.testing.assert_allclose(values[1501 + one.lookback :], usual[1501 + one.lookback :], rtol=1e-9)


# What a price that does not move says, where it is neither nothing nor what the feature states.
STILL = {name: 1e-4 for name in NAMES if name.endswith(("_level", "_mean_72"))}


def check_stillness(one: Feature, chunk: Chunk, price_level: float, volume: float) -> None:
    """On a price, volume and side series that do not move, the feature says so."""
    still = np.full(len(chunk), price_level)
    columns = dict.fromkeys(("open", "high", "low", "close", "reference_close"), still)
    side = {name: np.full(len(chunk), 1e-4) for name in chunk.side}
    nothing = np.zeros(len(chunk))
    flat = replace(
        chunk, **columns, volume=np.full(len(chunk), volume), side=side, market_return=nothing,
        market_dispersion=nothing, market_breadth=nothing + 0.5, market_rank=nothing + 0.5,
    )  # fmt: skip
    silent = volume == 0 and one.name.startswith(("relative_volume", "volume_near"))
    neutral = 0.0 if silent else STILL.get(one.name, one.neutral)
    np.testing.assert_allclose(one.advance(None, flat)[1][-1], neutral, rtol=1e-9, atol=1e-9)


# Sums of 1e12 and of 0 are exact; those of the others are not, and rounding must not pass for movement.
@pytest.mark.parametrize(("price_level", "volume"), [(1e12, 0.0), (0.1, 3.3), (27_123.37, 0.7)])
def test_a_price_that_does_not_move_says_nothing(chunk: Chunk, price_level: float, volume: float) -> None:
    moved = {}
    for one in ALL:
        if one.family not in {"calendar", "alpha158"}:
            try:
                check_stillness(one, chunk, price_level, volume)
            except AssertionError as error:
                moved[one.name] = str(error)
    assert moved == {}


def test_rounding_that_poses_as_movement_is_caught(chunk: Chunk) -> None:
    def compute(bars: Chunk) -> Floats:
        windows = np.lib.stride_tricks.sliding_window_view(bars.close, 21)
        mean = np.array([sum(window.tolist()) / 21 for window in windows])
        distance = bars.close[20:] - mean
        return np.append(np.full(20, np.nan), distance / np.maximum(np.abs(distance), 1e-300))

    with pytest.raises(AssertionError):
        check_stillness(leak("noise", compute), chunk, 0.1, 1.0)


def leak(name: str, compute: Callable[[Chunk], Floats], lookback: int = 50) -> Feature:
    return replace(price.log_return(1), name=name, lookback=lookback, expression=None, step=windowed(compute, lookback))


def rolling_mean(values: Floats, window: int) -> Floats:
    return pd.Series(values).rolling(window).mean().to_numpy()


def _centred(bars: Chunk) -> Floats:
    mean = rolling_mean(bars.close, 11)
    return np.append(mean[5:], np.full(5, np.nan))[: len(bars)]


def _recursion(bars: Chunk) -> Floats:
    return bars.close / pd.Series(bars.close).ewm(span=48, adjust=False).mean().to_numpy()


def _early_slow_bar(bars: Chunk) -> Floats:
    """The four-hour close, seen from the first hour on: resampled with the label on the left."""
    group = bars.open_time // (4 * HOUR_MS)
    last = dict(zip(group, bars.close, strict=True))
    return np.array([last[key] for key in group])


def _interpolated(bars: Chunk) -> Floats:
    """Every other close made up from its neighbours, as a repair of gaps would do it."""
    known = np.arange(len(bars)) % 2 == 0
    return np.interp(np.arange(len(bars)), np.flatnonzero(known), bars.close[known]) / bars.close


def _quantile_bins(bars: Chunk) -> Floats:
    return np.digitize(bars.close, np.quantile(bars.close, np.linspace(0.1, 0.9, 9))).astype(float)


def _fitted_line(bars: Chunk) -> Floats:
    at = np.arange(len(bars))
    return bars.close - np.polyval(np.polyfit(at, bars.close, 1), at) if len(bars) > 2 else bars.close * 0


PLANTED_LEAKS: dict[str, Callable[[Chunk], Floats]] = {
    "shift(-1)": lambda b: np.append(b.close[1:], b.close[-1:]) / b.close,
    "global z-score": lambda b: (b.close - b.close.mean()) / (b.close.std() + 1e-9),
    "global minimum and maximum": lambda b: (b.close - b.close.min()) / (np.ptp(b.close) + 1e-9),
    "rank in the sample": lambda b: b.close.argsort().argsort().astype(float),
    "quantile bins of the sample": _quantile_bins,
    "line fitted to the sample": _fitted_line,
    "centred window": _centred,
    "backward fill": lambda b: np.maximum.accumulate(b.close[::-1])[::-1] / b.close,
    "interpolation": _interpolated,
    "mean of the sample": lambda b: np.log(b.close) - np.log(b.close).mean(),
    "slower bar seen before its close": _early_slow_bar,
    "filter run both ways": lambda b: b.close / np.convolve(b.close, np.ones(5) / 5, "same")[: len(b)],
    "the other symbol's next close": lambda b: np.append(b.reference_close[1:], np.nan) / b.close,
    "the market's next return": lambda b: np.append(b.market_return[1:], np.nan),
    "a side value before it was known": lambda b: np.append(b.side["sentiment"][1:], np.nan),
    "volume still to come": lambda b: np.cumsum(b.volume[::-1])[::-1],
}


@pytest.mark.parametrize("name", PLANTED_LEAKS)
def test_a_planted_leak_is_caught(name: str, chunk: Chunk) -> None:
    one = leak(name, PLANTED_LEAKS[name])
    found = audit.check_future([one], chunk, list(range(500, 510)))
    assert [finding.law for finding in found] == ["future"]
    assert any(finding.is_fault for finding in audit.audit([one], chunk.rows(0, 900), n_cuts=40))


UNDERSTATED: dict[str, tuple[Callable[[Chunk], Floats], int]] = {
    "a lookback that is too short": (lambda bars: np.log(bars.close / pd.Series(bars.close).shift(24).to_numpy()), 12),
    "a recursion that poses as a window": (_recursion, 20),
    "an expanding mean": (lambda bars: bars.close / (np.cumsum(bars.close) / np.arange(1, len(bars) + 1)), 30),
    "a running sum": (lambda bars: np.cumsum(np.diff(bars.close, prepend=bars.close[:1])), 10),
}


@pytest.mark.parametrize("name", UNDERSTATED)
def test_an_understated_past_is_caught(name: str, chunk: Chunk) -> None:
    compute, lookback = UNDERSTATED[name]
    one = leak(name, compute, lookback)
    found = audit.check_cuts([one], chunk, audit.compute([one], chunk), list(range(400, 900, 7)))
    assert [finding.law for finding in found] == ["cut"]


def test_a_recursion_with_too_short_a_lookback_is_caught(chunk: Chunk) -> None:
    hasty = replace(trend.rsi(28), lookback=60, expression=replace(trend.rsi(28).expression, lookback=60))
    found = audit.check_lookback([hasty], chunk, audit.compute([hasty], chunk), [2800, 2900])
    assert [finding.law for finding in found] == ["lookback"]


def test_a_feature_that_crosses_segments_is_caught(chunk: Chunk) -> None:
    crossed = replace(chunk, segment=np.zeros(len(chunk), dtype=np.int32))
    one = price.log_return(24)
    found = audit.check_segments([one], chunk, audit.compute([one], crossed))
    assert [finding.law for finding in found] == ["segment"]


def test_an_infinite_and_an_empty_feature_are_noticed(chunk: Chunk) -> None:
    with np.errstate(divide="ignore"):
        endless = leak("endless", lambda bars: 1.0 / (np.arange(len(bars)) * 0.0), 0)
        never = leak("never", lambda bars: np.full(len(bars), np.nan), 0)
        found = audit.check_finite([endless, never], audit.compute([endless, never], chunk))
    assert [(finding.feature, finding.detail) for finding in found] == [
        ("endless", "infinite"), ("never", "no value on any bar"),
    ]  # fmt: skip


@feature(tier=2, unit="log-return", source="a test", variants=(24,))
def own_idea(bars: object, window: int) -> object:
    """Log distance of the close from the middle of its range."""
    from tradewind.learning.features import operators as op

    middle = (op.highest(bars.high, window) + op.lowest(bars.low, window)) / 2  # type: ignore[attr-defined]
    return op.log(bars.close / middle)  # type: ignore[attr-defined]


def test_one_decorated_function_is_all_a_feature_needs(chunk: Chunk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue.own, "own_idea", own_idea, raising=False)
    assert isinstance(own_idea, FeatureFamily)
    chosen = catalogue.select(FeatureSelection(include=("own_idea_*", "rsi_14")), "1h", ())
    assert [one.name for one in chosen] == ["rsi_14", "own_idea_24"]
    mine = chosen[1]
    assert (mine.lookback, mine.tier) == (23, 2)
    assert mine.formula == "log(close / ((highest(high, 24) + lowest(low, 24)) / 2))"
    assert [finding for finding in audit.audit([mine], chunk, n_cuts=20) if finding.is_fault] == []


def test_the_readmes_example_works_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = (PROJECT / "README.md").read_text().split("```python\n")[1].split("```")[0]
    file = tmp_path / "own.py"
    file.write_text(Path(catalogue.own.__file__).read_text() + "\n\n" + example)
    spec = importlib.util.spec_from_file_location("tradewind.learning.features.own", file)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    monkeypatch.setattr(catalogue.own, "weekly_pull", module.weekly_pull, raising=False)
    chosen = catalogue.select(FeatureSelection(include=("weekly_pull_*",)), "1h", ())
    assert [one.name for one in chosen] == ["weekly_pull_24", "weekly_pull_72"]


def test_a_slower_bar_is_visible_at_its_close_and_not_before(chunk: Chunk) -> None:
    close = feature(tier=1, unit="price")(_close)()
    values = on_timeframe(close, "4h", HOUR_MS).advance(None, chunk.rows(0, 400))[1]
    for row in range(16, 400):
        closed = [at for at in range(row + 1) if chunk.timestamp[at] % (4 * HOUR_MS) == 0]
        assert values[row] == chunk.close[closed[-1]]


def _close(bars: object) -> object:
    """The close."""
    return bars.close  # type: ignore[attr-defined]


@pytest.mark.parametrize("timeframe", ["2h", "4h", "8h", "1d", "1w"])
@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume"])
def test_slower_bars_are_those_of_the_resampler(
    column: str, timeframe: str, market_bars: dict[str, pd.DataFrame], side_series: dict[str, pd.DataFrame]
) -> None:
    rng = np.random.default_rng(8)
    bars = market_bars["SIM2"]
    bars = bars[rng.random(len(bars)) > 0.03].reset_index(drop=True)
    chunk = matrix.build_chunk(bars, bars, matrix.market_table({"SIM2": bars}), side_series)

    def read(bars: object) -> object:
        """A column."""
        return getattr(bars, column)

    slow = on_timeframe(feature(tier=1, unit="price")(read)(), timeframe, HOUR_MS)
    values = slow.advance(None, chunk)[1]
    resampled = resample_closed(bars.assign(timeframe="1h"), timeframe)
    expected = np.full(len(chunk), np.nan)
    for segment in np.unique(chunk.segment):
        rows, slower = np.flatnonzero(chunk.segment == segment), resampled[resampled["segment"] == segment]
        # A slower bar whose last faster one is missing has closed when the next bar has.
        closed = np.searchsorted(matrix.epoch_ms(slower["timestamp"]), chunk.timestamp[rows], side="right")
        expected[rows[closed > 0]] = slower[column].to_numpy()[closed[closed > 0] - 1]
    np.testing.assert_allclose(values, expected, rtol=1e-12)
    assert np.isfinite(expected).mean() > 0.5


def test_the_order_of_the_symbols_does_not_matter(
    market_bars: dict[str, pd.DataFrame], side_series: dict[str, pd.DataFrame]
) -> None:
    turned = dict(reversed(market_bars.items()))
    one = matrix.market_table(market_bars)
    pd.testing.assert_frame_equal(one, matrix.market_table(turned)[list(one.columns)])


def test_ranks_and_breadth_are_those_counted_by_hand(market_bars: dict[str, pd.DataFrame]) -> None:
    table = matrix.market_table(market_bars)
    row = 700
    now = {name: np.log(bars["close"].iloc[row] / bars["close"].iloc[row - 1]) for name, bars in market_bars.items()}
    at = table.loc[matrix.epoch_ms(market_bars["SIM1"]["timestamp"])[row]]
    assert at["market_breadth"] == sum(change > 0 for change in now.values()) / len(now)
    for name, change in now.items():
        below = sum(other < change for other in now.values())
        assert at[f"rank:{name}"] == below / (len(now) - 1)
    np.testing.assert_allclose(at["market_dispersion"], np.std(list(now.values())))
