"""A portfolio's money is the backtest's of symbols that share their cash; its limits hold."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env as check_env_of_sb3

from tests.adaptive.rl.conftest import COSTS, made_history
from tradewind.adaptive.rl.market import TradingTerms
from tradewind.adaptive.rl.portfolios import PortfolioEnv, PortfolioMarket, PortfolioRules, PortfolioVecEnv
from tradewind.adaptive.rl.rules import EnvironmentRules
from tradewind.errors import BadData, BadParameters
from tradewind.trading.engine.backtest import History, portfolio
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules

Terms = Callable[..., TradingTerms]
RULES = PortfolioRules(episode_bars=60, dead_band=0.0)
NAMES = ("A", "B", "C")


@pytest.fixture(scope="module")
def books() -> dict[str, History]:
    return {
        name: made_history(seed, cuts=cuts)
        for name, seed, cuts in zip(NAMES, (1, 2, 3), ((250,), (100, 400), ()), strict=False)
    }


def features() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {name: rng.standard_normal((600, 2)).astype(np.float32) for name in NAMES}


@pytest.fixture(scope="module")
def shared(books: dict[str, History]) -> PortfolioMarket:
    return PortfolioMarket.from_histories(books, features(), dict.fromkeys(NAMES, np.arange(600)))


def test_the_checks_of_gymnasium_and_of_stable_baselines_pass(shared: PortfolioMarket, trading: Terms) -> None:
    for rules in (RULES, RULES.model_copy(update={"long_only": True})):
        environment = PortfolioEnv(shared, trading(), rules)
        assert environment.observation_space.shape == (3 * (2 + 3) + 3,)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_env(environment, skip_render_check=True)
            check_env_of_sb3(environment)


@pytest.mark.parametrize(
    "orders", [{}, {"stop_loss": 0.02, "take_profit": 0.03}, {"order": "limit"}, {"max_leverage": 3.0}]
)
@pytest.mark.parametrize("latency", [0, 2])
def test_the_same_weights_give_the_same_equity_as_the_engines_portfolio(
    books: dict[str, History], shared: PortfolioMarket, trading: Terms, latency: int, orders: dict[str, Any]
) -> None:
    """The planted fault: costs a tenth higher do not pass."""
    costs = COSTS.model_copy(update={"latency_bars": latency})
    leverage = orders.get("max_leverage", 1.0)
    rules = RULES.model_copy(update={"max_leverage": leverage, "max_weight": leverage, "max_turnover": 0.7})
    environment = PortfolioEnv(shared, trading(EnvironmentRules(), costs, **orders), rules)
    rng = np.random.default_rng(5)
    for episode in range(12):
        first = environment.reset(seed=episode)[1]["row"]
        if episode == 11:
            environment.reset(options={"row": first, "cost_scale": 1.1})
        targets, equity, over = {name: np.zeros(600) for name in NAMES}, [], False
        for at in range(first, 600):
            action = rng.uniform(-1, 1, 3) if rng.random() < 0.3 else np.zeros(3) + 0.2
            _, _, _, over, info = environment.step(action)
            for name, weight in zip(NAMES, environment.weights, strict=True):
                targets[name][at] = weight
            equity.append(info["equity"])
            if over:
                break
        kept = np.arange(600) < at + 2
        cut = {name: history.rows(kept) for name, history in books.items()}
        wanted = {name: target[: kept.sum()] for name, target in targets.items()}
        instants = dict.fromkeys(NAMES, np.arange(kept.sum()))
        _, result = portfolio(cut, wanted, instants, costs, OrderRules(**orders), 8766.0)
        expected = result.account["equity"].to_numpy()[first + 1 : at + 2]
        if episode < 11:
            np.testing.assert_allclose(equity, expected, rtol=1e-12)
        else:
            with pytest.raises(AssertionError):
                np.testing.assert_allclose(equity, expected, rtol=1e-12)


def test_leverage_and_turnover_stay_within_their_limits(shared: PortfolioMarket, trading: Terms) -> None:
    rules = RULES.model_copy(update={"max_leverage": 0.8, "max_turnover": 0.25})
    environment = PortfolioEnv(shared, trading(), rules)
    rng, before = np.random.default_rng(0), np.zeros(3)
    environment.reset(options={"row": 110})
    moved = []
    for _ in range(50):
        environment.step(rng.uniform(-1, 1, 3))
        weights = environment.weights
        assert np.abs(weights).sum() <= 0.8 + 1e-12
        moved.append(np.abs(weights - before).sum())
        before = weights
    assert max(moved) == pytest.approx(0.25) and 0.0 < environment.last_step["exposure"] < 0.9
    still = PortfolioEnv(shared, trading(), RULES.model_copy(update={"dead_band": 0.1}))
    still.reset(options={"row": 110})
    still.step(np.array([0.3, 0.0, 0.0]))
    still.step(np.array([0.35, 0.05, 0.0]))
    np.testing.assert_array_equal(still.weights, [0.3, 0.0, 0.0])


def test_episodes_stay_where_every_symbol_has_a_bar(books: dict[str, History]) -> None:
    seen = features()
    seen["A"][:20] = np.nan
    kept = np.r_[np.arange(300), np.arange(310, 600)]  # C has no bars for ten hours
    gone = {**books, "C": books["C"].rows(np.isin(np.arange(600), kept))}
    seen["C"] = seen["C"][kept]
    made = PortfolioMarket.from_histories(gone, seen, {"A": np.arange(600), "B": np.arange(600), "C": kept})
    assert made.timestamps[made.runs].tolist() == [[20, 99], [100, 249], [250, 299], [310, 399], [400, 599]]


def test_many_portfolios_are_each_as_one_alone(shared: PortfolioMarket, trading: Terms) -> None:
    many = PortfolioVecEnv(shared, trading(), RULES, count=5, seed=4)
    seen = many.reset()
    alone = [PortfolioEnv(shared, trading(), RULES) for _ in range(5)]
    for at, environment in enumerate(alone):
        first = environment.reset(options={"row": int(many._many.accounts[at, 4])})[0]
        np.testing.assert_array_equal(first, seen[at])
    rng, over = np.random.default_rng(0), np.zeros(5, dtype=bool)
    for _ in range(61):
        actions = rng.uniform(-1, 1, (5, 3))
        seen, rewards, done, infos = many.step(actions)
        for at in np.flatnonzero(~over):
            one, reward, _, _, _ = alone[at].step(actions[at])
            np.testing.assert_array_equal(one, infos[at]["terminal_observation"] if done[at] else seen[at])
            assert rewards[at] == np.float32(reward)
        over |= done
    assert over.all()


def test_an_agent_learns_which_symbol_to_hold(trading: Terms) -> None:
    """One of three rises at a time, as a feature says: PPO earns more than half of what knowing it earns."""
    rng = np.random.default_rng(2)
    rises = np.repeat(rng.integers(3, size=100), 10)
    seen, books = {}, {}
    for number, name in enumerate(NAMES):
        change = np.r_[0.0, 0.004 * (rises[:-1] == number)] - 0.001 + 0.002 * rng.standard_normal(1000)
        close = 100 * np.exp(np.cumsum(change))
        books[name] = History(
            np.r_[100.0, close[:-1]], close, np.full(1000, 0.002), np.zeros(1000), np.zeros(1000, dtype=np.int32)
        )
        seen[name] = (rises == number).astype(np.float32)[:, None]
    market = PortfolioMarket.from_histories(books, seen, dict.fromkeys(NAMES, np.arange(1000)))
    terms = trading(EnvironmentRules(), Costs(taker_fee_bps=1.0, half_spread_bps=0.0, slippage_share_of_volatility=0.0))
    rules = PortfolioRules(episode_bars=100, long_only=True)
    model = PPO(
        "MlpPolicy", PortfolioVecEnv(market, terms, rules, 32, 0), n_steps=32, batch_size=256, n_epochs=4, gamma=0.8,
        learning_rate=0.003, seed=0, device="cpu", policy_kwargs={"net_arch": [16]},
    ).learn(20_000)  # fmt: skip
    earned = {}
    for who in ("agent", "oracle"):
        environment = PortfolioEnv(market, terms, PortfolioRules(episode_bars=900, long_only=True))
        looked, info = environment.reset(options={"row": 10})
        for row in range(10, 800):
            known = np.eye(3)[rises[row]]
            looked, _, _, _, info = environment.step(
                known if who == "oracle" else model.predict(looked, deterministic=True)[0]
            )
        earned[who] = np.log(info["equity"])
    assert earned["oracle"] > 1.5 and earned["agent"] > 0.5 * earned["oracle"]


def test_what_cannot_be_is_refused(shared: PortfolioMarket, books: dict[str, History], trading: Terms) -> None:
    with pytest.raises(BadParameters, match="max_leverage 2 is beyond execution.max_leverage 1"):
        PortfolioEnv(shared, trading(), RULES.model_copy(update={"max_leverage": 2.0}))
    environment = PortfolioEnv(shared, trading(), RULES)
    environment.reset()
    for action in (np.zeros(2), np.array([0.0, np.nan, 0.0])):
        with pytest.raises(BadParameters, match="a finite number for each symbol"):
            environment.step(action)
    with pytest.raises(BadParameters, match="cannot begin at row 599"):
        environment.reset(options={"row": 599})
    with pytest.raises(BadData, match="nothing can be acted on"):
        empty = {name: np.full((600, 2), np.nan, dtype=np.float32) for name in NAMES}
        PortfolioMarket.from_histories(books, empty, dict.fromkeys(NAMES, np.arange(600)))
    with pytest.raises(BadData, match="must be as many, found 600, 600, 5"):
        PortfolioMarket.from_histories(books, features(), dict.fromkeys(NAMES, np.arange(5)))
    infinite = {name: table * np.inf for name, table in features().items()}
    with pytest.raises(BadData, match="infinite"):
        PortfolioMarket.from_histories(books, infinite, dict.fromkeys(NAMES, np.arange(600)))
