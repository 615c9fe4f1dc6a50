"""The environment's money is the backtest's; its observations know nothing that comes."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from pydantic import ValidationError
from stable_baselines3.common.env_checker import check_env as check_env_of_sb3

from tests.rl.conftest import COSTS
from tradewind.engine.backtest import History, run
from tradewind.errors import BadData, BadParameters
from tradewind.execution.orders import OrderRules
from tradewind.rl.environments import TradingEnv, TradingVecEnv
from tradewind.rl.market import TradingMarket, TradingTerms
from tradewind.rl.rules import EnvironmentRules, RewardRules
from tradewind.rl.stepping import COST_SCALE

Terms = Callable[..., TradingTerms]
DISCRETE = EnvironmentRules(episode_bars=50, targets=(-1.0, -0.5, 0.0, 0.5, 1.0))
CONTINUOUS = EnvironmentRules(episode_bars=50, actions="continuous")


@pytest.mark.parametrize("rules", [DISCRETE, CONTINUOUS], ids=["discrete", "continuous"])
def test_the_checks_of_gymnasium_and_of_stable_baselines_pass(
    market: TradingMarket, trading: Terms, rules: EnvironmentRules
) -> None:
    environment = TradingEnv(market, trading(rules), rules)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the observation has no bounds, and that nothing is rendered
        check_env(environment, skip_render_check=True)
        check_env_of_sb3(environment)


@pytest.mark.parametrize("orders", [{}, {"stop_loss": 0.02, "take_profit": 0.03}, {"order": "limit"}])
@pytest.mark.parametrize("latency", [0, 2])
def test_the_same_positions_give_the_same_equity_as_the_backtest(
    histories: dict[str, History], market: TradingMarket, trading: Terms, latency: int, orders: dict[str, Any]
) -> None:
    costs = COSTS.model_copy(update={"latency_bars": latency})
    environment = TradingEnv(market, trading(DISCRETE, costs, **orders), DISCRETE)
    rng = np.random.default_rng(5)
    for _ in range(40):
        environment.reset(seed=int(rng.integers(1 << 30)))
        row = environment.reset()[1]["row"]
        name, first = ("A", row) if row < 600 else ("B", row - 600)
        targets, equity, nets = np.zeros(600), [], []
        over, at = False, first
        while not over:
            action = int(rng.integers(5))
            targets[at] = DISCRETE.targets[action]
            _, _, _, over, told = environment.step(action)
            at += 1
            equity.append(told["equity"])
            nets.append(told["net"])
        # One bar more, for the backtest to see whether a segment ends.
        history = histories[name].rows(np.arange(600) < at + 2)
        account = run(history, targets[: len(history.close)], costs, OrderRules(**orders)).account
        np.testing.assert_allclose(equity, account["equity"].to_numpy()[first + 1 : at + 1], rtol=1e-12)
        np.testing.assert_allclose(nets, account["net"].to_numpy()[first + 1 : at + 1], rtol=0, atol=1e-12)


def test_other_costs_would_be_seen(histories: dict[str, History], market: TradingMarket, trading: Terms) -> None:
    """The planted fault: an environment a tenth dearer than the backtest does not pass for it."""
    environment = TradingEnv(market, trading(DISCRETE), DISCRETE)
    equity = {}
    for scale in (1.0, 1.1):
        environment.reset(options={"row": 300, "cost_scale": scale})
        equity[scale] = [environment.step(at % 5)[4]["equity"] for at in range(40)]
    targets = np.zeros(600)
    targets[300:340] = [DISCRETE.targets[at % 5] for at in range(40)]
    account = run(histories["A"], targets, COSTS).account["equity"].to_numpy()[301:341]
    np.testing.assert_allclose(equity[1.0], account, rtol=1e-12)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(equity[1.1], account, rtol=1e-12)


def test_many_at_once_are_each_as_one_alone(market: TradingMarket, trading: Terms) -> None:
    rules = DISCRETE.model_copy(update={"cost_spread": 0.5})
    reward = RewardRules(downside_weight=0.5, turnover_weight=0.1, drawdown_weight=1.0, shaping_weight=0.3)
    many = TradingVecEnv(market, trading(rules), rules, reward, count=16, seed=4)
    seen = many.reset()
    state = many._episodes.state
    alone = [TradingEnv(market, trading(rules), rules, reward) for _ in range(16)]
    for at, environment in enumerate(alone):
        options = {"row": int(state.rows[at]), "cost_scale": float(state.accounts[at, COST_SCALE])}
        np.testing.assert_array_equal(environment.reset(options=options)[0], seen[at])
    rng = np.random.default_rng(6)
    for step in range(50):
        actions = rng.integers(5, size=16)
        seen, rewards, done, infos = many.step(actions)
        for at, environment in enumerate(alone):
            if environment is None:
                continue
            one, worth, ruined, over, _ = environment.step(actions[at])
            last = infos[at]["terminal_observation"] if done[at] else seen[at]
            np.testing.assert_array_equal(one, last)
            assert rewards[at] == np.float32(worth) and done[at] == (ruined or over)
            if over:
                alone[at] = None  # type: ignore[call-overload]
        if step == 48:
            assert not done[state.rows - state.begun == 49].any()


def test_what_comes_later_is_not_seen(histories: dict[str, History], trading: Terms) -> None:
    rng = np.random.default_rng(3)
    features = rng.standard_normal((600, 4)).astype(np.float32)
    changed = features.copy()
    changed[330:] += 5
    past = histories["A"]
    later = np.arange(600) >= 330
    other = replace(past, close=np.where(later, past.close * 1.2, past.close), high=None, low=None)
    usual = replace(past, high=None, low=None)
    looks = []
    for history, table in ((usual, features), (other, changed)):
        made = TradingMarket.from_histories({"A": history}, {"A": table})
        environment = TradingEnv(made, trading(DISCRETE), DISCRETE)
        found = [environment.reset(options={"row": 300, "cost_scale": 1.0})[0]]
        for step in range(40):
            found.append(environment.step((step // 3) % 5)[0])
        looks.append(np.array(found))
    np.testing.assert_array_equal(looks[0][:30], looks[1][:30])  # rows 300 to 329
    assert not np.array_equal(looks[0][30], looks[1][30])


def test_episodes_stay_where_features_are_known_and_end_with_their_segment(histories: dict[str, History]) -> None:
    features = np.ones((600, 2), dtype=np.float32)
    features[:30] = np.nan
    features[280] = np.nan
    made = TradingMarket.from_histories({"A": histories["A"]}, {"A": features})
    assert made.runs.tolist() == [[30, 249], [250, 279], [281, 599]]
    assert np.flatnonzero(made.last).tolist() == [249]


def test_costs_and_observations_are_randomised_as_asked(market: TradingMarket, trading: Terms) -> None:
    rules = DISCRETE.model_copy(update={"cost_spread": 0.5, "observation_noise": 0.1})
    made = TradingVecEnv(market, trading(rules), rules, count=200, seed=1)
    first = made.reset()
    scale = made._episodes.state.accounts[:, COST_SCALE]
    assert 0.5 <= scale.min() < 0.6 < 1.4 < scale.max() <= 1.5
    noise = first[:, :4] - market.features[made._episodes.state.rows]
    assert noise.std() == pytest.approx(0.1, rel=0.1) and not first[:, 4:].any()
    again = TradingVecEnv(market, trading(rules), rules, count=200, seed=1)
    np.testing.assert_array_equal(again.reset(), first)
    again.cost_level = 3.0
    again.reset()
    assert (
        1.5
        <= again._episodes.state.accounts[:, COST_SCALE].min()
        < 1.9
        < 4
        < again._episodes.state.accounts[:, COST_SCALE].max()
    )
    again.cost_level = 1.0
    again.seed(1)
    np.testing.assert_array_equal(again.reset(), first)


def test_small_wishes_leave_a_continuous_position(market: TradingMarket, trading: Terms) -> None:
    environment = TradingEnv(market, trading(CONTINUOUS), CONTINUOUS)
    environment.reset(options={"row": 10, "cost_scale": 1.0})
    turnover = [environment.step(np.array([wish]))[4]["turnover"] for wish in (0.5, 0.55, 0.45, 0.8)]
    assert turnover[0] == pytest.approx(0.5) and turnover[1] == turnover[2] == 0 and turnover[3] > 0.2


def test_what_cannot_be_is_refused(market: TradingMarket, trading: Terms, histories: dict[str, History]) -> None:
    with pytest.raises(BadParameters, match="beyond execution.max_leverage 1"):
        trading(DISCRETE.model_copy(update={"targets": (-2.0, 2.0)}))
    with pytest.raises(ValidationError, match="rise without repetition"):
        EnvironmentRules(targets=(1.0, 0.0))
    with pytest.raises(ValidationError, match="base"):
        RewardRules.model_validate({"base": "profit"})
    with pytest.raises(ValidationError, match="max_leverage"):
        trading(DISCRETE, max_leverage=0)
    with pytest.raises(BadData, match="no two bars in a row have all features"):
        TradingMarket.from_histories({"A": histories["A"]}, {"A": np.full((600, 2), np.nan, dtype=np.float32)})
    with pytest.raises(BadData, match="600 bars need as many rows of features, found 10"):
        TradingMarket.from_histories({"A": histories["A"]}, {"A": np.ones((10, 2), dtype=np.float32)})
    infinite = np.ones((600, 2), dtype=np.float32)
    infinite[5, 1] = np.inf
    with pytest.raises(BadData, match="infinite"):
        TradingMarket.from_histories({"A": histories["A"]}, {"A": infinite})
    environment = TradingEnv(market, trading(DISCRETE), DISCRETE)
    with pytest.raises(BadParameters, match="cannot begin at row 599"):
        environment.reset(options={"row": 599})
    many = TradingVecEnv(market, trading(DISCRETE), DISCRETE, count=2)
    with pytest.raises(BadParameters, match="cannot be set"):
        many.set_attr("rules", DISCRETE)
