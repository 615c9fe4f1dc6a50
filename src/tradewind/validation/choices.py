"""Futures in which another candidate would have been the best: a choice made by the test would follow them.

A history that is other after a cut shows a choice only if the choice flips there. Here it is made to: after the cut
prices go where one model's positions are, or labels are what it forecast, for each model and for its opposite in turn.
What was held and forecast at or before the cut must stay.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from tradewind.evaluation.accounts import portfolio_returns
from tradewind.evaluation.positions import model_targets, traded
from tradewind.evaluation.traded_market import TradedMarket
from tradewind.learning.ensemble import BY_REGIME, ENSEMBLES
from tradewind.learning.models import walk_forward
from tradewind.learning.models.base import PROBABILITIES
from tradewind.market.parts import SymbolRows
from tradewind.metrics.returns import daily_returns
from tradewind.trading.engine.backtest import History
from tradewind.validation.acting import AGENT, NETWORK, NOT_TRADED, first_fold
from tradewind.validation.comparing import Choice, Row, moved
from tradewind.validation.research_run import Products, RunSettings, Sources, Steps, lazily

GAIN = 0.002  # log return of a bar that goes a candidate's way
FAVOURED = "favoured"


def favour(
    whole: Products, sources: Sources, settings: RunSettings, steps: Steps, choices: list[Choice]
) -> Iterator[Row]:
    """What moved, with every model and its opposite the best after the middle of the first test window.

    Args:
        whole: the products of the run on the unchanged history.
        sources: the received rows.
        settings: parameters of the run.
        steps: the steps of the run.
        choices: gets a line a candidate and step.
    """
    if whole.forecasts.empty or not whole.positions:
        return
    fold = first_fold(whole.folds).iloc[0]
    cut = fold["test_start"] + (fold["test_end"] - fold["test_start"]) / 2
    candidates = {
        str(name): table
        for name, table in traded([whole.forecasts]).items()
        if name not in (NETWORK, AGENT, *(ENSEMBLES - {BY_REGIME}))
    }
    candidates |= {f"{name}, opposite": _opposite(table) for name, table in candidates.items()}
    for name, table in candidates.items():
        for rows, flipped, could in (
            _by_prices(whole, sources, settings, steps, cut, name, table),
            _by_labels(whole, settings, steps, cut, name, table),
        ):
            step = "make_positions" if rows and rows[0][0] == "positions" else "train"
            choices.append(Choice(step, name, could, flipped))
            yield from rows


Outcome = tuple[list[Row], bool, bool]


def _by_prices(
    whole: Products, sources: Sources, settings: RunSettings, steps: Steps, cut: pd.Timestamp, name: str,
    favoured: pd.DataFrame,
) -> Outcome:  # fmt: skip
    """Positions, where prices after the cut go with the positions of the favoured model."""
    market = TradedMarket.load(lazily(whole.bars), whole.side_series, sources.universe, settings.trading)
    histories, of_symbol = {}, SymbolRows(favoured)
    for symbol, (bars, history) in market.histories.items():
        target = model_targets(market, symbol, of_symbol[symbol])
        histories[symbol] = _going_with(bars, history, target, cut)
    other = replace(market, histories=histories)
    forecasts = [table for _, table in whole.forecasts.groupby("model", sort=False)]
    made = steps.make_positions(other, whole.folds, forecasts, (), sources.oracle, settings.seed)
    rows: list[Row] = []
    for strategy, table in made.items():
        if strategy not in NOT_TRADED and strategy in whole.positions:
            pair = [{strategy: one[["symbol", "timestamp", "target"]]} for one in (whole.positions[strategy], table)]
            rows += [
                (product, strategy, compared, replace(leak, name=strategy) if leak else None)
                for product, _, compared, leak in moved("positions", pair[0], pair[1], cut, cut, FAVOURED)
            ]
    could = _is_best(favoured, other, whole, settings)
    return rows, any(leak for *_, leak in rows), could


def _going_with(
    bars: pd.DataFrame, history: History, target: np.ndarray, cut: pd.Timestamp
) -> tuple[pd.DataFrame, History]:
    later = (bars["timestamp"] > cut).to_numpy()
    moves = np.diff(np.log(history.close), prepend=np.log(history.close[0]))
    side = np.sign(np.concatenate([[0.0], target[:-1]]))
    # A tenth of what happened stays, so that days differ.
    moves = np.where(later, GAIN * side + 0.1 * moves, moves)
    close = history.close[0] * np.exp(np.cumsum(moves))
    opened = np.where(later, np.concatenate([close[:1], close[:-1]]), history.open)
    close = np.where(later, close, history.close)
    high, low = (np.where(later, np.maximum(opened, close), bars["high"].to_numpy(np.float64)),
                 np.where(later, np.minimum(opened, close), bars["low"].to_numpy(np.float64)))  # fmt: skip
    table = bars.assign(open=opened, high=high, low=low, close=close)
    return table, replace(history, open=opened, high=high, low=low, close=close)


def _is_best(favoured: pd.DataFrame, market: TradedMarket, whole: Products, settings: RunSettings) -> bool:
    """Whether the favoured candidate earns more there than every model of the run."""
    of = {str(name): table for name, table in traded([whole.forecasts]).items()} | {FAVOURED: favoured}
    tables: dict[str, pd.DataFrame] = {}
    for name, forecasts in of.items():
        parts, of_symbol = [], SymbolRows(forecasts)
        for symbol, (bars, _) in market.histories.items():
            target = model_targets(market, symbol, of_symbol[symbol])
            parts.append(bars[["symbol", "timestamp"]].assign(target=target))
        tested = pd.concat(parts, ignore_index=True)
        tables[name] = tested[tested["timestamp"] >= whole.folds["test_start"].min()].reset_index(drop=True)
    returns = portfolio_returns(lazily(tables), market, whole.folds)
    earned = {
        str(name): float(
            daily_returns(part["timestamp"], part["net"].to_numpy(), market.universe.trading_calendar).sum()
        )
        for name, part in returns.groupby("strategy")
    }
    return earned[FAVOURED] > 0 and earned[FAVOURED] >= max(earned.values()) - 1e-9


def _by_labels(
    whole: Products, settings: RunSettings, steps: Steps, cut: pd.Timestamp, name: str, favoured: pd.DataFrame
) -> Outcome:
    """Forecasts, where labels that end after the cut are the forecasts of the favoured model."""
    rows = walk_forward.pool(dict(whole.model_input))
    forecasts = favoured[["symbol", "timestamp", *PROBABILITIES]]
    joined = rows[["symbol", "timestamp"]].merge(forecasts, on=["symbol", "timestamp"], how="left")
    kind = joined[PROBABILITIES].fillna(0.0).to_numpy().argmax(axis=1) - 1
    open_ended = (joined["p_up"].notna() & rows["label"].notna() & (rows["horizon_end"] > cut)).to_numpy()
    label = rows["label"].where(~open_ended, pd.Series(kind, index=rows.index)).astype(rows["label"].dtype)
    moved_by = pd.Series(kind * 0.01, index=rows.index)
    other = rows.assign(label=label, forward_return=rows["forward_return"].where(~open_ended, moved_by))
    folds = first_fold(whole.folds)
    made = pd.concat(
        [
            steps.train(other, folds, steps.tune(other, folds, settings), settings),
            steps.train_linear(other, folds, settings),
        ],
        ignore_index=True,
    )
    mine = whole.forecasts[
        whole.forecasts["model"].isin(set(made["model"])) & (whole.forecasts["fold"].isin(folds["fold"]))
    ]
    found = list(moved("forecasts", {"": mine}, {"": made}, cut, cut, FAVOURED))
    return found, any(leak for *_, leak in found), bool(open_ended.any())


def _opposite(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(p_up=table["p_down"], p_down=table["p_up"], expected_return=-table["expected_return"])
