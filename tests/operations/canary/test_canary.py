"""Faulty canaries are taken back within tens of decisions, honest ones are left alone, better ones are promoted."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter

from tests.depth import deep
from tradewind.operations.bundle.measuring import EDGES
from tradewind.operations.canary.expectation import Expectation, expectation, measured, on_past_rows
from tradewind.operations.canary.fast_checks import FastChecks, Scored, Tripped
from tradewind.operations.canary.patience import MOST, patient
from tradewind.operations.canary.power import days_expected, days_to_promote, in_words
from tradewind.operations.canary.routing import DAY_MS, is_canarys
from tradewind.operations.canary.rules import CanaryRules
from tradewind.operations.canary.slow_test import SlowTest

RULES = CanaryRules()
Floats = NDArray[np.float64]
BASELINE_MS = 0.05
DECISIONS = 200


class Market:
    """Edges of a champion and of an honest canary, which share most of what they know, hour after hour.

    Autocorrelated, as forecasts of overlapping horizons are; `other` is what both say of another symbol.
    """

    def __init__(self, seed: int, length: int = DECISIONS, kept: float = 0.5, noise: float = 0.35) -> None:
        rng = np.random.default_rng(seed)

        def series() -> Floats:
            shocks = rng.standard_normal(length + 100)
            out = np.zeros(length + 100)
            for at in range(1, len(out)):
                out[at] = kept * out[at - 1] + np.sqrt(1 - kept**2) * shocks[at]
            return out

        common = series()
        market = series()
        self.champion = 0.08 * (common + noise * series())[100:]
        self.honest = 0.08 * (common + noise * series())[100:]
        self.other = 0.08 * (0.3 * common + 0.95 * market + noise * series())[100:]
        self.stale = 0.08 * (common + noise * series())[76:-24]
        self.rng = rng


def forecast(edge: float) -> Floats:
    edge = float(np.clip(edge, -0.75, 0.75))
    return np.array([0.4 - edge / 2, 0.2, 0.4 + edge / 2, 0.01 * edge]).clip(0, None) / max(
        1.0, np.array([0.4 - edge / 2, 0.2, 0.4 + edge / 2]).clip(0, None).sum()
    )


def expected_of(honest: Expectation | None = None) -> Expectation:
    """Of a long walk-forward."""
    market = Market(999, 20_000)
    found = honest or measured(market.champion, market.honest)
    assert found is not None
    return patient(found, market.champion, market.honest)


EXPECTED = expected_of()
Canary = Callable[[Market], Iterator[Scored]]


def paired(market: Market, edges: Floats, slow: float = 1.0, lag: float = 0.0) -> Iterator[Scored]:
    for mine, theirs in zip(market.champion, edges, strict=True):
        times = BASELINE_MS * market.rng.lognormal(-1.0, 0.4, 2)
        yield Scored(forecast(mine), forecast(theirs), float(times[0]), float(times[1] * slow), lag)


def with_nan(market: Market) -> Iterator[Scored]:
    for at, scored in enumerate(paired(market, market.honest)):
        yield scored if at < 20 else scored._replace(canary=np.array([np.nan, 0.2, 0.4, 0.0]))


FAULTY: dict[str, Canary] = {
    "inverted": lambda market: paired(market, -market.honest),
    "constant": lambda market: paired(market, np.full(DECISIONS, 0.01)),
    "nan": with_nan,
    "three times overconfident": lambda market: paired(market, 3 * market.honest),
    "24 h stale": lambda market: paired(market, market.stale, lag=24.0),
    "wrong symbol": lambda market: paired(market, market.other),
    "slow": lambda market: paired(market, market.honest, slow=12.0),
    "failing": lambda market: (one._replace(canary=None) for one in paired(market, market.honest)),
}


def trial(canary: Iterator[Scored]) -> Tripped | None:
    checks = FastChecks(RULES, EXPECTED, BASELINE_MS)
    for scored in canary:
        if checks.observe(scored):
            break
    return checks.tripped


def decisions_of(fault: str, runs: int) -> list[int]:
    found = [trial(FAULTY[fault](Market(seed))) for seed in range(runs)]
    missed = [seed for seed, one in enumerate(found) if one is None]
    assert missed == [], f"{fault}: not taken back within {DECISIONS} decisions: {missed}"
    return [one.decisions for one in found if one is not None]


@pytest.mark.parametrize("fault", FAULTY)
def test_a_faulty_canary_is_taken_back_within_two_hundred_decisions(fault: str) -> None:
    needed = decisions_of(fault, 20)
    print(f"{fault}: median {np.median(needed):.0f}, most {max(needed)} decisions")
    assert np.median(needed) < 60


@pytest.mark.depth
@pytest.mark.parametrize("fault", FAULTY)
def test_a_hundred_faulty_canaries_are_taken_back(fault: str) -> None:
    needed = decisions_of(fault, 100)
    print(f"{fault}: median {np.median(needed):.0f}, most {max(needed)} decisions")
    assert np.median(needed) < 60


def honest_rolled_back(runs: int) -> float:
    return float(np.mean([trial(paired(market := Market(10_000 + seed, 1000), market.honest)) is not None
                          for seed in range(runs)]))  # fmt: skip


def test_an_honest_canary_is_left_alone() -> None:
    assert honest_rolled_back(20) == 0.0


@pytest.mark.depth
def test_of_two_hundred_honest_canaries_at_most_two_in_a_hundred_are_rolled_back() -> None:
    share = honest_rolled_back(200)
    print(f"A/A: {share:.1%} of 200 rolled back")
    assert share <= 0.02


def test_a_fault_that_begins_late_is_found_too() -> None:
    market = Market(3, 1000)
    edges = np.concatenate([market.honest[:800], -market.honest[800:]])
    found = trial(paired(market, edges))
    assert found is not None and 800 < found.decisions < 860


def test_probabilities_that_are_none_and_a_probe_that_differs_end_the_trial() -> None:
    checks = FastChecks(RULES, EXPECTED, BASELINE_MS)
    found = checks.observe(Scored(forecast(0.1), np.array([0.5, 0.5, 0.5, 0.0]), 0.1, 0.1))
    assert found is not None and found.check == "probabilities"
    probed = FastChecks(RULES, EXPECTED, BASELINE_MS)
    assert probed.probed(1e-7, 1e-6) is None
    found = probed.probed(float("inf"), 1e-6)
    assert found is not None and found.check == "probe" and probed.observe(Scored(forecast(0), None, 0, 0)) == found


def test_what_is_expected_comes_from_the_bars_that_both_have_forecast() -> None:
    rows = np.zeros((2, 300), dtype=EDGES)
    rows["timestamp"] = np.arange(300)
    rows["edge"] = np.random.default_rng(1).standard_normal(300)
    rows[1]["edge"] = 2 * rows[0]["edge"]
    found = expectation(rows[0], rows[1][:200])
    assert found is not None and found.agreement == 1.0 and found.ratio == pytest.approx(2)
    assert expectation(rows[0], rows[1][:50]) is None


def test_a_pair_that_drifts_apart_for_weeks_is_given_patience_and_one_that_does_not_is_given_none() -> None:
    assert EXPECTED.patience == 1.0
    steady, rng = Market(5, 20_000), np.random.default_rng(5)
    apart = np.repeat(rng.random(100) < 0.3, 200)  # in some weeks they say opposite things
    drifting = np.where(apart, -0.3 * steady.honest, steady.honest)
    found = measured(steady.champion, drifting)
    assert found is not None and patient(found, steady.champion, drifting).patience > 1.0


def test_walk_forwards_that_are_too_short_to_say_are_given_the_most_patience() -> None:
    market = Market(6, 2 * 10 * 300)
    found = measured(market.champion, market.honest)
    assert found is not None and patient(found, market.champion, market.honest).patience == 1.0
    few = slice(None, 2 * 9 * 200)
    assert patient(found, market.champion[few], market.honest[few]).patience == MOST
    quiet = np.where(np.arange(len(market.champion)) % 10 == 0, market.champion, 0.0)  # it hardly ever speaks
    assert patient(found, quiet, market.honest).patience == MOST
    assert patient(found, market.champion, market.champion).patience == 1.0


def test_while_settled_labels_speak_for_it_no_likeness_is_asked_and_other_faults_are_found() -> None:
    checks = FastChecks(RULES, EXPECTED, BASELINE_MS, is_vouched=True)
    assert not any(checks.observe(one) for one in FAULTY["inverted"](Market(3)))
    checks.is_vouched = False  # they speak for it no longer
    assert any(checks.observe(one) for one in FAULTY["inverted"](Market(3)))
    for fault, check in (("nan", "non-finite"), ("24 h stale", "freshness"), ("slow", "latency"), ("failing", "error")):
        checks = FastChecks(RULES, EXPECTED, BASELINE_MS, is_vouched=True)
        assert any(checks.observe(one) for one in FAULTY[fault](Market(3)))
        assert checks.tripped is not None and checks.tripped.check == check


def test_patience_takes_back_fewer_honest_ones_and_an_inverted_one_still() -> None:
    slower = FastChecks(RULES, EXPECTED._replace(patience=3.0), BASELINE_MS)
    market = Market(3)
    took = next(at for at, one in enumerate(paired(market, -market.honest), 1) if slower.observe(one))
    swift = trial(paired(market := Market(3), -market.honest))
    assert swift is not None and swift.decisions < took < 60


class Families:
    """Edges of a champion and of an honest canary of another family: each knows something of its own, and for weeks it
    says other things. A fold of either has a width of its own, a deployed model has one."""

    def __init__(self, seed: int, length: int, folds: int = 0) -> None:
        rng = np.random.default_rng(seed)

        def series(kept: float) -> Floats:
            shocks = np.sqrt(1 - kept**2) * rng.standard_normal(length + 300)
            return np.asarray(lfilter([1.0], [1.0, -kept], shocks))[300:]

        common = series(0.9)
        self.champion, self.honest = (0.08 * (common + 0.45 * series(0.97)) for _ in range(2))
        for edges in (self.champion, self.honest) if folds else ():
            edges *= np.repeat(np.exp(0.6 * rng.standard_normal(folds)), length // folds)


def expected_of_families() -> tuple[Expectation, Expectation]:
    """Of a long walk-forward alone, as it was before bundles held past rows; and of past rows."""
    folds, past = Families(1, 20_000, 20), Families(2, 20_000)
    found = measured(folds.champion, folds.honest)
    assert found is not None
    found = patient(found, folds.champion, folds.honest)
    rows = slice(None, None, 20_000 // 256)
    said = [np.stack([forecast(edge) for edge in edges[rows]]) for edges in (past.champion, past.honest)]
    deployed = on_past_rows(said[0], said[1], found.patience)
    assert deployed is not None
    return found, deployed


def compared(seed: int, expected: Expectation, turned: float = 1.0) -> int:
    """Decisions until the edges alone take the canary back, 0 for never."""
    market, checks = Families(5000 + seed, DECISIONS), FastChecks(RULES, expected, BASELINE_MS)
    pairs = zip(market.champion.tolist(), (turned * market.honest).tolist(), strict=True)
    return next((at for at, (mine, theirs) in enumerate(pairs, 1) if checks.compare(mine, theirs)), 0)


@pytest.mark.parametrize("runs", [50, deep(200)])
def test_an_honest_canary_of_another_family_is_left_alone(runs: int) -> None:
    folds, deployed = expected_of_families()
    print(f"of folds {folds}, of deployed models {deployed}")
    taken = [seed for seed in range(runs) if compared(seed, deployed)]
    planted = [seed for seed in range(runs) if compared(seed, folds._replace(patience=1.0))]
    print(f"{len(taken)} of {runs} taken back; by folds, every decision counted as new, {len(planted)}")
    assert len(taken) <= 0.02 * runs
    assert len(planted) > 0.1 * runs, "what was mended must be seen to matter"


@pytest.mark.parametrize("runs", [20, deep(100)])
def test_an_inverted_one_of_another_family_is_found_by_its_edges_alone(runs: int) -> None:
    _, deployed = expected_of_families()
    took = [compared(seed, deployed, turned=-1.0) for seed in range(runs)]
    print(f"median {np.median(took):.0f}, most {max(took)} decisions")
    assert min(took) > 0 and np.median(took) < 60


def test_what_says_nothing_or_the_opposite_of_past_rows_never_answers() -> None:
    market = Families(3, 2000)
    champion = np.stack([forecast(edge) for edge in market.champion])
    for edges, check in ((0.001 * market.honest, "spread"), (0.0 * market.honest, "spread"),
                         (-market.honest, "correlation")):  # fmt: skip
        checks = FastChecks(RULES, on_past_rows(champion, np.stack([forecast(edge) for edge in edges])), BASELINE_MS)
        found = checks.begun(None)
        assert found is not None and (found.check, found.decisions) == (check, 0)
    honest = np.stack([forecast(edge) for edge in market.honest])
    assert FastChecks(RULES, on_past_rows(champion, honest), BASELINE_MS).begun(None) is None
    assert on_past_rows(champion[:99], honest[:99]) is None


def test_beside_a_champion_that_says_nothing_a_canary_is_compared_with_its_own_past() -> None:
    market = Families(4, 2000)
    honest = np.stack([forecast(edge) for edge in market.honest])
    silent = np.stack([forecast(0.0)] * len(honest))
    expected = on_past_rows(silent, honest)
    assert expected is not None and not expected.is_comparable

    def taken(edges: Floats) -> tuple[str, str] | None:
        checks = FastChecks(RULES, expected, BASELINE_MS)
        return next((found for edge in edges[:DECISIONS] if (found := checks.compare(0.0, edge))), None)

    assert taken(market.honest) is None
    for faulty in (5 * market.honest, np.full(DECISIONS, 0.001)):
        found = taken(faulty)
        assert found is not None and found[0] == "spread"


def test_two_that_always_say_the_same_are_left_alone() -> None:
    """Both found nothing to learn, and say how often each label came."""
    said = np.stack([forecast(0.03)] * 500)
    expected = on_past_rows(said, said)
    checks = FastChecks(RULES, expected, BASELINE_MS)
    assert checks.begun(None) is None
    assert all(checks.compare(0.03, 0.03) is None for _ in range(DECISIONS))
    wider = (checks.compare(0.03, 0.3) for _ in range(DECISIONS))
    assert any(wider)


def test_routing_keeps_days_whole_and_its_share() -> None:
    chosen = [is_canarys(7, f"SIM{symbol}", day * DAY_MS, 0.05) for symbol in range(20) for day in range(500)]
    assert 0.04 < np.mean(chosen) < 0.06
    hours = {is_canarys(7, "SIM1", 3 * DAY_MS + hour * 3_600_000, 0.05) for hour in range(24)}
    assert len(hours) == 1
    assert [is_canarys(8, "SIM1", day * DAY_MS, 0.5) for day in range(40)] != [
        is_canarys(7, "SIM1", day * DAY_MS, 0.5) for day in range(40)
    ]


def settled(seed: int, edge: float, days: int, horizon: int = 4) -> SlowTest:
    """Labels whose true probability only the canary knows, by so much."""
    rng = np.random.default_rng(seed)
    test = SlowTest(RULES, horizon, 3_600_000)
    for hour in range(days * 24):
        known = edge * rng.choice([-1.0, 1.0], 3)
        up = 0.4 + known / 2
        label = np.where(rng.random(3) < up, 1, np.where(rng.random(3) < 0.2 / (1 - up), 0, -1))
        champion = np.tile([0.4, 0.2, 0.4], (3, 1))
        canary = np.column_stack([0.4 - known / 2, np.full(3, 0.2), up])
        test.settle(hour * 3_600_000, champion, canary, label)
        if test.outcome != "undecided":
            break
    return test


def test_a_better_canary_is_promoted_not_before_the_least_days_and_an_equal_one_never() -> None:
    better = settled(1, 0.3, 60)
    assert better.outcome == "promote" and RULES.min_days <= better.days < 30
    equal = settled(2, 0.0, 61)
    assert equal.outcome == "keep" and equal.e_value < 20


def trials_of(edge: float, count: int, days: int, first_seed: int) -> tuple[Floats, Floats]:
    """Gains and their bounds in trials of a canary that knows the labels' probability by `edge`, as in `settled`."""
    gains, bounds = np.empty((count, days * 24)), np.empty((count, days * 24))
    for number in range(count):
        rng = np.random.default_rng(first_seed + number)
        known = edge * rng.choice([-1.0, 1.0], (days * 24, 3))
        up = 0.4 + known / 2
        happened = rng.random(up.shape)
        canary = np.where(happened < up, up, np.where(happened < up + 0.2, 0.2, 0.4 - known / 2))
        champion = np.where((happened >= up) & (happened < up + 0.2), 0.2, 0.4)
        gains[number] = np.log(canary / champion).mean(axis=1)
        bounds[number] = np.abs(np.log(np.stack([up, 0.4 - known / 2]) / 0.4)).max(axis=(0, 2))
    return gains, bounds


def promoted_by(edge: float, count: int, rules: CanaryRules) -> tuple[float, float, Floats]:
    """What the power says, half and nine tenths; and the days that other trials of the same edge took."""
    bar_ms, days = 3_600_000, int(rules.max_days) + 1
    half, most = days_to_promote(*trials_of(edge, count, days, 1000), rules, 4, bar_ms)
    took = [
        days_to_promote(gain[None], bound[None], rules, 4, bar_ms)[0]
        for gain, bound in zip(*trials_of(edge, count, days, 5000), strict=True)
    ]
    return half, most, np.array(took)


@pytest.mark.parametrize("count", [20, deep(200)])
def test_a_better_canary_is_promoted_within_the_days_that_the_power_says(count: int) -> None:
    for edge in (0.2, 0.3):
        half, most, took = promoted_by(edge, count, RULES)
        print(f"edge {edge}: half promoted within {half:.1f} days, nine tenths within {most:.1f}; of other trials "
              f"{np.mean(took <= most):.0%} within the latter, {np.isfinite(took).mean():.0%} at all")  # fmt: skip
        assert np.mean(took <= most) >= 0.9 - 3 * np.sqrt(0.09 / count)
        assert took.min() >= RULES.min_days
    half, most, took = promoted_by(0.0, count, RULES)
    print(f"no edge: {np.isfinite(took).mean():.1%} promoted")
    assert np.isinf(half) and np.mean(np.isfinite(took)) <= 0.05


def test_the_gains_of_the_power_are_those_of_the_trial() -> None:
    gains, bounds = trials_of(0.3, 1, 30, 1)
    assert days_to_promote(gains, bounds, RULES, 4, 3_600_000)[0] == pytest.approx(settled(1, 0.3, 60).days, abs=1)
    assert (np.abs(gains) <= bounds + 1e-12).all()


def test_what_a_trial_will_take_is_said_before_it_begins() -> None:
    """Gains that go on, drawn anew in stretches, take as long as trials of their own; without gains none ends well."""
    gains, bounds = trials_of(0.3, 1, 60, 1)
    half, most = days_expected(gains[0], bounds[0], 4, 3_600_000)
    assert RULES.min_days <= half <= most < 30
    assert in_words(half, most, 60).endswith(f"nine tenths within {most:.0f}")
    none = days_expected(-gains[0][::4], bounds[0][::4], 1, 4 * 3_600_000)
    assert np.isinf(none).all() and "fewer than half" in in_words(*none, 60)
    assert np.isnan(days_expected(gains[0][:500], bounds[0][:500], 4, 3_600_000)).all(), "three weeks say too little"
    assert in_words(float("nan"), float("nan"), 60) == ""
    assert in_words(45.2, 92.4, 60).endswith("`--canary-days 93` says")
    assert "not nine tenths in 240" in in_words(45.2, float("inf"), 60)


def test_evidence_for_an_equal_canary_seldom_grows() -> None:
    """Anytime validity: over twenty histories of a canary that is a little worse, the test never promotes."""
    outcomes = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        test = SlowTest(CanaryRules(min_days=1), 4, 3_600_000)
        for hour in range(24 * 30):
            label = rng.choice([-1, 0, 1], 3, p=[0.4, 0.2, 0.4])
            noise = 0.1 * rng.standard_normal(3).clip(-2, 2)
            canary = np.column_stack([0.4 - noise, np.full(3, 0.2), 0.4 + noise])
            test.settle(hour * 3_600_000, np.tile([0.4, 0.2, 0.4], (3, 1)), canary, label)
            outcomes.append(test.outcome)
    assert "promote" not in outcomes
