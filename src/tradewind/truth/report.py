"""The experiment's result in words and tables."""

from collections.abc import Iterator, Mapping
from typing import Any

from tradewind.reports.markdown import table
from tradewind.reports.text import number, percent


def render(summary: Mapping[str, Any]) -> str:
    """The summary as Markdown."""
    return "\n\n".join(
        [
            "# Truth: how often the verdict is wrong",
            f"{summary['null_markets']} markets with nothing to find and {summary['planted_markets']} with an edge of "
            "known strength, each through the whole pipeline in memory. Shares with 90 % intervals.",
            table(_nulls(summary)),
            "## Markets with an edge",
            "Power is the share called go. `edge` is the annual gross Sharpe ratio planted in each symbol; the "
            "oracle's net Sharpe ratio is what knowing it exactly earned on the walk-forward folds.",
            table(_planted(summary)),
        ]
    ) + "\n"  # fmt: skip


def _with_interval(found: Mapping[str, Any]) -> str:
    return f"{percent(found['value'])} ({percent(found['low'])} to {percent(found['high'])})"


def _nulls(summary: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for name, key in (
        ("called go (false discovery)", "false_discovery"),
        ("called watch", "false_watch"),
        ("90 % intervals of buying and holding that hold its true Sharpe ratio, 0", "coverage"),
    ):
        yield {"of the markets with nothing to find": name, "share": _with_interval(summary[key])}
    mean, deviation = summary["null_sharpe_mean"], summary["null_sharpe_deviation"]
    yield {
        "of the markets with nothing to find": "Sharpe ratio of the judged model, mean and deviation",
        "share": f"{number(mean)}, {number(deviation)}",
    }


def _planted(summary: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for cell in summary["planted"]:
        yield {
            "edge": number(cell["edge"], 0),
            "days": number(cell["days"], 0),
            "markets": number(cell["markets"], 0),
            "power": _with_interval(cell["power"]),
            "not no-go": percent(cell["not_no_go"]["value"]),
            "oracle, net": number(cell["oracle_sharpe"]),
            "share of the oracle": percent(cell["share_of_oracle"], 0),
        }
