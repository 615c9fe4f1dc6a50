"""Situations and outcomes of executions in simulated worlds, for a forecast of costs that is theirs alone.

A world of order books knows no time but its steps, and no past that a purchase could be told of: volatility, momentum
and what others took are what its rates say, the same for all. Its drift is whatever a purchase paid beyond the best
prices at arrival.
"""

import numpy as np
import pandas as pd

from tradewind.errors import BadParameters
from tradewind.trading.execution.forecasts.costs import (
    CALIBRATE,
    COST,
    FEATURES,
    FILL,
    LEARN,
    ONE_ORDER,
    POST_THEN_CROSS,
    TEST,
    Situation,
    features,
)
from tradewind.trading.execution.forecasts.parts import Floats, PartModel, Sample, fit_amount
from tradewind.trading.execution.worlds import schedules
from tradewind.trading.execution.worlds.impact import ImpactWorld, draw_paths, execute
from tradewind.trading.execution.worlds.order_book import strategies
from tradewind.trading.execution.worlds.order_book.executing import Decision, OrderBookWorld, Policy, View, buy

SLICES = (1, 2, 4, 8)


def outcomes_of_books(
    world: OrderBookWorld, lots: tuple[int, ...], name: str, episodes: int, seed: int
) -> pd.DataFrame:
    """Purchases in a world of order books, with what the book showed when they arrived.

    Args:
        world: the flow, its fees in ticks a lot, and the deadline.
        lots: sizes.
        name: of the world.
        episodes: of each size and way; the first half is to learn from, the next quarter to calibrate.
        seed: of the flow; both ways meet the same.

    Returns:
        One row an execution, as `recordings.outcomes.outcomes_in` has them.
    """
    tables = []
    for number, size in enumerate(lots):
        for way, policy in (
            (ONE_ORDER, strategies.at_once), (POST_THEN_CROSS, strategies.post_then_cross(world.steps)),
        ):  # fmt: skip
            first: list[View] = []
            paid = buy(world, size, _watched(policy, first), episodes, seed + number)
            if paid.unfilled.any():
                raise BadParameters(f"{name}: the book does not hold {size} lots: lower them or widen its flow")
            tables.append(_book_rows(world, first[0], size, way, paid.cost, paid.made / size).assign(
                source=name, way=way, value=float(size)))  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def _watched(policy: Policy, first: list[View]) -> Policy:
    """The same policy, which keeps the first view."""

    def watched(view: View) -> Decision:
        if view.step == 0:
            first.append(view)
        return policy(view)

    return watched


def _book_rows(
    world: OrderBookWorld, view: View, lots: int, way: str, cost: Floats, made: Floats
) -> pd.DataFrame:  # fmt: skip
    middle = (view.bid + view.ask) / 2.0
    bps, half = 1e4 / middle, (view.ask - view.bid) / 2.0
    size, same = np.full(len(middle), float(lots)), np.zeros(len(middle))
    depth, offered = view.ahead.astype(np.float64), view.offered.astype(np.float64)
    known = (depth > 0) & (offered > 0)  # where a side is empty nobody arrives
    situation = Situation(half * bps, same, size, depth, offered, depth, offered, same, same, same)
    x = features(Situation(*(each[known] for each in situation)))
    fee = world.taker_fee * (1.0 - made) + world.maker_fee * made
    beyond = cost / lots - fee - half * (1.0 - 2.0 * made)
    nothing = np.zeros(len(cost))
    walk, drift = (beyond, nothing) if way == ONE_ORDER else (nothing, beyond)
    parts = {
        "spread": half * (1.0 - 2.0 * made) * bps, "walk": walk * bps, "drift": drift * bps, "impact": np.nan,
        COST: cost / lots * bps, FILL: made if way == POST_THEN_CROSS else np.nan,
    }  # fmt: skip
    # Each size has its own flow; both ways meet the same one.
    whole = pd.DataFrame(parts).assign(split=_splits(len(cost)), block=lots * len(cost) + np.arange(len(cost)))
    return whole[known].reset_index(drop=True).join(pd.DataFrame(x, columns=list(FEATURES)))


def _splits(episodes: int) -> np.ndarray:
    return np.repeat([LEARN, CALIBRATE, TEST], [episodes // 2, episodes // 4, episodes - episodes // 2 - episodes // 4])


def impact_sample(
    world: ImpactWorld, quantities: tuple[float, ...], price: float, episodes: int, generator: np.random.Generator
) -> Sample:
    """What equal slices of several quantities paid for their own impact in a world, bps of the value.

    Args:
        world: the market.
        quantities: units, signed.
        price: at arrival.
        episodes: of each quantity and number of slices.
        generator: the only source of randomness.

    Returns:
        Features are a slice's share of a step's volume, its root, and the order's share of the volume of all steps.
    """
    rows, paid = [], []
    volume = float(world.volume_profile.mean())
    for quantity in quantities:
        for count in (each for each in SLICES if each <= world.steps):
            orders = np.zeros(world.steps)
            orders[np.linspace(0, world.steps, count, endpoint=False).astype(int)] = quantity / count
            run = execute(world, quantity, schedules.fixed(orders), draw_paths(world, episodes, generator))
            part = abs(quantity) / count / volume
            rows.append(np.tile([part, np.sqrt(part), abs(quantity) / (volume * world.steps)], (episodes, 1)))
            paid.append(1e4 * run.costs[:, 1] / (abs(quantity) * price))
    x = np.concatenate(rows)
    return Sample(x, np.concatenate(paid), np.arange(len(x)))


def fit_impact(learn: Sample, calibrate: Sample) -> PartModel:
    """The impact of a slice from its share of the volume.

    Args:
        learn: of `impact_sample`.
        calibrate: of other episodes.
    """
    return fit_amount(learn, calibrate)
