"""One part of a cost: what its interval is made of, and that a fee is the maker's for what is met."""

import numpy as np
import pytest

from tests.trading.execution.forecasts.test_forecasts import TERMS, simulated
from tradewind.trading.execution.forecasts.costs import FEATURES, FILL, POST_THEN_CROSS, fit_forecast
from tradewind.trading.execution.forecasts.parts import Sample, fit_amount


def outcomes(seed: int, noise: float, rows: int = 400) -> Sample:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 2))
    return Sample(x, 1.0 + x[:, 0] + noise * rng.normal(size=rows), np.arange(rows) // 4)


@pytest.mark.parametrize("noise", [0.2, 1.0, 5.0])
def test_an_interval_is_as_wide_as_the_errors_of_the_calibration_and_not_of_what_was_learnt_from(noise: float) -> None:
    calibrate = outcomes(2, noise)
    said = fit_amount(outcomes(1, 1.0), calibrate).predict(calibrate.x)
    below, above = calibrate.y < said.low, calibrate.y > said.high
    # Of 400 errors the 20th (21st) from either end: a twentieth lies beyond each.
    assert below.sum() == pytest.approx(19, abs=1) and above.sum() == pytest.approx(19, abs=1)
    assert (said.high - said.low).mean() == pytest.approx(2 * 1.645 * noise, rel=0.25)


def test_a_fee_is_the_makers_for_the_share_that_is_met() -> None:
    table = simulated()
    forecast = fit_forecast(table, TERMS, np.random.default_rng(2))
    x = table[list(FEATURES)].to_numpy()[:200].copy()
    x[0, list(FEATURES).index("log_queue")], x[1, list(FEATURES).index("log_queue")] = -40.0, 40.0
    said = forecast.predict(POST_THEN_CROSS, x)
    share, fee = said[FILL], said["fee"]
    np.testing.assert_allclose(fee.mean, 5.0 - 3.0 * share.mean, rtol=1e-12)
    assert fee.mean[0] == pytest.approx(5.0, abs=1e-3) and fee.mean[1] == pytest.approx(2.0, abs=1e-3)
    assert (fee.low <= fee.mean).all() and (fee.mean <= fee.high).all()
