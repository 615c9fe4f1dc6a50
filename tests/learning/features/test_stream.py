"""A live stream gives the batch's own bits, stops and restarts, and refuses a state that is not its own."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from tradewind.errors import BadData
from tradewind.learning.features import audit, catalogue, price
from tradewind.learning.features.bars import CLOCK, COLUMNS, Chunk
from tradewind.learning.features.catalogue import FeatureSelection
from tradewind.learning.features.spec import Feature, feature
from tradewind.learning.features.stream import FeatureStream, Plan, compute_batch


@pytest.fixture(scope="module")
def features() -> tuple[Feature, ...]:
    return catalogue.select(FeatureSelection(slower_timeframes=("4h", "1d", "1w")), "1h", ("funding", "sentiment"))


def bar_of(chunk: Chunk, row: int, columns: tuple[str, ...]) -> dict[str, float]:
    named = {name: float(chunk.matrix([name])[0, row]) for name in columns if name not in CLOCK}
    times = {"open_time": int(chunk.open_time[row]), "timestamp": int(chunk.timestamp[row])}
    return {**named, **times, "segment": int(chunk.segment[row])}


def test_bar_by_bar_is_batch_to_the_last_bit_across_segments(chunk: Chunk, features: tuple[Feature, ...]) -> None:
    part = chunk.rows(300, 1700)
    whole = audit.compute(features, part)
    stream = FeatureStream(features)
    stream.advance(part.rows(0, 200))
    for row in range(200, len(part)):
        values = stream.push(bar_of(part, row, stream.columns))
        np.testing.assert_array_equal(values, whole[:, row])


def test_a_stream_goes_on_where_it_was_stopped_anywhere(chunk: Chunk, features: tuple[Feature, ...]) -> None:
    whole = audit.compute(features, chunk)
    stream, start = FeatureStream(features), 0
    for stop in (1, 333, 999, 1000, 1001, 1500, 1501, len(chunk)):
        values = stream.advance(chunk.rows(start, stop))
        np.testing.assert_array_equal(values, whole[:, start:stop])
        stream = FeatureStream.from_bytes(features, stream.to_bytes())  # as after a restart
        start = stop


def test_a_state_that_is_not_its_own_is_refused(chunk: Chunk, features: tuple[Feature, ...]) -> None:
    stream = FeatureStream(features[:20])
    stream.advance(chunk.rows(0, 50))
    saved = stream.to_bytes()
    with pytest.raises(BadData, match="belongs to other features"):
        FeatureStream.from_bytes(features[:19], saved)
    with pytest.raises(BadData, match="damaged"):
        FeatureStream.from_bytes(features[:20], saved[:-1])
    with pytest.raises(BadData, match="damaged"):
        FeatureStream.from_bytes(features[:20], saved[:-9] + b"\x01" + saved[-8:])
    for broken in (b"", b"{}\n", b"no json\n" + saved):
        with pytest.raises(BadData, match="must begin with its plan"):
            FeatureStream.from_bytes(features[:20], broken)


def test_a_bar_without_a_column_is_refused_by_name(chunk: Chunk, features: tuple[Feature, ...]) -> None:
    stream = FeatureStream(features)
    bar = bar_of(chunk, 0, stream.columns)
    for name in ("close", "side:funding", "timestamp"):
        with pytest.raises(BadData, match=name):
            stream.push({key: value for key, value in bar.items() if key != name})


def test_what_goes_into_a_state_copy_stays_there(chunk: Chunk) -> None:
    one = price.log_return(24)
    state, _ = one.advance(None, chunk.rows(0, 100))
    first = one.advance(state, chunk.rows(100, 200))[1]
    np.testing.assert_array_equal(one.advance(state, chunk.rows(100, 200))[1], first)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_threads_changes_no_bit(chunk: Chunk, features: tuple[Feature, ...], threads: int) -> None:
    wanted = audit.compute(features, chunk).astype(np.float32)
    np.testing.assert_array_equal(compute_batch(features, chunk, threads), wanted)


def test_equal_parts_are_computed_once(features: tuple[Feature, ...]) -> None:
    together = len(Plan(features)._base.table)
    apart = sum(len(Plan((one,))._base.table) for one in features if not one.slow_ms)
    assert together < 0.7 * apart


@feature(tier=2, unit="log-return", lookback=lambda window: window - 1)
def in_python(bars: Chunk, window: int) -> np.ndarray:
    """Log distance of the close from its median, which no operator gives without sorting twice."""
    view = np.lib.stride_tricks.sliding_window_view(bars.close, min(window, len(bars)))
    return np.append(
        np.full(len(bars) - len(view), np.nan), np.log(bars.close[len(bars) - len(view) :] / np.median(view, axis=1))
    )


def test_a_feature_in_plain_python_obeys_the_same_laws(chunk: Chunk) -> None:
    mine = [in_python(24), price.log_return(3)]
    assert audit.audit(mine, chunk, n_cuts=30) == []
    np.testing.assert_array_equal(compute_batch(mine, chunk)[0], audit.compute(mine, chunk)[0].astype(np.float32))


def test_features_in_python_stream_and_restart_as_well(chunk: Chunk) -> None:
    mine = [in_python(24), price.log_return(3)]
    part = chunk.rows(900, 1100)
    whole, stream = audit.compute(mine, part), FeatureStream(mine)
    for row in range(len(part)):
        bar = {name: getattr(part, name)[row] for name in COLUMNS}
        bar |= {f"side:{name}": values[row] for name, values in part.side.items()}
        np.testing.assert_array_equal(stream.push(bar), whole[:, row])
        if row % 7 == 0:
            stream = FeatureStream.from_bytes(mine, stream.to_bytes())
    with pytest.raises(BadData, match="no column 'close'"):
        stream.push({name: value for name, value in bar.items() if name != "close"})


def test_a_python_state_without_a_form_in_bytes_is_refused(chunk: Chunk) -> None:
    odd = replace(in_python(24), step=lambda state, bars: (object(), bars.close))
    stream = FeatureStream([odd])
    stream.advance(chunk.rows(0, 5))
    with pytest.raises(BadData, match="no form in bytes"):
        stream.to_bytes()


def test_a_week_of_hours_may_begin_anywhere(chunk: Chunk) -> None:
    """Weekly bars are whole or not there, wherever the history begins."""
    weekly = [
        f for f in catalogue.select(FeatureSelection(slower_timeframes=("1w",)), "1h", ()) if f.name.endswith("_1w")
    ]
    whole = audit.compute(weekly, chunk)
    for start in (1, 23, 100):
        part = audit.compute(weekly, chunk.rows(start, 1000))
        known = np.isfinite(part) & np.isfinite(whole[:, start:1000])
        np.testing.assert_allclose(part[known], whole[:, start:1000][known], rtol=1e-9)


def test_the_machine_takes_no_other_values_under_another_hash_seed(chunk: Chunk) -> None:
    code = (
        "from tradewind.learning.features import catalogue; from tradewind.learning.features.stream import Plan;"
        "print(Plan(catalogue.select(catalogue.FeatureSelection(), '1h', ('funding',))).fingerprint())"
    )
    prints = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(prints) == 1
