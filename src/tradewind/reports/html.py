"""The report as one self-contained page: no network, readable on a phone, printable."""

from collections.abc import Iterable
from typing import Any

from tradewind.reports import classification, performance, text
from tradewind.reports.palette import style
from tradewind.reports.performance import label
from tradewind.reports.tables import ReportTables


def render_html(tables: ReportTables) -> str:
    """The page. Every table and chart comes from `tables`; all text from the data is escaped by the template."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(loader=PackageLoader("tradewind.reports"), autoescape=True, trim_blocks=True)
    return environment.get_template("report.html.j2").render(**_content(tables))


def _content(tables: ReportTables) -> dict[str, Any]:
    from plotly.offline import get_plotlyjs

    verdict, chosen = tables.verdict, tables.verdict["strategy"]
    models = list(dict.fromkeys(tables.fold_metrics["model"]))
    compared = [
        name
        for name in dict.fromkeys([chosen, "buy_and_hold", "oracle"])
        if name in set(tables.leaderboard["strategy"])
    ]
    returns = tables.portfolio_returns
    return {
        "plotly_js": get_plotlyjs(),
        "verdict": verdict,
        "headline": text.HEADLINE[verdict["verdict"]],
        "chosen": label(chosen),
        "breakers": text.what_would_break_it(verdict),
        "facts": _facts(tables),
        "figures": {
            "intervals": _div(performance.interval_figure(tables.leaderboard, tables.holdout_leaderboard)),
            "equity": _div(performance.equity_figure(returns, chosen)),
            "drawdown": _div(performance.drawdown_figure(returns, chosen)),
            "costs": _div(performance.cost_figure(tables.cost_sensitivity, chosen)),
            "gaps": _div(style(tables.gaps_figure, height=160 + 34 * len(tables.data_quality))),
        },
        "models": [
            {
                "name": label(model),
                "confusion": _div(classification.confusion_matrix_figure(_of(tables.confusion, model))),
                "reliability": _div(classification.reliability_figure(_of(tables.reliability, model))),
                "importance": _div(classification.importance_figure(_of(tables.importance, model))),
            }
            for model in models
        ],
        "board": _table(text.board_rows(tables.leaderboard)),
        "holdout_board": _table(text.board_rows(tables.holdout_leaderboard)),
        "by_fold": _table(text.breakdown_rows(tables.breakdown, "fold", compared)),
        "by_symbol": _table(text.breakdown_rows(tables.breakdown, "symbol", compared)),
        "by_year": _table(text.breakdown_rows(tables.breakdown, "year", compared)),
        "metrics": _table(text.metric_rows(tables.fold_metrics)),
        "quality": _table(text.quality_rows(tables.data_quality)),
        "labels": _table(text.label_rows(tables.label_quality)),
        "stability": _table(text.stability_rows(tables.label_stability)),
        "features": _table(text.feature_rows(tables)),
        "n_features": len(tables.feature_dictionary),
        "folds": _table(text.fold_rows(tables.folds)),
        "settings": tables.settings,
    }


def _facts(tables: ReportTables) -> list[tuple[str, str, str]]:
    """The figures at the top: name, value, what it means."""
    verdict = tables.verdict
    facts = [
        (
            "Sharpe ratio, net",
            text.number(verdict["sharpe"]),
            f"90 % interval {text.interval(verdict['sharpe_low'], verdict['sharpe_high'])}",
        ),
        ("Probability of luck", text.percent(verdict["probability_of_luck"]), "without an edge, this good or better"),
        (
            "Holdout Sharpe ratio",
            text.number(verdict["holdout_sharpe"]),
            f"90 % interval {text.interval(verdict['holdout_sharpe_low'], verdict['holdout_sharpe_high'])}",
        ),
    ]
    if verdict.get("oracle_share") is not None:
        facts.append(("Share of the oracle", text.percent(verdict["oracle_share"], 0), "of the planted edge's Sharpe"))
    else:
        multiple = verdict.get("break_even_cost_multiple")
        shown = f"{text.number(multiple, 1)} x" if multiple is not None else "beyond all tried"
        facts.append(("Break-even costs", shown, "multiple of the assumed costs"))
    return facts


def _of(table: Any, model: str) -> Any:
    return table[table["model"] == model]


def _div(figure: Any) -> str:
    """The figure as a fragment; the library is in the page once."""
    fragment: str = figure.to_html(
        full_html=False, include_plotlyjs=False, config={"displayModeBar": False, "responsive": True}
    )
    return fragment


def _table(rows: Iterable[dict[str, str]]) -> dict[str, Any]:
    listed = list(rows)
    return {"head": list(listed[0]) if listed else [], "rows": [list(row.values()) for row in listed]}
