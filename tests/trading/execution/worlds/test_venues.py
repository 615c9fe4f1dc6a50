"""Routing over venues that refuse and answer late, against one who sees every level at arrival."""

import numpy as np
import pytest

from tradewind.errors import BadParameters
from tradewind.trading.execution.worlds.venues import (
    SimulatedVenue,
    VenueWorld,
    by_route,
    compare_routes,
    draw,
    execute,
)

WORLD = VenueWorld(
    venues=(
        SimulatedVenue(name="deep", half_spread=0.02, step=0.01, depth=8, taker_fee_bps=5, refusal=0.1),
        SimulatedVenue(name="near", half_spread=0.01, step=0.02, depth=3, taker_fee_bps=4, refusal=0.2),
        SimulatedVenue(name="cheap", half_spread=0.03, step=0.02, depth=5, taker_fee_bps=2, refusal=0.3),
    ),
    volatility=0.01,
)


def test_refused_orders_end_where_they_should_and_no_rule_beats_the_bound() -> None:
    costs = compare_routes(WORLD, 60.0, draw(WORLD, 300, np.random.default_rng(3)))
    assert (costs.unfilled == 0).all()
    for baseline in (costs.one_venue, costs.even):
        reached = (baseline - costs.routed).mean() / (baseline - costs.bound).mean()
        assert reached > 0.9
    better = costs.bound - costs.routed
    assert better.mean() < 2 * better.std() / np.sqrt(len(better))


def test_without_refusals_and_noise_the_router_is_the_bound() -> None:
    venues = tuple(venue.model_copy(update={"refusal": 0.0}) for venue in WORLD.venues)
    still = WORLD.model_copy(update={"venues": venues, "volatility": 0.0})
    costs = compare_routes(still, 60.0, draw(still, 20, np.random.default_rng(4)))
    np.testing.assert_allclose(costs.routed, costs.bound, rtol=1e-9)


def test_many_episodes_at_once_pay_what_each_pays_alone() -> None:
    """The router as a policy of all episodes, on books so thin that some is left for the last round."""
    thin = WORLD.model_copy(update={"levels": 4})
    for world in (WORLD, thin):
        draws = draw(world, 40, np.random.default_rng(5))
        alone = compare_routes(world, 50.0, draws)
        np.testing.assert_allclose(execute(world, 50.0, by_route(world), draws), alone.routed, rtol=1e-9)

    def nothing_before_the_end(view: object) -> np.ndarray:
        return np.zeros((40, 3))

    late = execute(WORLD, 50.0, nothing_before_the_end, draw(WORLD, 40, np.random.default_rng(5)))
    assert (late > 0).all()  # what a policy leaves is bought all the same


@pytest.mark.parametrize("amount", [-1.0, 30.0, float("nan")])
def test_a_policy_that_sends_what_it_may_not_is_refused(amount: float) -> None:
    draws = draw(WORLD, 2, np.random.default_rng(5))
    with pytest.raises(BadParameters, match="round 0: the policy sends less than nothing, or more than is left"):
        execute(WORLD, 50.0, lambda view: np.full((2, 3), amount), draws)
