"""A trial of two deployed models, the canary of another family than the champion: what takes it back, and what not."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from tests.depth import deep
from tests.operations.bundles import NAMES, TERMS, findings, model_rows
from tests.operations.canary.test_itself import PROCEDURES
from tests.serving.test_service import HOUR_MS, Planted, bars_of
from tradewind.learning.features.assembly import Arrivals
from tradewind.operations.bundle.contents import Bundle
from tradewind.operations.bundle.making import make_bundle
from tradewind.operations.bundle.past import ITSELF, PAST
from tradewind.operations.canary.fast_checks import Tripped
from tradewind.operations.canary.rules import CanaryRules
from tradewind.serving.trial import Trial
from tradewind.serving.variants import Variant

DECISIONS, WARM = 200, 60


@cache
def bundle(name: str, seed: int) -> Bundle:
    rows = model_rows(seed, 700)
    files = make_bundle(PROCEDURES[name], rows, TERMS, findings(name, "go", rows), "2026-01-01T00:00:00+00:00")
    return Bundle.from_files(files, "")


def begun(seed: int, canary: str = "linear") -> Trial:
    """A champion of trees and a canary of another family, refits of two of three worlds."""
    champion = Variant.of(1, bundle("lightgbm", seed % 3), "")
    return Trial(champion, Variant.of(2, bundle(canary, (seed + 1) % 3), ""), CanaryRules())


def asked(trial: Trial, seed: int, fault: str = "", after: int = 0, decisions: int = DECISIONS) -> Tripped | None:
    """Both are asked about rows of noise, until the canary is taken back; the fault begins after so many."""
    rng, honest = np.random.default_rng(seed), trial.canary.bundle
    for number in range(decisions):
        if fault and number == after:
            trial.canary.bundle = replace(honest, forecaster=Planted(honest.forecaster, fault))  # type: ignore[arg-type]
        x = rng.standard_normal(len(NAMES)).astype(np.float32)
        said, took = trial.champion.forecast(x)
        trial.score(x, said, took if fault == "slow" else 1e3)  # a busy machine is not what is looked for
        if trial.tripped:
            break
    return trial.tripped


@pytest.mark.parametrize("seeds", [1, deep(100)])
def test_an_honest_canary_of_another_family_is_left_alone(seeds: int) -> None:
    taken = [found for seed in range(seeds) if (found := asked(begun(seed), seed))]
    assert len(taken) <= 0.02 * seeds, taken


@pytest.mark.parametrize("seeds", [2, deep(100)])
@pytest.mark.parametrize("fault", ["inverted", "constant", "tripled", "nan", "failing", "slow"])
def test_a_fault_in_service_is_found_within_two_hundred_decisions(fault: str, seeds: int) -> None:
    found = [asked(begun(seed), seed, fault, after=seed % 40) for seed in range(seeds)]
    needed = [one.decisions - seed % 40 for seed, one in enumerate(found) if one]
    print(f"{fault}: {len(needed)} of {seeds}, median {np.median(needed):.0f}, most {max(needed)} decisions")  # noqa: T201
    assert len(needed) == seeds and max(needed) <= (DECISIONS if fault == "slow" else 6)


def joined(history: list[Arrivals]) -> Arrivals:
    return Arrivals(history[-1].now_ms, tuple(bar for one in history for bar in one.bars))


@cache
def market_bundle(name: str, seed: int) -> Bundle:
    """Of a model that learnt from features of bars, as `bars_of` makes them."""
    decider, history = bundle("linear", 0).decider(), bars_of(900, 1000 + seed)
    _, observed = decider.observe(decider.begin(), joined(history))
    rng, parts = np.random.default_rng(seed), []
    for seen, _ in observed:
        table = pd.DataFrame(seen.features, columns=list(NAMES))
        drift = table["log_return_1"].to_numpy(np.float64) / 0.01
        at = pd.to_datetime(seen.chunk.timestamp, unit="ms", utc=True).as_unit("ms")
        settles = at + 4 * pd.Timedelta(hours=1)
        parts.append(
            table.assign(
                symbol=seen.symbol, timestamp=at, p_up=norm.sf(0.6 - drift), p_down=norm.cdf(-0.6 - drift),
                label=np.digitize(drift + rng.standard_normal(len(drift)), [-0.6, 0.6]).astype(np.int8) - np.int8(1),
                forward_return=0.01 * drift, exit_time=settles, horizon_end=settles, weight=1.0,
            ).iloc[30:]
        )  # fmt: skip
    rows = pd.concat(parts).sort_values(["timestamp", "symbol"], kind="stable", ignore_index=True)
    told = rows[["symbol", "timestamp", "p_up", "p_down"]].assign(p_flat=1 - rows["p_up"] - rows["p_down"])
    known = findings(name, "go", model_rows(1, 10))
    rows = rows[["symbol", "timestamp", *NAMES, "label", "forward_return", "exit_time", "horizon_end", "weight"]]
    files = make_bundle(PROCEDURES[name], rows, TERMS, replace(known, forecasts=told), "2026-01-01T00:00:00+00:00")
    return Bundle.from_files(files, "")


def stepped(seed: int, late: int = 0, wrong: bool = False) -> Tripped | None:
    """Champion and canary decide on closed bars; the canary's are so many bars old, or the other symbol's."""
    champion, canary = (
        Variant.of(number, market_bundle(name, (seed + number) % 3), "")
        for number, name in enumerate(("lightgbm", "linear"), 1)
    )
    trial, history = Trial(champion, canary, CanaryRules()), bars_of(WARM + DECISIONS // 2, seed)
    theirs = [_swapped(one) for one in history] if wrong else history
    champion.advance(joined(history[:WARM]))
    canary.advance(joined(theirs[: WARM - late]))
    for at in range(WARM, len(history)):
        said = canary.advance(theirs[at - late])
        stamped = tuple(one._replace(timestamp=one.timestamp + late * HOUR_MS) for one in said)
        trial.decided(champion.advance(history[at]), stamped, HOUR_MS)
        if trial.tripped:
            break
    return trial.tripped


def _swapped(arrivals: Arrivals) -> Arrivals:
    other = dict(zip(TERMS.universe.symbols, reversed(TERMS.universe.symbols), strict=True))
    return arrivals._replace(bars=tuple(bar._replace(symbol=other[bar.symbol]) for bar in arrivals.bars))


@pytest.mark.parametrize("seeds", [1, deep(100)])
def test_both_decide_on_the_same_bars_and_an_honest_canary_is_left_alone(seeds: int) -> None:
    taken = [found for seed in range(seeds) if (found := stepped(seed))]
    assert len(taken) <= 0.02 * seeds, taken


@pytest.mark.parametrize("seeds", [1, deep(100)])
@pytest.mark.parametrize(("late", "wrong"), [(24, False), (0, True)], ids=["24 h stale", "wrong symbol"])
def test_a_canary_that_decides_by_other_features_is_found(late: int, wrong: bool, seeds: int) -> None:
    found = [stepped(seed, late, wrong) for seed in range(seeds)]
    needed = [one.decisions for one in found if one]
    print(f"{len(needed)} of {seeds}, median {np.median(needed):.0f}, most {max(needed)} decisions")  # noqa: T201
    assert len(needed) == seeds and max(needed) <= 60
    assert sum(one.check == "inputs" for one in found if one) >= 0.9 * seeds


def test_without_what_later_bundles_hold_a_trial_begins_as_before() -> None:
    """Bundles of earlier versions have neither past rows nor a word about themselves: walk-forwards tell."""
    trial, old = begun(0), bundle("linear", 1)
    files = {name: content for name, content in old.files.items() if name not in (PAST, ITSELF)}
    earlier = Trial(trial.champion, Variant.of(3, replace(old, files=files), ""), CanaryRules())
    assert earlier.tripped is None and earlier.checks.expected is not None and trial.checks.expected is not None
    assert earlier.checks.expected != trial.checks.expected
    assert earlier.checks.expected.patience == trial.checks.expected.patience


def test_a_refit_that_learnt_the_opposite_never_answers() -> None:
    rows = model_rows(1, 700)
    told = findings("linear", "go", rows)  # the folds learnt the right way round
    turned = rows.assign(label=-rows["label"])
    files = make_bundle(PROCEDURES["linear"], turned, TERMS, told, "2026-01-01T00:00:00+00:00")
    trial = Trial(begun(0).champion, Variant.of(2, Bundle.from_files(files, ""), ""), CanaryRules())
    assert trial.tripped is not None and (trial.tripped.check, trial.tripped.decisions) == ("itself", 0)
