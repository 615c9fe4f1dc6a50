"""Simulated costs against formulas, formulas against programmes, and what nobody may do: beat an optimum."""

import numpy as np
import pytest

from tradewind.errors import BadParameters
from tradewind.trading.execution.worlds import closed_forms, optimal, schedules
from tradewind.trading.execution.worlds.impact import Executed, ImpactWorld, Policy, View, draw_paths, execute

EPISODES = 4_000
ALMGREN_CHRISS = ImpactWorld(
    steps=20,
    permanent=2.5e-7,
    own_share=0.0,
    temporary=2.5e-6,
    half_spread=0.0625,
    volatility=0.95,
    inventory_penalty=4e-8,
)
OBIZHAEVA_WANG = ImpactWorld(
    steps=25, permanent=1e-4, transient=4e-4, resilience=0.2, half_spread=0.01, volatility=0.05
)
SIGNAL = ImpactWorld(
    steps=20, temporary=1e-4, volatility=0.05, signal_persistence=0.8, signal_volatility=0.02, inventory_penalty=1e-6
)
VOLUMES = tuple(1.0 + 0.8 * np.cos(np.linspace(0, 2 * np.pi, 20)))
SQUARE_ROOT = ImpactWorld(steps=20, square_root=0.02, volumes=VOLUMES, volatility=0.05, inventory_penalty=1e-7)
KNOWN = {
    "almgren_chriss": (ALMGREN_CHRISS, closed_forms.almgren_chriss, 1e6),
    "obizhaeva_wang": (OBIZHAEVA_WANG, closed_forms.obizhaeva_wang, -1e3),
    "square_root": (SQUARE_ROOT, optimal.convex_programme, 500.0),
}


def alone(world: ImpactWorld) -> optimal.Regimes:
    return optimal.Regimes([world], np.ones((1, 1)), np.ones(1))


def run(world: ImpactWorld, quantity: float, policy: Policy, seed: int = 1) -> Executed:
    return execute(world, quantity, policy, draw_paths(world, EPISODES, np.random.default_rng(seed)))


@pytest.mark.parametrize("name", list(KNOWN))
def test_without_noise_the_simulated_cost_is_the_formula(name: str) -> None:
    world, formula, quantity = KNOWN[name]
    known = formula(world, quantity)
    quiet = world.model_copy(update={"volatility": 0.0})
    simulated = run(quiet, quantity, schedules.fixed(known.orders)).total
    np.testing.assert_allclose(simulated, known.cost, rtol=1e-9)


@pytest.mark.parametrize("name", list(KNOWN))
def test_with_noise_it_lies_within_two_standard_errors(name: str) -> None:
    world, formula, quantity = KNOWN[name]
    known = formula(world, quantity)
    simulated = run(world, quantity, schedules.fixed(known.orders)).total
    assert abs(simulated.mean() - known.cost) < 2 * simulated.std() / np.sqrt(EPISODES)


@pytest.mark.parametrize(
    ("name", "part"),
    [("almgren_chriss", "temporary"), ("obizhaeva_wang", "transient"), ("square_root", "square_root")],
)
def test_an_impact_wrong_by_five_percent_is_seen(name: str, part: str) -> None:
    world, formula, quantity = KNOWN[name]
    known = formula(world, quantity)
    wrong = world.model_copy(update={"volatility": 0.0, part: 1.05 * getattr(world, part)})
    simulated = run(wrong, quantity, schedules.fixed(known.orders)).total
    assert abs(simulated[0] / known.cost - 1.0) > 1e-3


@pytest.mark.parametrize("name", list(KNOWN))
def test_the_known_optimum_is_the_convex_programme_and_the_backward_induction(name: str) -> None:
    world, formula, quantity = KNOWN[name]
    known = formula(world, quantity)
    programme = optimal.convex_programme(world, quantity)
    assert programme.cost == pytest.approx(known.cost, rel=1e-9)
    np.testing.assert_allclose(programme.orders, known.orders, atol=2e-4 * abs(quantity))
    if world.square_root == 0:
        plan = optimal.solve(alone(world), quantity)
        assert plan.cost == pytest.approx(known.cost, rel=1e-9)
        np.testing.assert_allclose(run(world, quantity, optimal.single(plan)).orders[0], known.orders, rtol=1e-7)


def test_the_square_root_optimum_is_that_of_cvxpy() -> None:
    cvxpy = pytest.importorskip("cvxpy")
    shares = cvxpy.Variable(SQUARE_ROOT.steps, nonneg=True)
    left = 1.0 - cvxpy.cumsum(shares)
    size = 500.0
    root = SQUARE_ROOT.square_root * size**1.5 / np.sqrt(SQUARE_ROOT.volume_profile)
    cost = cvxpy.sum(cvxpy.multiply(root, cvxpy.power(shares, 1.5)))
    cost += SQUARE_ROOT.inventory_penalty * size**2 * cvxpy.sum_squares(left)
    best = cvxpy.Problem(cvxpy.Minimize(cost), [cvxpy.sum(shares) == 1]).solve()
    assert optimal.convex_programme(SQUARE_ROOT, size).cost == pytest.approx(best, rel=1e-6)


def test_the_policy_of_a_signal_costs_what_its_recursion_says() -> None:
    plan = optimal.solve(alone(SIGNAL), 500.0)
    cost = run(SIGNAL, 500.0, optimal.single(plan)).total
    assert abs(cost.mean() - plan.cost) < 2 * cost.std() / np.sqrt(EPISODES)
    static = run(SIGNAL, 500.0, schedules.fixed(schedules.equal_slices(SIGNAL, 500.0))).total
    gain = static - cost
    assert gain.mean() > 10 * gain.std() / np.sqrt(EPISODES)


def test_volume_slices_are_best_where_only_square_root_impact_counts() -> None:
    world = SQUARE_ROOT.model_copy(update={"inventory_penalty": 0.0, "volatility": 0.0})
    best = optimal.convex_programme(world, 500.0)
    np.testing.assert_allclose(best.orders, schedules.by_volume(world, 500.0), rtol=1e-3)


def test_buying_and_selling_cost_the_same() -> None:
    world = OBIZHAEVA_WANG.model_copy(update={"volatility": 0.0})
    bought, sold = (run(world, q, schedules.fixed(schedules.equal_slices(world, q))).total[0] for q in (100.0, -100.0))
    assert bought == pytest.approx(sold, rel=1e-12)


def test_nobody_beats_an_optimum_without_seeing_the_next_price() -> None:
    world = OBIZHAEVA_WANG
    best = closed_forms.obizhaeva_wang(world, 1e3)
    paths = draw_paths(world, EPISODES, np.random.default_rng(2))
    reference = execute(world, 1e3, schedules.fixed(best.orders), paths).total

    def beats(policy: Policy) -> bool:
        better = reference - execute(world, 1e3, policy, paths).total
        return bool(better.mean() > 2 * better.std() / np.sqrt(EPISODES))

    def honest(view: View) -> np.ndarray:
        return np.asarray(view.remaining / (world.steps - view.step))

    def leaking(view: View) -> np.ndarray:
        rises = paths.price[:, view.step] > 0
        return np.where(rises, 1.5, 0.5) * view.remaining / (world.steps - view.step)

    assert not beats(honest)
    assert beats(leaking), "a policy that sees the next price must stand out"


@pytest.mark.parametrize("seed", range(5))
def test_whoever_does_not_see_the_regime_comes_near_to_who_does(seed: int) -> None:
    calm = ImpactWorld(steps=20, temporary=1e-4, volatility=0.01, inventory_penalty=2e-6, fill_noise=0.002)
    thin = calm.model_copy(update={"temporary": 1e-3, "transient": 4e-4, "resilience": 0.3})
    regimes = optimal.Regimes([calm, thin], np.array([[0.97, 0.03], [0.03, 0.97]]), np.array([0.5, 0.5]))
    generator = np.random.default_rng(seed)
    ruling = regimes.draw(EPISODES, generator)
    paths = draw_paths(calm, EPISODES, generator)
    plan = optimal.solve(regimes, 100.0)

    def cost(policy: Policy) -> np.ndarray:
        return execute(regimes.worlds, 100.0, policy, paths, ruling).total

    bound, blind = cost(optimal.informed(plan, ruling)), cost(optimal.Filtering(regimes, plan))
    slices = cost(schedules.fixed(schedules.equal_slices(calm, 100.0)))
    assert abs(bound.mean() - plan.cost) < 2.5 * bound.std() / np.sqrt(EPISODES)
    assert (slices - blind).mean() / (slices - bound).mean() > 0.5
    assert (bound - blind).mean() < 2 * (bound - blind).std() / np.sqrt(EPISODES)


@pytest.mark.parametrize("quantity", [0.0, float("nan"), float("inf")])
def test_a_quantity_that_is_none_is_refused(quantity: float) -> None:
    with pytest.raises(BadParameters, match="quantity must be a finite number"):
        run(SIGNAL, quantity, schedules.fixed(np.zeros(SIGNAL.steps)))


def test_an_order_that_is_no_number_is_refused_at_its_step() -> None:
    with pytest.raises(BadParameters, match="step 3"):
        run(SIGNAL, 1.0, lambda view: np.full(len(view.remaining), np.nan if view.step == 3 else 0.1))


def test_formulas_refuse_worlds_that_they_do_not_know() -> None:
    with pytest.raises(BadParameters, match="almgren_chriss knows only"):
        closed_forms.almgren_chriss(OBIZHAEVA_WANG, 1.0)
    with pytest.raises(BadParameters, match="obizhaeva_wang knows only"):
        closed_forms.obizhaeva_wang(SIGNAL, 1.0)
    with pytest.raises(BadParameters, match="knows no signal"):
        optimal.convex_programme(SIGNAL, 1.0)
