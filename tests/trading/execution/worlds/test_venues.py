"""Routing over venues that refuse and answer late, against one who sees every level at arrival."""

import numpy as np

from tradewind.trading.execution.worlds.venues import SimulatedVenue, VenueWorld, compare_routes

WORLD = VenueWorld(
    venues=(
        SimulatedVenue(name="deep", half_spread=0.02, step=0.01, depth=8, taker_fee_bps=5, refusal=0.1),
        SimulatedVenue(name="near", half_spread=0.01, step=0.02, depth=3, taker_fee_bps=4, refusal=0.2),
        SimulatedVenue(name="cheap", half_spread=0.03, step=0.02, depth=5, taker_fee_bps=2, refusal=0.3),
    ),
    volatility=0.01,
)


def test_refused_orders_end_where_they_should_and_no_rule_beats_the_bound() -> None:
    costs = compare_routes(WORLD, 60.0, 300, np.random.default_rng(3))
    assert (costs.unfilled == 0).all()
    for baseline in (costs.one_venue, costs.even):
        reached = (baseline - costs.routed).mean() / (baseline - costs.bound).mean()
        assert reached > 0.9
    better = costs.bound - costs.routed
    assert better.mean() < 2 * better.std() / np.sqrt(len(better))


def test_without_refusals_and_noise_the_router_is_the_bound() -> None:
    venues = tuple(venue.model_copy(update={"refusal": 0.0}) for venue in WORLD.venues)
    still = WORLD.model_copy(update={"venues": venues, "volatility": 0.0})
    costs = compare_routes(still, 60.0, 20, np.random.default_rng(4))
    np.testing.assert_allclose(costs.routed, costs.bound, rtol=1e-9)
