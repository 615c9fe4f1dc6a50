"""The study finds a planted signal, gives noise an honest interval, and sees a drift."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from threadpoolctl import threadpool_info, threadpool_limits

from tradewind.learning.features import study
from tradewind.learning.features.study import drift_by_year, histograms, information_coefficients

HOURS = 2 * 365 * 24


def history(seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    ahead = rng.normal(size=HOURS)
    table = pd.DataFrame(
        {
            "timestamp": pd.date_range("2022-01-01", periods=HOURS, freq="h", tz="UTC"),
            "known": 0.1 * ahead + rng.normal(size=HOURS),
            "noise": rng.normal(size=HOURS),
            "constant": np.ones(HOURS),
        }
    )
    return table, np.stack([ahead, rng.normal(size=HOURS)])


def test_a_planted_signal_is_found_at_its_horizon_and_nowhere_else() -> None:
    table, returns = history(1)
    found = information_coefficients({"A": table}, {"A": returns}, ["known", "noise", "constant"], [1, 24])
    found = found.set_index(["feature", "horizon"])
    assert found.loc[("known", 1), "low"] > 0.07
    assert found.loc[("known", 1), "ic"] == pytest.approx(spearmanr(table["known"], returns[0])[0], abs=1e-3)
    assert abs(found.loc[("known", 24), "ic"]) < 0.03
    assert found.loc[("constant", 1), ["ic", "low", "high"]].abs().max() == 0
    assert (found["months"] == 24).all()


def test_nine_intervals_in_ten_hold_zero_on_noise() -> None:
    rng = np.random.default_rng(2)
    table, returns = history(3)
    names = [f"noise_{number}" for number in range(300)]
    table = pd.concat([table, pd.DataFrame(rng.normal(size=(HOURS, 300)), columns=names)], axis=1)
    found = information_coefficients({"A": table}, {"A": returns[:1]}, names, [1])
    covered = ((found["low"] <= 0) & (found["high"] >= 0)).mean()
    assert covered == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / 300))


def test_missing_values_take_no_part() -> None:
    table, returns = history(4)
    table.loc[:999, "known"] = np.nan
    found = information_coefficients({"A": table}, {"A": returns}, ["known"], [1, 24])
    expected = spearmanr(table["known"][1000:], returns[0, 1000:])[0]
    assert found["ic"].iloc[0] == pytest.approx(expected, abs=5e-3)


def test_a_year_that_differs_shows_in_the_stability_index() -> None:
    table, _ = history(5)
    steady = drift_by_year({"A": table}, ["noise"])
    assert list(steady["year"]) == [2022, 2023] and (steady["psi"] < 0.01).all()
    assert steady["q50"].abs().max() < 0.1
    moved = drift_by_year(
        {"A": table.assign(noise=table["noise"] + 2 * (table["timestamp"].dt.year == 2023))}, ["noise"]
    )
    assert (moved["psi"] > 0.25).all()


def test_the_bins_of_a_histogram_add_up() -> None:
    table, _ = history(6)
    found = histograms({"A": table}, ["noise", "constant"])
    assert found.groupby("feature")["share"].sum().to_numpy() == pytest.approx([1, 1])
    assert found[found["feature"] == "noise"]["share"].to_numpy()[8:16].sum() > 0.5


def test_sums_are_made_by_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """With more, their order and so their last digits would depend on the machine."""
    table, returns = history(7)
    used: list[int] = []

    class Seen(np.ndarray):
        def __matmul__(self, other: np.ndarray) -> np.ndarray:
            used.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
            return np.asarray(self) @ np.asarray(other)

    monkeypatch.setattr(study, "_scores", lambda values, scores=study._scores: scores(values).view(Seen))
    with threadpool_limits(2):
        information_coefficients({"A": table}, {"A": returns}, ["known", "noise"], [1, 24])
    assert used and set(used) == {1}
