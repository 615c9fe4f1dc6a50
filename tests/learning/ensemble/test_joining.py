"""Every join of forecasts keeps to what had settled before each row; a join that does not is seen."""

from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from tests.depth import deep
from tests.learning.ensemble.test_combining import experts, loss
from tradewind.errors import BadData
from tradewind.learning.ensemble import FORECAST_JOINS
from tradewind.learning.ensemble.combining import online
from tradewind.learning.ensemble.joining import EnsembleRules, Method, join_forecasts
from tradewind.learning.ensemble.online import Hedge
from tradewind.learning.ensemble.tables import mean_forecasts
from tradewind.learning.models.base import PROBABILITIES, QUANTILES
from tradewind.learning.regimes.base import REGIMES
from tradewind.market import schema

ROWS, FOLD, HORIZON = 1600, 400, 12
AT = pd.date_range("2024-01-01", periods=ROWS, freq="h", tz="UTC", unit="ms")
RULES = EnsembleRules()


def tables(said: np.ndarray, rows: int = ROWS) -> list[pd.DataFrame]:
    made = []
    for place in range(said.shape[1]):
        keys = pd.DataFrame({"symbol": "A", "timestamp": AT[:rows], "fold": np.arange(rows) // FOLD})
        values = pd.DataFrame(said[:rows, place], columns=PROBABILITIES)
        of = {"model": f"m{place}", "family": "linear", "seed": 7, "path": -1, "horizon": HORIZON}
        table = keys.assign(**of, expected_return=0.01 * place, **dict.fromkeys(QUANTILES, np.nan))
        made.append(pd.concat([table, values], axis=1).dropna(subset=["p_up"]))
    return made


def outcomes(label: np.ndarray) -> pd.DataFrame:
    later = AT + pd.Timedelta(HORIZON, unit="h")
    return pd.DataFrame({"symbol": "A", "timestamp": AT, "label": label, "exit_time": later, "horizon_end": later})


def regimes(share: np.ndarray) -> dict[str, pd.DataFrame]:
    chances = {f"p_{name}": 0.0 for name in REGIMES} | {"p_trending": share, "p_ranging": 1 - share}
    return {"made/A/1h": pd.DataFrame({"symbol": "A", "timestamp": AT, **chances})}


@pytest.fixture(scope="module")
def market() -> tuple[np.ndarray, np.ndarray]:
    said, label = experts(4, ROWS, seed=3, noise=0.4)
    said[:, 3] = np.array([0.1, 0.1, 0.8])  # one that is of no use
    said[:200, 1], said[900:, 2] = np.nan, np.nan  # one begins late, one ends early
    return said, label


def joined(method: Method, said: np.ndarray, label: np.ndarray, share: Any = 0.5) -> pd.DataFrame:
    return join_forecasts(tables(said), method, outcomes(label), regimes(share * np.ones(ROWS)), RULES)


def test_the_names_are_those_that_parameters_may_name() -> None:
    assert get_args(Method) == FORECAST_JOINS
    for fault in ({"forecasts": ["median"]}, {"agents": ["loudest"]}, {"hedge_rate": 0}, {"share": 1}):
        with pytest.raises(ValidationError):
            EnsembleRules.model_validate(fault)


@pytest.mark.parametrize("method", FORECAST_JOINS)
def test_a_join_is_a_table_of_forecasts_and_what_settles_later_moves_nothing(
    method: Method, market: tuple[np.ndarray, np.ndarray]
) -> None:
    said, label = market
    found = joined(method, said, label)
    schema.Forecasts.validate(found)
    assert (found["model"] == method).all() and len(found) == ROWS
    np.testing.assert_allclose(found[PROBABILITIES].sum(axis=1), 1.0)
    for place in (30, 1599):
        other = label.copy()
        other[max(place - HORIZON, 0) :] = -other[max(place - HORIZON, 0) :]
        again = joined(method, said, other)
        pd.testing.assert_frame_equal(again.iloc[: place + 1], found.iloc[: place + 1])
    if method not in ("hard_vote", "by_uncertainty"):  # those two learn nothing
        early = label.copy()
        early[:1000] = -early[:1000]
        assert not joined(method, said, early).equals(found)


@pytest.mark.parametrize("method", ["hedge", "adahedge", "bernstein", "by_regime"])
def test_weights_that_count_unsettled_labels_are_seen(method: Method, market: tuple[np.ndarray, np.ndarray]) -> None:
    """The planted leak: outcomes said to be settled at their own bar."""
    said, label = market

    def leaking(of: np.ndarray) -> pd.DataFrame:
        told = outcomes(of)
        told["exit_time"] = told["horizon_end"] = told["timestamp"] - pd.Timedelta(1, unit="h")
        return join_forecasts(tables(said), method, told, regimes(np.full(ROWS, 0.5)), RULES)

    other = label.copy()
    other[800 - HORIZON :] = -other[800 - HORIZON :]
    assert not leaking(other).iloc[:801].equals(leaking(label).iloc[:801])


def test_all_silent_is_no_forecast_and_regimes_that_are_missing_are_named(
    market: tuple[np.ndarray, np.ndarray],
) -> None:
    said, label = market
    silent = said.copy()
    silent[500:510] = np.nan
    for method in FORECAST_JOINS:
        assert len(joined(method, silent, label)) == ROWS - 10
    with pytest.raises(BadData, match="run the regimes stage, or leave it out"):
        join_forecasts(tables(said), "by_regime", outcomes(label), {}, RULES)
    half = {"made/A/1h": regimes(np.full(ROWS, 0.5))["made/A/1h"].iloc[:700]}
    with pytest.raises(BadData, match="900 forecasts have no regime, the first A at 2024-01-30 04:00"):
        join_forecasts(tables(said), "by_regime", outcomes(label), half, RULES)
    with pytest.raises(BadData, match="an ensemble needs the forecasts of a model"):
        join_forecasts([], "hedge", outcomes(label), {}, RULES)


def test_an_expert_that_is_good_in_one_regime_is_used_there() -> None:
    said, label = experts(2, ROWS, seed=5, noise=0.0)
    rng, state = np.random.default_rng(6), (np.arange(ROWS) // 200) % 2
    noise = rng.dirichlet(np.full(3, 2.0), ROWS)
    said[state == 1, 0], said[state == 0, 1] = noise[state == 1], noise[state == 0]
    later = slice(ROWS // 4, None)  # once there was something to learn from
    best = loss(said[np.arange(ROWS), state][later], label[later])
    equal = loss(mean_forecasts(tables(said))[PROBABILITIES].to_numpy()[later], label[later])
    found = joined("by_regime", said, label, np.where(state == 0, 0.98, 0.02))
    mixed = loss(found[PROBABILITIES].to_numpy()[later], label[later])
    assert (equal - mixed) / (equal - best) > 0.9


def shares_of_loss(method: Method, seeds: range) -> list[float]:
    """Log loss beside the equal mean's, on markets of experts that are alike: there is nothing to gain."""
    out = []
    for seed in seeds:
        said, label = experts(6, ROWS, seed=seed, noise=0.7)
        mean = mean_forecasts(tables(said))[PROBABILITIES].to_numpy()
        out.append(loss(joined(method, said, label)[PROBABILITIES].to_numpy(), label) / loss(mean, label))
    return out


@pytest.mark.parametrize("method", ["inverse_loss", deep("hedge"), "adahedge", deep("bernstein"), deep("by_regime")])
def test_joins_that_learn_are_never_much_worse_than_the_equal_mean(method: Method) -> None:
    assert max(shares_of_loss(method, range(20))) < 1.005


def test_the_bound_sees_a_rule_that_runs_after_luck() -> None:
    """Weights without the mean among the experts go to who was lucky lately, and lose what the mean keeps."""
    said, label = experts(6, ROWS, seed=0, noise=0.7)
    bars = np.arange(ROWS)
    alone, _ = online(Hedge(0.2), said, label, bars, bars + HORIZON)
    mean = loss(mean_forecasts(tables(said))[PROBABILITIES].to_numpy(), label)
    assert loss(alone, label) > 1.005 * mean
