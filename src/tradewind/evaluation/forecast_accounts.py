"""Accounts of forecasts that are no strategy of their own: other seeds, other horizons, combinatorial paths."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tradewind.evaluation.positions import model_targets
from tradewind.evaluation.roles import Booleans, is_walk_forward
from tradewind.evaluation.traded_market import TradedMarket
from tradewind.learning.models import catalogue
from tradewind.learning.models.base import QUANTILES
from tradewind.market.parts import SymbolRows
from tradewind.metrics.distribution import probability_below
from tradewind.metrics.risk import MEASURES
from tradewind.trading.engine import robustness
from tradewind.trading.engine.portfolio import portfolio_account


def forecast_account(
    forecasts: pd.DataFrame, market: TradedMarket, chosen_bars: Mapping[str, Booleans]
) -> pd.DataFrame:
    """The portfolio account of one model's forecasts over the chosen bars of each symbol.

    Args:
        forecasts: symbol, timestamp, p_up, p_down, expected_return of one model.
        market: what is traded, and by which rules.
        chosen_bars: by symbol a mask over its bars.

    Returns:
        One row a bar: timestamp and the account's columns, as shares of equity.
    """
    tables, of_symbol = [], SymbolRows(forecasts)
    for symbol, (bars, _) in market.histories.items():
        chosen = chosen_bars[symbol]
        target = model_targets(market, symbol, of_symbol[symbol])[chosen]
        tables.append(pd.DataFrame({"symbol": symbol, "timestamp": bars["timestamp"][chosen].array, "target": target}))
    under, targets = market.portfolio(pd.concat(tables, ignore_index=True))
    return portfolio_account(under, targets, market.setup.costs, market.setup.execution)


def path_accounts(path_forecasts: Sequence[pd.DataFrame], market: TradedMarket) -> pd.DataFrame:
    """What combinatorial paths come to.

    Args:
        path_forecasts: model, path, symbol, timestamp and the forecast along each path.
        market: what is traded, and by which rules.

    Returns:
        One row a model and path: model, path, and the measures of its account.
    """
    rows = []
    for table in path_forecasts:
        for (model, path), forecasts in table.groupby(["model", "path"], sort=True):
            start, end = forecasts["timestamp"].min(), forecasts["timestamp"].max()
            inside = {
                symbol: ((bars["timestamp"] >= start) & (bars["timestamp"] <= end)).to_numpy()
                for symbol, (bars, _) in market.histories.items()
            }
            account = forecast_account(forecasts, market, inside)
            rows.append({"model": model, "path": path, **robustness.summary(account, market.universe.trading_calendar)})
    return _measured(rows, "path")


def seed_accounts(market: TradedMarket, folds: pd.DataFrame, forecasts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """What each model comes to from each seed, over the walk-forward folds.

    Args:
        market: what is traded, and by which rules.
        folds: the fold table.
        forecasts: those of the run's own seed and of the others.

    Returns:
        One row a model and seed: model, seed, and the account's measures.
    """
    tested = _walk_forward_bars(market, folds)
    rows = []
    for table in forecasts:
        for (model, seed), part in table.groupby(["model", "seed"], sort=False):
            account = forecast_account(part, market, tested)
            found = robustness.summary(account, market.universe.trading_calendar)
            rows.append({"model": model, "seed": seed, **found})
    return _measured(rows, "seed")


def horizon_accounts(
    market: TradedMarket, folds: pd.DataFrame, horizon_forecasts: Sequence[pd.DataFrame]
) -> pd.DataFrame:
    """What each model comes to if it is traded on one horizon alone, over the walk-forward folds.

    Up and down are what the quantiles say of the return beyond the cost of a round trip. The smoothing is shortened in
    proportion, to half a horizon at most. The same thresholds everywhere, nothing is chosen.

    Args:
        market: what is traded, and by which rules.
        folds: the fold table.
        horizon_forecasts: model, horizon (bars), symbol, timestamp and the quantiles of the log return.

    Returns:
        One row a model and horizon: model, horizon, and the account's measures.
    """
    tested = _walk_forward_bars(market, folds)
    # Without slippage by volatility: the quantiles are compared with one number.
    round_trip = float(market.setup.costs.round_trip_share(0.0))
    signal = market.setup.signal
    rows = []
    for table in horizon_forecasts:
        for (model, bars_ahead), part in table.groupby(["model", "horizon"], sort=False):
            if not catalogue.is_traded(str(model)):
                continue
            quantiles = part[QUANTILES].to_numpy(dtype=np.float64)
            p_up, p_down = 1 - probability_below(quantiles, round_trip), probability_below(quantiles, -round_trip)
            sided = part[["symbol", "timestamp"]].assign(
                p_down=p_down, p_flat=1 - p_up - p_down, p_up=p_up, expected_return=part["q50"]
            )
            shorter = signal.model_copy(update={"smoothing_bars": min(signal.smoothing_bars, bars_ahead / 2)})
            account = forecast_account(sided, market.with_signal(shorter), tested)
            rows.append(
                {"model": model, "horizon": bars_ahead, **robustness.summary(account, market.universe.trading_calendar)}
            )
    return _measured(rows, "horizon")


def _walk_forward_bars(market: TradedMarket, folds: pd.DataFrame) -> dict[str, Booleans]:
    return {symbol: is_walk_forward(table, folds) for symbol, (table, _) in market.histories.items()}


def _measured(rows: list[dict[str, object]], by: str) -> pd.DataFrame:
    """A row a model and seed, horizon or path with the account's measures; no rows in a run without such models."""
    return pd.DataFrame(rows, columns=["model", by, *MEASURES]).astype({"model": "str", by: "int64"})
