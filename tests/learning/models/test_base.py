"""What every model is given: weights of mean 1, whole instants, and returns of classes by weight."""

import numpy as np
import pandas as pd
import pytest

from tradewind.learning.models.base import Panel, Sample, thin
from tradewind.learning.models.calibration import ProbabilityScaling, fit_scaling
from tradewind.learning.models.linear import LinearForecaster, LinearParameters


def rows_of(instants: int, symbols: int = 3) -> pd.DataFrame:
    """Model-input rows of symbols of which the last begins late, so that instants have not all as many rows."""
    at = pd.date_range("2024-01-01", periods=instants, freq="h", tz="UTC").as_unit("ms")
    parts = [
        pd.DataFrame({"symbol": f"S{number}", "timestamp": at, "horizon_end": at + pd.Timedelta(hours=6)})[
            (instants // 3 if number == symbols - 1 else 0) :
        ]
        for number in range(symbols)
    ]
    rows = pd.concat(parts).sort_values(["timestamp", "symbol"], ignore_index=True)
    rng = np.random.default_rng(instants)
    label = rng.integers(-1, 2, len(rows)).astype(np.int8)
    return rows.assign(
        a=rng.standard_normal(len(rows)).astype(np.float32), label=label, weight=rng.uniform(0.1, 9.0, len(rows)),
        forward_return=0.01 * label + 0.01 * rng.standard_normal(len(rows)), exit_time=rows["horizon_end"],
    )  # fmt: skip


def test_weights_have_the_mean_one_whatever_their_scale() -> None:
    rows = rows_of(50)
    weights = [Sample.from_rows(rows.assign(weight=scale * rows["weight"])).weight for scale in (1.0, 1e-3, 500.0)]
    assert weights[0].mean() == pytest.approx(1.0)
    for one in weights[1:]:
        np.testing.assert_allclose(one, weights[0], rtol=1e-12)


@pytest.mark.parametrize("stride", [1, 2, 5])
def test_thinning_keeps_whole_instants_of_all_symbols(stride: int) -> None:
    rows = rows_of(60)
    kept = thin(rows, stride)
    by_instant = pd.Series(kept).groupby(rows["timestamp"].to_numpy()).agg(["min", "max"])
    assert (by_instant["min"] == by_instant["max"]).all()
    assert by_instant["max"].sum() == 60 // stride
    places = np.flatnonzero(by_instant["max"].to_numpy())
    assert (np.diff(places) == stride).all()


def test_a_day_is_a_day_and_a_horizon_the_labels() -> None:
    panel = Panel.from_rows(rows_of(100))
    assert (panel.day_rows(), panel.horizon_rows()) == (24, 6)


def test_the_expected_return_is_that_of_the_classes_by_weight() -> None:
    rows = rows_of(400)
    sample = Sample.from_rows(rows)
    model = LinearForecaster(LinearParameters(), 0).fit_samples(sample, sample, sample)
    means = []
    for kind in (-1, 0, 1):
        own = rows[rows["label"] == kind]
        means.append((own["weight"] * own["forward_return"]).sum() / own["weight"].sum())
        assert abs(means[-1] - own["forward_return"].mean()) > 1e-5, "the weights must matter here"
    said = model.predict(rows)
    wanted = said[["p_down", "p_flat", "p_up"]].to_numpy() @ np.array(means)
    np.testing.assert_allclose(said["expected_return"], wanted, rtol=1e-9)


def test_calibration_takes_no_side() -> None:
    """Weeks that went up calibrate: how likely a move is may change, which way it goes may not."""
    rng = np.random.default_rng(1)
    given = rng.dirichlet([2.0, 2.0, 2.0], 500)
    label = np.where(rng.random(500) < 0.1, 0, 1).astype(np.int8)
    scaling = fit_scaling(given, label)
    assert scaling.move_offset > 0.3
    even = np.array([[0.3, 0.4, 0.3], [0.1, 0.8, 0.1]])
    said = scaling.apply(even)
    np.testing.assert_allclose(said[:, 0], said[:, 2], rtol=1e-12)
    assert (said[:, 1] < even[:, 1]).all()
    plain = ProbabilityScaling(move_offset=0.7).apply(given)
    np.testing.assert_allclose(plain[:, 2] / plain[:, 0], given[:, 2] / given[:, 0], rtol=1e-9)
