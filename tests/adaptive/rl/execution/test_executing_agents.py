"""Agents that execute: what share of the known gap they close, when something else decides, and that a leak shows."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from tests.depth import deep
from tradewind.adaptive.rl.execution import agents, training
from tradewind.adaptive.rl.execution.agents import ExecutingAgent, closed_form
from tradewind.errors import BadModel
from tradewind.pipelines.execution_study.nodes import compare_executions
from tradewind.reports.execution import cost_rows
from tradewind.trading.execution.worlds.comparison import ExecutionStudy, too_good
from tradewind.trading.execution.worlds.impact import Floats, View, advance, arrive, draw_paths, execute, numbers
from tradewind.trading.execution.worlds.tasks import AgentRules, ImpactTask, SwitchingTask

# Least share of the gap after few and after many updates.
LEAST = {"almgren_chriss": (0.9, 0.95), "obizhaeva_wang": (0.9, 0.95), "signal": (0.8, 0.95),
         "square_root": (0.9, 0.95), "thin_and_deep": (0.5, 0.6)}  # fmt: skip
FEW = AgentRules(seeds=1, updates=100, batch=128)


@pytest.fixture(scope="module")
def study() -> ExecutionStudy:
    shipped = yaml.safe_load((Path(__file__).parents[4] / "conf/base/parameters_execution_study.yml").read_text())
    worlds = {each: shipped["execution_study"][each] for each in ("impact", "switching")}
    return ExecutionStudy.model_validate(worlds | {"episodes": 2_000, "agents": FEW})


@pytest.fixture(scope="module")
def costs(study: ExecutionStudy) -> pd.DataFrame:
    return compare_executions(study, 7)


def check(costs: pd.DataFrame, seeds: int, place: int) -> None:
    """Shares are paired, on executions that training did not see; nobody beats an optimum."""
    of = costs.set_index(["world", "policy"])
    for seed in range(seeds):
        for world, least in LEAST.items():
            row = of.loc[(world, f"agent_{seed}")]
            assert row["share_of_gap"] - 2 * row["share_of_gap_error"] > least[place], (world, seed)
            assert row["fallback_share"] < 0.01
        tie = of.loc[("almgren_chriss_cost_alone", f"agent_{seed}"), "cost_bps"]
        assert tie == pytest.approx(of.loc[("almgren_chriss_cost_alone", "twap"), "cost_bps"], rel=0.01)
    ours = costs[costs["fallback_share"].notna()]
    assert len(ours) == 6 * seeds and too_good(costs).empty


def test_agents_close_the_gap_and_tie_where_there_is_none(costs: pd.DataFrame) -> None:
    check(costs, 1, 0)
    shown = list(cost_rows(costs[costs["world"] == "signal"]))
    assert [each["decided by the fallback"] == "–" for each in shown] == [True] * 4 + [False]


@pytest.mark.parametrize("seeds", [deep(5)])
def test_every_seed_does(study: ExecutionStudy, seeds: int) -> None:
    long = study.model_copy(update={"episodes": 10_000, "agents": AgentRules(seeds=seeds)})
    check(compare_executions(long, 7), seeds, 1)


def test_an_agent_that_knows_the_next_price_is_reported(
    study: ExecutionStudy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    task = study.impact["obizhaeva_wang"]
    next_moves = draw_paths(task.world, study.episodes, np.random.default_rng(7)).price

    class Leaking:
        fallback_share = 0.0

        def __init__(self, leaks: bool) -> None:
            self.leaks = leaks

        def __call__(self, view: View) -> Floats:
            share = np.where(next_moves[:, view.step] > 0, 1.5, 0.5) if self.leaks else 1.0
            return np.asarray(share * view.remaining / (task.world.steps - view.step))

    only = study.model_copy(update={"impact": {"obizhaeva_wang": task}, "switching": {}})
    for leaks in (False, True):
        monkeypatch.setattr(
            agents, "trainer", lambda rules, seed, leaks=leaks: lambda task: {"agent_0": Leaking(leaks)}
        )
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            compare_executions(only, 7)
        assert ("cheaper than the optimum" in caplog.text) == leaks


@pytest.fixture(scope="module")
def trained(study: ExecutionStudy) -> training.Trained:
    return training.train(study.impact["almgren_chriss"], AgentRules(updates=30, batch=32), [1])


def test_training_is_repeatable_and_lowers_the_cost(study: ExecutionStudy, trained: training.Trained) -> None:
    again = training.train(study.impact["almgren_chriss"], AgentRules(updates=30, batch=32), [1])
    other = training.train(study.impact["almgren_chriss"], AgentRules(updates=30, batch=32), [2])
    assert trained.network == again.network != other.network
    assert trained.costs[-5:].mean() < 0.95 * trained.costs[:5].mean()


@pytest.mark.parametrize("fault", ["outside", "no number"])
def test_the_closed_form_takes_over_and_is_counted(
    study: ExecutionStudy, trained: training.Trained, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = study.impact["almgren_chriss"]
    world = task.world.model_copy(update={"volatility": 0.0})
    paths = draw_paths(world, 50, np.random.default_rng(3))
    agent = ExecutingAgent(trained, closed_form(task))
    execute(world, task.quantity, agent, paths)
    assert agent.orders == 50 * (world.steps - 1) and agent.fallback_share == 0.0
    if fault == "outside":
        agent = ExecutingAgent(trained._replace(lowest=trained.highest + 1, highest=trained.highest + 2),
                               closed_form(task))  # fmt: skip
    else:

        class Broken:
            def run(self, names: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
                return [np.full((len(inputs["observation"]), 1), np.nan, dtype=np.float32)]

        monkeypatch.setattr(agents, "make_session", lambda network: Broken())
        agent = ExecutingAgent(trained, closed_form(task))
    taken = execute(world, task.quantity, agent, paths)
    best = execute(world, task.quantity, closed_form(task), paths)
    np.testing.assert_array_equal(taken.orders, best.orders)
    assert agent.fallback_share == 1.0


@pytest.mark.parametrize("world", ["square_root", "thin_and_deep"])
def test_without_a_closed_form_equal_slices_take_over(study: ExecutionStudy, world: str) -> None:
    task: ImpactTask | SwitchingTask = study.impact.get(world) or study.switching[world]
    steps = training.scales_of(task).steps
    left, none = np.array([8.0, 2.0]), np.zeros(2)
    np.testing.assert_allclose(closed_form(task)(View(2, left, none, none, none, none)), left / (steps - 2))


def test_torch_and_numpy_step_alike(study: ExecutionStudy) -> None:
    generator = np.random.default_rng(5)
    world = study.impact["signal"].world.model_copy(
        update={"square_root": 0.01, "transient": 1e-4, "resilience": 0.3, "permanent": 1e-5, "fill_noise": 0.1}
    )
    signal, order, *noise = generator.standard_normal((5, 8))
    table = np.array(numbers(world))[:, None] * np.ones(8)
    ours = advance(np, arrive(np, 5.0, signal), order, table, 1.2, (noise[0], noise[1], noise[2]))
    given = [torch.tensor(each) for each in noise]
    theirs = advance(torch, arrive(torch, 5.0, torch.tensor(signal)), torch.tensor(order), torch.tensor(table), 1.2,
                     (given[0], given[1], given[2]))  # fmt: skip
    for one, two in zip([*ours[0], *ours[1], ours[2]], [*theirs[0], *theirs[1], theirs[2]], strict=True):
        np.testing.assert_allclose(one, two.numpy(), rtol=1e-12)


def test_a_cost_that_is_no_number_ends_training(study: ExecutionStudy) -> None:
    endless = study.impact["almgren_chriss"].model_copy(update={"quantity": 1e200})
    with pytest.raises(BadModel, match="update 0: the cost is no number"):
        training.train(endless, AgentRules(updates=2, batch=8), [1])
