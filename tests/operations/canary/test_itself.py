"""A refit is judged by its own folds and by the labels that calibrated it, whatever family the champion is of."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.depth import deep
from tests.operations.bundles import NAMES, TERMS, bundle_files, findings, model_rows
from tradewind.learning.models.boosting import BoostingParameters
from tradewind.learning.models.linear import LinearParameters
from tradewind.learning.models.walk_forward import TrainingRules
from tradewind.metrics.agreement import agreement_and_ratio
from tradewind.operations.bundle.contents import Bundle
from tradewind.operations.bundle.making import Procedure, refit, settled
from tradewind.operations.bundle.measuring import edges_of
from tradewind.operations.bundle.past import ITSELF, MOST, PAST, about_itself, past_inputs
from tradewind.operations.canary.itself import Itself, fault_of

# Looser than the defaults: a world of a few hundred rows has less to learn from than years of a market.
PROCEDURES = {
    "linear": Procedure("linear", LinearParameters(c=1.0), TrainingRules(), 7),
    "lightgbm": Procedure(
        "lightgbm",
        BoostingParameters(
            min_child_weight=20.0, reg_lambda=1.0, colsample=1.0, learning_rate=0.1, n_estimators=60
        ),
        TrainingRules(max_rounds=60), 7,
    ),
}  # fmt: skip
VALUES = ["p_down", "p_flat", "p_up", "expected_return"]


class Planted:
    """A refit that says something else than was learnt."""

    def __init__(self, model: Any, fault: str) -> None:
        self._model, self._fault = model, fault

    def predict(self, rows: pd.DataFrame, testing: Any = None) -> pd.DataFrame:
        said = self._model.predict(rows, testing)[VALUES].to_numpy(np.float64)
        match self._fault:
            case "inverted":
                said = said[:, [2, 1, 0, 3]]
            case "three times overconfident":
                said[:, :3] **= 3
                said[:, :3] /= said[:, :3].sum(axis=1, keepdims=True)
            case "wrong symbol":
                said = said.reshape(-1, 2, 4)[:, ::-1].reshape(-1, 4)  # two symbols, in turn
        return pd.DataFrame(said, columns=VALUES, index=rows.index)


def about(name: str, seed: int, fault: str = "", learnt: Any = None) -> dict[str, Any]:
    """A refit of a world's rows beside honest folds; `learnt` changes what it is trained on."""
    rows, procedure = settled(model_rows(seed, 700)), PROCEDURES[name]
    told = findings(name, "go", rows).forecasts
    edges = edges_of(told.assign(edge=told["p_up"] - told["p_down"]), TERMS.universe.symbols)
    model: Any = Planted(refit(procedure, learnt(rows) if learnt else rows), fault)
    return about_itself(model, rows, procedure.training.calibration_share, edges, TERMS.universe.symbols)


@pytest.mark.parametrize("seeds", [2, deep(100)])
@pytest.mark.parametrize("name", ["linear", "lightgbm"])
def test_an_honest_refit_of_any_family_has_no_fault(name: str, seeds: int) -> None:
    found = [about(name, seed) for seed in range(seeds)]
    assert [fault_of(Itself.of(one)) for one in found] == [None] * seeds
    slopes = [one["slope"] for one in found]
    print(f"{name}: slopes {min(slopes):.2f} to {max(slopes):.2f}, ratios {min(one['ratio'] for one in found):.2f} to "
          f"{max(one['ratio'] for one in found):.2f}")  # fmt: skip


@pytest.mark.parametrize("seeds", [2, deep(100)])
@pytest.mark.parametrize("name", ["linear", "lightgbm"])
@pytest.mark.parametrize("fault", ["inverted", "three times overconfident", "wrong symbol"])
def test_a_refit_with_a_fault_is_known_before_it_answers(name: str, fault: str, seeds: int) -> None:
    assert None not in [fault_of(Itself.of(about(name, seed, fault))) for seed in range(seeds)]


@pytest.mark.parametrize("seeds", [2, deep(100)])
def test_one_that_learnt_turned_labels_is_known_by_folds_and_by_labels(seeds: int) -> None:
    def turned(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(label=-rows["label"])

    for seed in range(seeds):
        found = about("linear", seed, learnt=turned)
        assert found["slope"] < 0.6 and found["agreement"] < 0.25
        for one in (Itself(found["slope"], None, None), Itself(1.0, found["agreement"], 1.0)):
            assert fault_of(one) is not None, "either reference would have said so alone"


def test_folds_that_never_move_or_are_few_say_nothing() -> None:
    assert agreement_and_ratio(np.zeros(500), np.ones(500)) == (None, None)
    assert agreement_and_ratio(np.arange(50.0), np.arange(50.0)) == (None, None)
    assert fault_of(Itself(1.0, None, None)) is None
    assert fault_of(Itself(0.7, 0.9, 1.5)) is None  # a little bold, and no wider than its folds
    assert fault_of(Itself(0.7, 0.9, 2.5)) is not None


@pytest.mark.parametrize(("name", "shape"), [("linear", (3,)), pytest.param("lstm", (3, 3), marks=pytest.mark.depth)])
def test_a_bundle_holds_past_inputs_and_what_is_known_of_itself(name: str, shape: tuple[int, ...]) -> None:
    bundle = Bundle.from_files(bundle_files(name), "")
    past = bundle.array(PAST)
    assert past.dtype == np.float32 and past.shape == (MOST, *shape)
    assert fault_of(Itself.of(bundle.document(ITSELF))) is None


def test_past_rows_are_the_newest_of_all_symbols() -> None:
    rows, past = settled(model_rows(1)), Bundle.from_files(bundle_files("linear"), "").array(PAST)
    newest = rows[rows["timestamp"] >= rows["timestamp"].quantile(0.75)]
    of_symbol = {
        symbol: {tuple(row) for row in own[list(NAMES)].to_numpy(np.float32).tolist()}
        for symbol, own in newest.groupby("symbol")
    }
    whose = [[symbol for symbol, own in of_symbol.items() if tuple(row) in own] for row in past.tolist()]
    assert {len(one) for one in whose} == {1} and {one[0] for one in whose} == set(TERMS.universe.symbols)


def test_without_a_whole_window_there_are_no_past_inputs() -> None:
    model = type("OfWindows", (), {"window_bars": 50, "features": ("rsi_14",)})()
    rows = settled(model_rows(1, 30))
    assert past_inputs(rows, model, True).shape == (0, 50, 1)
