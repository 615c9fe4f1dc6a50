"""Nodes of the execution stage; the work is in `tradewind.trading.execution`."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from tradewind.data.order_book.events import BookRules
from tradewind.reports.execution import render_execution_page
from tradewind.trading.execution.forecasts import study as forecasts
from tradewind.trading.execution.forecasts.costs import Terms
from tradewind.trading.execution.recordings.outcomes import outcomes_in
from tradewind.trading.execution.recordings.recording import read_recording
from tradewind.trading.execution.recordings.study import compare_recording, reading
from tradewind.trading.execution.worlds import arbitrage
from tradewind.trading.execution.worlds.comparison import ExecutionStudy, compare, too_good

Streams = Mapping[str, Callable[[], pd.DataFrame]]
logger = logging.getLogger(__name__)


def compare_executions(study: ExecutionStudy, seed: int) -> pd.DataFrame:
    """What every policy costs in every world and its share of the gap to the optimum; agents where asked for."""
    generator = np.random.default_rng(seed)
    if study.agents.seeds == 0:
        return compare(study, generator)
    from tradewind.adaptive.rl.execution import agents  # loads torch

    costs = compare(study, generator, agents.trainer(study.agents, seed))
    for row in too_good(costs).to_dict("records"):
        logger.warning(
            "%s, %s: %.2g bps cheaper than the optimum, more than two standard errors: it may know what is to come",
            row["world"], row["policy"], -row["above_optimum_bps"],
        )  # fmt: skip
    return costs


def compare_arbitrage(study: ExecutionStudy, seed: int) -> pd.DataFrame:
    """What every rule makes of price differences between venues, beside who knows the future."""
    return arbitrage.compare(study.arbitrage, study.episodes // 10, np.random.default_rng([seed, 1]))


def replay_recordings(
    recorded_depth: Streams, recorded_trades: Streams, recorded_quotes: Streams, study: ExecutionStudy,
    books: BookRules, seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """What ways to execute would have cost inside each recording, and outcomes that a forecast can learn from.

    Args:
        recorded_depth: by stream a function that loads changes of depth; none where there are no recordings.
        recorded_trades: by stream a function that loads trades; a stream without them is left out, with a warning.
        recorded_quotes: by stream a function that loads best prices; may lack streams.
        study: orders, latency and fees.
        books: contracts and venues.
        seed: of the bootstrap.

    Returns:
        `recordings.study.compare_recording` and `recordings.outcomes.outcomes_in` of all of them; empty without any.
    """
    if not recorded_depth:
        logger.warning("no recorded books: TRADEWIND_STREAMS names no folder with l2_depth; only worlds are compared")
    costs, outcomes = [], []
    for number, (name, load) in enumerate(sorted(recorded_depth.items())):
        if name not in recorded_trades:
            logger.warning("%s is left out: it has no trades, and without them no resting order is met", name)
            continue
        quotes = recorded_quotes[name]() if name in recorded_quotes else None
        recording = read_recording(name, load(), recorded_trades[name](), quotes, reading(study.recordings, books))
        costs.append(compare_recording(recording, study.recordings, np.random.default_rng([seed, 2, number])))
        outcomes.append(outcomes_in(recording, study.recordings))
    return _joined(costs), _joined(outcomes)


def forecast_costs(
    recording_outcomes: pd.DataFrame, study: ExecutionStudy, seed: int
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Forecasts of costs, of recordings and of worlds apart, and how each holds on what it has not seen.

    Args:
        recording_outcomes: of `replay_recordings`.
        study: worlds, sizes and what outcomes were made with.
        seed: of worlds and bootstrap.
    """
    generator, rules = np.random.default_rng([seed, 3]), study.recordings
    terms = Terms("recordings", rules.horizon_s, rules.latency_ms, rules.fees.maker_bps, rules.fees.taker_bps)
    trained = [forecasts.of_recordings(recording_outcomes, terms, generator)]
    if not trained[0].documents:
        logger.warning("no forecast from recordings: %d outcomes are too few", len(recording_outcomes))
    trained += [
        forecasts.of_book_world(name, task.world, study.forecasts, study.episodes // 5, generator)
        for name, task in study.order_book.items()
    ]
    impact = [
        forecasts.of_impact_world(
            name, task.world, task.quantity, task.price, study.forecasts, study.episodes // 50, generator
        )
        for name, task in study.impact.items()
    ]
    documents = {name: each.model_dump(mode="json") for one in trained for name, each in one.documents.items()}
    return documents, _joined([one.calibration for one in trained if len(one.calibration)] + impact)


def draw_execution(
    costs: pd.DataFrame, arbitrage_results: pd.DataFrame, recording_costs: pd.DataFrame, calibration: pd.DataFrame
) -> str:
    """The page of costs in worlds and recordings, of forecasts of them, and of what arbitrage gains.

    Args:
        costs: of `compare_executions`.
        arbitrage_results: of `compare_arbitrage`.
        recording_costs: of `replay_recordings`.
        calibration: of `forecast_costs`.
    """
    return render_execution_page(costs, arbitrage_results, recording_costs, calibration)


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
