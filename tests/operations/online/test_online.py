"""The champion's updates: versions of their own, near to their parent, on trial first, and taken back."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from tests.depth import deep
from tests.learning.models import online_world as world
from tests.operations.bundles import TERMS, bundle_files, findings, model_rows
from tradewind.errors import BadModel, BadParameters
from tradewind.learning.models.linear import LinearParameters
from tradewind.learning.models.online import OnlineLearning
from tradewind.learning.models.walk_forward import TrainingRules
from tradewind.operations.bundle.contents import EXPECTED, PROBE_TOLERANCE, SPEC, WALK_FORWARD, Bundle
from tradewind.operations.bundle.making import Procedure, make_bundle
from tradewind.operations.bundle.sealing import Files
from tradewind.operations.canary.expectation import expectation, in_common
from tradewind.operations.canary.fast_checks import FastChecks
from tradewind.operations.canary.patience import patient
from tradewind.operations.canary.rules import CanaryRules
from tradewind.operations.canary.slow_test import SlowTest
from tradewind.operations.online.course import JOURNAL, Ended, update_champion, updates_of
from tradewind.operations.online.rules import OnlineRules
from tradewind.operations.online.updating import LINEAGE, Distance, TooFar, model_of, require_near, updated_bundle
from tradewind.operations.registry.records import Reason, Roles
from tradewind.operations.registry.registry import Registry

RULES = OnlineRules(enabled=True, environment="staging")
FREE = RULES.model_copy(update={"most_change": 1.0, "most_divergence": 9.0, "most_from_training": 1.0})
WHY = Reason("test", "to see")
CREATED = "2026-02-01T00:00:00+00:00"


def later_rows(count: int = 1000) -> pd.DataFrame:
    """The rows that the bundle was made of, and those after them; the last four have no settled label."""
    return model_rows(1, count)


def registry_with_champion(folder: Path, name: str = "linear") -> Registry:
    registry = Registry(folder / "registry")
    version = registry.register(bundle_files(name)).version
    registry.move("staging", "champion", version, None, WHY)
    return registry


def update(registry: Registry, rows: pd.DataFrame, rules: OnlineRules = RULES) -> Ended:
    return update_champion(registry, rows, rules, registry._folder.parent / JOURNAL, lambda files: files)


@pytest.mark.parametrize("name", ["linear", "lightgbm", "xgboost"])
def test_an_update_is_a_version_of_its_own_on_trial(tmp_path: Path, name: str) -> None:
    registry, before = registry_with_champion(tmp_path, name), bundle_files(name)
    ended = update(registry, later_rows(), FREE)
    assert (ended.outcome, ended.version) == ("canary", 2) and registry.roles("staging") == Roles(1, 2)
    assert registry.read(1) == before  # the snapshot to go back to
    made, parent = registry.load(2), registry.load(1)
    assert made.probe_error() <= PROBE_TOLERANCE and made.trial_terms == parent.trial_terms
    lineage = made.document(LINEAGE)
    assert lineage["parent"] == parent.identity == lineage["trained"] and lineage["updates"] == 1
    assert made.spec.trained_rows == parent.spec.trained_rows + lineage["rows"]
    assert made.spec.evidence.verdict == parent.spec.evidence.verdict
    said = registry.history("staging")[-1]
    assert said.who == "online learning" and f"{lineage['rows']} more labels" in said.why
    assert [one.ended.outcome for one in updates_of(tmp_path / JOURNAL)] == ["canary"]
    assert update(registry, later_rows(1100), FREE).outcome == "held_back"  # the trial decides first


def test_a_trial_that_is_lost_leaves_nothing_behind_and_a_champion_can_be_gone_back_to(tmp_path: Path) -> None:
    registry = registry_with_champion(tmp_path)
    update(registry, later_rows(), FREE)
    registry.withdraw("staging", 2, WHY)
    again = update(registry, later_rows(), FREE)  # the same labels make the same version, which was taken back
    assert again.outcome == "registered" and "its last was ended on" in again.why
    ended = update(registry, later_rows(1100), FREE)
    assert ended.version == 3 and registry.load(3).document(LINEAGE)["parent"] == registry.version(1).identity
    registry.move("staging", "champion", 3, 1, WHY)
    assert update(registry, later_rows(1200), FREE).version == 4
    assert registry.load(4).document(LINEAGE)["updates"] == 2
    assert registry.load(4).document(LINEAGE)["trained"] == registry.version(1).identity
    assert registry.rollback("staging", 3, WHY).champion == 1


def test_the_new_rows_are_forecast_before_they_are_learned(tmp_path: Path) -> None:
    parent, rows = Bundle.from_files(bundle_files(), ""), later_rows()
    made = updated_bundle(parent, rows, rows["timestamp"].max(), FREE, CREATED)
    assert made is not None
    since = pd.Timestamp(parent.spec.trained_to)
    new = rows[(rows["timestamp"] > since) & (rows["horizon_end"] <= rows["timestamp"].max())]
    assert made.lineage["rows"] == len(new)
    assert made.lineage["loss_before"] == pytest.approx(world.losses(model_of(parent), new).mean())
    after = model_of(Bundle.from_files(made.files, ""))
    assert world.losses(after, new).mean() < made.lineage["loss_before"]


def test_bounds_refuse_what_goes_too_far_and_ask_for_a_retraining(tmp_path: Path) -> None:
    registry = registry_with_champion(tmp_path)
    turned = later_rows(1400)
    later = turned["timestamp"] > pd.Timestamp(registry.load(1).spec.trained_to)
    turned.loc[later, "label"] = -turned.loc[later, "label"]
    ended = update(registry, turned)
    assert ended.outcome == "refused" and "retrain instead" in ended.why and "most_change 0.1 (it is" in ended.why
    assert registry.roles("staging") == Roles(1) and len(registry.versions()) == 1
    assert update(registry, turned, FREE).outcome == "canary"  # planted: without bounds it goes through
    with pytest.raises(TooFar, match="most_divergence"):
        require_near(Distance(0.0, float("nan"), 0.0), RULES)
    with pytest.raises(TooFar, match="most_from_training"):
        require_near(Distance(0.0, 0.0, 0.5), RULES)
    chained = registry.load(2)
    with pytest.raises(TooFar, match="was updated 1 times since its training"):
        updated_bundle(chained, later_rows(1600), later_rows(1600)["timestamp"].max(),
                       FREE.model_copy(update={"most_updates": 1}), CREATED)  # fmt: skip


def test_what_was_not_settled_is_not_in_the_bundle() -> None:
    parent, rows = Bundle.from_files(bundle_files(), ""), later_rows()
    now = later_rows(960)["timestamp"].max()
    known = rows[rows["timestamp"] <= now].reset_index(drop=True)
    whole, cut = (updated_bundle(parent, one, now, FREE, CREATED) for one in (rows, known))
    assert whole is not None and cut is not None and whole.files[EXPECTED] == cut.files[EXPECTED]
    early = known.assign(horizon_end=known["timestamp"])  # planted: labels said to be settled at once
    leaked = updated_bundle(parent, early, now, FREE, CREATED)
    assert leaked is not None and leaked.files[EXPECTED] != cut.files[EXPECTED]


def test_off_by_default_and_nothing_to_do_without_new_labels(tmp_path: Path) -> None:
    registry = registry_with_champion(tmp_path)
    with pytest.raises(BadParameters, match="operations.online.enabled is false"):
        update(registry, later_rows(), OnlineRules())
    assert update(registry, later_rows(900)).outcome == "nothing" and len(registry.versions()) == 1
    with pytest.raises(BadParameters, match="production has no champion"):
        update(registry, later_rows(), RULES.model_copy(update={"environment": "production"}))
    with pytest.raises(ValidationError):
        OnlineRules.model_validate({"half_life": 3})


def test_what_cannot_be_updated_asks_for_a_retraining() -> None:
    other: Files = dict(bundle_files())
    other[SPEC] = other[SPEC].replace(b'"name": "linear"', b'"name": "panel_ridge"')
    with pytest.raises(BadModel, match="panel_ridge .* cannot be updated online"):
        model_of(Bundle.from_files(other, ""))


MINUTE = 60_000
TRIAL = CanaryRules(min_days=0.25, max_days=2.0)  # of one-minute bars


def minutes(seed: int, count: int) -> pd.DataFrame:
    """Model input of one-minute bars."""
    rows, start = model_rows(seed, count), world.START
    for column in ("timestamp", "exit_time", "horizon_end"):
        rows[column] = start + (rows[column] - start) / 60
    return rows.astype(dict.fromkeys(("timestamp", "exit_time", "horizon_end"), "datetime64[ms, UTC]"))


def trial_of(parent: Bundle, made: Bundle, ahead: pd.DataFrame) -> tuple[str, float]:
    """How a trial of minutes ends, and the canary's mean gain in log loss."""
    forecasts = parent.array(WALK_FORWARD), made.array(WALK_FORWARD)
    expected = expectation(*forecasts)
    assert expected is not None
    checks = FastChecks(TRIAL, patient(expected, *in_common(*forecasts).T), 1.0)
    slow = SlowTest(TRIAL, TERMS.horizon_bars, MINUTE)
    x = ahead[list(parent.spec.features)].to_numpy(dtype=np.float32)
    mine, theirs = (one.forecaster.predict_many(x) for one in (parent, made))
    label = ahead["label"].to_numpy(dtype=np.int64)
    for row in range(0, len(ahead), 2):
        both = slice(row, row + 2)
        for one, other in zip(mine[both], theirs[both], strict=True):
            if checks.compare(float(one[2] - one[0]), float(other[2] - other[0])):
                return "taken back", slow.mean_gain
        slow.settle(int(ahead["timestamp"].iloc[row].timestamp() * 1000), mine[both, :3], theirs[both, :3], label[both])
        if slow.outcome != "undecided":
            return slow.outcome, slow.mean_gain
    return slow.outcome, slow.mean_gain


@pytest.mark.parametrize("seeds", [2, deep(20)])
def test_a_poisoned_hour_of_labels_is_undone_by_the_canary(seeds: int) -> None:
    """An hour of labels with their signs turned, learned in full: no trial promotes it, and its successor, from the
    champion, knows nothing of it once the labels are right."""
    rules = FREE.model_copy(update={"learning": OnlineLearning(half_life_days=0.1)})
    ends: list[tuple[str, float]] = []
    for seed in range(seeds):
        rows = minutes(seed, 4800)
        known = rows[rows["timestamp"] <= world.START + pd.Timedelta(minutes=1200)].reset_index(drop=True)
        told = findings("linear", "go", known)
        procedure = Procedure("linear", LinearParameters(c=0.002), TrainingRules(), 7)
        parent = Bundle.from_files(make_bundle(procedure, known, TERMS, told, CREATED), "")
        now = world.START + pd.Timedelta(minutes=1300)
        hour = (rows["timestamp"] > now - pd.Timedelta(minutes=64)) & (rows["horizon_end"] <= now)
        assert hour.sum() == 2 * 60
        spoiled = rows.assign(label=rows["label"].where(~hour, -rows["label"]))
        bad, good = (updated_bundle(parent, one, now, rules, CREATED) for one in (spoiled, rows))
        assert bad is not None and good is not None and bad.files[EXPECTED] != good.files[EXPECTED]
        ahead = rows[rows["timestamp"] > now].iloc[:6000]
        ends.append(trial_of(parent, Bundle.from_files(bad.files, ""), ahead))
        again = updated_bundle(parent, rows, now, rules, CREATED)
        assert again is not None and again.files[EXPECTED] == good.files[EXPECTED]
    print([(end, round(gain, 4)) for end, gain in ends])
    assert all(gain < 0 for _, gain in ends), "the poison must do harm, or this shows nothing"
    assert "promote" not in {end for end, _ in ends}
