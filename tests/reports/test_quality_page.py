import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from tests.data.quality.conftest import KEY, delivered, received
from tradewind.data.quality.agreement import compare_bars, no_agreement
from tradewind.data.quality.examination import examine, score
from tradewind.data.quality.rules import SCORES, QualityRules, Threshold
from tradewind.reports.quality_charts import MISSING, calendar_years, colour, drift_figure, drift_svg, score_figure
from tradewind.reports.quality_page import QualityTables, render_quality_page, score_rows, share

RULES = QualityRules(thresholds={name: Threshold(stop=0.5, warn=0.99) for name in SCORES})


def tables_of(rows: pd.DataFrame, rules: QualityRules = RULES) -> QualityTables:
    bars, counts, rejected = received(rows)
    other = received(delivered(len(rows), seed=9), KEY.model_copy(update={"venue": "w"}))[0]
    agreement = compare_bars(bars, other, 50.0)
    examined = examine(bars, counts, rejected, no_agreement(), rules)
    quality, scores = score(examined, examined.last_ms, rules)
    return QualityTables(
        quality, scores, {str(KEY): examined.flags}, examined.runs, examined.days, examined.drift, agreement, rejected
    )


@pytest.fixture(scope="module")
def tables() -> QualityTables:
    """A year and a half with a day missing, five hours of another, a bad tick and rows that were rejected."""
    rows = delivered(24 * 500).astype({"close": object})
    rows.loc[3000, ["close", "high"]] = 1e4
    rows.loc[100, "close"] = "<script>alert(1)</script>"
    return tables_of(rows.drop(index=[*range(240, 264), *range(9000, 9005)]).assign(quote_volume=np.nan))


@pytest.fixture(scope="module")
def page(tables: QualityTables) -> str:
    return render_quality_page(tables, RULES)


def test_the_page_is_whole_and_asks_no_network(page: str) -> None:
    assert not re.search(r"<(script|link|img)\b", page)
    for word in ("completeness", "Missing bars by day", "Runs", "Outliers", "Agreement", "Drift", "Rejected rows"):
        assert word in page
    assert 'href="report.html"' in page
    assert len(page) < 300_000


def test_text_from_the_data_is_escaped(tables: QualityTables) -> None:
    page = render_quality_page(tables, RULES)
    assert "&lt;script&gt;alert(1)" in page
    hostile = tables.quality.assign(symbol="<img src=x>")
    renamed = {field: getattr(tables, field).assign(symbol="<img src=x>") for field in ("scores", "calendar", "drift")}
    named = QualityTables(
        **{**vars(tables), **renamed, "quality": hostile, "flags": {"v/<img src=x>/1h": tables.flags[str(KEY)]}}
    )
    assert "<img src=x>" not in render_quality_page(named, RULES)


def test_every_missing_bar_is_in_the_calendar_and_no_other(tables: QualityTables) -> None:
    years = {name: (missing, svg) for name, missing, svg in calendar_years(tables.calendar)}
    assert {name: missing for name, (missing, _) in years.items()} == {"2024": 25, "2025": 5}
    marked = re.findall(r"<title>(\S+): (\d+) of 24 bars missing</title>", years["2024"][1])
    assert marked == [("2024-01-05", "1"), ("2024-01-11", "24")]
    squares = years["2024"][1].count("h7v7h-7z")
    assert squares == 366 - 2


def test_a_year_without_a_gap_is_named_not_drawn() -> None:
    tables = tables_of(delivered(24 * 400).drop(index=[9000]))
    assert [name for name, _, _ in calendar_years(tables.calendar)] == ["2025"]
    assert "Without a gap: 2024." in render_quality_page(tables, RULES)


def test_a_table_without_faults_or_company_still_has_its_page(tables: QualityTables) -> None:
    clean = tables_of(delivered(50))
    alone = QualityTables(**{**vars(clean), "agreement": no_agreement()})
    page = render_quality_page(alone, QualityRules())
    assert "The bars pass." in page
    for sentence in (
        "No table was compared",
        "There are no two months with 100 bars",
        "No row was rejected",
        "There is none.",
    ):
        assert sentence in page
    assert drift_svg(clean.drift) == ""


def test_states_and_limits_are_said(tables: QualityTables) -> None:
    strict = QualityRules(thresholds={"completeness": Threshold(stop=0.9999, warn=1.0)})
    page = render_quality_page(tables_of(delivered(2400).drop(index=[7]), strict), strict)
    assert "1 of 6 scores is below the limit: the run stops." in page
    assert "✗ 99.95 %" in page
    assert "stops below 99.99 %" in page
    warned = render_quality_page(tables_of(delivered(2400).drop(index=range(7, 60))), RULES)
    assert "The bars pass, with 1 warning." in warned


def test_only_what_is_whole_reads_a_hundred_per_cent(tables: QualityTables) -> None:
    assert (share(1.0), share(0.999999), share(0.5), share(0.0)) == ("100 %", "99.99 %", "50.00 %", "0.00 %")
    (row,) = score_rows(tables.quality)
    assert Counter(row.values())["100 %"] == 3
    assert (row["completeness"], row["accuracy"], row["state"], row["missing"]) == ("99.75 %", "99.99 %", "pass", "30")


def test_a_colour_is_that_of_the_limit_reached() -> None:
    shades = [colour(value, MISSING) for value in (0.01, 0.1, 0.4999, 0.5, 1.0)]
    assert shades == [MISSING[0][1], MISSING[1][1], MISSING[1][1], MISSING[2][1], MISSING[3][1]]


def test_the_figures_hold_every_score_and_month(tables: QualityTables) -> None:
    figure = score_figure(tables.scores)
    assert list(figure.data[0].x) == list(SCORES)
    assert figure.data[0].text.shape == (1, 6)
    drift = drift_figure(tables.drift)
    assert np.isfinite(np.asarray(drift.data[0].z, dtype=float)).sum() == len(tables.drift)
