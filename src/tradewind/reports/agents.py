"""Charts and tables of agents."""

from collections.abc import Iterator

import pandas as pd
from plotly import graph_objects as go

from tradewind.reports.palette import GREY, SERIES, style
from tradewind.reports.performance import label
from tradewind.reports.text import interval, number, percent


def training_figure(log: pd.DataFrame) -> go.Figure:
    """Growth on the validation bars by timesteps, a line a fold and seed."""
    figure = go.Figure()
    for (fold, seed), part in log.groupby(["fold", "seed"]):
        figure.add_scatter(
            x=part["steps"], y=1e4 * part["valid_growth"], mode="lines+markers", name=f"fold {fold:.0f}",
            legendgroup=str(fold), showlegend=bool(seed == log["seed"].min()),
            line={"color": SERIES[int(fold) % len(SERIES)]},
        )  # fmt: skip
    figure.update_layout(xaxis_title="timesteps (bars)", yaxis_title="log growth a validation bar, bps")
    return style(figure)


def action_figure(action_map: pd.DataFrame) -> go.Figure:
    """What is held on average, by the forecast direction (from down to up) and the probability of staying flat."""
    wide = action_map.pivot_table(index="flat", columns="edge", values="target")
    edge = action_map.groupby("edge")["forecast_edge_mean"].mean()
    flat = action_map.groupby("flat")["forecast_flat"].mean()
    figure = go.Figure(
        go.Heatmap(
            z=wide.to_numpy(), x=[f"{value:+.2f}" for value in edge], y=[f"{value:.0%}" for value in flat], zmin=-1,
            zmax=1, colorscale="RdBu", texttemplate="%{z:.2f}",
            colorbar={"title": "position"},
        )
    )  # fmt: skip
    figure.update_layout(xaxis_title="forecast, up less down, mean of twelve bars", yaxis_title="probability of flat")
    figure.update_xaxes(type="category")
    figure.update_yaxes(type="category")
    return style(figure)


def profile_figure(profile: pd.DataFrame) -> go.Figure:
    """The share of all seeds and folds whose Sharpe ratio lies above each value; further up and right is better."""
    figure = go.Figure()
    for place, (strategy, part) in enumerate(profile.groupby("strategy", sort=False)):
        figure.add_scatter(
            x=part["threshold"], y=part["share"], mode="lines", name=label(str(strategy)),
            line={"color": SERIES[place % len(SERIES)], "shape": "hv"},
        )  # fmt: skip
    figure.add_vline(x=0, line={"dash": "dot", "color": GREY})
    figure.update_layout(xaxis_title="Sharpe ratio of a fold", yaxis={"title": "share above", "tickformat": ".0%"})
    return style(figure)


def agent_rows(scores: pd.DataFrame) -> Iterator[dict[str, str]]:
    """What the seeds of each agent come to, fold by fold: the interquartile mean with its interval."""
    for row in scores.to_dict("records"):
        yield {
            "agent": label(row["strategy"]),
            "seeds x folds": f"{row['seeds']} x {row['folds']}",
            "Sharpe, interquartile mean": number(row["iqm"]),
            "90 % interval": interval(row["iqm_low"], row["iqm_high"]),
            "lowest": number(row["lowest"]),
            "highest": number(row["highest"]),
            "share above 0": percent(row["above_zero"], 0),
            "above holding": percent(row["above_holding"], 0),
        }


def behaviour_rows(behaviour: pd.DataFrame) -> Iterator[dict[str, str]]:
    """What each agent does, the mean over its seeds and folds."""
    for strategy, part in behaviour.groupby("strategy", sort=False):
        mean = part.drop(columns=["strategy"]).mean()
        yield {
            "agent": label(str(strategy)),
            "long": percent(mean["long"], 0),
            "short": percent(mean["short"], 0),
            "flat": percent(mean["flat"], 0),
            "mean position": number(mean["mean_size"]),
            "held, bars": number(mean["holding_bars"], 0),
            "turnover a bar": percent(mean["turnover"], 2),
            "gross a bar, bps": number(1e4 * mean["gross"]),
            "cost a bar, bps": number(1e4 * mean["cost"]),
        }


_STATES = {
    "cost": "costs x {}", "trend": "trend of 72 bars: {} third", "volatility": "volatility: {} third",
    "shock": "leaps of the price: {}",
}  # fmt: skip


def response_rows(responses: pd.DataFrame) -> Iterator[dict[str, str]]:
    """How each agent answers to costs, trends, volatility and leaps: means over its seeds and folds, by bars."""
    order = {kind: place for place, kind in enumerate(_STATES)}
    for strategy, part in responses.groupby("strategy", sort=False):
        ranked = part.assign(order=part["kind"].map(order)).sort_values("order", kind="stable")
        for (_, kind, level), rows in ranked.groupby(["order", "kind", "level"], sort=False):
            total = max(float(rows["bars"].sum()), 1.0)
            names = ["exposure", "side", "turnover", "gross", "cost", "net"]
            mean = {name: float((rows[name] * rows["bars"]).sum()) / total for name in names}
            yield {
                "agent": label(str(strategy)),
                "state": _STATES[str(kind)].format(level),
                "bars": number(float(rows["bars"].sum()), 0),
                "size": number(mean["exposure"]),
                "side": number(mean["side"]),
                "turnover a bar": percent(mean["turnover"], 2),
                "gross a bar, bps": number(1e4 * mean["gross"]),
                "cost": number(1e4 * mean["cost"]),
                "net": number(1e4 * mean["net"]),
            }


def failure_rows(failures: pd.DataFrame) -> Iterator[dict[str, str]]:
    """How and where agents failed."""
    for row in failures.sort_values(["strategy", "failure", "fold", "seed"]).to_dict("records"):
        yield {
            "agent": label(row["strategy"]),
            "fold": number(row["fold"], 0),
            "seed": "all" if row["seed"] < 0 else number(row["seed"], 0),
            "failure": row["failure"],
            "value": number(row["value"]),
        }
