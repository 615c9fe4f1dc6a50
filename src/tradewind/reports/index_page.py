"""The page that leads to everything a run has written for people."""

from tradewind.reports import masthead, text
from tradewind.reports.page import render
from tradewind.reports.performance import label
from tradewind.reports.tables import ReportTables

PAGES = (
    ("report.html", "the verdict, a tear sheet, and everything that stands behind it"),
    ("report.md", "the same without charts, for terminals, reviews and diffs"),
    ("feature_dictionary.html", "every feature: formula, lookback, distribution, drift, information coefficient"),
    ("data_quality.html", "what was received, accepted and refused, and the scores that bars must reach"),
)
REGIMES = ("regimes.html", "trending, ranging or volatile: how the market was at each bar, as it was known then")
FILES = (
    ("verdict.json", "the verdict with its reasons, for programs"),
    ("leaderboard.parquet, holdout_leaderboard.parquet", "every strategy with its measures and intervals"),
    ("daily_returns.parquet", "net returns by day, a column a strategy"),
    ("significance.parquet, selection.json", "errors, deflation, overfitting, looks at the holdout"),
    ("cost_sensitivity.parquet, robustness/", "the same positions at other costs and in worse worlds"),
    ("breakdown.parquet", "by fold, symbol and year"),
    ("trial_ledger.jsonl", "every trial that was ever made on this market"),
)


def render_index(tables: ReportTables) -> str:
    """Head, verdict, and links to the pages beside it."""
    verdict = tables.verdict
    return render(
        "index.html.j2",
        title=masthead.title(tables),
        is_simulated=masthead.is_simulated(tables),
        about=masthead.facts(tables),
        verdict=verdict,
        headline=text.HEADLINE[verdict["verdict"]],
        chosen=label(verdict["strategy"]),
        sharpe=f"{text.number(verdict['sharpe'])} ({text.interval(verdict['sharpe_low'], verdict['sharpe_high'])})",
        holdout=f"{text.number(verdict['holdout_sharpe'])} "
        f"({text.interval(verdict['holdout_sharpe_low'], verdict['holdout_sharpe_high'])})",
        pages=[*PAGES, *([REGIMES] if (tables.breakdown["by"] == "regime").any() else [])],
        files=FILES,
    )
