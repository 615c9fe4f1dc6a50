"""Windows hold what lies before their row, whole, within one symbol and one run of bars."""

import numpy as np
import pandas as pd
import pytest

from tradewind.errors import BadData
from tradewind.learning.models.sequence.windows import Standardiser, make_windows


def rows(symbols: tuple[str, ...] = ("A", "B"), count: int = 60, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    at = pd.date_range("2024-01-01", periods=count, freq="h", tz="UTC").as_unit("ms")
    tables = [
        pd.DataFrame(rng.standard_normal((count, 3)).astype(np.float32), columns=list("xyz")).assign(
            symbol=symbol, timestamp=at, label=np.int8(0), forward_return=0.0, weight=1.0
        )
        for symbol in symbols
    ]
    # In the order of time, then symbol, as models get them.
    return pd.concat(tables).sort_values(["timestamp", "symbol"], kind="stable", ignore_index=True)


def naive(table: pd.DataFrame, values: np.ndarray, length: int) -> dict[int, np.ndarray]:
    """The windows one by one: the row's symbol, the last `length` hours, all of them there."""
    found = {}
    for place, row in enumerate(table.itertuples()):
        is_inside = (table["symbol"] == row.symbol) & (table["timestamp"] <= row.timestamp)
        part = table[is_inside & (table["timestamp"] > row.timestamp - pd.Timedelta(length, unit="h"))]
        if len(part) == length:
            found[place] = values[part.sort_values("timestamp").index]
    return found


@pytest.mark.parametrize("length", [1, 2, 7, 24])
def test_windows_are_those_of_a_plain_loop(length: int) -> None:
    table = rows().drop(index=[31, 40, 41, 77]).reset_index(drop=True)  # gaps
    standardiser = Standardiser.fitted(table)
    windows = make_windows(table, standardiser, length)
    expected = naive(table, standardiser.apply(table), length)
    assert set(windows.source.tolist()) == set(expected)
    gathered = windows.gather(np.arange(len(windows)))
    assert gathered.shape == (len(windows), length, 3) and gathered.dtype == np.float32
    for place, window in zip(windows.source.tolist(), gathered, strict=True):
        np.testing.assert_array_equal(window, expected[place])


def test_the_order_of_rows_does_not_matter() -> None:
    table = rows()
    shuffled = table.sample(frac=1, random_state=3)
    standardiser = Standardiser.fitted(table)
    usual, other = (make_windows(one, standardiser, 5) for one in (table, shuffled.reset_index(drop=True)))
    by_row = [
        dict(zip(one.iloc[w.source].set_index(["symbol", "timestamp"]).index, w.gather(np.arange(len(w))), strict=True))
        for one, w in ((table, usual), (shuffled, other))
    ]
    assert by_row[0].keys() == by_row[1].keys()
    assert all(np.array_equal(by_row[0][key], by_row[1][key]) for key in by_row[0])


def test_what_comes_after_a_row_is_not_in_its_window() -> None:
    table = rows()
    standardiser = Standardiser.fitted(table)
    cut = table["timestamp"].iloc[70]
    later = table["timestamp"] > cut
    other = table.copy()
    other.loc[later, list("xyz")] = 99.0
    usual, moved = (make_windows(one, standardiser, 6) for one in (table, other))
    known = np.flatnonzero((table["timestamp"].iloc[usual.source] <= cut).to_numpy())
    np.testing.assert_array_equal(usual.gather(known), moved.gather(known))
    after = np.setdiff1d(np.arange(len(usual)), known)
    assert not np.array_equal(usual.gather(after), moved.gather(after))


def test_standardising_knows_missing_constant_and_extreme_values() -> None:
    table = rows()
    table["y"] = np.float32(3.0)
    table.loc[5, "x"] = np.nan
    table.loc[6, "x"] = 1e9
    scaled = Standardiser.fitted(table.drop(index=6)).apply(table)
    assert scaled[5, 0] == 0.0 and scaled[6, 0] == 5.0 and not scaled[:, 1].any()
    assert abs(np.delete(scaled[:, 2], 6).mean()) < 0.05


def test_what_cannot_be_is_refused() -> None:
    table = rows()
    standardiser = Standardiser.fitted(table)
    with pytest.raises(BadData, match="no window of 61 bars fits .* 60"):
        make_windows(table, standardiser, 61)
    with pytest.raises(BadData, match="features that are missing: y"):
        make_windows(table.drop(columns="y"), standardiser, 5)
    table.loc[3, "z"] = np.inf
    with pytest.raises(BadData, match="feature z is infinite"):
        Standardiser.fitted(table)


@pytest.mark.slow
def test_windows_are_those_of_pytorch_forecasting() -> None:
    """The peer's own data set gives the same tensors, sample by sample."""
    from pytorch_forecasting import TimeSeriesDataSet

    table, length = rows(count=80), 12
    standardiser = Standardiser.fitted(table)
    windows = make_windows(table, standardiser, length)
    flat = table[["symbol"]].assign(
        time=((table["timestamp"] - table["timestamp"].min()) / pd.Timedelta(1, unit="h")).astype(int), target=0.0
    )
    flat[list("xyz")] = standardiser.apply(table)
    peer = TimeSeriesDataSet(
        flat, time_idx="time", target="target", group_ids=["symbol"], max_encoder_length=length,
        min_encoder_length=length, max_prediction_length=1, min_prediction_length=1,
        time_varying_unknown_reals=list("xyz"), scalers=dict.fromkeys("xyz"), target_normalizer=None,
    )  # fmt: skip
    theirs = {}
    for at in range(len(peer)):
        x, _ = peer[at]
        symbol = peer.decoded_index.iloc[at]["symbol"]
        last = int(peer.decoded_index.iloc[at]["time_idx_first"]) + length - 1
        theirs[symbol, last] = x["x_cont"][:length].numpy()
    found = dict(
        zip(
            zip(flat["symbol"].iloc[windows.source], flat["time"].iloc[windows.source], strict=True),
            windows.gather(np.arange(len(windows))), strict=True,
        )
    )  # fmt: skip
    both = theirs.keys() & found.keys()
    assert len(both) == len(theirs) > 100
    for key in both:
        np.testing.assert_array_equal(theirs[key], found[key])
