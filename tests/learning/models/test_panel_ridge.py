"""The panel ridge: what each belief is worth, and that it is what its description says."""

import numpy as np
import pandas as pd
import pytest

from tradewind.learning.models.base import Panel, Sample
from tradewind.learning.models.panel_ridge import (
    PanelRidgeForecaster,
    PanelRidgeParameters,
    _correlation,
    _less_common,
)

HORIZON, SYMBOLS = 12, 3


def market(seed: int, instants: int = 2500, columns: int = 40) -> tuple[pd.DataFrame, np.ndarray]:
    """Model-input rows of symbols that move together, and the true drift of each: the first column is slow and tells
    it, the second tells how a symbol will do beside the others, the rest is noise, half of it twice."""
    rng = np.random.default_rng(seed)
    slow, fast = np.zeros((instants, SYMBOLS, 2)), rng.standard_normal((instants, SYMBOLS, columns - 2))
    for at in range(1, instants):
        slow[at] = 0.99 * slow[at - 1] + np.sqrt(1 - 0.99**2) * rng.standard_normal((SYMBOLS, 2))
    fast[:, :, ::2] = fast[:, :, 1::2] + 0.1 * fast[:, :, ::2]
    drift = 0.03 * (slow[:, :, 0] + slow[:, :, 1])
    shock = 0.8 * rng.standard_normal((instants, 1)) + 0.6 * rng.standard_normal((instants, SYMBOLS))
    moved = np.cumsum(np.vstack([drift + shock, shock[:HORIZON]]), axis=0)
    ahead = (moved[HORIZON:] - moved[:-HORIZON]) / np.sqrt(HORIZON)
    at = pd.date_range("2023-01-01", periods=instants, freq="h", tz="UTC").as_unit("ms")
    parts = []
    for symbol in range(SYMBOLS):
        x = np.column_stack([slow[:, symbol], fast[:, symbol]]).astype(np.float32)
        label = (np.digitize(ahead[:, symbol], [-0.5, 0.5]) - 1).astype(np.int8)
        parts.append(
            pd.DataFrame(x, columns=[f"f{number}" for number in range(columns)]).assign(
                symbol=f"S{symbol}", timestamp=at, horizon_end=at + pd.Timedelta(hours=HORIZON), label=label,
                forward_return=0.01 * ahead[:, symbol], weight=1.0, drift=drift[:, symbol],
            )
        )  # fmt: skip
    rows = pd.concat(parts).sort_values(["timestamp", "symbol"], ignore_index=True)
    return rows.drop(columns="drift").assign(exit_time=rows["horizon_end"]), rows["drift"].to_numpy()


def known(rows: pd.DataFrame, drift: np.ndarray, with_panel: bool = True, **beliefs: float) -> float:
    """How well what was learned from the first half tells the drift of the second."""
    first = rows["timestamp"] < rows["timestamp"].iloc[len(rows) // 2]
    sample = Sample.from_rows(rows[first])
    if not with_panel:
        sample = Sample(sample.x, sample.label, sample.forward_return, sample.weight)
    model = PanelRidgeForecaster(PanelRidgeParameters(**beliefs), 0).fit_samples(sample, sample, sample)
    said = model.predict(rows[~first])
    return float(np.corrcoef(said["p_up"] - said["p_down"], drift[~first])[0, 1])


def test_every_belief_helps_to_find_a_slow_drift() -> None:
    found = {name: [] for name in ("all", "no_slowness", "no_panel", "nothing_believed")}
    for seed in range(4):
        rows, drift = market(seed)
        found["all"].append(known(rows, drift))
        found["no_slowness"].append(known(rows, drift, slowness=0.0))
        found["no_panel"].append(known(rows, drift, with_panel=False))
        found["nothing_believed"].append(known(rows, drift, slowness=0.0, explained=0.9))
    mean = {name: float(np.mean(values)) for name, values in found.items()}
    assert mean["all"] > 0.5
    assert mean["all"] > mean["no_slowness"] + 0.1
    assert mean["all"] > mean["no_panel"] + 0.02
    assert mean["no_slowness"] > mean["nothing_believed"]


def test_errors_are_left_uncorrelated_however_many_symbols_there_are() -> None:
    rng, correlation = np.random.default_rng(1), 0.6
    instant = np.sort(rng.integers(0, 6000, 20_000))
    instant = np.unique(instant, return_inverse=True)[1]
    common = rng.standard_normal(instant.max() + 1)[instant]
    error = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * rng.standard_normal(len(instant))
    panel = Panel(np.zeros_like(instant), instant, instant + 1, instant + 1)
    assert _correlation(error, panel) == pytest.approx(correlation, abs=0.03)
    left = _less_common(error[:, None], panel, correlation)[:, 0]
    assert _correlation(error, panel) > 0.5 > 0.03 > abs(_correlation(left, panel))
    for count in (1, 2, 4):
        of_so_many = np.bincount(instant)[instant] == count
        assert left[of_so_many].var() == pytest.approx(1 - correlation, rel=0.1)


def test_the_size_of_forecasts_is_what_was_set() -> None:
    rows, _ = market(1)
    for asked in (0.05, 0.11, 0.2):
        sample = Sample.from_rows(rows)
        model = PanelRidgeForecaster(PanelRidgeParameters(deviation=asked), 0).fit_samples(sample, sample, sample)
        said = model.predict(rows)
        assert (said["p_up"] - said["p_down"]).std() == pytest.approx(asked, rel=0.05)
        assert abs(float((said["p_up"] - said["p_down"]).mean())) < 0.02  # takes no side for the past's drift
        assert said["p_flat"].mean() == pytest.approx((rows["label"] == 0).mean(), abs=0.03)


def test_the_horizon_is_counted_in_rows_that_are_there() -> None:
    rows, _ = market(2, instants=300)
    assert Panel.from_rows(rows).horizon_rows() == HORIZON
    assert Panel.from_rows(rows).day_rows() == 24
    every_third = rows[rows["timestamp"].rank(method="dense") % 3 == 0]
    assert Panel.from_rows(every_third).horizon_rows() == HORIZON // 3
    assert Panel.from_rows(every_third).day_rows() == 8
    assert Panel.of_one_symbol(5).horizon_rows() == Panel.of_one_symbol(5).day_rows() == 1


def test_columns_without_values_and_constant_ones_change_nothing() -> None:
    rows, drift = market(3, instants=1200)
    more = rows.assign(f98=np.float32("nan"), f99=np.float32(3.0))
    assert known(more, drift) == pytest.approx(known(rows, drift), abs=0.01)
