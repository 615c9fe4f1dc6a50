import numpy as np
import pandas as pd

from tradewind.reports.gaps import gap_heatmap

GAPS = pd.DataFrame(
    {
        "symbol": ["A", "A", "B"],
        "month": ["2024-01", "2024-04", "2024-03"],
        "expected_bars": [10, 10, 10],
        "missing_bars": [0, 10, 5],
        "missing_share": [0.0, 1.0, 0.5],
    }
)


def test_each_symbol_and_month_shows_its_share_and_months_without_history_are_blank() -> None:
    (heatmap,) = gap_heatmap(GAPS).data
    assert list(heatmap.x) == ["2024-01", "2024-02", "2024-03", "2024-04"]
    assert list(heatmap.y) == ["A", "B"]
    np.testing.assert_equal(np.array(heatmap.z), [[0, np.nan, np.nan, 1], [np.nan, np.nan, 0.5, np.nan]])


def test_no_gaps_at_all_make_an_empty_figure() -> None:
    (heatmap,) = gap_heatmap(GAPS.iloc[:0]).data
    assert len(heatmap.x) == 0
