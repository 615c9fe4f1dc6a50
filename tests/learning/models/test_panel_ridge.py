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


def slopes_by_hand(sample: Sample, beliefs: PanelRidgeParameters) -> list[np.ndarray]:
    """The same posterior means by loops and least squares: of the side, and of whether there is no move."""
    x = sample.x.to_numpy(dtype=np.float64)
    z = np.clip((x - x.mean(axis=0)) / x.std(axis=0), -5, 5)
    panel, columns = sample.panel, z.shape[1]
    assert panel is not None
    alike = np.corrcoef(z.T)
    slow = []
    for column in range(columns):
        together, alone = 0.0, 0.0
        for symbol in np.unique(panel.symbol):
            own = z[panel.symbol == symbol, column] - z[panel.symbol == symbol, column].mean()
            together += own[24:] @ own[:-24]
            alone += own[24:] @ own[24:]
        slow.append(max(np.clip(together / alone, 0, 1) ** beliefs.slowness, beliefs.fastest))
    prior = np.array(slow) / np.sqrt((alike**2).sum(axis=0))
    found = []
    for target, explained in (
        (sample.label * 1.0, beliefs.explained),
        ((sample.label == 0) * 1.0, beliefs.explained_size),
    ):
        y = (target - target.mean()) / target.std()
        pairs = [
            y[one] * y[other]
            for at in np.unique(panel.instant)
            for one in np.flatnonzero(panel.instant == at)
            for other in np.flatnonzero(panel.instant == at)
            if one != other
        ]
        alikeness = float(np.clip(np.mean(pairs), 0, 0.95))
        rows = np.column_stack([z, y])
        for at in np.unique(panel.instant):
            here = panel.instant == at
            part = 1 - np.sqrt((1 - alikeness) / (1 + (here.sum() - 1) * alikeness))
            rows[here] -= part * rows[here].mean(axis=0)
        rows *= np.sqrt(sample.weight / (HORIZON * (1 - alikeness)))[:, None]
        believed = np.diag(np.sqrt((prior**2).sum() / explained) / prior)
        design, wanted = np.vstack([rows[:, :-1], believed]), np.r_[rows[:, -1], np.zeros(columns)]
        found.append(np.linalg.lstsq(design, wanted, rcond=None)[0] * target.std())
    return found


def test_its_slopes_are_those_of_the_beliefs_by_hand() -> None:
    """Weights, the day of the slowness, the horizon of the labels, one symbol at a time, symbols that move together."""
    rows, _ = market(5, instants=260, columns=6)
    rng = np.random.default_rng(6)
    rows = rows[rng.random(len(rows)) > 0.15].reset_index(drop=True)
    rows = rows.assign(weight=rng.uniform(0.05, 2.0, len(rows)))
    # Levels that differ by symbol are no slowness.
    rows["f2"] += rows["symbol"].map({"S0": -1.0, "S1": 0.0, "S2": 1.0}).astype(np.float32)
    sample = Sample.from_rows(rows)
    assert sample.panel is not None
    # Rows are missing, so that a horizon has not 12 rows and a day not 24: as a whole table both are exact.
    sample = Sample(sample.x, sample.label, sample.forward_return, sample.weight, Panel(
        sample.panel.symbol, sample.panel.instant, sample.panel.instant + HORIZON, sample.panel.instant + 24,
    ))  # fmt: skip
    beliefs = PanelRidgeParameters()
    model = PanelRidgeForecaster(beliefs, 0).fit_samples(sample, sample, sample)
    down, flat, up = np.array(model.state["slope"])
    side, size = slopes_by_hand(sample, beliefs)
    np.testing.assert_allclose(down, -up, rtol=1e-12)
    np.testing.assert_allclose(up / np.linalg.norm(up), side / np.linalg.norm(side), atol=1e-9)
    np.testing.assert_allclose(flat / np.linalg.norm(flat), size / np.linalg.norm(size), atol=1e-9)


def test_it_takes_no_side_for_the_drift_of_the_past() -> None:
    rows, _ = market(1, instants=800, columns=6)
    rising = rows[(rows["label"] != -1) | (np.arange(len(rows)) % 3 == 0)].reset_index(drop=True)
    sample = Sample.from_rows(rising)
    model = PanelRidgeForecaster(PanelRidgeParameters(), 0).fit_samples(sample, sample, sample)
    assert (rising["label"] == 1).mean() > 1.5 * (rising["label"] == -1).mean()
    assert model.state["offset"][0] == model.state["offset"][2]
