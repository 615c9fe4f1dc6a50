"""Models that go on learning: what they follow, what they cost where nothing changes, and what they must not read."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from tests.depth import deep
from tests.learning.models import online_world as world
from tradewind.errors import BadData, BadModel
from tradewind.learning.labels import settling
from tradewind.learning.models import catalogue
from tradewind.learning.models import online as learner
from tradewind.learning.models.boosting import BoostingForecaster
from tradewind.learning.models.online import UPDATABLE, OnlineLearning, lessons_of, updated
from tradewind.learning.models.row_model import RowForecaster

FIRST, DAYS, SHOWN = 120, 56, 42
SHORTER, COST = 0.25, 0.01  # two seeds of trees take as long as twenty of the regression
RULES = OnlineLearning()


def files_after(model: RowForecaster, rows: pd.DataFrame, since: pd.Timestamp, now: pd.Timestamp) -> dict[str, bytes]:
    return updated(model, lessons_of(rows, since, now, RULES.half_life_days), RULES).files()


def excess(name: str, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Excess loss by day after the flip, of weekly retraining and online; the week's day of the flip goes round."""
    flip = FIRST + 7 + seed % 7
    rows = world.market(seed, FIRST + DAYS, flip)
    knowing = np.array(world.knowing(name, rows, FIRST, DAYS, flip))
    begins = flip - FIRST
    told = (world.weekly(name, rows, FIRST, DAYS), world.online(name, rows, FIRST, DAYS, RULES))
    weekly, online = (np.array(one) - knowing for one in told)
    return weekly[begins : begins + SHOWN], online[begins : begins + SHOWN]


@pytest.mark.parametrize(("name", "seeds"), [("linear", 2), deep("linear", 20), deep("lightgbm", 2)])
def test_after_a_sign_flip_the_excess_loss_halves_sooner_than_by_weekly_retraining(name: str, seeds: int) -> None:
    weekly, online = (np.mean(one, axis=0) for one in zip(*(excess(name, seed) for seed in range(seeds)), strict=True))
    slow, quick = world.half_life(weekly), world.half_life(online)
    print(f"{name}, {seeds} seeds: half-life of the excess loss {slow:g} days by weekly retraining, {quick:g} online")
    assert quick <= (1 - SHORTER) * slow
    if name == "linear":
        assert online.sum() < weekly.sum()
    else:  # trees turn sooner and follow more slowly from there: in sum nothing is won, as the documentation says
        assert abs(online.sum() / weekly.sum() - 1) < 0.05


@pytest.mark.parametrize(("name", "seeds"), [("linear", 1), deep("linear", 20), deep("lightgbm", 2)])
def test_where_nothing_changes_it_costs_next_to_nothing(name: str, seeds: int) -> None:
    weekly, online = [], []
    for seed in range(1000, 1000 + seeds):
        rows = world.market(seed, FIRST + DAYS, None)
        weekly.append(np.mean(world.weekly(name, rows, FIRST, DAYS)))
        online.append(np.mean(world.online(name, rows, FIRST, DAYS, RULES)))
    worse = float(np.mean(online) / np.mean(weekly) - 1)
    print(f"{name}, {seeds} seeds: log loss {np.mean(weekly):.4f} by weekly retraining, online {worse:+.2%}")
    assert worse <= COST


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return world.market(3, 40, None)


AT, NOW = world.START + 30 * world.DAY, world.START + 32 * world.DAY
SINCE = AT - world.HORIZON * pd.Timedelta(hours=1)


def cut(rows: pd.DataFrame, now: pd.Timestamp) -> pd.DataFrame:
    """The rows as they stood then: later ones are not there, and labels that were open have none."""
    here = rows[rows["timestamp"] <= now].reset_index(drop=True)
    is_open = (here["horizon_end"] > now).to_numpy()
    for column in ("label", "forward_return", "weight", "exit_time", "horizon_end"):
        here[column] = here[column].mask(is_open)
    return here


@pytest.mark.parametrize("name", UPDATABLE)
def test_an_update_reads_nothing_that_was_not_settled(name: str, rows: pd.DataFrame) -> None:
    model = world.trained(name, rows, AT)
    made = files_after(model, rows, SINCE, NOW)
    assert made == files_after(model, cut(rows, NOW), SINCE, NOW) != model.files()


def test_a_label_used_before_it_is_settled_is_found(rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: rows are chosen by their timestamp. The check of the cut history finds it, and the learner's own."""
    model = world.trained("linear", rows, AT)

    def by_timestamp(rows: pd.DataFrame, as_of: pd.Timestamp) -> NDArray[np.bool_]:
        return np.asarray((rows["timestamp"] <= as_of) & rows["label"].notna())

    monkeypatch.setattr(learner, "is_settled", by_timestamp)
    with pytest.raises(BadData, match="12 of .* labels are not settled .* its horizon_end has not come"):
        files_after(model, rows, SINCE, NOW)
    monkeypatch.setattr(learner, "require_settled", lambda *_: None)
    assert files_after(model, rows, SINCE, NOW) != files_after(model, cut(rows, NOW), SINCE, NOW)


def test_a_barrier_that_is_touched_settles_nothing_before_the_horizon_ends(rows: pd.DataFrame) -> None:
    touched = rows.assign(exit_time=rows["timestamp"] + pd.Timedelta(hours=1))
    assert (settling.is_settled(touched, NOW) == settling.is_settled(rows, NOW)).all()
    settled = rows[settling.is_settled(rows, NOW)]
    assert settled["horizon_end"].max() == NOW  # what ends at this very instant is known


def test_nothing_new_is_an_error_and_no_update(rows: pd.DataFrame) -> None:
    with pytest.raises(BadData, match="no label has settled between"):
        lessons_of(rows, NOW, NOW, 14.0)


def test_what_cannot_be_updated_says_so(rows: pd.DataFrame) -> None:
    lessons = lessons_of(rows, SINCE, NOW, 14.0)
    kind = catalogue.row_model("panel_ridge")
    with pytest.raises(BadModel, match="panel_ridge cannot be updated: retrain it"):
        updated(kind(kind.parameters_class(), 7), lessons, RULES)
    two = rows.assign(label=rows["label"].where(rows["label"] != 0, 1))
    with pytest.raises(BadModel, match="has never seen one of the classes"):
        updated(world.trained("linear", two, AT), lessons, RULES)


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_trees_are_added_after_those_there_are(name: str, rows: pd.DataFrame) -> None:
    model = world.trained(name, rows, AT)
    x = rows[list(model.features)].to_numpy(dtype=np.float32)[:50]
    after = updated(model, lessons_of(rows, SINCE, NOW, 14.0), RULES.model_copy(update={"calibrate": False}))
    assert isinstance(after, BoostingForecaster)
    only_old = after.altered(state={**after.state, "best_rounds": after.best_rounds - RULES.rounds})
    assert np.allclose(only_old.raw(x), model.raw(x), atol=1e-6) and not np.allclose(after.raw(x), model.raw(x))


def test_calibration_follows_a_signal_that_fades(rows: pd.DataFrame) -> None:
    """Labels that no longer follow the features: the edge is taken back, by the calibration alone."""
    model = world.trained("lightgbm", rows, AT)
    noise = rows.copy()
    later = (noise["timestamp"] > AT) & noise["label"].notna()
    noise.loc[later, "label"] = -noise.loc[later, "label"]
    lessons = lessons_of(noise, SINCE, world.START + 39 * world.DAY, 14.0)
    assert learner.moved_scaling(model, lessons).slope < 0.7 * model.scaling.slope
    same = lessons_of(rows, SINCE, world.START + 39 * world.DAY, 14.0)
    assert learner.moved_scaling(model, same).slope > 0.7 * model.scaling.slope
