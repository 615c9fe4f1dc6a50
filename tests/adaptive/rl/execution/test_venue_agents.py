"""Agents that split over venues: their share of the known gap, who takes over, and what training refuses."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from tests.depth import deep
from tradewind.adaptive.rl.execution import venues
from tradewind.adaptive.rl.execution.venues import VenueAgent, observe, train
from tradewind.errors import BadModel
from tradewind.trading.execution.worlds.comparison import ExecutionStudy
from tradewind.trading.execution.worlds.tasks import VenueAgentRules, VenueTask
from tradewind.trading.execution.worlds.venues import Draws, VenueView, by_route, compare_routes, draw, execute, fill

SHIPPED = yaml.safe_load((Path(__file__).parents[4] / "conf/base/parameters_execution_study.yml").read_text())
TASK = ExecutionStudy.model_validate({"venues": SHIPPED["execution_study"]["venues"]}).venues["three_venues"]
SMALL = VenueAgentRules(updates=3, batch=16)


def share(agent: VenueAgent, episodes: int, draws: Draws) -> tuple[float, float, float, float]:
    """Of the gap between an even split and the bound, paired, with its error; and what is paid above the bound."""
    costs = compare_routes(TASK.world, TASK.quantity, draws)
    ours = execute(TASK.world, TASK.quantity, agent, draws)
    gap, closed, above = costs.even - costs.bound, costs.even - ours, ours - costs.bound
    part = float(closed.mean() / gap.mean())
    error = (closed - part * gap).std(ddof=1) / np.sqrt(episodes) / gap.mean()
    return part, float(error), float(above.mean()), float(above.std(ddof=1) / np.sqrt(episodes))


@pytest.fixture(scope="module")
def quick() -> VenueAgent:
    return VenueAgent(train(TASK, VenueAgentRules(updates=80), [7, 4, 0]), TASK)


def test_a_quickly_trained_agent_closes_most_of_the_gap_and_does_not_beat_the_bound(quick: VenueAgent) -> None:
    part, error, above, doubt = share(quick, 300, draw(TASK.world, 300, np.random.default_rng(2)))
    assert part > 0.8 and error < 0.1
    assert above > -2 * doubt and quick.fallback_share < 0.01


@pytest.mark.parametrize("seed", [deep(each) for each in range(5)])
def test_every_seed_closes_nine_tenths_on_ten_thousand_held_out_purchases(seed: int) -> None:
    agent = VenueAgent(train(TASK, VenueAgentRules(), [7, 4, seed]), TASK)
    part, error, above, doubt = share(agent, 10_000, draw(TASK.world, 10_000, np.random.default_rng([8, seed])))
    assert part - 2 * error > 0.9 and above > -2 * doubt and agent.fallback_share < 0.01


def test_a_policy_that_knows_the_next_prices_beats_the_bound() -> None:
    draws = draw(TASK.world, 100, np.random.default_rng(4))
    best, routed = draws.moves.argmin(axis=1), by_route(TASK.world)

    def leaking(view: VenueView) -> np.ndarray:
        return routed(view._replace(left=np.where(best <= view.turn, view.left, 0.0)))

    bound = compare_routes(TASK.world, TASK.quantity, draws).bound
    for policy, beats in ((routed, False), (leaking, True)):
        below = bound - execute(TASK.world, TASK.quantity, policy, draws)
        assert (below.mean() > 2 * below.std(ddof=1) / 10) == beats


def test_training_is_repeatable() -> None:
    one, again, other = (train(TASK, SMALL, [seed]) for seed in (1, 1, 2))
    assert one.network == again.network != other.network


@pytest.mark.parametrize("fault", ["outside", "no number"])
def test_the_router_takes_over_and_is_counted(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = train(TASK, SMALL, [1])
    if fault == "outside":
        trained = trained._replace(lowest=trained.highest + 1, highest=trained.highest + 2)
    else:

        class Broken:
            def run(self, names: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
                return [np.full((len(inputs["observation"]), 3), np.nan, dtype=np.float32)]

        monkeypatch.setattr(venues, "make_session", lambda network: Broken())
    agent, draws = VenueAgent(trained, TASK), draw(TASK.world, 20, np.random.default_rng(3))
    taken, best = (execute(TASK.world, TASK.quantity, policy, draws) for policy in (agent, by_route(TASK.world)))
    np.testing.assert_array_equal(taken, best)
    assert agent.fallback_share == 1.0


def test_torch_and_numpy_fill_and_see_alike() -> None:
    generator = np.random.default_rng(5)
    left, sizes = generator.random(4) * 50, generator.gamma(2.0, 3.0, (4, 3, 20))
    amounts = generator.random((4, 3)) * 30
    theirs = fill(torch, torch.tensor(amounts), torch.tensor(sizes)).numpy()
    np.testing.assert_allclose(fill(np, amounts, sizes), theirs, rtol=1e-12)
    np.testing.assert_allclose(theirs.sum(axis=2), amounts)  # these books are deep enough
    shown = observe(torch, torch.tensor(left), torch.tensor(sizes), 60.0).numpy()
    np.testing.assert_allclose(observe(np, left, sizes, 60.0), shown, rtol=1e-12)


def test_a_cost_that_is_no_number_ends_training() -> None:
    far = tuple(venue.model_copy(update={"half_spread": 1e308, "taker_fee_bps": 1e4}) for venue in TASK.world.venues)
    endless = VenueTask(quantity=60, world=TASK.world.model_copy(update={"venues": far}))
    with pytest.raises(BadModel, match="update 0: the cost is no number: lower agents.venues.learning_rate"):
        train(endless, SMALL, [1])
