"""What agents of one fold see: features chosen and standardised on its past, forecasts that know no more than that."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.engine.backtest import History
from tradewind.errors import BadData
from tradewind.metrics.classification import CLASSES
from tradewind.models.base import feature_names
from tradewind.models.opponents import fit_linear
from tradewind.models.sequence.feature_choice import choose_features
from tradewind.models.sequence.windows import Standardiser
from tradewind.models.walk_forward import thin
from tradewind.rl.market import TradingMarket
from tradewind.rl.rules import EnvironmentRules
from tradewind.splits.purged import assert_no_leak, inner_split, test_mask, training_mask
from tradewind.strategy.signals import smooth

FORECASTS = ["forecast_edge", "forecast_edge_mean", "forecast_flat"]
BLOCKS, ROWS_EACH, RIDGE, SMOOTHING_BARS = 3, 6000, 0.002, 12.0

Known = Mapping[str, tuple[pd.DataFrame, History]]


@dataclass(frozen=True)
class FoldMarkets:
    """`fit` and `valid` to train and to choose on, standardised; `test` by symbol, as the features are.

    `standardiser` is part of the policy: what an agent learned from is what it reads later.
    """

    fit: TradingMarket
    valid: TradingMarket
    test: dict[str, tuple[TradingMarket, NDArray[Any]]]
    standardiser: Standardiser


def prepare(rows: pd.DataFrame, fold: Any, known: Known, rules: EnvironmentRules, valid_share: float) -> FoldMarkets:
    """The markets of a fold.

    `rows` are model-input rows of all symbols, `known` each symbol's bars and history. The agent's past is that of the
    fold's supervised models: purged training rows, and the bars up to the last of them. Forecasts are those of the
    linear model, out of fold within the past (purged blocks) and from all of it for the test.
    """
    training, testing = training_mask(rows, fold), test_mask(rows, fold)
    assert_no_leak(rows, training, testing)
    past, test = rows[training], rows[testing]
    chosen = choose_features(past, rules.features) if rules.features >= 2 else []
    inside, after = with_forecasts(past, test)
    columns = [*chosen, *FORECASTS]
    standardiser = Standardiser.fitted(inside, columns)
    early, late = inner_split(past, valid_share)
    markets = []
    for part in (inside[early], inside[late]):
        span = part["timestamp"].min(), part["timestamp"].max()
        markets.append(_market(part, known, span, standardiser.apply(part)))
    whole = {}
    for symbol, (bars, history) in known.items():
        here = after[after["symbol"] == symbol]
        within = ((bars["timestamp"] >= fold.test_start) & (bars["timestamp"] < fold.test_end)).to_numpy()
        if not within.any() or here.empty:
            continue
        table = _aligned(bars[within], here, here[columns].to_numpy(dtype=np.float32))
        # Missing is missing at the mean for the policy; a bar without any row of features cannot be acted on.
        whole[symbol] = (
            TradingMarket.from_histories({symbol: history.rows(within)}, {symbol: table}),
            bars.loc[within, "timestamp"].to_numpy(),
        )
    return FoldMarkets(markets[0], markets[1], whole, standardiser)


def with_forecasts(past: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Past and test rows with the linear model's forecasts: `FORECASTS`, the mean over about twelve bars by symbol.

    Within the past each of three blocks is forecast by a model of the others, whose labels do not reach into it.
    """
    from threadpoolctl import threadpool_limits

    names = feature_names(past)
    told = np.full((len(past), len(CLASSES)), np.nan)
    instant = past["timestamp"]
    edges = np.quantile(instant.rank(method="dense"), np.linspace(0, 1, BLOCKS + 1))
    place = np.clip(np.searchsorted(edges, instant.rank(method="dense"), side="right") - 1, 0, BLOCKS - 1)
    with threadpool_limits(limits=1):
        for block in range(BLOCKS):
            here = place == block
            begins, ends = instant[here].min(), past.loc[here, "horizon_end"].max()
            outside = ((past["horizon_end"] < begins) | (instant > ends)).to_numpy()
            if not outside.any():
                raise BadData(f"{len(past)} training rows are too few for forecasts out of fold")
            told[here] = _fit(past[outside], names)(past[here])
        later = _fit(past, names)(test)
    return _add(past, told), _add(test, later)


def _fit(past: pd.DataFrame, names: list[str]) -> Any:
    return fit_linear(past[thin(past, max(len(past) // ROWS_EACH, 1))], names, RIDGE)


def _add(rows: pd.DataFrame, probability: NDArray[np.float64]) -> pd.DataFrame:
    table = rows.assign(forecast_edge=probability[:, 2] - probability[:, 0], forecast_flat=probability[:, 1])
    mean = pd.Series(np.nan, index=table.index)
    for _, part in table.groupby("symbol", sort=False):
        mean[part.index] = smooth(part["forecast_edge"].to_numpy(), SMOOTHING_BARS)
    return table.assign(forecast_edge_mean=mean)


def _market(rows: pd.DataFrame, known: Known, span: tuple[Any, Any], values: NDArray[np.float32]) -> TradingMarket:
    histories, features = {}, {}
    for symbol, (bars, history) in known.items():
        within = ((bars["timestamp"] >= span[0]) & (bars["timestamp"] <= span[1])).to_numpy()
        here = (rows["symbol"] == symbol).to_numpy()
        if within.any() and here.any():
            histories[symbol] = history.rows(within)
            features[symbol] = _aligned(bars[within], rows[here], values[here])
    return TradingMarket.from_histories(histories, features)


def _aligned(bars: pd.DataFrame, rows: pd.DataFrame, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """A row of features a bar; missing where there is no row."""
    place = pd.Index(bars["timestamp"]).get_indexer(pd.Index(rows["timestamp"]))
    out = np.full((len(bars), values.shape[1]), np.nan, dtype=np.float32)
    out[place[place >= 0]] = np.nan_to_num(values[place >= 0])
    return out
