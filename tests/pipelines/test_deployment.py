"""The deployment stage: the chosen procedure, refitted, registered, and served in development."""

import copy
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.operations.agent_bundles import AGENT_TERMS, agent_files, agent_findings, market, rules_of
from tests.operations.bundles import NO_SIDE_SERIES, TERMS, bundle_files, findings, model_rows
from tradewind import extras
from tradewind.datasets.model_store import FolderModelStore
from tradewind.datasets.registry import RegistryDataset, champions_stay
from tradewind.errors import BadModel, BadParameters, MissingExtra
from tradewind.learning.regimes.walk_forward import RegimePlan
from tradewind.learning.splits.walk_forward import FoldPlan, make_folds
from tradewind.operations.bundle.contents import GRAPH
from tradewind.operations.bundle.warming import DECISIONS, STATE, read_decisions
from tradewind.operations.registry.records import Roles
from tradewind.pipelines.deployment.nodes import DeploymentRules, build_bundle, choose_procedure

PARAMETERS: dict[str, Any] = {
    "seed": 7,
    "classifier": {
        "linear": {"parameters": {"c": 0.01}, "training": {"row_stride": 2}},
        "lightgbm": {"training": {"max_rounds": 5}},
    },
    "data_engineering": {"market": {"max_gap_bars": 3}},
    "feature_engineering": {"model_input": {"max_missing_share": 0.4}, "labels": {"horizon_bars": 4}},
}


OTHERS = {"lightgbm": 1.2, "equal_weight": 1.1, "stacking": 1.0}


def build(
    wanted: str, path: Path, origins: dict[str, Any] | None = None, least_bars: int = 200, other: float = 1.0,
    **changes: Any,
) -> Any:  # fmt: skip
    """Of linear and LightGBM; out of sample linear forecast half of the difference that there is, LightGBM `other`."""
    rows = model_rows(1)
    told = findings("linear", "go", rows)
    others = [told.leaderboard.assign(strategy=name, sharpe=sharpe) for name, sharpe in OTHERS.items()]
    board = pd.concat([told.leaderboard, *others], ignore_index=True)
    models = ["linear", "lightgbm"]
    best = {"max_depth": 2, "min_child_weight": 5.0}
    of_run = [*models, "ppo"]  # `params:models` lists agents, too; none of them is searched
    chosen = choose_procedure(board, told.verdict, of_run, PARAMETERS, DeploymentRules(model=wanted), best)
    assert (
        choose_procedure(board, told.verdict, " ".join(of_run), PARAMETERS, DeploymentRules(model=wanted), best)
        == chosen
    )  # as --params has them
    procedure = chosen | changes
    out_of_sample = told.forecasts.assign(fold=0, horizon=4, expected_return=0.0)
    mean = (out_of_sample["p_up"] + out_of_sample["p_down"]) / 2
    apart = (out_of_sample["p_up"] - out_of_sample["p_down"]) / 2
    forecasts = [
        out_of_sample.assign(model=name, p_up=mean + share * apart, p_down=mean - share * apart)
        for name, share in (("linear", 0.5), ("lightgbm", other))
    ]
    forecasts.append(pd.concat([out_of_sample.assign(model=name) for name in ("equal_weight", "stacking")]))
    partitions = {f"simulated/{name}/1h": partial(_of, rows, name) for name in TERMS.universe.symbols}
    bars = {partition: partial(_bars, name) for partition, name in zip(partitions, TERMS.universe.symbols, strict=True)}
    files = build_bundle(
        procedure, partitions, {}, told.verdict, board, TERMS.universe, TERMS.trading, TERMS.selection, PARAMETERS,
        bars, NO_SIDE_SERIES, RegimePlan(rules={"least_bars": least_bars}), origins or {},
        FOLDS, {}, None, *forecasts,
    )  # fmt: skip
    dataset = RegistryDataset(path=str(path))
    dataset.save(files)
    return dataset.load()


FOLDS = make_folds(
    model_rows(1)["timestamp"], FoldPlan(n_folds=2, initial_share=0.5, embargo_bars=4), pd.Timedelta(hours=1), 4
)


def _bars(symbol: str, count: int = 240) -> pd.DataFrame:
    opened = pd.date_range("2023-03-01", periods=count, freq="h", tz="UTC").as_unit("ms")
    close = 100 + np.arange(count) % 7
    return pd.DataFrame({
        "symbol": symbol, "open_time": opened, "timestamp": opened + pd.Timedelta(hours=1), "open": close,
        "high": close + 1.0, "low": close - 1.0, "close": close, "volume": 5.0, "segment": np.int32(0),
    })  # fmt: skip


def _of(rows: pd.DataFrame, symbol: str) -> pd.DataFrame:
    return rows[rows["symbol"] == symbol]


def test_the_best_model_is_refitted_by_its_own_procedure_and_served_in_development(tmp_path: Path) -> None:
    registry = build("best", tmp_path)
    spec = registry.load(1).spec
    assert (spec.name, spec.training["row_stride"], spec.seed) == ("linear", 2, 7)
    assert spec.parameters == {"c": 0.01, "shares_penalty": False}
    assert spec.evidence.verdict == "go" and spec.max_gap_bars == 3 and spec.horizon_bars == 4
    assert registry.roles("development") == Roles(1)
    last = read_decisions(registry.read(1)[DECISIONS])
    assert set(last) == set(TERMS.universe.symbols) and np.isfinite(last["SIM2"].p_up)
    assert registry.load(1).decider().from_bytes(registry.read(1)[STATE]).assembly.done_ms == last["SIM1"].timestamp
    assert set(registry.load(1).regimes().latest) == set(TERMS.universe.symbols)
    again = build("lightgbm", tmp_path)
    assert again.load(2).spec.parameters["max_depth"] == 2 and again.load(2).spec.evidence.verdict == "none"
    assert again.roles("development") == Roles(2, None, 1) and again.roles("production") == Roles()


def test_the_mean_of_all_models_is_deployed_as_one(tmp_path: Path) -> None:
    registry = build("equal_weight", tmp_path)
    spec = registry.load(1).spec
    assert (spec.name, spec.family) == ("equal_weight", "ensemble") and registry.load(1).probe_error() <= 1e-6
    assert spec.parameters["linear"] == {"c": 0.01, "shares_penalty": False}
    assert spec.parameters["lightgbm"]["max_depth"] == 2 and spec.training["linear"]["row_stride"] == 2
    alone = {name: build(name, tmp_path / name).load(1) for name in ("linear", "lightgbm")}
    x = model_rows(9)[list(spec.features)].to_numpy(np.float32)[:50]
    mean = np.mean([one.forecaster.predict_many(x) for one in alone.values()], axis=0)
    np.testing.assert_allclose(registry.load(1).forecaster.predict_many(x), mean, atol=1e-9)
    assert spec.weights == {"linear": 0.5, "lightgbm": 0.5}
    # Stacked, members weigh what their forecasts out of sample say; one that was wrong is left out.
    stacked = build("stacking", tmp_path / "stacking", other=1.5).load(1)
    assert stacked.spec.name == "stacking" and 0.2 < stacked.spec.weights["linear"] < 0.8
    weights = [stacked.spec.weights[name] for name in alone]
    mean = np.average([one.forecaster.predict_many(x) for one in alone.values()], axis=0, weights=weights)
    np.testing.assert_allclose(stacked.forecaster.predict_many(x), mean, atol=1e-9)
    single = build("stacking", tmp_path / "single", other=-1.0).load(1)
    assert single.spec.weights == {"linear": 1.0} and set(single.spec.parameters) == {"linear"}
    own = x[:, [spec.features.index(name) for name in single.spec.features]]
    np.testing.assert_allclose(single.forecaster.predict_many(own), alone["linear"].forecaster.predict_many(own))


def test_parameters_that_kedro_has_made_objects_of_are_the_same() -> None:
    from tradewind.learning.models.walk_forward import TrainingRules

    typed = copy.deepcopy(PARAMETERS)
    typed["classifier"]["linear"]["training"] = TrainingRules(row_stride=2)
    board = findings("linear", "go", model_rows(1)).leaderboard
    procedure = choose_procedure(board, {"strategy": "linear"}, ["linear"], typed, DeploymentRules(model="best"))
    assert json.loads(json.dumps(procedure))["training"]["row_stride"] == 2


def test_who_retrains_leaves_the_champion_where_it_is(tmp_path: Path) -> None:
    first, second = bundle_files(seed=1), bundle_files(seed=2)
    dataset = RegistryDataset(path=str(tmp_path))
    with champions_stay():
        dataset.save(first)
        dataset.save(second)
        assert dataset.load().roles("development") == Roles(1)  # there was none
    dataset.save(second)
    assert dataset.load().roles("development") == Roles(2, None, 1)


def test_what_cannot_be_deployed_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadParameters, match="must be judged, best or one of"):
        build("sac", tmp_path)
    with pytest.raises(BadParameters, match="parameters of linear"):
        build("linear", tmp_path, parameters={"depth": 3})
    with pytest.raises(Exception, match="is a bundle") as refused:
        RegistryDataset(path=str(tmp_path)).save({"a": "text"})  # type: ignore[dict-item]
    assert isinstance(refused.value.__cause__ or refused.value, BadModel)


def deploy_agent(path: Path, wanted: str = "ppo", judged: str = "ppo", **changes: Any) -> Any:
    """The stage with an agent in the run, whose training is as small as `agent_bundles` has it."""
    here, models = market(), ["linear", "ppo"]
    told, held = agent_findings("ppo", here.rows)
    board = pd.concat([told.leaderboard, told.leaderboard.assign(strategy="linear")], ignore_index=True)
    verdict = told.verdict | {"strategy": judged}
    rules = rules_of("ppo").model_dump(mode="json") | changes
    parameters = PARAMETERS | {"reinforcement_learning": {"ppo": {"rules": rules}}}
    procedure = choose_procedure(board, verdict, models, parameters, DeploymentRules(model=wanted))
    names = {TERMS.universe.partition(name): name for name in TERMS.universe.symbols}
    plan = FoldPlan(n_folds=2, initial_share=0.5, holdout_share=0.15, scheme="expanding", embargo_bars=4)
    folds = make_folds(here.rows["timestamp"], plan, pd.Timedelta(hours=1), 4)
    files = build_bundle(
        procedure, {one: partial(_of, here.rows, name) for one, name in names.items()}, {}, verdict, board,
        TERMS.universe, AGENT_TERMS.trading, TERMS.selection, parameters,
        {one: partial(here.bars.get, name) for one, name in names.items()}, here.side,
        RegimePlan(rules={"least_bars": 200}), {}, folds, {"reinforcement_learning/ppo": lambda: held}, Stores(path),
        told.forecasts.assign(model="linear"),
    )  # fmt: skip
    dataset = RegistryDataset(path=str(path / "registry"))
    dataset.save(files)
    return dataset.load()


class Stores:
    """The stores of agents, below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, name: str) -> FolderModelStore:
        return FolderModelStore(self._folder / name)


def test_an_agent_that_is_named_or_judged_is_refitted_and_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = deploy_agent(tmp_path)
    bundle = registry.load(1)
    assert (bundle.spec.name, bundle.spec.family, bundle.spec.seed) == ("ppo", "agent", 7)
    assert bundle.spec.evidence.verdict == "go" and registry.roles("development") == Roles(1)
    # The same settings train the same agent: its probe, its policies and its positions are those of the helper's.
    for name in ("probe-positions.npy", "seed-0-policy.onnx", "seed-1-policy.onnx", GRAPH):
        assert bundle.files[name] == agent_files()[name]
    last = read_decisions(bundle.files[DECISIONS])
    assert set(last) == set(TERMS.universe.symbols) and np.isfinite(last["SIM2"].p_up)
    # What was judged is deployed; the best is a model that forecasts. Nothing is trained twice, and what is the
    # same to the byte is the same version.
    monkeypatch.setattr("tradewind.adaptive.rl.agents.train_agent", None)
    assert [one.name for one in deploy_agent(tmp_path, "judged").versions()] == ["ppo"]
    assert deploy_agent(tmp_path / "other", "best").load(1).spec.name == "linear"
    with pytest.raises(BadParameters, match="parameters of ppo"):
        deploy_agent(tmp_path, agent={"depth": 3})
    monkeypatch.setitem(extras.MODULES, "agents", ("no_such_library",))
    with pytest.raises(MissingExtra, match=r"ppo \(deployment.model\) needs no_such_library"):
        deploy_agent(tmp_path)


def test_a_history_too_short_for_a_model_of_regimes_gives_a_bundle_without_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("WARNING"):
        registry = build("best", tmp_path, least_bars=241)
    assert registry.load(1).regimes() is None
    assert "no model of regimes" in caplog.text and "needs 241 bars" in caplog.text
