"""Each fault lowers the score it should, by as much as it should, and no other."""

import logging
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from tests.data.quality.conftest import HOUR, KEY, START, delivered, received
from tradewind.data.quality.agreement import compare_bars, no_agreement
from tradewind.data.quality.examination import examine, score
from tradewind.data.quality.gate import require_good
from tradewind.data.quality.rules import SCORES, QualityRules, Threshold
from tradewind.data.quality.tables import DataQuality, QualityScores
from tradewind.errors import BadData

HOURS = 2000
RULES = QualityRules(thresholds={name: Threshold(stop=0.95, warn=0.9999) for name in SCORES})
END = START + HOURS * HOUR


def scores_of(
    rows: pd.DataFrame, rules: QualityRules = RULES, other: pd.DataFrame | None = None, as_of_ms: int = END
) -> pd.DataFrame:
    bars, counts, rejected = received(rows)
    agreement = no_agreement() if other is None else compare_bars(bars, other, rules.agreement.tolerance_bps)
    row, scores = score(examine(bars, counts, rejected, agreement, rules), as_of_ms, rules)
    DataQuality.validate(row)
    QualityScores.validate(scores)
    return scores.set_index("score")


def with_row(rows: pd.DataFrame, at: int, **values: object) -> pd.DataFrame:
    """The rows with a copy of one of them, changed, at the end."""
    return pd.concat([rows, rows.iloc[[at]].assign(**values)], ignore_index=True)


def missing(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.drop(index=range(500, 600))


def untyped(rows: pd.DataFrame) -> pd.DataFrame:
    for at in range(20):
        rows = with_row(rows, at, close="n/a")
    return rows


def disordered(rows: pd.DataFrame) -> pd.DataFrame:
    for at in range(20):
        rows = with_row(rows, at, high=1.0)
    return rows


def another_quote_volume(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(quote_volume=rows["quote_volume"].where(rows.index >= 100, rows["volume"] / 100))


def moves_without_volume(rows: pd.DataFrame) -> pd.DataFrame:
    still = rows.index < 100
    return rows.assign(**{name: rows[name].where(~still, 0.0) for name in ("volume", "quote_volume", "trades")})


def untraded(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(trades=rows["trades"].where(rows.index >= 100, 0.0))


def repeated(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([rows, rows.iloc[:20]], ignore_index=True)


def corrected(rows: pd.DataFrame) -> pd.DataFrame:
    for at in range(20):
        rows = with_row(rows, at, volume=float(rows["volume"][at]) + 1, quote_volume=np.nan)
    return rows


def bad_ticks(rows: pd.DataFrame) -> pd.DataFrame:
    """A close that is ten times the price, in 10 bars."""
    rows = rows.copy()
    for at in range(500, 600, 10):
        rows.loc[at, "close"] *= 10
        rows.loc[at, "high"] = rows.loc[at, "close"]
    return rows.assign(quote_volume=np.nan)


PLANTED: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str, float]] = {
    "100 bars are missing": (missing, "completeness", 1900 / 2000),
    "20 more rows cannot be read": (untyped, "validity", 2000 / 2020),
    "20 more rows have prices out of order": (disordered, "consistency", 2000 / 2020),
    "the quote volume of 100 bars is off": (another_quote_volume, "consistency", 1900 / 2000),
    "prices move without volume in 100 bars": (moves_without_volume, "consistency", 1900 / 2000),
    "100 bars have volume and no trade": (untraded, "consistency", 1900 / 2000),
    "20 rows come twice": (repeated, "uniqueness", 2000 / 2020),
    "20 rows come again, corrected": (corrected, "uniqueness", 2000 / 2020),
    "10 closes are ten times the price": (bad_ticks, "accuracy", 1990 / 2000),
}


def test_clean_bars_have_six_whole_scores() -> None:
    scores = scores_of(delivered(HOURS))
    assert (scores["value"] == 1).all()
    assert (scores["state"] == "pass").all()
    assert (scores["causes"] == "").all()
    assert list(scores.index) == list(SCORES)


@pytest.mark.parametrize("fault", PLANTED)
def test_a_fault_lowers_its_own_score_alone(fault: str) -> None:
    plant, name, expected = PLANTED[fault]
    scores = scores_of(plant(delivered(HOURS)))
    assert scores.loc[name, "value"] == pytest.approx(expected, abs=1e-12)
    assert scores.loc[name, "causes"] != ""
    assert (scores["value"].drop(name) == 1).all(), scores["causes"].to_dict()


def test_an_unreadable_row_without_a_twin_leaves_a_hole_as_well() -> None:
    rows = delivered(HOURS).astype({"close": object})
    rows.loc[10, "close"] = None
    scores = scores_of(rows)
    assert scores.loc["validity", "value"] == scores.loc["completeness", "value"] == 1999 / 2000


def test_a_table_is_late_by_how_far_it_lags_behind_the_others() -> None:
    """Two bars are allowed; 30 days, 720 bars, more make it 0. Old is not late."""
    lags = {0: 1.0, 2: 1.0, 74: 1 - 72 / 720, 722: 0.0, 5000: 0.0}
    for lag, expected in lags.items():
        scores = scores_of(delivered(HOURS), as_of_ms=END + lag * HOUR)
        assert scores.loc["timeliness", "value"] == pytest.approx(expected), lag
        assert (scores["value"].drop("timeliness") == 1).all()


def test_the_span_that_is_asked_for_counts_and_nothing_outside_of_it() -> None:
    asked = QualityRules(since="2023-12-31T00:00:00Z", until="2024-01-03T00:00:00Z")
    scores = scores_of(delivered(HOURS).drop(index=[30, 31, 900]), asked)
    # 24 hours before the first bar, then 48 with two missing; hour 900 was not asked for.
    assert scores.loc["completeness", ["held", "looked_at"]].tolist() == [46, 72]


def test_disagreement_with_another_timeframe_is_no_consistency() -> None:
    rows = delivered(HOURS)
    slow = rows.groupby(rows.index // 4).agg(
        {"open_time": "first", "open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    )
    slow.loc[:9, "volume"] *= 1.01
    other, _, _ = received(slow, KEY.model_copy(update={"timeframe": "4h"}))
    scores = scores_of(rows, other=other)
    assert scores.loc["consistency", ["held", "looked_at"]].tolist() == [490, 500]
    assert (scores["value"].drop("consistency") == 1).all()


def test_disagreement_with_another_venue_is_no_accuracy() -> None:
    rows = delivered(HOURS)
    moved = rows.assign(**{name: rows[name] * 1.002 for name in ("open", "high", "low", "close")})
    moved.loc[:99, ["high", "close"]] *= 1.02
    other, _, _ = received(moved, KEY.model_copy(update={"venue": "w"}))
    scores = scores_of(rows, other=other)
    # The constant 20 basis points are a basis, the 2 % of a hundred bars are not.
    assert scores.loc["accuracy", ["held", "looked_at"]].tolist() == [1900, 2000]
    assert (scores["value"].drop("accuracy") == 1).all()


def test_the_gate_stops_with_symbol_score_value_limit_cause_place_and_remedy() -> None:
    scores = scores_of(missing(delivered(HOURS)).drop(index=range(700, 720)).iloc[50:]).reset_index()
    with pytest.raises(BadData) as stopped:
        require_good(scores, "the reporting folder")
    message = str(stopped.value)
    for part in (
        "1 of 6 scores", "v/S/1h: completeness 0.9385 is below stop 0.9500", "1,830 of 1,950",
        "2 gaps, the longest 100 from 2024-01-21 20:00; 20 from 2024-01-30 04:00", "the reporting folder",
        "--params=data_engineering.quality.thresholds.completeness.stop=0.9384",
    ):  # fmt: skip
        assert part in message
    # What the message tells to set lets the same bars pass.
    lower = RULES.model_copy(update={"thresholds": {"completeness": Threshold(stop=0.9384, warn=0.9999)}})
    again = scores_of(missing(delivered(HOURS)).drop(index=range(700, 720)).iloc[50:], lower)
    require_good(again.reset_index(), "")


def test_the_remedy_for_several_scores_is_one_parameter_each() -> None:
    rows = repeated(repeated(repeated(repeated(repeated(missing(delivered(HOURS)))))))
    strict = RULES.model_copy(update={"thresholds": {name: Threshold(stop=0.96, warn=1.0) for name in SCORES}})
    with pytest.raises(BadData, match=r"--params=\S+completeness.stop=0.9500,\S+uniqueness.stop=0.9500$") as stopped:
        require_good(scores_of(rows, strict).reset_index(), "")
    assert "2 of 6 scores" in str(stopped.value)


def test_the_gate_warns_and_lets_pass(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        require_good(scores_of(repeated(delivered(HOURS))).reset_index(), "")
    (record,) = caplog.records
    assert "v/S/1h: uniqueness 0.9901 is below warn 0.9999" in record.getMessage()
    assert "20 x duplicate of another row" in record.getMessage()


def test_limits_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match=r"stop 0.9 must not be above warn 0.5"):
        Threshold(stop=0.9, warn=0.5)
    with pytest.raises(ValueError, match="must lie before until"):
        QualityRules(since="2024-01-02", until="2024-01-01")
    with pytest.raises(ValueError, match="completenes"):
        QualityRules(thresholds={"completenes": {"stop": 0.5}})
