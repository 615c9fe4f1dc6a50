"""Agents' positions join by vote and by what each has earned, of which nothing counts before its bar has closed."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tradewind.errors import BadData
from tradewind.evaluation.joined_agents import join_agents, vote

AT = pd.date_range("2024-01-01", periods=400, freq="h", tz="UTC", unit="ms")


def market(close: np.ndarray) -> Any:
    return SimpleNamespace(histories={"A": (pd.DataFrame({"timestamp": AT, "close": close}), None)})


def agent(name: str, target: Any) -> pd.DataFrame:
    return pd.DataFrame({"strategy": name, "symbol": "A", "timestamp": AT, "target": target}).dropna()


def test_the_side_that_most_hold_wins_and_no_majority_is_flat() -> None:
    nothing = np.nan
    targets = np.array(
        [[0.5, 0.3, -1], [0.5, -0.3, 0], [0, 0, 1], [0.5, nothing, nothing], [nothing] * 3, [0.4, 0.2, -0.1]]
    )
    np.testing.assert_allclose(vote(targets), [0.4, 0.0, 0.0, 0.5, 0.0, 0.3])


def test_weights_go_to_who_earned_and_only_once_the_bar_has_closed() -> None:
    rng = np.random.default_rng(0)
    moves = 0.01 * rng.normal(size=400)
    close = 100 * np.exp(np.cumsum(moves))
    knowing, wrong = np.sign(np.append(moves[1:], 0)), -np.sign(np.append(moves[1:], 0))
    found = join_agents([agent("ppo", knowing), agent("td3", wrong)], "agents_weighted", market(close))
    assert (found["target"].iloc[:2] == 0).all()  # both alike, of opposite sides
    assert (found["target"].to_numpy()[200:] * knowing[200:] > 0.5).mean() > 0.9
    for place in (5, 150, 390):
        other = close.copy()
        other[place:] *= np.exp(np.cumsum(0.05 * rng.normal(size=400 - place)))
        again = join_agents([agent("ppo", knowing), agent("td3", wrong)], "agents_weighted", market(other))
        # The close of a bar itself is not counted yet either.
        np.testing.assert_array_equal(again["target"][: place + 1], found["target"][: place + 1])
        assert not np.array_equal(again["target"], found["target"]) or place == 390


def test_an_agent_that_begins_late_leaves_the_others_and_none_is_refused() -> None:
    late = np.where(np.arange(400) < 100, np.nan, -1.0)
    for method in ("agents_vote", "agents_weighted"):
        found = join_agents([agent("ppo", 0.5), agent("td3", late)], method, market(np.full(400, 7.0)))
        assert (found["target"].iloc[:100] == 0.5).all() and len(found) == 400
        with pytest.raises(BadData, match=f"{method} needs agents"):
            join_agents([], method, market(np.full(400, 7.0)))
