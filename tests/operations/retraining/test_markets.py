"""On a market without an edge retraining never promotes; after a change of the market it does, and the canary ends it.

The light form has rows of features whose labels turn round; the deep one whole markets through the project's own bars,
features, walk-forward and verdict, with trials by the service's own rules.
"""

import functools
import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from tests.operations.bundles import NAMES, TERMS, findings, model_rows
from tests.operations.retraining.markets import MODEL, OnMarket, market, settings_of
from tests.operations.retraining.stages import RULES, Stages, candidate, retrain
from tests.operations.retraining.trials import tried
from tests.validation.test_experiment import with_few_features
from tradewind.learning.models import catalogue
from tradewind.learning.models.linear import LinearParameters
from tradewind.learning.models.walk_forward import TrainingRules, split_training
from tradewind.operations.bundle.contents import Bundle
from tradewind.operations.bundle.drift import PROBABILITIES, log_losses
from tradewind.operations.bundle.making import Findings, Procedure, make_bundle
from tradewind.operations.bundle.sealing import Files
from tradewind.operations.canary.rules import CanaryRules
from tradewind.operations.monitoring.performance import forecast_rows
from tradewind.operations.registry.records import Reason, Roles
from tradewind.operations.retraining.attempts import Attempts, Ended
from tradewind.operations.retraining.beside import Beside, beside
from tradewind.operations.retraining.course import Asked, Course
from tradewind.operations.retraining.judgement import judge
from tradewind.settings import CONFIG_LOADER_ARGS, ProjectConfigLoader

PROJECT = Path(__file__).resolve().parents[3]
CHANGE, NOW, END = (
    800,
    1700,
    2300,
)  # rows: the champion's training ends with the old market, and the retraining is later
TRIED = CanaryRules(max_days=20)
CREATED = "2026-01-01T00:00:00+00:00"
PROCEDURE = Procedure(MODEL, LinearParameters(c=0.05), TrainingRules(), 7)


class World(NamedTuple):
    """Rows of two symbols, the champion's bundle, the forecasts of a later walk-forward, and the bundle refitted."""

    rows: pd.DataFrame
    champion: Files
    forecasts: pd.DataFrame
    new: Files


def walked(rows: pd.DataFrame, at: int) -> pd.DataFrame:
    """What a model that was trained on the first rows says of the others."""
    first, second = rows.iloc[:at].reset_index(drop=True), rows.iloc[at:].reset_index(drop=True)
    model = catalogue.model(MODEL)(PROCEDURE.parameters, 7).fit(split_training(first, PROCEDURE.training))
    said = model.predict(second)[list(PROBABILITIES)].set_axis(second.index)
    return pd.concat([second[["symbol", "timestamp"]], said], axis=1).assign(fold=0)


def made(rows: pd.DataFrame, forecasts: pd.DataFrame) -> Files:
    found = findings(MODEL, "go", rows)
    found = Findings(found.verdict, found.leaderboard, forecasts, found.parameters)
    return make_bundle(PROCEDURE, rows.reset_index(drop=True), TERMS, found, CREATED)


@functools.cache
def world(edge: float) -> World:
    """Labels follow the first feature so much, and at `CHANGE` they turn round."""
    rows = model_rows(1, END, edge)
    rows["label"] = np.where(rows.index < 2 * CHANGE, rows["label"], -rows["label"]).astype(np.int8)
    old, new = rows.iloc[: 2 * CHANGE], rows.iloc[2 * CHANGE : 2 * NOW]
    told, later = walked(old, CHANGE), walked(new, NOW - CHANGE)
    return World(rows, made(old, told), later, made(new, later))


class Turning(Stages):
    """A retraining on such rows, whose verdict is go."""

    def __init__(self, folder: Path, edge: float) -> None:
        super().__init__(folder, candidate(sharpe=0.1))
        self.rows, champion, self.forecasts, self.new = world(edge)
        self.registry.register(champion)
        self.registry.move("staging", "champion", 1, None, Reason("test", "the first"))

    def known(self) -> pd.DataFrame:
        return self.rows.iloc[: 2 * NOW]

    def beside(self, champion: Bundle) -> Beside | None:
        return beside(champion, self.known(), self.forecasts)

    def deploy(self) -> int:
        return self.registry.register(self.new).version

    def tried(self) -> str:
        return tried(self.folder / "registry", self.rows.iloc[2 * NOW :], TRIED)


def test_after_a_change_of_the_market_the_canary_sees_it_through(tmp_path: Path) -> None:
    stages = Turning(tmp_path, 1.0)
    champion = stages.registry.load(1)
    now = stages.beside(champion)
    assert now is not None and now.e_value > 1e3 and now.candidate_loss < 0.8 * now.champion_loss
    assert now.rows == len(stages.forecasts)
    # Planted: measured by an interval of a market that is over, nothing would ever follow the champion.
    assert "below the champion's interval" in judge(stages.found, champion, RULES).against[0]
    ended, _ = retrain(stages)
    assert ended is not None and ended.outcome == "canary" and stages.registry.roles("staging") == Roles(1, 2)
    assert ended.why.endswith("beside version 1"), "of less than four weeks nothing is said"
    assert stages.tried().startswith("move champion: its log loss is lower: e-value ")
    assert stages.registry.roles("staging") == Roles(2, None, 1)
    assert stages.registry.history("staging")[-1].who == "service"


def test_how_long_a_trial_may_take_is_said_where_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = Turning(tmp_path, 1.0)
    monkeypatch.setattr(stages, "beside", lambda champion: Beside(25.0, 5000, 0.95, 0.9, 45.2, 92.4))
    ended, _ = retrain(stages)
    assert ended is not None and ended.outcome == "canary"
    assert ended.why.endswith(
        "half of such trials promote it within 45 days, nine tenths within 92; a service ends a trial after 60 days, "
        "or after as many as `--canary-days 93` says"
    )


def test_a_trial_that_does_not_know_of_the_change_takes_the_canary_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: by what the two had in common before, a canary that contradicts the champion is faulty."""
    monkeypatch.setattr("tradewind.serving.trial.on_past_rows", lambda *_: None)
    stages = Turning(tmp_path, 1.0)
    retrain(stages)
    assert stages.tried().startswith("withdraw canary: signs: it agrees with the champion less often")
    assert stages.registry.roles("staging") == Roles(1)


def test_without_an_edge_nothing_is_promoted_even_after_a_wrong_go(tmp_path: Path) -> None:
    stages = Turning(tmp_path, 0.0)
    now = stages.beside(stages.registry.load(1))
    assert now is not None and now.e_value < 20
    ended, _ = retrain(stages)
    assert ended is not None and ended.outcome == "kept" and "below the champion's interval" in ended.why
    stages.found = candidate()  # a verdict of go, as one null market in twenty gets
    ended, _ = retrain(stages)
    assert ended is not None and ended.outcome == "canary"
    assert stages.tried().startswith("withdraw canary: ")
    assert stages.registry.roles("staging") == Roles(1)


def test_only_what_is_shown_to_be_better_on_the_same_bars_need_not_match_the_champions_past(tmp_path: Path) -> None:
    stages = Turning(tmp_path, 1.0)
    champion = stages.registry.load(1)
    poor = candidate(sharpe=0.1)
    better, unsure = (Beside(evidence, 500, 0.95, 0.9) for evidence in (20.0, 19.9))
    assert judge(poor, champion, RULES, better).is_good and not judge(poor, champion, RULES, unsure).is_good
    assert judge(poor, champion, RULES, better).figures["since"] == {
        "evidence": 20.0, "rows": 500, "champion": 0.95, "candidate": 0.9, "half_days": None, "most_days": None
    }  # fmt: skip
    assert not judge(candidate("no-go"), champion, RULES, better).is_good
    nothing = beside(champion, stages.known(), stages.forecasts.iloc[:0])
    assert nothing is not None and (nothing.e_value, nothing.rows) == (1.0, 0) and np.isnan(nothing.champion_loss)
    assert judge(candidate(), champion, RULES, nothing).figures["since"]["champion"] is None
    assert beside(champion, stages.known().drop(columns=NAMES[0]), stages.forecasts) is None


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    logging.disable(logging.INFO)
    return with_few_features(ProjectConfigLoader(str(PROJECT / "conf"), **CONFIG_LOADER_ARGS)["parameters"])


def with_champion_on(work: OnMarket, day: int) -> OnMarket:
    """The market's first model is champion, whatever its verdict."""
    work.on_day(day).fetch()
    work.train(False)
    work.registry.move("staging", "champion", work.deploy(), None, Reason("test", "the first"))
    return work


def retrained(work: OnMarket, day: int, folder: Path) -> Ended:
    work.on_day(day)
    with Attempts(folder) as attempts:
        ended = Course(attempts, work, work.registry, RULES, print).go(Asked("manual"), str)
    assert ended is not None
    return ended


def gain(work: OnMarket, ahead: pd.DataFrame) -> float:
    """By how much the new model's log loss is lower than the champion's, after the fact."""
    champion, new = work.registry.load(1), Bundle.from_files(work.files(), "")
    label = ahead.sort_values(["symbol", "timestamp"])["label"].to_numpy(dtype=np.float64)
    said = (forecast_rows(one, ahead)[list(PROBABILITIES)].to_numpy() for one in (champion, new))
    theirs, own = (float(log_losses(p, label).mean()) for p in said)
    return theirs - own


@pytest.mark.depth
@pytest.mark.timeout(1800)
def test_on_twenty_null_markets_it_never_promotes(tmp_path: Path, parameters: dict[str, Any]) -> None:
    outcomes, gains = [], []
    for world in range(20):
        folder = tmp_path / f"{world}"
        settings = settings_of(parameters, world)
        work = with_champion_on(OnMarket(folder / "registry", market(0.0, 372, 940_000 + world), settings), 250)
        ended = retrained(work, 310, folder / "retraining")
        ahead = work.ahead()
        gains.append(gain(work, ahead))
        outcomes.append(ended.outcome)
        if ended.outcome == "canary":
            outcomes.append(tried(folder / "registry", ahead, CanaryRules()))
        assert work.registry.roles("staging").champion == 1, outcomes
    # Planted: who promotes whatever turns out better, without verdict and evidence, promotes in many of them.
    assert np.sum(np.array(gains) > 0) >= 5, gains


@pytest.mark.depth
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [960_001, 960_002, 960_003])
def test_after_a_planted_change_the_whole_course_promotes(
    tmp_path: Path, parameters: dict[str, Any], seed: int
) -> None:
    """A market turns its answer to funding and sentiment round on day 250; its folds train on the newest bars.

    What carries the edge moves slowly, so that a trial needs two months to see the difference, however loud.
    """
    settings = settings_of(parameters, seed, scheme="rolling", n_folds=8, initial_share=0.2)
    work = with_champion_on(OnMarket(tmp_path / "registry", market(14.0, 875, seed, 250, 4), settings), 250)
    ended = retrained(work, 750, tmp_path / "retraining")
    assert ended.outcome == "canary", ended
    said = tried(tmp_path / "registry", work.ahead(), CanaryRules(max_days=120))
    assert said.startswith("move champion: its log loss is lower"), said
    assert work.registry.roles("staging") == Roles(2, None, 1)
