import numpy as np
import pytest
from scipy import stats

from tests.data.quality.conftest import delivered, received
from tradewind.data.quality.drift import compare, drift_by_month, ks_distance, population_stability
from tradewind.data.quality.outliers import one_bar_returns
from tradewind.data.quality.rules import DriftRules
from tradewind.data.quality.tables import QualityDrift


def test_the_stability_index_is_that_of_a_sum_by_hand() -> None:
    """Two bins, cut at the median 5.5: shares 0.5 and 0.5 before, 0.8 and 0.2 now."""
    reference, values = np.arange(1.0, 11.0), np.array([1.0, 2, 3, 4, 5, 1, 2, 3, 6, 7])
    expected = (0.8 - 0.5) * np.log(0.8 / 0.5) + (0.2 - 0.5) * np.log(0.2 / 0.5)
    assert population_stability(np.sort(values), reference, 2) == pytest.approx(expected)
    assert population_stability(reference, reference, 5) == 0
    # A bin without values counts as a share of 0.0001, so that the index stays finite.
    nowhere = (1 - 0.5) * np.log(1 / 0.5) + (1e-4 - 0.5) * np.log(1e-4 / 0.5)
    assert population_stability(np.full(9, 2.0), reference, 2) == pytest.approx(nowhere)


def test_repeated_values_join_bins() -> None:
    still = np.zeros(100)
    assert population_stability(still, still, 10) == 0
    assert np.isfinite(population_stability(still, np.sort(np.r_[still, np.ones(5)]), 10))


@pytest.mark.parametrize("seed", range(5))
def test_the_distance_is_scipys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, reference = np.sort(np.round(rng.normal(0.1, 1, 300), 1)), np.sort(np.round(rng.normal(0, 1.2, 700), 1))
    oracle = stats.ks_2samp(values, reference, method="asymp")
    assert ks_distance(values, reference) == pytest.approx(oracle.statistic, abs=1e-15)
    assert compare(values, reference, 10)[2] == pytest.approx(oracle.pvalue, rel=0.15)


def test_months_are_compared_with_the_month_before_that_has_bars() -> None:
    rows = delivered(24 * 121)  # January to April 2024
    rows["volume"] = np.where(rows.index < 24 * 60, rows["volume"], 3 * rows["volume"])
    rows["quote_volume"] = np.nan
    rows = rows.drop(index=range(24 * 31 + 50, 24 * 60))  # February has 50 bars: too few
    bars, _, _ = received(rows)
    drift = drift_by_month(bars, DriftRules(min_rows=40))
    QualityDrift.validate(drift)
    assert drift.groupby("quantity", sort=False).size().to_dict() == {"return": 3, "volume": 3, "range": 3}
    march = drift.set_index(["quantity", "month"]).loc[("volume", "2024-03")]
    february = bars.loc[bars["open_time"].dt.month == 2, "volume"]
    here = bars.loc[bars["open_time"].dt.month == 3, "volume"]
    assert (march["before"], march["rows_before"], march["rows"]) == ("2024-02", 50, 744)
    assert march["ks"] == pytest.approx(stats.ks_2samp(here, february).statistic)
    few = drift_by_month(bars, DriftRules(min_rows=100))
    assert few["month"].unique().tolist() == ["2024-04"]
    clean = few.set_index("quantity")
    assert clean.loc["volume", "psi"] < 0.1
    assert clean.loc["return", "rows"] == np.isfinite(one_bar_returns(bars))[bars["open_time"].dt.month == 4].sum()


def test_a_shift_shows_and_its_absence_does_not() -> None:
    rng = np.random.default_rng(1)
    one, two = np.sort(rng.normal(size=2000)), np.sort(rng.normal(size=2000))
    shifted = np.sort(rng.normal(1, 1, 2000))
    assert compare(one, two, 10)[0] < 0.03
    assert compare(one, two, 10)[2] > 0.01
    assert compare(shifted, one, 10)[0] > 0.5
    assert compare(shifted, one, 10)[2] < 1e-12
