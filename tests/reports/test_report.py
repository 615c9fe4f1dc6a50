"""The report stands alone, says what the tables say, and survives what they may hold."""

import base64
import gzip
import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from plotly import graph_objects as go

from tradewind.reports import anatomy, boards, html, masthead, performance, sequence, tear_sheet, text
from tradewind.reports.html import render_html
from tradewind.reports.index_page import PAGES, render_index
from tradewind.reports.markdown import render_markdown
from tradewind.reports.page import div
from tradewind.reports.palette import log_axis
from tradewind.reports.tables import BY_MODEL, ReportTables, joined


def test_the_page_needs_no_network_and_holds_the_library_once(tables: ReportTables) -> None:
    page = render_html(tables)
    (packed,) = re.findall(r'<script id="plotly" type="text/plain">([^<]+)</script>', page)
    assert "plotly.js v" in gzip.decompress(base64.b64decode(packed)).decode()[:2000]
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=[\"']https?:", page)
    assert len(page) < 3_000_000
    figures = re.findall(r'<script type="application/json">(.*?)</script>', page)
    assert len(figures) > 20
    assert all({"data", "layout"} <= set(json.loads(figure)) for figure in figures)


@pytest.mark.parametrize(("venue", "simulated"), [("simulated", True), ("binance", False)])
def test_the_head_says_what_was_judged_and_whether_it_is_simulated(
    tables: ReportTables, venue: str, simulated: bool
) -> None:
    settings = tables.settings | {"universe": tables.settings["universe"] | {"venue": venue}}
    told = replace(tables, settings=settings)
    for page in (render_html(told), render_index(told), render_markdown(told)):
        assert ("SIMULATED MARKET" in page) == simulated
        said = page if page.startswith("#") else page[: page.index("Judged")]
        for words in ("SIM1", "1h bars", "2023-01-01 to 2023-07-19", "fee 5 bps", "kedro run", "abc123", "01234567"):
            assert words in said, words
    assert ("on binance" in render_html(told)) != simulated


def test_every_link_and_every_folded_part_has_its_place(tables: ReportTables) -> None:
    page = render_html(tables)
    places = set(re.findall(r' id="([a-z]+)"', page))
    assert set(re.findall(r'href="#([a-z]+)"', page)) <= places
    assert page.count("<details") == page.count("</details>") > 10
    beside = {name for name, _ in PAGES}
    assert set(re.findall(r'href="([a-z_]+\.(?:html|md))"', page)) <= beside | {"index.html"}
    assert set(re.findall(r'<a href="([a-z_.]+)"', render_index(tables))) == beside


def test_a_run_without_networks_and_agents_has_a_report_without_them(tables: ReportTables) -> None:
    nothing = pd.DataFrame()
    absent = dict.fromkeys(
        ["horizon_metrics", "epochs", "health", "attention", "alarms", "behaviour", "responses", "failures",
         "action_map", "training_log"], nothing,
    )  # fmt: skip
    bare = replace(tables, **absent)
    page, twin = render_html(bare), render_markdown(bare)
    assert 'id="networks"' not in page and 'id="agents"' not in page and 'id="luck"' in page
    assert "## Agents, seed by seed" not in twin and "## Distributions by horizon" not in twin


def test_drawdowns_are_those_of_the_equity() -> None:
    days = pd.date_range("2024-01-01", periods=7, freq="D", tz="UTC")
    daily = pd.Series([-0.1, 0.2, -0.5, 0.0, 1.1, -0.01, 0.0], index=days)
    found = tear_sheet.drawdowns(daily)
    assert found["depth"].tolist() == pytest.approx([0.5, 0.1, 0.01])
    assert found["from"].tolist() == [days[2], days[0], days[5]]
    assert found["lowest"].tolist() == [days[2], days[0], days[5]]
    assert found["back"].tolist()[:2] == [days[4], days[1]] and pd.isna(found["back"].iloc[2])
    assert found["days"].tolist() == [2, 1, 2]
    assert tear_sheet.drawdowns(daily.abs()).empty


def test_pairs_of_forecasts_stand_in_a_matrix_once(tables: ReportTables) -> None:
    pairs = pd.DataFrame(
        [("a", "b", 9, 1.0, 1.1, -2.0, 0.04), ("b", "a", 9, 1.1, 1.0, 2.0, 0.04), ("a", "c", 9, 1.0, 1.0, -0.3, 0.8)],
        columns=["model", "against", "rows", "loss", "other_loss", "statistic", "p_value"],
    )
    rows = list(boards.comparison_rows(pairs))
    assert [row["log loss of"] for row in rows] == ["a", "c", "b"]
    assert rows[0]["b"] == "+2.0 ▲" and rows[2]["a"] == "-2.0 ▼"
    assert rows[0]["c"] == "+0.3" and rows[1]["a"] == "-0.3" and rows[1]["b"] == rows[0]["a"] == ""


def test_the_holdout_comes_last_and_metrics_stand_a_model_a_row(tables: ReportTables) -> None:
    parts = [row["part"] for row in boards.breakdown_rows(tables.breakdown, "fold", ["xgboost"])]
    assert parts == sorted(parts, reverse=True) and set(parts) == {"walk-forward", "holdout"}
    rows = list(boards.metric_rows(tables.fold_metrics, "walk_forward"))
    assert [row["model"] for row in rows] == ["XGBoost", "class shares (no model)", "last sign (no model)"]
    assert rows[0]["accuracy"] == "0.500" and rows[1]["accuracy"] == "0.400" and rows[2]["accuracy"] == "–"


def test_figures_are_short_and_lose_nothing_that_shows() -> None:
    at = pd.date_range("2024-01-01", periods=400, freq="h", tz="UTC")
    values = np.linspace(1.0, 2.0, 400)
    figure = go.Figure(go.Scatter(x=at, y=values))
    content = json.loads(re.findall(r'<script type="application/json">(.*?)</script>', div(figure))[0])
    (trace,) = content["data"]
    assert trace["x"][:2] == ["2024-01-01", "2024-01-01 01:00"] and "template" not in content["layout"]
    drawn = np.frombuffer(base64.b64decode(trace["y"]["bdata"]), dtype=trace["y"]["dtype"])
    np.testing.assert_allclose(drawn, values, rtol=1e-6)
    cells = go.Figure(go.Heatmap(z=[[2.4712]], text=np.round([[2.4712]], 2)))
    assert "2.4700000" not in div(cells)
    odd = go.Figure(go.Scatter(x=["2024-01-01T00:00:30", "2024-01-01T00:00:00.250"], y=[1, 2]))
    assert "00:00:30" in div(odd) and "00:00:00.25" in div(odd)


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
    assert text.percent(-0.0002) == text.percent(-0.0) == "0.0 %" and text.percent(-0.0006) == "-0.1 %"
    assert text.day(pd.NaT) == "–"


def test_the_pages_on_luck_stress_and_trades_say_what_the_tables_say(tables: ReportTables) -> None:
    page, twin = render_html(tables), render_markdown(tables)
    for words in ("moves twice as large", "fall of FTX", "Hansen&#39;s SPA", "year 2023", "break-even, bps a side"):
        assert words in page
    for words in ("moves twice as large", "fall of FTX", "Hansen's SPA", "break-even, bps a side", "profit factor"):
        assert words in twin


def test_a_month_of_next_to_nothing_has_no_sign() -> None:
    days = pd.date_range("2023-01-01", periods=3, tz="UTC")
    texts = anatomy.monthly_figure(pd.Series([-1e-5, 0.0, 1e-5], index=days)).data[0].text
    assert {text for row in texts for text in row} == {"0.0", ""}


def test_sessions_are_told_by_their_dates(tables: ReportTables) -> None:
    """Friday's bar closes on Saturday at midnight, and all bars at one hour; what was seen here before is in words."""
    friday, monday = pd.Timestamp("2023-03-03", tz="UTC"), pd.Timestamp("2023-03-06", tz="UTC")
    closes = {"SIM1": pd.DataFrame({"timestamp": [friday + pd.Timedelta(days=1), monday], "close": [1.0, 2.0]})}
    universe = {"venue": "us_etf", "symbols": ["SIM1"], "timeframe": "1d", "calendar": "XNYS"}
    told = replace(tables, closes=closes, settings=tables.settings | {"universe": universe})
    assert "SIM1 on us_etf, 1d bars, 2023-03-03 to 2023-03-05" in masthead.title(told)
    trades = pd.DataFrame({"symbol": "SIM1", "side": 1, "net": [0.1], "bars": 5, "is_open": False,
                           "entry_time": [friday], "exit_time": [friday + pd.Timedelta(days=1)]})  # fmt: skip
    (row,) = tear_sheet.extreme_rows(trades, best=True)
    assert (row["entered"], row["exited"]) == ("2023-03-03", "2023-03-03")
    (row,) = tear_sheet.extreme_rows(trades.assign(exit_time=friday + pd.Timedelta(hours=5)), best=True)
    assert (row["entered"], row["exited"]) == ("2023-03-03 00:00", "2023-03-03 05:00")
    assert list(tear_sheet.extreme_rows(trades.iloc[:0], best=True)) == []
    conditions = tables.robustness["conditions"]
    one = conditions[(conditions["by"] != "hour") | (conditions["group"] == "23")]
    chosen = tables.verdict["strategy"]
    assert html._hours(conditions, chosen) and not html._hours(one, chosen)


def test_costs_that_nothing_breaks_even_at_are_told_by_the_largest_tried(tables: ReportTables) -> None:
    told = replace(tables, verdict=tables.verdict | {"break_even_cost_multiple": None, "oracle_share": None})
    assert ("Break-even costs", "> 5 x", "multiple of the assumed costs; no more was tried") in html._facts(told)


def test_a_run_that_never_traded_has_a_report(tables: ReportTables) -> None:
    flat = tables.portfolio_returns.assign(net=0.0, gross=0.0, cost=0.0, exposure=0.0, turnover=0.0, trades=0)
    none = {name: trades.iloc[:0] for name, trades in tables.trades.items()}
    selection = tables.selection | {"overfitting": None}
    bare = replace(tables, portfolio_returns=flat, trades=none, selection=selection)
    assert "too little movement" in render_html(bare)
    assert "too few models or days to halve the history" in render_markdown(bare)


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
    assert "| PPO | 0 | all | seed disagreement | 0.10 |" in twin
    assert "| PPO | costs x 4 | 100 | 0.50 | 0.10 | 2.00 % | 3.00 | 1.00 | 2.00 |" in twin
    assert "leaps of the price: after" in page and "volatility: high third" in twin
    assert "Sharpe ratio of a fold" in page and "timesteps (bars)" in page and "probability of flat" in page
    calm = render_html(replace(tables, failures=tables.failures.iloc[:0]))
    assert "No agent was degenerate" in calm and "No agent was degenerate" not in page


def test_the_words_say_what_the_tables_say(tables: ReportTables) -> None:
    """Every number in the sentences on the judged strategy, against the tables that they speak of."""
    verdict, luck = tables.verdict, tables.significance.set_index("strategy")
    models = tables.leaderboard[tables.leaderboard["family"] == "model"].set_index("strategy")["sharpe"]
    best = str(models.idxmax())
    named = verdict | {
        "named": True, "best_model": best, "best_model_sharpe": float(models[best]), "best_model_trials": 12,
        "best_model_probability": 0.789, "models_compared": len(models),
    }  # fmt: skip
    said = text.how_chosen(named)
    assert f"best single model of {len(models)} is {text.label(best)}, Sharpe ratio {models[best]:.2f}" in said
    assert "the best of 12 trials would show by luck with probability 78.9 %" in said
    assert f"of the {verdict['models_compared']} models that were compared" in text.how_chosen(
        verdict | {"named": False}
    )
    changes = " ".join(text.what_would_change_it(verdict, tables.significance, 24.0))
    assert (
        f"with these {verdict['days_all']:,} days a true Sharpe ratio of {verdict['detectable_sharpe']:.2f}" in changes
    )
    days, needed = luck.loc[verdict["strategy"], ["days", "minimum_days"]]
    assert (f"{days:,.0f}" if np.isfinite(needed) else "No number of bars is enough") in changes
    assert "no edge" not in changes.lower().replace("without an edge", "")


@pytest.mark.parametrize(("wealth", "word"), [(19.9, "has not been shown"), (20.0, "has been shown")])
def test_looks_of_every_day_are_told_in_words(wealth: float, word: str) -> None:
    assert word in text.daily_looks(wealth) and f"{wealth:.2f} times their stake" in text.daily_looks(wealth)


def test_nothing_is_rounded_to_certainty_and_an_interval_of_no_width_is_none() -> None:
    assert [text.probability(value) for value in (0.9999, 1.0, 0.999, 0.0001, 0.5, None)] == [
        "> 99.9 %", "> 99.9 %", "99.9 %", "< 0.1 %", "50.0 %", "–",
    ]  # fmt: skip
    assert [text.interval(low, high) for low, high in ((0.0, 0.0), (float("nan"), None), (0.1, 0.2))] == [
        "–", "–", "0.10 to 0.20",
    ]  # fmt: skip


def test_a_logarithmic_axis_writes_whole_numbers() -> None:
    assert log_axis("price", 18, 240)["ticktext"] == ["20", "50", "100", "200"]
    assert log_axis("equity", 0.0004, 20)["ticktext"] == ["0.001", "0.01", "0.1", "1", "10"]
    assert "tickvals" not in log_axis("price", 21, 45) | log_axis("price", 0.0, 1.0) | log_axis("price", 1.0, np.inf)


def test_what_says_nothing_is_not_drawn(tables: ReportTables) -> None:
    """One bar that is always looked at, a regime that all bars are in; both are drawn where there is more to say."""
    one = pd.DataFrame({"kind": ["lag"], "name": ["0"], "share": [1.0], "model": "linear_network", "fold": 0})
    assert sequence.attention_figure(one) is None
    assert sequence.attention_figure(pd.concat([one, one.assign(name="1")])) is not None
    regime = tables.breakdown[tables.breakdown["by"] == "fold"].assign(by="regime", group="unknown")
    for groups, is_shown in (("unknown", False), ("trending", True)):
        given = replace(tables, breakdown=pd.concat([tables.breakdown, regime.assign(group=groups)]))
        assert ("By regime, announced" in render_html(given)) == is_shown


def test_a_holding_that_owes_funding_is_explained(tables: ReportTables) -> None:
    board = tables.leaderboard.copy()
    for exposure, is_shown in ((1.0, False), (1.4, True)):
        board.loc[board["strategy"] == "buy_and_hold", "exposure"] = exposure
        assert ("hold more than it owns (140 %" in render_html(replace(tables, leaderboard=board))) == is_shown


def test_of_many_symbols_the_prices_of_those_are_drawn_that_earned_or_lost_most(tables: ReportTables) -> None:
    """Each has a button that shows and hides the lines of all: of hundreds they would be most of the page."""
    bars, (strategy, trades) = next(iter(tables.closes.values())), next(iter(tables.trades.items()))
    one = trades.loc[[trades["mfe"].idxmax()]]
    names = [f"S{number:02}" for number in range(tear_sheet.SHOWN_SYMBOLS + 5)]
    many = pd.concat([one.assign(symbol=name, net=0.001 * (number + 1)) for number, name in enumerate(names)])
    figure = tear_sheet.price_figure(dict.fromkeys(names, bars), many)
    (menu,) = figure.layout.updatemenus
    assert [button.label for button in menu.buttons] == names[5:]
    wide = replace(tables, closes=dict.fromkeys(names, bars), trades={**tables.trades, strategy: many})
    assert "of the 20 symbols, of 25, that earned or lost most" in render_html(wide)
