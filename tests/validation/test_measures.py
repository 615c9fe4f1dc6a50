"""Which truth a 90 % interval holds: that of luck and of the process, and more often the drift as it came."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tradewind.market.calendars import AROUND_THE_CLOCK
from tradewind.market.simulation.simulator import SimulationSpec, simulate_market
from tradewind.metrics.ranking import StatisticsRules
from tradewind.validation import measures
from tradewind.validation.summary import planted_coverage

RULES = StatisticsRules(confidence=0.9, n_resamples=400, mean_block_days=10.0, block_days=5)


def outcome(edge: float, seed: int, late: int = 0) -> dict[str, Any]:
    """The oracle and two rules on one symbol of a year, by accounts made here; expected `late` bars after they were."""
    market = simulate_market(SimulationSpec(n_symbols=1, days=365, edge=edge, seed=seed))
    close = market.bars["simulated/SIM1/1h"]["close"].to_numpy()
    earned = np.append(0.0, close[1:] / close[:-1] - 1)
    week = np.append(np.zeros(168), np.sign(close[168:] - close[:-168]))
    targets = {
        "oracle": market.oracle["target"].to_numpy(),
        "buy_and_hold": np.ones(len(close)),
        "time_series_momentum": week,
    }
    rows, traded = [], {}
    for name, target in targets.items():
        held = np.append(0.0, target[:-1])
        cost = 5e-4 * np.abs(np.diff(target, prepend=0.0))
        account = market.oracle[["timestamp"]].assign(strategy=name, net=held * earned - cost, cost=cost, funding=0.0)
        rows.append(account)
        traded[name] = market.oracle[["symbol", "timestamp"]].assign(target=np.roll(target, late))
    found = measures.against_the_planted(
        pd.concat(rows, ignore_index=True), traded, market.oracle, RULES, seed, AROUND_THE_CLOCK
    )
    return {"edge": edge, "days": 365, "seed": seed, **found}


@pytest.mark.depth
@pytest.mark.parametrize("edge", [2.0, 4.0, 6.0])
def test_luck_is_held_by_a_90_percent_interval_and_the_drift_as_it_came_more_often(edge: float) -> None:
    """An interval also allows for another path of the drift, which the drift as it came does not differ by; and blocks
    of five days do not see all of a drift that lasts for weeks."""
    outcomes = [outcome(edge, 5_100_000 + 1000 * int(edge) + number) for number in range(150)]
    found = planted_coverage(pd.DataFrame(outcomes))
    print("".join(f"\nedge {edge:g}, {name}: {one}" for name, one in found.items()))  # noqa: T201 - docs/results.md
    held = {name: float(one["value"] or 0.0) for name, one in found.items()}
    assert 0.87 <= held["luck"] <= 0.94
    assert held["planted"] > held["unlearned"]
    # The planted fault: what was expected belongs to other bars.
    late = [outcome(edge, 5_100_000 + 1000 * int(edge) + number, late=200) for number in range(40)]
    if edge > 2:
        assert float(planted_coverage(pd.DataFrame(late))["luck"]["value"] or 0.0) < 0.85


def test_what_passes_by_the_error_as_found_and_with_tossed_signs() -> None:
    days = pd.date_range("2024-01-02", periods=400, freq="D", tz="UTC")
    rng = np.random.default_rng(2)
    sure = pd.DataFrame({"strategy": "sure", "timestamp": days, "net": 0.002 + 0.01 * rng.standard_normal(400)})
    never = pd.DataFrame({"strategy": "never", "timestamp": days, "net": 0.0})
    returns = pd.concat([sure, never], ignore_index=True)
    returns["gross"] = returns["net"]
    assert measures.found_error_passes(returns, "sure", 0.95, AROUND_THE_CLOCK)
    assert not measures.found_error_passes(returns, "never", 0.95, AROUND_THE_CLOCK)
    assert measures.tossed_passes(returns, "never", 0.95, 1, AROUND_THE_CLOCK) is None
    sizes = measures.tossed_passes(returns, "sure", 0.95, 1, AROUND_THE_CLOCK)
    assert sizes is not None and all(0.01 < size < 0.10 for size in sizes.values())  # the edge is gone with the signs
