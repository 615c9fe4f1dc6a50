"""A fold's markets for its agents: features chosen and standardised on its past, forecasts as known to the fold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.adaptive.rl.market import TradingMarket
from tradewind.adaptive.rl.rules import FORECASTS, EnvironmentRules
from tradewind.errors import BadData
from tradewind.learning.models.base import thin
from tradewind.learning.models.sequence.feature_choice import choose_features
from tradewind.learning.models.sequence.windows import Standardiser
from tradewind.learning.splits.purged import assert_no_leak, inner_split, test_mask, training_mask
from tradewind.market.parts import SymbolRows
from tradewind.trading.engine.backtest import History

ROWS_EACH = 6000  # features are chosen on: more would hardly change their order

SymbolHistories = Mapping[str, tuple[pd.DataFrame, History]]


@dataclass(frozen=True)
class TestMarket:
    """One symbol's test window: the market, the instant of each of its bars, and `FORECASTS` (missing where there are
    none), whether the agent sees them or not."""

    market: TradingMarket
    timestamp: pd.DatetimeIndex
    forecasts: NDArray[np.float32]


@dataclass(frozen=True)
class FoldMarkets:
    """`fit` and `valid` to train and to choose on, standardised; `test` by symbol, as the features are.

    `standardiser` is part of the policy: what an agent learned from is what it reads later.
    """

    fit: TradingMarket
    valid: TradingMarket
    test: dict[str, TestMarket]
    standardiser: Standardiser


@dataclass(frozen=True)
class CarryOver:
    """What incremental training carries to the next fold: the standardiser, and the last timestamp trained on."""

    standardiser: Standardiser
    learned_until: Any


def prepare(
    rows: pd.DataFrame, fold: Any, symbols: SymbolHistories, rules: EnvironmentRules, valid_share: float,
    carry_over: CarryOver | None = None,
) -> tuple[FoldMarkets, CarryOver]:  # fmt: skip
    """The markets of a fold, and what an agent of it brings to the next one.

    The agent's past is that of the fold's supervised models: purged training rows, and the bars up to the last of them.

    Args:
        rows: model-input rows of all symbols with the fold's forecasts (`forecasts.join`).
        fold: a row of the folds table.
        symbols: each symbol's bars and history.
        rules: how many features and which forecasts the agent observes.
        valid_share: the last part of the past, which chooses among the parts of a training.
        carry_over: of the fold before, in incremental training: features and their standardisation stay as they were,
            and `fit` has only the bars after those that were learned from.

    Raises:
        BadData: features are missing or infinite, or the rows are too few.
    """
    training, testing = training_mask(rows, fold), test_mask(rows, fold)
    assert_no_leak(rows, training, testing)
    fit, valid, after = learning_markets(rows[training], symbols, rules, valid_share, carry_over)
    tested = test_markets(rows[testing], symbols, (fold.test_start, fold.test_end), after.standardiser)
    return FoldMarkets(fit, valid, tested, after.standardiser), after


def learning_markets(
    past: pd.DataFrame, symbols: SymbolHistories, rules: EnvironmentRules, valid_share: float,
    carry_over: CarryOver | None = None,
) -> tuple[TradingMarket, TradingMarket, CarryOver]:  # fmt: skip
    """What an agent learns from and is chosen on, standardised, and what it brings to the next training.

    Args:
        past: model-input rows of all symbols with `FORECASTS`, whose labels are settled.
        symbols: each symbol's bars and history.
        rules: how many features and which forecasts the agent observes.
        valid_share: the last part of the past, which chooses among the parts of a training.
        carry_over: see `prepare`.

    Raises:
        BadData: features are missing or infinite, or the rows are too few.
    """
    if carry_over is None:
        sample = past[thin(past, max(len(past) // ROWS_EACH, 1))].drop(columns=list(FORECASTS))
        chosen = choose_features(sample, rules.features) if rules.features >= 2 else []
        standardiser = Standardiser.fitted(past, [*chosen, *rules.forecasts])
    else:
        standardiser = carry_over.standardiser
    columns = list(standardiser.features)
    if not columns:
        raise BadData("the agent sees nothing: environment.features must be at least 2, or forecasts must be given")
    early, late = inner_split(past, valid_share)
    learned_until = past.loc[early, "timestamp"].max()
    if carry_over is not None:
        early = early & (past["timestamp"] > carry_over.learned_until).to_numpy()
        if not early.any():
            raise BadData(f"there are no bars to learn on from after {carry_over.learned_until}")
    markets = []
    for part in (past[early], past[late]):
        span = part["timestamp"].min(), part["timestamp"].max()
        markets.append(_market(part, symbols, span, standardiser.apply(part)))
    return markets[0], markets[1], CarryOver(standardiser, learned_until)


def test_markets(
    rows: pd.DataFrame, symbols: SymbolHistories, window: tuple[Any, Any], standardiser: Standardiser
) -> dict[str, TestMarket]:
    """What an agent acts in, by symbol.

    Args:
        rows: model-input rows of all symbols with `FORECASTS`.
        symbols: each symbol's bars and history.
        window: the first instant, and the first one after the last.
        standardiser: of the features that the agent sees, in its order; a missing one stands at its mean.

    Returns:
        The markets of those symbols that have bars and rows there; a bar without a row of features cannot be acted on.
    """
    tested, of_symbol = {}, SymbolRows(rows)
    for symbol, (bars, history) in symbols.items():
        own_rows = of_symbol[symbol]
        within = ((bars["timestamp"] >= window[0]) & (bars["timestamp"] < window[1])).to_numpy()
        if not within.any() or own_rows.empty:
            continue
        seen = standardiser.filled(own_rows[list(standardiser.features)].to_numpy(dtype=np.float64))
        table = _aligned(bars[within], own_rows, seen)
        tested[symbol] = TestMarket(
            TradingMarket.from_histories({symbol: history.rows(within)}, {symbol: table}),
            pd.DatetimeIndex(bars.loc[within, "timestamp"]),
            _aligned(bars[within], own_rows, own_rows[list(FORECASTS)].to_numpy(dtype=np.float32)),
        )
    return tested


def _market(
    rows: pd.DataFrame, symbols: SymbolHistories, span: tuple[Any, Any], values: NDArray[np.float32]
) -> TradingMarket:
    histories, features = {}, {}
    places = rows.groupby("symbol", sort=False).indices
    for symbol, (bars, history) in symbols.items():
        within = ((bars["timestamp"] >= span[0]) & (bars["timestamp"] <= span[1])).to_numpy()
        if within.any() and symbol in places:
            histories[symbol] = history.rows(within)
            features[symbol] = _aligned(bars[within], rows.iloc[places[symbol]], values[places[symbol]])
    return TradingMarket.from_histories(histories, features)


def _aligned(bars: pd.DataFrame, rows: pd.DataFrame, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """A row of features a bar; missing where there is no row."""
    place = pd.Index(bars["timestamp"]).get_indexer(pd.Index(rows["timestamp"]))
    out = np.full((len(bars), values.shape[1]), np.nan, dtype=np.float32)
    out[place[place >= 0]] = np.nan_to_num(values[place >= 0])
    return out
