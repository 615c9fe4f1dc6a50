"""Ways to execute, compared in worlds whose best way is known: what each costs, and its share of what can be saved."""

from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from tradewind.errors import BadParameters
from tradewind.parameters import Parameters
from tradewind.trading.execution.forecasts.study import ForecastStudy
from tradewind.trading.execution.recordings.study import RecordingStudy
from tradewind.trading.execution.worlds import optimal, schedules
from tradewind.trading.execution.worlds.arbitrage import ArbitrageTask
from tradewind.trading.execution.worlds.impact import (
    PARTS,
    Executed,
    Floats,
    ImpactWorld,
    Policy,
    draw_paths,
    execute,
)
from tradewind.trading.execution.worlds.order_book import executing, strategies
from tradewind.trading.execution.worlds.order_book.dynamic_programme import evaluate, solve
from tradewind.trading.execution.worlds.order_book.touch import arrivals, buy_at_touch
from tradewind.trading.execution.worlds.tasks import (
    Agent,
    AgentRules,
    ImpactTask,
    OrderBookTask,
    SwitchingTask,
    Task,
    TouchTask,
    Trainer,
    VenueTask,
    train_none,
)
from tradewind.trading.execution.worlds.venues import compare_routes, draw
from tradewind.trading.execution.worlds.venues import execute as execute_over_venues

ONE_ORDER, TWAP, VWAP, OPTIMUM = "one_order", "twap", "vwap", "optimum"


class ExecutionStudy(Parameters):
    """What is compared (`params:execution_study`).

    Attributes:
        episodes: executions a world and policy, on the same noise for all policies of a world.
        wrong_by: the share by which a planner's idea of the impact is wrong in the row that shows what this costs.
        impact: tasks by name.
        switching: tasks by name.
        venues: tasks by name; a tenth of the episodes, since each is routed by itself.
        touch: tasks by name.
        order_book: tasks by name; a tenth of the episodes, each a book with its own past.
        arbitrage: tasks by name; a tenth of the episodes, each long; their table is `worlds.arbitrage.compare`'s.
        recordings: what is executed inside recorded books.
        forecasts: what the worlds' forecasts of costs learn from.
        agents: that are trained in the worlds whose optimum is known.
    """

    episodes: Annotated[int, Field(ge=100)] = 10_000
    wrong_by: Annotated[float, Field(gt=-1, allow_inf_nan=False)] = 0.2
    impact: dict[str, ImpactTask] = {}
    switching: dict[str, SwitchingTask] = {}
    venues: dict[str, VenueTask] = {}
    touch: dict[str, TouchTask] = {}
    order_book: dict[str, OrderBookTask] = {}
    arbitrage: dict[str, ArbitrageTask] = {}
    recordings: RecordingStudy = RecordingStudy()
    forecasts: ForecastStudy = ForecastStudy()
    agents: AgentRules = AgentRules()


def compare(study: ExecutionStudy, generator: np.random.Generator, train: Trainer = train_none) -> pd.DataFrame:
    """Every world's policies side by side.

    Args:
        study: the worlds and how many executions.
        generator: the only source of randomness.
        train: gives each task's agents by name, with randomness of their own.

    Returns:
        One row a world and policy: cost in basis points of the value at arrival with its standard error, the parts of
        it, the share of one order's cost that is saved, and the share of the gap between TWAP (of the venues: an even
        split; in order books: one order) and the optimum that is closed, with its standard error; NaN where there is no
        gap, or the optimum is not known. What it costs above the optimum is paired, too; `fallback_share` is that of
        an agent's orders that another policy decided.
    """
    rows: list[dict[str, object]] = []
    for name, task in study.impact.items():
        rows += _impact_rows(name, task, study, generator, train(task))
    for name, switching in study.switching.items():
        rows += _switching_rows(name, switching, study, generator, train(switching))
    for name, venue in study.venues.items():
        rows += _venue_rows(name, venue, study.episodes // 10, generator, train(venue))
    for name, touch in study.touch.items():
        rows += _touch_rows(name, touch, study.episodes, generator, train(touch))
    for name, book in study.order_book.items():
        rows += _book_rows(name, book, study.episodes // 10, generator)
    return pd.DataFrame(rows)


def _impact_rows(name: str, task: ImpactTask, study: ExecutionStudy, generator: np.random.Generator,
                 agents: dict[str, Agent]) -> list[dict[str, object]]:  # fmt: skip
    world, quantity = task.world, task.quantity
    paths = draw_paths(world, study.episodes, generator)
    policies = {
        ONE_ORDER: schedules.fixed(schedules.at_once(world, quantity)),
        TWAP: schedules.fixed(schedules.equal_slices(world, quantity)),
        VWAP: schedules.fixed(schedules.by_volume(world, quantity)),
        "planned_with_wrong_impact": _planned(_wrong(world, 1.0 + study.wrong_by), quantity),
        OPTIMUM: _planned(world, quantity),
    }
    if not world.volumes:
        del policies[VWAP]
    policies |= agents
    runs = {each: execute(world, quantity, policy, paths) for each, policy in policies.items()}
    return _rows(name, task, runs, agents)


def _switching_rows(name: str, task: SwitchingTask, study: ExecutionStudy, generator: np.random.Generator,
                 agents: dict[str, Agent]) -> list[dict[str, object]]:  # fmt: skip
    regimes = optimal.Regimes(list(task.worlds), np.array(task.transitions), np.array(task.first))
    plan = optimal.solve(regimes, task.quantity)
    ruling, paths = regimes.draw(study.episodes, generator), draw_paths(task.worlds[0], study.episodes, generator)
    first = task.worlds[0]
    policies: dict[str, Policy] = {
        ONE_ORDER: schedules.fixed(schedules.at_once(first, task.quantity)),
        TWAP: schedules.fixed(schedules.equal_slices(first, task.quantity)),
        "planned_as_if_the_first_regime_stayed": _planned(first, task.quantity),
        "filtered_regime": optimal.Filtering(regimes, plan),
        OPTIMUM: optimal.informed(plan, ruling),
    }
    policies |= agents
    runs = {each: execute(regimes.worlds, task.quantity, policy, paths, ruling) for each, policy in policies.items()}
    return _rows(name, task, runs, agents)


def _venue_rows(name: str, task: VenueTask, episodes: int, generator: np.random.Generator,
                agents: dict[str, Agent]) -> list[dict[str, object]]:  # fmt: skip
    draws = draw(task.world, episodes, generator)
    costs = compare_routes(task.world, task.quantity, draws)
    named = {"one_venue": costs.one_venue, "even_split": costs.even, "routed": costs.routed, OPTIMUM: costs.bound}
    named |= {each: execute_over_venues(task.world, task.quantity, agent, draws) for each, agent in agents.items()}
    return [
        _row(name, policy, task, cost, named["one_venue"], named["even_split"], costs.bound, None)
        | _told(policy, agents)
        for policy, cost in named.items()
    ]


def _touch_rows(name: str, task: TouchTask, episodes: int, generator: np.random.Generator,
                agents: dict[str, Agent]) -> list[dict[str, object]]:  # fmt: skip
    world, lots = task.world, task.lots
    router = evaluate(world, lots, strategies.router_at_touch(world))  # asked once at every state
    first, uniforms = arrivals(world, episodes, generator)
    policies: dict[str, executing.Policy] = {
        **_waiting(world.steps),
        "routed": router.policy,
        "planned_from_watching": strategies.planned_at_touch(world, lots, generator.spawn(1)[0]).policy,
        OPTIMUM: solve(world, lots).policy,
        **agents,
    }
    costs = {
        each: world.tick * buy_at_touch(world, lots, policy, first, uniforms).cost for each, policy in policies.items()
    }
    one, best = costs[ONE_ORDER], costs[OPTIMUM]
    return [
        _row(name, policy, task, cost, one, one, best, None) | _told(policy, agents) for policy, cost in costs.items()
    ]


def _told(policy: str, agents: dict[str, Agent]) -> dict[str, object]:
    """The share of an agent's orders that another policy decided, once it has executed."""
    return {"fallback_share": agents[policy].fallback_share if policy in agents else float("nan")}


def _book_rows(name: str, task: OrderBookTask, episodes: int,
               generator: np.random.Generator) -> list[dict[str, object]]:  # fmt: skip
    world, seed = task.world, int(generator.integers(2**32))
    policies = _waiting(world.steps) | {"routed": strategies.router_in_book(world)}
    runs = {each: executing.buy(world, task.lots, policy, episodes, seed) for each, policy in policies.items()}
    if any(run.unfilled.any() for run in runs.values()):
        raise BadParameters(f"{name}: the book does not hold {task.lots} lots: lower the quantity or widen its flow")
    costs = {each: world.tick * run.cost for each, run in runs.items()}
    one = costs[ONE_ORDER]
    return [_row(name, policy, task, cost, one, one, one, None) for policy, cost in costs.items()]


def _waiting(steps: int) -> dict[str, executing.Policy]:
    """One order, and a purchase that waits for half the time and for all of it."""
    return {
        ONE_ORDER: strategies.at_once,
        "post_then_cross_at_half": strategies.post_then_cross(steps // 2),
        "post_then_cross_at_end": strategies.post_then_cross(steps),
    }


def _planned(world: ImpactWorld, quantity: float) -> Policy:
    if world.square_root > 0:
        return schedules.fixed(optimal.convex_programme(world, quantity).orders)
    alone = optimal.Regimes([world], np.ones((1, 1)), np.ones(1))
    return optimal.single(optimal.solve(alone, quantity))


def _wrong(world: ImpactWorld, times: float) -> ImpactWorld:
    names = ("permanent", "transient", "temporary", "square_root")
    return world.model_copy(update={each: times * getattr(world, each) for each in names})


def _rows(name: str, task: Task, runs: dict[str, Executed], agents: dict[str, Agent]) -> list[dict[str, object]]:
    one, base, best = (runs[each].total for each in (ONE_ORDER, TWAP, OPTIMUM))
    return [
        _row(name, policy, task, run.total, one, base, best, run.costs) | _told(policy, agents)
        for policy, run in runs.items()
    ]


def _row(name: str, policy: str, task: Task, cost: Floats, one: Floats, baseline: Floats, best: Floats,
         parts: Floats | None) -> dict[str, object]:  # fmt: skip
    bps = 1e4 / (abs(task.quantity) * task.price)
    gap, closed = baseline - best, baseline - cost
    share, error = float("nan"), float("nan")
    if gap.mean() > 2 * _error(gap) and gap.mean() > 1e-6 * abs(baseline.mean()):
        share = float(closed.mean() / gap.mean())
        error = float(_error(closed - share * gap) / gap.mean())
    row: dict[str, object] = {
        "world": name,
        "policy": policy,
        "cost_bps": float(cost.mean() * bps),
        "standard_error_bps": float(_error(cost) * bps),
        "saved_against_one_order": float((one - cost).mean() / one.mean()),
        "share_of_gap": share,
        "share_of_gap_error": error,
        "above_optimum_bps": float((cost - best).mean() * bps),
        "above_optimum_error_bps": float(_error(cost - best) * bps),
    }
    shown = np.full(len(PARTS), np.nan) if parts is None else parts.mean(axis=0) * bps
    return row | {f"{part}_bps": float(value) for part, value in zip(PARTS, shown, strict=True)}


def _error(values: Floats) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def too_good(costs: pd.DataFrame) -> pd.DataFrame:
    """Rows of agents that are cheaper than the optimum by more than two standard errors, which nobody can be.

    Args:
        costs: of `compare`.
    """
    allowed = -2.0 * costs["above_optimum_error_bps"] - 1e-9 * costs["cost_bps"].abs()
    return costs[costs["fallback_share"].notna() & (costs["above_optimum_bps"] < allowed)]
