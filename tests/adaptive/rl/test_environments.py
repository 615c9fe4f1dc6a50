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

from tests.adaptive.rl.conftest import COSTS, acted, step_value
from tradewind.adaptive.rl.environments import TradingEnv, TradingVecEnv
from tradewind.adaptive.rl.episodes import COST_SCALE, DELAY, ROW, START
from tradewind.adaptive.rl.market import TradingMarket, TradingTerms
from tradewind.adaptive.rl.rules import EnvironmentRules, RewardRules
from tradewind.errors import BadData, BadParameters
from tradewind.trading.engine.backtest import History, run
from tradewind.trading.execution.orders import OrderRules

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
            _, _, _, over, _ = environment.step(action)
            at += 1
            equity.append(step_value(environment, "equity"))
            nets.append(step_value(environment, "net"))
        history = histories[name].rows(np.arange(600) < at + 1)
        account = run(history, targets[: len(history.close)], costs, OrderRules(**orders), 8766.0).account
        np.testing.assert_allclose(equity, account["equity"].to_numpy()[first + 1 : at + 1], rtol=1e-12)
        np.testing.assert_allclose(nets, account["net"].to_numpy()[first + 1 : at + 1], rtol=0, atol=1e-12)


def test_other_costs_would_be_seen(histories: dict[str, History], market: TradingMarket, trading: Terms) -> None:
    """The planted fault: an environment a tenth dearer than the backtest does not pass for it."""
    environment = TradingEnv(market, trading(DISCRETE), DISCRETE)
    equity = {}
    for scale in (1.0, 1.1):
        environment.reset(options={"row": 300, "cost_scale": scale})
        equity[scale] = [acted(environment, at % 5, "equity") for at in range(40)]
    targets = np.zeros(600)
    targets[300:340] = [DISCRETE.targets[at % 5] for at in range(40)]
    account = run(histories["A"], targets, COSTS, bars_per_year=8766.0).account["equity"].to_numpy()[301:341]
    np.testing.assert_allclose(equity[1.0], account, rtol=1e-12)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(equity[1.1], account, rtol=1e-12)


def test_many_at_once_are_each_as_one_alone(market: TradingMarket, trading: Terms) -> None:
    rules = DISCRETE.model_copy(update={"cost_spread": 0.5, "latency_spread": 3})
    reward = RewardRules(downside_weight=0.5, turnover_weight=0.1, drawdown_weight=1.0, shaping_weight=0.3)
    many = TradingVecEnv(market, trading(rules), rules, reward, count=16, seed=4)
    seen = many.reset()
    states = many._episodes.states
    alone = [TradingEnv(market, trading(rules), rules, reward) for _ in range(16)]
    for at, environment in enumerate(alone):
        options = {"row": int(states[at, ROW]), "cost_scale": float(states[at, COST_SCALE])}
        options["latency_bars"] = int(states[at, DELAY]) - 1
        np.testing.assert_array_equal(environment.reset(options=options)[0], seen[at])
    rng = np.random.default_rng(6)
    for step in range(50):
        actions = rng.integers(5, size=16)
        seen, rewards, done, infos = many.step(actions)
        for at, environment in enumerate(alone):
            if environment is None:
                continue
            one, reward, ruined, over, _ = environment.step(actions[at])
            last = infos[at]["terminal_observation"] if done[at] else seen[at]
            np.testing.assert_array_equal(one, last)
            assert rewards[at] == np.float32(reward) and done[at] == (ruined or over)
            if over:
                alone[at] = None  # type: ignore[call-overload]
        if step == 48:
            assert not done[states[:, ROW] - states[:, START] == 49].any()


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


def test_costs_and_observations_are_randomised_as_asked(market: TradingMarket, trading: Terms) -> None:
    rules = DISCRETE.model_copy(update={"cost_spread": 0.5, "observation_noise": 0.1})
    made = TradingVecEnv(market, trading(rules), rules, count=200, seed=1)
    first = made.reset()
    scale = made._episodes.states[:, COST_SCALE]
    assert 0.5 <= scale.min() < 0.6 < 1.4 < scale.max() <= 1.5
    noise = first[:, :4] - market.features[made._episodes.states[:, ROW].astype(int)]
    assert noise.std() == pytest.approx(0.1, rel=0.1) and not first[:, 4:].any()
    again = TradingVecEnv(market, trading(rules), rules, count=200, seed=1)
    np.testing.assert_array_equal(again.reset(), first)
    again.enter(market, cost_level=3.0)
    again.reset()
    dear = again._episodes.states[:, COST_SCALE]
    assert 1.5 <= dear.min() < 1.9 < 4 < dear.max() <= 4.5
    again.enter(market)
    again.seed(1)
    np.testing.assert_array_equal(again.reset(), first)


def test_orders_that_come_late_are_filled_late(
    market: TradingMarket, histories: dict[str, History], trading: Terms
) -> None:
    """Each episode's delay is drawn; the account is the backtest's with that latency."""
    rules = DISCRETE.model_copy(update={"latency_spread": 2})
    drawn = TradingVecEnv(market, trading(rules), rules, count=300, seed=1)
    drawn.reset()
    assert np.unique(drawn._episodes.states[:, DELAY]).tolist() == [1, 2, 3]
    environment = TradingEnv(market, trading(rules), rules)
    targets = np.zeros(600)
    targets[300:340] = [DISCRETE.targets[at // 4 % 5] for at in range(40)]
    found = {}
    for late in (0, 2):
        environment.reset(options={"row": 300, "cost_scale": 1.0, "latency_bars": late})
        found[late] = [acted(environment, at // 4 % 5, "equity") for at in range(40)]
        costs = COSTS.model_copy(update={"latency_bars": late})
        np.testing.assert_allclose(
            found[late],
            run(histories["A"], targets, costs, bars_per_year=8766.0).account["equity"][301:341],
            rtol=1e-12,
        )
    assert found[0] != found[2]


def test_what_is_left_out_of_the_account_reads_zero(market: TradingMarket, trading: Terms) -> None:
    rules = DISCRETE.model_copy(update={"account": ("position", "drawdown")})
    looks = []
    for shown in (DISCRETE, rules):
        environment = TradingEnv(market, trading(shown), shown)
        environment.reset(options={"row": 10})
        looks.append(np.array([environment.step(4)[0] for _ in range(20)]))
    whole, part = looks
    assert whole[-1, 4:].all() and whole.shape == part.shape == (20, 9)
    np.testing.assert_array_equal(part[:, [0, 1, 2, 3, 4, 7]], whole[:, [0, 1, 2, 3, 4, 7]])
    assert not part[:, [5, 6, 8]].any()


def test_small_wishes_leave_a_continuous_position(market: TradingMarket, trading: Terms) -> None:
    environment = TradingEnv(market, trading(CONTINUOUS), CONTINUOUS)
    environment.reset(options={"row": 10, "cost_scale": 1.0})
    turnover = [acted(environment, np.array([wish]), "turnover") for wish in (0.5, 0.55, 0.45, 0.8)]
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
    with pytest.raises(BadData, match=r"no two bars in a row have all features.*'A': 600.*shorter than the features"):
        TradingMarket.from_histories({"A": histories["A"]}, {"A": np.full((600, 2), np.nan, dtype=np.float32)})
    with pytest.raises(ValidationError, match="account must name each once"):
        EnvironmentRules.model_validate({"account": ("position", "position")})
    with pytest.raises(ValidationError, match="forecasts"):
        EnvironmentRules.model_validate({"forecasts": ("forecast_of_doom",)})
    with pytest.raises(BadData, match="600 bars need as many rows of features, found 10"):
        TradingMarket.from_histories({"A": histories["A"]}, {"A": np.ones((10, 2), dtype=np.float32)})
    infinite = np.ones((600, 2), dtype=np.float32)
    infinite[5, 1] = np.inf
    with pytest.raises(BadData, match="feature 1 is infinite at row 5"):
        TradingMarket.from_histories({"A": histories["A"]}, {"A": infinite})
    environment = TradingEnv(market, trading(DISCRETE), DISCRETE)
    with pytest.raises(BadParameters, match="cannot begin at row 599"):
        environment.reset(options={"row": 599})
    for action in (5, -1, np.nan, "up", None):
        environment.reset()
        with pytest.raises(BadParameters, match=r"an index of environment.targets, 0 to 4 .*discrete"):
            environment.step(action)
    wishing = TradingEnv(market, trading(CONTINUOUS), CONTINUOUS)
    wishing.reset()
    for action in (np.array([np.nan]), 1, np.zeros(0)):
        with pytest.raises(BadParameters, match=r"a number in \[-1, 1\] .*continuous"):
            wishing.step(action)
    many = TradingVecEnv(market, trading(DISCRETE), DISCRETE, count=2)
    many.reset()
    with pytest.raises(BadParameters, match="found"):
        many.step(np.array([0, 7]))
    with pytest.raises(BadParameters, match="2 episodes need as many actions, found 3"):
        many.step(np.zeros(3))
    with pytest.raises(BadParameters, match="latency_bars must lie in 0 to environment.latency_spread 0"):
        environment.reset(options={"row": 10, "latency_bars": 1})
    with pytest.raises(BadParameters, match="cannot be set"):
        many.set_attr("rules", DISCRETE)
