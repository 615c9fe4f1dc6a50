from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandera.errors import SchemaError

from tradewind.data.side_data.catalogue import SERIES
from tradewind.data.side_data.delivery import SideKey, vintage_table
from tradewind.data.side_data.publication import After, AfterClose
from tradewind.data.side_data.readers import READERS
from tradewind.data.side_data.spec import SideSpec
from tradewind.data.side_data.tables import schema_of


def known_at(name: str, reference: str) -> str:
    instant = np.array([pd.Timestamp(reference, tz="UTC").timestamp() * 1000], dtype=np.int64)
    (known,) = SERIES[name].publication.known_ms(instant)
    return pd.Timestamp(known, unit="ms").isoformat(sep=" ")


@pytest.mark.parametrize(
    ("series", "reference", "known"),
    [
        ("funding", "2024-01-01 08:00", "2024-01-01 08:00:00.001000"),  # usable only after its settlement
        ("open_interest", "2024-01-01 08:00", "2024-01-01 08:05:00"),
        ("basis", "2024-01-01 08:00", "2024-01-01 08:00:00"),  # its reference is the bar's close
        ("fear_greed", "2024-01-01", "2024-01-02 00:00:00"),
        ("vix", "2024-01-03", "2024-01-03 22:15:00"),  # 17:15 in New York, in winter
        ("vix", "2024-07-03", "2024-07-03 21:15:00"),  # and in summer
        ("wti", "2024-01-12", "2024-01-16 22:00:00"),  # a Friday before Martin Luther King's day
        ("brent", "2024-07-03", "2024-07-05 21:00:00"),  # the day before Independence Day
        ("wti", "2024-01-13", "2024-01-16 22:00:00"),  # a Saturday
        ("payrolls", "2024-01-01", "2024-02-11 00:00:00"),  # where a file does not say it
    ],
)
def test_a_value_is_known_when_its_rule_says(series: str, reference: str, known: str) -> None:
    assert known_at(series, reference) == known


@pytest.mark.parametrize("spec", SERIES.values(), ids=str)
def test_every_series_is_whole(spec: SideSpec) -> None:
    reference = np.arange(0, 400, 7, dtype=np.int64) * 86_400_000
    known = spec.publication.known_ms(reference)
    assert (known >= reference).all()
    assert (np.diff(known) > 0).all()
    assert spec.low < spec.high
    assert spec.stale_after >= timedelta(hours=1)
    assert spec.publication.description
    assert spec.unit
    assert spec.source
    assert spec.reader in READERS
    values = np.full(len(reference), spec.low)
    key = SideKey(spec.name, "A" if spec.per_symbol else "")
    table = vintage_table(key, reference.astype(float), known.astype(float), values)
    schema_of(spec).validate(table)
    with pytest.raises(SchemaError):
        schema_of(spec).validate(table.assign(value=spec.high * 2 + 1))
    with pytest.raises(SchemaError):
        schema_of(spec).validate(table.assign(known_at=table["reference_at"] - pd.Timedelta(milliseconds=1)))
    with pytest.raises(SchemaError):
        schema_of(spec).validate(table.assign(series="another"))


def test_the_rules_are_said_in_words() -> None:
    assert After(timedelta(days=1)).description == "1 day after its reference time"
    assert After(timedelta(milliseconds=1)).description == "1 ms after its reference time"
    close = AfterClose("America/New_York", timedelta(hours=17), next_business_day=True)
    assert close.description == "17:00 America/New_York of the next US business day"


def test_the_page_tells_every_series_with_its_unit_and_its_rule() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/side_data.md").read_text()
    for spec in SERIES.values():
        (line,) = [row for row in page.splitlines() if row.startswith(f"| `{spec.name}`")]
        assert spec.unit in line
        assert f"{spec.low:g} to {spec.high:g}" in line
        assert (spec.key or spec.publication.description) in line
        assert ("\\*" in line) == spec.is_revised
