import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.market.segments import assign_segments, missing_before

BAR = 60_000


def test_a_hole_longer_than_allowed_starts_a_new_segment() -> None:
    opened = np.array([0, 1, 4, 8, 9], np.int64) * BAR  # 2 missing, then 3
    assert missing_before(opened, BAR).tolist() == [0, 0, 2, 3, 0]
    assert assign_segments(opened, BAR, max_gap_bars=2).tolist() == [0, 0, 0, 1, 1]
    assert assign_segments(opened, BAR, max_gap_bars=3).tolist() == [0, 0, 0, 0, 0]
    assert assign_segments(opened, BAR, max_gap_bars=0).tolist() == [0, 0, 1, 2, 2]
    assert assign_segments(opened, BAR, max_gap_bars=0).dtype == np.int32


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 20), max_size=60), st.integers(0, 10))
def test_no_segment_holds_a_long_hole_and_none_is_split_without_one(steps: list[int], allowed: int) -> None:
    opened = np.cumsum([0, *steps]).astype(np.int64) * BAR
    segment = assign_segments(opened, BAR, allowed)
    is_new = np.diff(segment) == 1
    assert (is_new == (np.array(steps, dtype=np.int64) - 1 > allowed)).all()
    assert segment[0] == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 20), min_size=2, max_size=60), st.data())
def test_cutting_the_history_does_not_move_a_boundary(steps: list[int], data: st.DataObject) -> None:
    opened = np.cumsum([0, *steps]).astype(np.int64) * BAR
    cut = data.draw(st.integers(1, len(opened)))
    assert (assign_segments(opened, BAR, 3)[:cut] == assign_segments(opened[:cut], BAR, 3)).all()
