"""The champion and what may follow it on the same bars: those after the champion's training, new to both of them."""

import itertools
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.market.timeframes import bar_duration_ms
from tradewind.operations.bundle.contents import Bundle
from tradewind.operations.bundle.drift import PROBABILITIES, log_losses
from tradewind.operations.bundle.measuring import WALK_FORWARD_ROWS
from tradewind.operations.canary.power import days_expected
from tradewind.operations.canary.rules import CanaryRules
from tradewind.operations.canary.slow_test import SlowTest, gain_of
from tradewind.operations.monitoring.performance import forecast_rows

KEYS, NAMES = ["symbol", "timestamp"], list(PROBABILITIES)


class Beside(NamedTuple):
    """Both on the bars after the champion's training: it decides there, and the candidate's walk-forward goes there.

    Attributes:
        e_value: evidence that the candidate's log loss is lower on them, by the test of a trial (`canary.slow_test`).
        rows: with a settled label that both have forecast, the newest 100,000 at most.
        champion_loss, candidate_loss: mean log loss on them; NaN where there are none.
        half_days, most_days: within which half and nine tenths of trials would promote a candidate that goes on so
            (`canary.power.days_expected`).
    """

    e_value: float
    rows: int
    champion_loss: float
    candidate_loss: float
    half_days: float = float("nan")
    most_days: float = float("nan")


def beside(champion: Bundle, rows: pd.DataFrame, forecasts: pd.DataFrame) -> Beside | None:
    """Both on the same bars; None where the champion cannot forecast them.

    Args:
        champion: that answers now.
        rows: model input of all symbols with the champion's features and the labels that are settled.
        forecasts: of the candidate's walk-forward: symbol, timestamp, `p_*`.
    """
    if champion.agent is not None or not set(champion.spec.features) <= set(rows):
        return None
    later = rows[rows["timestamp"] > pd.Timestamp(champion.spec.trained_to)].sort_values(["timestamp", "symbol"])
    of_champion = forecast_rows(champion, later)[KEYS + NAMES]
    both = of_champion.merge(forecasts[[*KEYS, *NAMES]], on=KEYS, suffixes=("", "_candidate"), validate="one_to_one")
    both = both.merge(later[[*KEYS, "label"]], on=KEYS, validate="one_to_one").sort_values(["timestamp", "symbol"])
    both = both.iloc[-WALK_FORWARD_ROWS:]
    known = both[both["label"].notna()]
    label = known["label"].to_numpy(dtype=np.float64)
    own, other = (float(log_losses(p, label).mean()) if len(label) else np.nan for p in _probabilities(known))
    evidence, half, most = _evidence(champion, known)
    return Beside(evidence, len(label), own, other, half, most)


def _probabilities(both: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of champion and candidate, (rows, 3) each."""
    theirs = both[[f"{one}_candidate" for one in NAMES]]
    return both[NAMES].to_numpy(np.float64), theirs.to_numpy(np.float64)


def _evidence(champion: Bundle, known: pd.DataFrame) -> tuple[float, float, float]:
    """The evidence so far, and how many days a trial would take if it went on so."""
    spec = champion.spec
    bar_ms = bar_duration_ms(spec.universe.timeframe)
    test = SlowTest(CanaryRules(), spec.horizon_bars, bar_ms)
    gains, bounds = [], []
    mine, theirs = _probabilities(known)
    label = known["label"].to_numpy(dtype=np.int64)
    at = known["timestamp"].dt.tz_localize(None).to_numpy().astype("datetime64[ms]").astype(np.int64)
    for start, stop in itertools.pairwise([*np.flatnonzero(np.diff(at, prepend=-1)), len(at)]):
        gain, bound = gain_of(mine[start:stop], theirs[start:stop], label[start:stop])
        test.settle_gain(int(at[start]), gain, bound)
        gains.append(gain)
        bounds.append(bound)
    days = days_expected(np.array(gains), np.array(bounds), spec.horizon_bars, bar_ms)
    return test.e_value, *days
