"""Situations and outcomes of executions in recordings, for a forecast of costs."""

import numpy as np
import pandas as pd

from tradewind.data.order_book.replay import Floats, Ints
from tradewind.trading.execution.forecasts.costs import (
    CALIBRATE,
    FEATURES,
    FILL,
    LEARN,
    ONE_ORDER,
    POST_THEN_CROSS,
    TEST,
    Situation,
    features,
)
from tradewind.trading.execution.recordings import policies
from tradewind.trading.execution.recordings.forms import (
    DONE,
    HALF_SPREAD,
    MAKER,
    MAKER_VALUE,
    OTHER_NEAR,
    OTHER_QTY,
    OWN_NEAR,
    OWN_QTY,
    QUANTITY,
    STATUS,
    TAKER_VALUE,
    WALK_NOW,
)
from tradewind.trading.execution.recordings.recording import Recording, price_at
from tradewind.trading.execution.recordings.study import Arrivals, Carried, RecordingStudy, arrivals_in, carry_out

PAST_S = 10  # of which volatility is measured, and flow
MOMENTUM_S = 5
SHARES = (0.5, 0.75)  # of the arrivals, in order of time: to learn, and with the next ones to calibrate
PLANS = {ONE_ORDER: policies.one_order, POST_THEN_CROSS: policies.post_then_cross(1.0)}


def outcomes_in(recording: Recording, study: RecordingStudy) -> pd.DataFrame:
    """What executions of each size and way cost in a recording, with what was known when they arrived.

    The first half of the time is to learn from, the next quarter to calibrate, the last to test; what arrives within a
    horizon of the next part is left out, so that no outcome of one part lies in another.

    Args:
        recording: the market.
        study: sizes, horizon, latency, and the fees that `cost` is made with: one for all, so that venues teach one.

    Returns:
        One row an execution: source, block, split, way, value, side, time_ms, `FEATURES`, fill, spread, walk, drift,
        impact (NaN: nobody reacts to us), cost in bps; void executions are not among them.
    """
    arrivals = arrivals_in(recording, study)
    tables = []
    for value in study.values:
        for way, plan in PLANS.items():
            run = carry_out(recording, arrivals, plan, value, study)
            table = _table(recording, arrivals, run, study).assign(way=way, value=value)
            tables.append(table if way == POST_THEN_CROSS else table.assign(**{FILL: np.nan}))
    joined = pd.concat(tables, ignore_index=True)
    return joined[joined["split"] != ""].reset_index(drop=True)


def situations(recording: Recording, arrivals: Arrivals, run: Carried, horizon_ms: int) -> Situation:
    """What was known at each arrival; NaN where there was no book.

    Args:
        recording: the market.
        arrivals: instants and sides.
        run: executions there, whose replay saw the book.
        horizon_ms: of the executions.
    """
    seen, times, side = run.replayed.seen, arrivals.time_ms, arrivals.side
    return Situation(
        seen[:, HALF_SPREAD], seen[:, WALK_NOW], run.replayed.result[:, QUANTITY], seen[:, OWN_QTY],
        seen[:, OTHER_QTY], seen[:, OWN_NEAR], seen[:, OTHER_NEAR], volatility(recording, times, horizon_ms),
        side * _moved(recording, times, 1000 * MOMENTUM_S),
        taken(recording, times, side) * horizon_ms / (1000 * PAST_S),
    )  # fmt: skip


def volatility(recording: Recording, times: Ints, horizon_ms: int) -> Floats:
    """Deviation of the middle over a horizon from the moves of the seconds before, bps.

    Args:
        recording: whose.
        times: UTC milliseconds.
        horizon_ms: of the executions.
    """
    grid = times[:, None] - 1000 * np.arange(PAST_S + 1)
    moves = -np.diff(np.log(price_at(recording, grid.ravel()).reshape(grid.shape)), axis=1)
    return np.asarray(1e4 * np.sqrt((moves**2).mean(axis=1) * horizon_ms / 1000))


def taken(recording: Recording, times: Ints, side: Ints) -> Floats:
    """What others took from our side in the seconds before, units.

    Args:
        recording: whose.
        times: UTC milliseconds.
        side: 1 where we buy.
    """
    trades = recording.trades
    total = np.zeros(len(times))
    for ours, is_theirs in ((1, recording.is_sale), (-1, ~recording.is_sale)):
        sums = np.concatenate([[0.0], np.cumsum(np.where(is_theirs, trades.qty, 0.0))])
        last, first = (np.searchsorted(trades.time_ms, at, side="left") for at in (times, times - 1000 * PAST_S))
        total = np.where(side == ours, sums[last] - sums[first], total)
    return np.asarray(total)


def _moved(recording: Recording, times: Ints, past_ms: int) -> Floats:
    return np.asarray(1e4 * np.log(price_at(recording, times) / price_at(recording, times - past_ms)))


def _table(recording: Recording, arrivals: Arrivals, run: Carried, study: RecordingStudy) -> pd.DataFrame:
    out, (_, spread, walk, drift, opportunity) = run.replayed.result, run.parts.T
    situation = situations(recording, arrivals, run, study.horizon_ms)
    known = (out[:, STATUS] == DONE) & np.isfinite(np.column_stack(situation)).all(axis=1)
    times = arrivals.time_ms[known]
    fee = 1e-4 * (study.fees.maker_bps * out[:, MAKER_VALUE] + study.fees.taker_bps * out[:, TAKER_VALUE])
    table = pd.DataFrame(features(Situation(*(each[known] for each in situation))), columns=list(FEATURES))
    block_ms = round(1000 * study.block_s)
    return table.assign(
        source=recording.name, time_ms=times, side=arrivals.side[known], split=_splits(arrivals, known, study),
        block=times // block_ms,  # of all recordings: what happens at one time is one event
        spread=spread[known], walk=walk[known], drift=drift[known] + opportunity[known], impact=np.nan,
        cost=(fee + spread + walk + drift + opportunity)[known],
        **{FILL: np.minimum(out[known, MAKER] / out[known, QUANTITY], 1.0)},  # sums of parts may be above by rounding
    )  # fmt: skip


def _splits(arrivals: Arrivals, known: np.ndarray, study: RecordingStudy) -> np.ndarray:
    if not len(arrivals.time_ms):
        return np.zeros(0, dtype="<U9")
    begin, end = arrivals.time_ms[0], arrivals.time_ms[-1] + 1
    times = arrivals.time_ms[known]
    first, second = (begin + share * (end - begin) for share in SHARES)
    apart = study.horizon_ms + study.latency_ms
    return np.select(
        [times < first - apart, (times >= first) & (times < second - apart), times >= second],
        [LEARN, CALIBRATE, TEST], "",
    )  # fmt: skip
