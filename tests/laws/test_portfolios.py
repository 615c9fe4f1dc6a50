"""Several symbols under one account know no future: strategies' portfolios, and the portfolios of agents."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws.test_engine import COSTS, N, history, mixed, targets
from tradewind.adaptive.rl.market import TradingTerms
from tradewind.adaptive.rl.portfolios import PortfolioEnv, PortfolioMarket, PortfolioRules
from tradewind.adaptive.rl.rules import EnvironmentRules
from tradewind.trading.engine.backtest import History
from tradewind.trading.engine.portfolio import Market, portfolio_account
from tradewind.trading.execution.orders import OrderRules

NAMES = ("A", "B", "C")
BEGINS = 3  # the row at which an agent's episode begins
INSTANTS = np.arange(N) * np.timedelta64(1, "h") + np.datetime64("2024-01-01", "ms")
Books = dict[str, History]
Numbers = dict[str, np.ndarray]
Strategy = Callable[[Books, Numbers, Numbers], pd.DataFrame]
Agent = Callable[[Books, Numbers, np.ndarray], pd.DataFrame]


def books(cut: int | None = None) -> Books:
    """The symbols' histories; with a cut all after it is another's, segments included."""
    past = {name: history(seed) for seed, name in enumerate(NAMES)}
    if cut is None:
        return past
    return {name: mixed(past[name], history(10 + seed), cut) for seed, name in enumerate(NAMES)}


def of_strategy(past: Books, wished: Numbers, instants: Numbers) -> pd.DataFrame:
    return portfolio_account(Market(past, instants), wished, COSTS, OrderRules())


def check_strategies(account: Strategy, cut: int) -> None:
    """From the cut on other bars, decisions from the last bar before on, and bars of B that do not come."""
    first = account(books(), {n: targets(s) for s, n in enumerate(NAMES)}, dict.fromkeys(NAMES, INSTANTS))
    decided = {n: np.r_[targets(s)[: cut - 1], targets(20 + s)[cut - 1 :]] for s, n in enumerate(NAMES)}
    comes = (np.arange(N) < cut) | (np.arange(N) % 5 != 0)
    later, instants = books(cut), dict.fromkeys(NAMES, INSTANTS)
    later["B"], decided["B"], instants["B"] = later["B"].rows(comes), decided["B"][comes], INSTANTS[comes]
    pd.testing.assert_frame_equal(first[:cut], account(later, decided, instants)[:cut])


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(2, N - 1))
def test_what_comes_later_changes_nothing_of_a_portfolio_before(cut: int) -> None:
    check_strategies(of_strategy, cut)


def filled_at_the_same_close(past: Books, wished: Numbers, instants: Numbers) -> pd.DataFrame:
    return of_strategy(past, {name: np.roll(target, -1) for name, target in wished.items()}, instants)


def shared_out_by_the_whole_sample(past: Books, wished: Numbers, instants: Numbers) -> pd.DataFrame:
    """Parts of the capital by the volatility of all bars."""
    part = {name: min(1.0, 0.01 / float(np.diff(np.log(one.close)).std())) for name, one in past.items()}
    return of_strategy(past, {name: target * part[name] for name, target in wished.items()}, instants)


@pytest.mark.parametrize("leak", [filled_at_the_same_close, shared_out_by_the_whole_sample], ids=lambda f: f.__name__)
def test_a_leak_planted_in_a_portfolio_is_caught(leak: Strategy) -> None:
    with pytest.raises(AssertionError):
        for cut in range(2, N, 7):
            check_strategies(leak, cut)


def of_agent(past: Books, features: Numbers, actions: np.ndarray) -> pd.DataFrame:
    """What an agent sees, earns and owns by row, from `BEGINS` to the end of its episode."""
    market = PortfolioMarket.from_histories(past, features, dict.fromkeys(NAMES, INSTANTS))
    terms = TradingTerms.from_rules(COSTS, OrderRules(), EnvironmentRules(), 8766.0)
    environment = PortfolioEnv(market, terms, PortfolioRules(episode_bars=N))
    seen, _ = environment.reset(seed=0, options={"row": BEGINS})
    rows, over = [np.r_[seen, 0.0, 1.0]], False
    while not over:
        seen, reward, ruined, ended, info = environment.step(actions[BEGINS + len(rows) - 1])
        rows.append(np.r_[seen, reward, info["equity"]])
        over = ruined or ended
    return pd.DataFrame(rows, index=range(BEGINS, BEGINS + len(rows)))


def check_agents(agent: Agent, cut: int) -> None:
    """From the cut on other bars and features; actions from the last bar before on."""
    whole = {name: np.random.default_rng(seed).standard_normal((N, 2)) for seed, name in enumerate(NAMES)}
    other = {name: np.r_[table[:cut], -3 * table[cut:]] for name, table in whole.items()}
    wished = np.random.default_rng(5).uniform(-1, 1, (N, 3))
    changed = np.r_[wished[: cut - 1], -wished[cut - 1 :]]
    # An episode ends before a gap, which changes nothing that was seen, earned or owned until then.
    first, second = agent(books(), whole, wished), agent(books(cut), other, changed)
    until = min(cut, first.index[-1] + 1, second.index[-1] + 1)
    assert until > BEGINS
    pd.testing.assert_frame_equal(first.loc[: until - 1], second.loc[: until - 1])


@settings(max_examples=25, deadline=None)
@given(cut=st.integers(BEGINS + 2, 60))
def test_what_comes_later_changes_nothing_of_an_agents_portfolio_before(cut: int) -> None:
    check_agents(of_agent, cut)


def sees_the_next_bar(past: Books, features: Numbers, actions: np.ndarray) -> pd.DataFrame:
    return of_agent(past, {name: np.roll(table, -1, axis=0) for name, table in features.items()}, actions)


def pays_by_tomorrows_volatility(past: Books, features: Numbers, actions: np.ndarray) -> pd.DataFrame:
    late = {name: replace(one, volatility=np.roll(one.volatility, -2)) for name, one in past.items()}
    return of_agent(late, features, actions)


@pytest.mark.parametrize("leak", [sees_the_next_bar, pays_by_tomorrows_volatility], ids=lambda f: f.__name__)
def test_a_leak_planted_in_an_agents_portfolio_is_caught(leak: Agent) -> None:
    with pytest.raises(AssertionError, match="DataFrame"):
        for cut in range(BEGINS + 2, 60, 5):
            check_agents(leak, cut)
