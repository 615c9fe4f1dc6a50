"""Two runs side by side: what was changed, and whether the difference is more than noise."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from plotly import graph_objects as go

from tradewind.market.calendars import YEAR_DAYS
from tradewind.metrics.comparison import sharpe_difference
from tradewind.reports import text
from tradewind.reports.page import div, render, table
from tradewind.reports.palette import BLUE, ORANGE, style
from tradewind.reports.performance import label


@dataclass(frozen=True)
class Run:
    """A finished run: its identity, what was judged, its parameters, its results on walk-forward folds and holdout."""

    key: str
    name: str
    started: pd.Timestamp
    verdict: str
    judged: str
    parameters: Mapping[str, str]
    leaderboard: pd.DataFrame
    holdout_leaderboard: pd.DataFrame
    significance: pd.DataFrame
    daily_returns: pd.DataFrame


def parameter_rows(first: Run, second: Run) -> Iterator[dict[str, str]]:
    """The parameters that differ; those of what only one of the runs did are counted, a row a stage."""
    heads = f"A {first.key}", f"B {second.key}"
    one_sided: Counter[tuple[str, bool]] = Counter()
    for name in sorted({*first.parameters, *second.parameters}):
        a, b = first.parameters.get(name), second.parameters.get(name)
        if a is None or b is None:
            one_sided[name.partition(".")[0], b is None] += 1
        elif a != b:
            yield {"parameter": name, heads[0]: a, heads[1]: b}
    for (block, in_first), count in sorted(one_sided.items()):
        texts = f"{count} recorded", "not run, or another version"
        a, b = texts if in_first else texts[::-1]
        yield {"parameter": f"{block} ...", heads[0]: a, heads[1]: b}


def days_per_year(run: Run) -> float:
    """The days of a year that the run annualised by: its volatilities a year against those a day."""
    for name, volatility in zip(run.leaderboard["strategy"], run.leaderboard["annual_volatility"], strict=True):
        daily = run.daily_returns[name].std()
        if daily > 0 and volatility > 0:
            return float((volatility / daily) ** 2)
    return YEAR_DAYS


def strategy_rows(first: Run, second: Run, seed: int = 0) -> Iterator[dict[str, str]]:
    """Every strategy that both have: Sharpe ratios, and the difference over the days that both have.

    Args:
        first: the one run.
        second: the other run.
        seed: of the resampling behind the interval.
    """
    boards = [run.leaderboard.set_index("strategy") for run in (first, second)]
    days = first.daily_returns.merge(second.daily_returns, on="day", suffixes=("_a", "_b"))
    for name in boards[0].index:
        if name not in boards[1].index:
            continue
        pair = days[[f"{name}_a", f"{name}_b"]].to_numpy()
        difference, low, high = sharpe_difference(
            pair[:, 1], pair[:, 0], np.random.default_rng(seed), days_per_year=days_per_year(first)
        )
        same = bool(len(pair)) and np.array_equal(pair[:, 0], pair[:, 1])
        finding = "the same" if same else "more than noise" if low > 0 or high < 0 else "not told apart"
        if not len(pair):  # two markets, or two histories of one
            difference, finding = float("nan"), "no day in common"
        yield {
            "strategy": label(name),
            **{
                f"{mark}: Sharpe": text.number(board.loc[name, "sharpe"])
                for mark, board in zip("AB", boards, strict=True)
            },
            "B less A": text.number(difference),
            "90 % interval": text.interval(low, high),
            "so it is": finding,
            "A: drawdown": text.percent(boards[0].loc[name, "max_drawdown"]),
            "B: drawdown": text.percent(boards[1].loc[name, "max_drawdown"]),
            "days shared": text.number(len(pair), 0),
        }


def fact_rows(first: Run, second: Run) -> Iterator[dict[str, str]]:
    """Verdict, judged model and its figures, one column a run."""
    facts: dict[str, list[str]] = {}
    for run in (first, second):
        board = run.leaderboard.set_index("strategy").loc[run.judged]
        holdout = run.holdout_leaderboard.set_index("strategy")["sharpe"].get(run.judged)
        deflated = run.significance.set_index("strategy").loc[run.judged]
        for name, value in (
            ("started", f"{run.started:%Y-%m-%d %H:%M} UTC"),
            ("verdict", run.verdict),
            ("judged", label(run.judged)),
            ("Sharpe ratio, net", text.number(board["sharpe"])),
            ("90 % interval", text.interval(board["sharpe_low"], board["sharpe_high"])),
            ("holdout Sharpe ratio", text.number(holdout)),
            ("deflated Sharpe", text.probability(deflated["deflated_sharpe"])),
            ("trials so far", text.number(int(deflated["trials"]), 0)),
            ("total return", text.percent(board["total_return"])),
            ("max drawdown", text.percent(board["max_drawdown"])),
            ("costs a year", text.percent(board["cost_per_year"])),
        ):
            facts.setdefault(name, []).append(value)
    for name, (a, b) in facts.items():
        yield {"": name, f"A {first.key}": a, f"B {second.key}": b}


def equity_figure(first: Run, second: Run) -> go.Figure:
    """Net equity of both judged models over the walk-forward folds."""
    figure = go.Figure()
    for run, mark, colour in ((first, "A", ORANGE), (second, "B", BLUE)):
        daily = run.daily_returns
        figure.add_scatter(
            x=daily["day"], y=(1 + daily[run.judged]).cumprod(), mode="lines",
            name=f"{mark} {run.key}: {label(run.judged)}",
            line={"color": colour, "width": 2, "dash": "dot" if mark == "A" else "solid"},
            hovertemplate="%{y:.3f}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(yaxis={"type": "log", "title": "equity, net of costs"})
    return style(figure, height=380)


def render_comparison(first: Run, second: Run) -> str:
    """The comparison as one self-contained page."""
    return render(
        "compare.html.j2",
        first=first,
        second=second,
        facts=table(fact_rows(first, second)),
        parameters=table(parameter_rows(first, second)),
        strategies=table(strategy_rows(first, second)),
        equity=div(equity_figure(first, second)),
    )
