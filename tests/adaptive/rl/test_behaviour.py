"""What agents did is counted, and each way to fail is named."""

import numpy as np
import pandas as pd
import pytest

from tradewind.adaptive.rl.alarms import ENTROPY_COLLAPSE, LARGE_UPDATE
from tradewind.adaptive.rl.behaviour import (
    COST_INSENSITIVE,
    COSTS_EXCEED_PROFIT,
    DEGENERATE,
    NO_VALIDATION_GAIN,
    SEED_DISAGREEMENT,
    action_map,
    describe,
    failures,
)

CALM = pd.DataFrame({
    "strategy": "ppo", "fold": 0, "seed": 7, "kl": [0.01, np.nan], "valid_growth": [1e-4, 2e-4],
    "entropy": [1.0, np.nan], "entropy_floor": 0.01,
})  # fmt: skip


def answers(usual: float, dear: float, net: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "strategy": "ppo",
            "fold": 0,
            "seed": 7,
            "kind": "cost",
            "level": ["1", "4"],
            "turnover": [usual, dear],
            "net": net,
        }
    )


HEARS = answers(0.2, 0.05, -1e-4)


def lived(targets: dict[int, np.ndarray], gross: float = 2e-4, cost: float = 1e-4) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    count = len(next(iter(targets.values())))
    at = pd.date_range("2024-01-01", periods=count, freq="h", tz="UTC").as_unit("ms")
    edge, flat = rng.uniform(-1, 1, count), rng.uniform(0, 1, count)
    parts = [
        pd.DataFrame(
            {
                "strategy": "ppo", "seed": seed, "fold": 0, "symbol": "A", "timestamp": at, "target": target,
                "turnover": np.abs(np.diff(np.r_[0.0, target])), "gross": gross, "cost": cost,
                "forecast_edge_mean": edge, "forecast_flat": flat,
            }
        )
        for seed, target in targets.items()
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def test_shares_sizes_and_holding_times() -> None:
    found = describe(lived({7: np.tile([1.0, 1.0, 0.0, -0.5], 25)})).iloc[0]
    assert found[["long", "short", "flat", "mean_size"]].tolist() == [0.5, 0.25, 0.25, 0.625]
    assert found["holding_bars"] == pytest.approx(1.5) and found["turnover"] == pytest.approx(0.75, abs=0.01)


def test_failures_are_named_and_sound_agents_have_none() -> None:
    rng = np.random.default_rng(1)
    usual = np.repeat(rng.choice([-1.0, 0.0, 1.0], 100), 5)
    sound = lived({7: usual, 8: np.where(rng.random(500) < 0.1, 0.0, usual)})
    assert failures(sound, describe(sound), CALM, HEARS).empty
    stuck = lived({7: np.r_[np.ones(499), 0.0]})
    assert failures(stuck, describe(stuck), CALM, HEARS)["failure"].tolist() == [DEGENERATE]
    blind = lived({7: usual}, gross=1e-4, cost=3e-4)
    found = failures(blind, describe(blind), CALM, HEARS).iloc[0]
    assert found["failure"] == COSTS_EXCEED_PROFIT and found["value"] == pytest.approx(3)
    apart = lived({7: usual, 8: np.repeat(rng.choice([-1.0, 0.0, 1.0], 100), 5)})
    wild = CALM.assign(kl=[0.01, 0.4], valid_growth=[-1e-4, 0.0], entropy=[0.5, 0.001])
    assert failures(sound, describe(sound), wild, HEARS)["failure"].tolist() == [
        LARGE_UPDATE,
        ENTROPY_COLLAPSE,
        NO_VALIDATION_GAIN,
    ]
    for dear, net, names in ((0.2, -1e-4, [COST_INSENSITIVE]), (0.2, 1e-4, []), (0.1, -1e-4, [])):
        assert failures(sound, describe(sound), CALM, answers(0.2, dear, net))["failure"].tolist() == names
    assert failures(apart, describe(apart), CALM, HEARS)[["failure", "seed"]].to_numpy().tolist() == [
        [SEED_DISAGREEMENT, -1]
    ]


def test_the_map_shows_what_is_held_where() -> None:
    table = lived({7: np.zeros(3000)})
    table["target"] = np.sign(table["forecast_edge_mean"]) * (table["forecast_flat"] < 0.5)
    found = action_map(table)
    assert found["count"].sum() == 3000 and set(found["edge"]) == set(range(7))
    corner = found.set_index(["edge", "flat"])["target"]
    assert corner[0, 0] == -1 and corner[6, 0] == 1 and corner[6, 6] == 0
