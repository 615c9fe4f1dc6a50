import numpy as np
import pandas as pd
import pytest

from tests.data.quality.conftest import KEY, START, delivered, received
from tradewind.data.files.bar_key import BarKey
from tradewind.data.quality.agreement import compare_bars, no_agreement, others_of
from tradewind.data.quality.rules import AgreementRules
from tradewind.data.quality.tables import QualityAgreement
from tradewind.errors import BadParameters
from tradewind.market.resample import resample_closed

OTHER = KEY.model_copy(update={"venue": "w"})


def bars_of(rows: pd.DataFrame, key: BarKey = KEY) -> pd.DataFrame:
    return received(rows, key)[0]


def compared(bars: pd.DataFrame, other: pd.DataFrame, tolerance_bps: float = 50.0) -> pd.Series:
    row = compare_bars(bars, other, tolerance_bps)
    QualityAgreement.validate(row)
    return row.iloc[0]


def scaled(rows: pd.DataFrame, factor: float) -> pd.DataFrame:
    return rows.assign(**{name: rows[name] * factor for name in ("open", "high", "low", "close")})


def test_a_constant_basis_is_agreement_and_what_leaves_it_is_not() -> None:
    rows = delivered(100).drop(columns="quote_volume")
    other = scaled(rows, 1.01)
    other.loc[40, ["close", "high"]] *= 1.02
    row = compared(bars_of(rows.drop(index=[7])), bars_of(other.drop(index=[8, 9]), OTHER))
    assert (row["kind"], row["other"], row["compared"], row["agreeing"]) == ("venue", "w/S/1h", 97, 96)
    assert (row["only_here"], row["only_there"]) == (2, 1)
    assert row["median_bps"] == pytest.approx(-10_000 * np.log(1.01))
    assert row["worst_bps"] == pytest.approx(10_000 * np.log(1.02))
    assert row["worst_at"] == bars_of(rows)["timestamp"][40]


def test_clocks_that_differ_show_in_the_correlation_of_returns() -> None:
    rows = delivered(500)
    late = rows.assign(open_time=rows["open_time"] + 3_600_000)
    assert compared(bars_of(rows), bars_of(rows, OTHER))["return_correlation"] == pytest.approx(1)
    assert abs(compared(bars_of(rows), bars_of(late, OTHER))["return_correlation"]) < 0.2


def test_a_slower_table_equals_the_faster_one_put_together_either_way_round() -> None:
    bars = bars_of(delivered(100).drop(index=[5]))
    slow = resample_closed(bars.assign(segment=np.int32(0)), "4h")
    row = compared(bars, slow)
    # 25 slow bars; one of them lacks an hour, so nobody knows what it should be.
    assert (row["kind"], row["compared"], row["agreeing"], row["only_there"]) == ("timeframe", 24, 24, 1)
    assert compared(slow, bars)["agreeing"] == 24
    for name in ("open", "high", "low", "close", "volume"):
        off = slow.assign(**{name: slow[name] * np.where(slow.index == 3, 1.001, 1.0)})
        assert compared(bars, off)["agreeing"] == 23, name


def test_tables_without_a_common_bar_are_compared_to_nothing() -> None:
    rows = delivered(100)
    row = compared(bars_of(rows.iloc[:40]), bars_of(rows.iloc[60:], OTHER))
    assert (row["compared"], row["agreeing"], row["only_here"], row["only_there"]) == (0, 0, 0, 0)
    assert np.isnan(row["median_bps"])


def test_timeframes_that_do_not_fit_are_named() -> None:
    odd = bars_of(
        delivered(4).assign(open_time=lambda rows: START + rows.index * 5_400_000),
        KEY.model_copy(update={"timeframe": "90m"}),
    )
    with pytest.raises(BadParameters, match="v/S/1h and v/S/90m cannot be compared"):
        compare_bars(bars_of(delivered(4)), odd, 50.0)


def test_only_what_the_rules_name_and_the_source_has_is_compared() -> None:
    rules = AgreementRules(
        timeframes=("5m", "1h", "4h", "90m"),
        venues=("v", "w", "x"),
        pairs=(("v/S/1h", "perp/S/1h"), ("v/T/1h", "w/T/1h")),
    )
    source = ["v/S/5m", "v/S/1h", "v/S/4h", "v/S/90m", "w/S/1h", "perp/S/1h", "w/T/1h", "y/S/1h"]
    assert others_of(KEY, source, rules) == {
        "v/S/5m": "timeframe", "v/S/4h": "timeframe", "w/S/1h": "venue", "perp/S/1h": "venue",
    }  # fmt: skip
    assert others_of(KEY, source, AgreementRules()) == {}
    with pytest.raises(ValueError, match="a timeframe is a number"):
        AgreementRules(timeframes=("hourly",))


def test_the_empty_table_keeps_the_contract() -> None:
    QualityAgreement.validate(no_agreement())
    joined = pd.concat([no_agreement(), compare_bars(bars_of(delivered(9)), bars_of(delivered(9), OTHER), 50.0)])
    assert (joined.dtypes == no_agreement().dtypes).all()
