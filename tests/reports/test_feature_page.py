"""The dictionary's page has every feature once, draws what it is given, and lets nothing through unescaped."""

import pandas as pd
import pytest

from tradewind.reports.feature_page import FeatureTables, decay_svg, drift_svg, histogram_svg, render_feature_page

NAMES = ["rsi_14", "<script>alert(1)</script>"]


@pytest.fixture
def tables() -> FeatureTables:
    dictionary = pd.DataFrame(
        {
            "name": NAMES, "formula": ["100 * U / (U + D)", "x < y"], "family": ["rsi", "own"], "tier": [2, 1],
            "lookback": [134, 1], "unit": ["percent", "ratio"], "source": ["Wilder 1978", "own"],
            "meaning": ["Strength of rises.", "Mine & yours."],
        }
    )  # fmt: skip
    coefficients = pd.DataFrame(
        [(name, h, ic, ic - 0.02, ic + 0.02, 12) for name in NAMES for h, ic in ((1, 0.05), (24, -0.01))],
        columns=["feature", "horizon", "ic", "low", "high", "months"],
    )
    drift = pd.DataFrame(
        [("rsi_14", year, 30, 40, 50, 60, 70, 0.31) for year in (2022, 2023)],
        columns=["feature", "year", "q05", "q25", "q50", "q75", "q95", "psi"],
    )
    histogram = pd.DataFrame(
        [("rsi_14", at, at, at + 1, 0.25) for at in range(4)], columns=["feature", "bin", "low", "high", "share"]
    )
    importance = {"xgboost": pd.DataFrame({"feature": NAMES, "mean_abs_shap": [3.0, 1.0]})}
    distribution = pd.DataFrame({"name": NAMES, "missing_share": [0.01, 0.0], "p50": [50.0, 0.0]})
    return FeatureTables(dictionary, distribution, coefficients, drift, histogram, importance)


def test_the_page_has_each_feature_once_with_its_figures(tables: FeatureTables) -> None:
    page = render_feature_page(tables)
    assert page.count('<tr data-name="') == 2
    for words in ("Strength of rises.", "Wilder 1978", "75.00 %", "25.00 %", "+0.050", "+0.030 to +0.070", "0.31"):
        assert words in page
    assert "http" not in page.replace("http://www.w3.org", "")  # self-contained


def test_names_are_escaped(tables: FeatureTables) -> None:
    page = render_feature_page(tables)
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page and "Mine &amp; yours." in page


def test_what_is_missing_draws_nothing() -> None:
    assert histogram_svg(None) == drift_svg(None) == decay_svg(None, 0.1) == ""


def test_a_coefficient_is_grey_until_its_interval_leaves_zero(tables: FeatureTables) -> None:
    drawn = decay_svg(tables.coefficients[tables.coefficients["feature"] == "rsi_14"], 0.1)
    assert drawn.count("<circle") == 2
    clear, unclear = (part.split('fill="')[1].split('"')[0] for part in drawn.split("<circle")[1:])
    assert clear != unclear
