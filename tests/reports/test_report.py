"""The report stands alone, says what the tables say, and survives what they may hold."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tradewind.reports import anatomy, performance, text
from tradewind.reports.html import render_html
from tradewind.reports.markdown import render_markdown
from tradewind.reports.tables import BY_MODEL, ReportTables, joined


def test_the_page_needs_no_network_and_holds_the_library_once(tables: ReportTables) -> None:
    page = render_html(tables)
    assert page.count("plotly.js v") == 1
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=[\"']https?:", page)
    assert len(page) < 10_000_000


def test_page_and_twin_say_the_verdict_first_and_the_same(tables: ReportTables) -> None:
    page, twin = render_html(tables), render_markdown(tables)
    headline = text.HEADLINE[tables.verdict["verdict"]]
    assert headline in page and twin.startswith(f"# {tables.verdict['verdict'].upper()}: {headline}")
    for reason in tables.verdict["reasons"]:
        assert reason in twin
        assert reason in page
    sharpe = text.number(tables.leaderboard["sharpe"].iloc[0])
    assert sharpe in page and sharpe in twin


@pytest.mark.parametrize("word", ["go", "watch", "no-go"])
def test_every_verdict_has_its_words(tables: ReportTables, word: str) -> None:
    other = replace(tables, verdict=tables.verdict | {"verdict": word})
    assert text.HEADLINE[word] in render_html(other)
    assert text.HEADLINE[word] in render_markdown(other)


def test_names_from_the_data_cannot_write_into_the_page(tables: ReportTables) -> None:
    hostile = "<script>alert(1)</script>"
    quality = tables.data_quality.assign(symbol=hostile)
    page = render_html(replace(tables, data_quality=quality, settings=tables.settings | {"note": hostile}))
    assert hostile not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_pipe_in_a_formula_does_not_break_the_twins_table(tables: ReportTables) -> None:
    assert "100 * \\|U\\| / (U + D)" in render_markdown(tables)


def test_models_that_are_not_judged_are_said(tables: ReportTables) -> None:
    for document in (render_html(tables), render_markdown(tables)):
        assert "not judged: listed, and its stage has not made it" in document
        assert "not judged: left by an earlier run" in document


def test_a_run_without_networks_and_agents_has_its_report(tables: ReportTables) -> None:
    of_models = ("fold_metrics", "confusion", "reliability", "importance")
    empty = {kind: joined([], kind) for kind in BY_MODEL if kind not in of_models}
    scores = {name: getattr(tables, name).iloc[:0] for name in ("agent_scores", "agent_profile", "horizon_trading")}
    bare = replace(tables, **empty, **scores)
    assert tables.verdict["reasons"][0] in render_html(bare)
    assert "PPO" not in render_markdown(bare)


def test_empty_and_missing_results_are_said_not_hidden(tables: ReportTables) -> None:
    verdict = tables.verdict | {"oracle_share": None, "holdout_sharpe_low": float("nan"), "holdout_sharpe_high": None}
    bare = replace(
        tables, breakdown=tables.breakdown.iloc[:0], label_quality=tables.label_quality.iloc[:0],
        leaderboard=tables.leaderboard.assign(sharpe_low=np.nan, sharpe_high=np.nan), verdict=verdict,
    )  # fmt: skip
    assert "There is nothing to show" in render_html(bare)
    assert "There is nothing to show" in render_markdown(bare)
    assert "–" in render_markdown(bare)


def test_a_long_history_makes_no_long_page(tables: ReportTables) -> None:
    hours = pd.date_range("2000-01-01", periods=100_000, freq="h", tz="UTC")
    long = pd.DataFrame({"strategy": "xgboost", "timestamp": hours, "net": 0.0, "role": "walk_forward"})
    assert len(performance.equity_curves(long)) <= 2 * performance.POINTS


@pytest.mark.parametrize(
    ("multiple", "words"),
    [(None, "outlives every multiple"), (0.0, "loses money even without costs"), (1.6, "Costs of 1.6 times")],
)
def test_what_would_break_it_is_said_in_words(tables: ReportTables, multiple: float | None, words: str) -> None:
    assert words in " ".join(text.what_would_break_it(tables.verdict | {"break_even_cost_multiple": multiple}))


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-1.0, 1.0, "too short to settle it"),
        (-3.0, -1.0, "has broken it already"),
        (0.0, 0.0, "held no position"),
        (0.5, 1.0, ""),
    ],
)
def test_the_holdout_is_read_as_what_it_is(tables: ReportTables, low: float, high: float, words: str) -> None:
    said = " ".join(text.what_would_break_it(tables.verdict | {"holdout_sharpe_low": low, "holdout_sharpe_high": high}))
    assert words in said if words else "holdout" not in said.lower()


def test_numbers_are_written_for_people() -> None:
    assert text.percent(0.1234) == "12.3 %"
    assert text.percent(None) == text.percent(float("nan")) == text.number("x") == "–"
    assert text.number(1234.5, 0) == "1,234"
    assert text.day(pd.NaT) == "–"


def test_the_pages_on_luck_stress_and_trades_say_what_the_tables_say(tables: ReportTables) -> None:
    page, twin = render_html(tables), render_markdown(tables)
    for words in ("moves twice as large", "fall of FTX", "Hansen&#39;s SPA", "year 2023", "break-even, bps a side"):
        assert words in page
    for words in ("moves twice as large", "fall of FTX", "Hansen's SPA", "break-even, bps a side", "profit factor"):
        assert words in twin


def test_a_run_that_never_traded_has_a_report(tables: ReportTables) -> None:
    flat = tables.portfolio_returns.assign(net=0.0, gross=0.0, cost=0.0, exposure=0.0, turnover=0.0, trades=0)
    none = {name: trades.iloc[:0] for name, trades in tables.trades.items()}
    selection = tables.selection | {"overfitting": None}
    bare = replace(tables, portfolio_returns=flat, trades=none, selection=selection)
    assert "too little movement" in render_html(bare)
    assert "too short to say how likely overfitting is" in render_markdown(bare)


def test_months_and_the_markets_share_are_what_they_say() -> None:
    days = pd.date_range("2023-01-01", periods=400, freq="D", tz="UTC")
    rng = np.random.default_rng(1)
    holding = 0.02 * rng.standard_normal(400)
    daily = pd.DataFrame(
        {"buy_and_hold": holding, "mine": 0.5 * holding + 0.001 * rng.standard_normal(400)}, index=days
    )
    share = anatomy.market_share(daily, "mine")
    assert share is not None
    assert share["beta"] == pytest.approx(0.5, abs=0.02) and share["r2"] > 0.98
    assert abs(share["alpha"]) < 3 * share["alpha_error"]
    months = anatomy.monthly_figure(daily["mine"]).data[0]
    january = np.prod(1 + daily["mine"].iloc[:31]) - 1
    assert months.z[0][0] == pytest.approx(100 * january)
    assert anatomy.market_share(daily * 0, "mine") is None


def test_networks_have_their_distributions_training_and_alarms(tables: ReportTables) -> None:
    page, text = render_html(tables), render_markdown(tables)
    assert "CRPS better than the random walk by" in page and "bars ago" in page and "rsi_14" in page
    assert "| 24 | TFT | 20.0 |" in text and "| 24 | last value | 25.0 |" in text
    assert "| TFT | 24 | 1.20 | 30.0 % |" in text
    assert "| TFT | 1 | 2.0 | 2.0 | 1.100 | 1.200 | 500 | 10.0 % | 80 % |" in text
    assert "| TFT | 0 | divergence | 1.400 | 1.200 |" in text
    calm = render_html(replace(tables, alarms=tables.alarms.iloc[:0]))
    assert "No alarm was raised" in calm and "No alarm was raised" not in page


def test_agents_have_their_seeds_behaviour_and_failures(tables: ReportTables) -> None:
    page, twin = render_html(tables), render_markdown(tables)
    assert "| PPO | 3 x 5 | 1.10 | 0.70 to 1.50 | -0.50 | 2.00 | 80 % | 60 % |" in twin
    assert "| PPO | 50 % | 30 % | 20 % | 0.80 | 30 | 2.00 % | 3.00 | 1.00 |" in twin
    assert "| PPO | 0 | all | seed collapse | 0.10 |" in twin
    assert "| PPO | costs x 4 | 100 | 0.50 | 0.10 | 2.00 % | 3.00 | 1.00 | 2.00 |" in twin
    assert "leaps of the price: after" in page and "volatility: high third" in twin
    assert "Sharpe ratio of a fold" in page and "bars lived through" in page and "probability of flat" in page
    calm = render_html(replace(tables, failures=tables.failures.iloc[:0]))
    assert "No agent was degenerate" in calm and "No agent was degenerate" not in page
