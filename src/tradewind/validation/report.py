"""The experiment's result in words and tables."""

from collections.abc import Iterator, Mapping
from typing import Any

from tradewind.reports.markdown import table
from tradewind.reports.text import number, percent

WORLDS = {
    "simulated": "simulated",
    "sign_flipped": "real candles, each mirrored or not by a coin",
    "block_shuffled": "real days in another order",
}

SHARES = {"judged": "judged", "best_afterwards": "best single, chosen afterwards", "mean_model": "mean single"}


def render(summary: Mapping[str, Any]) -> str:
    """The summary as Markdown."""
    parts = [
        "# Truth: how often the verdict is wrong",
        *_unfinished(summary),
        f"{summary['null_markets']} markets with nothing to find and {summary['planted_markets']} with an edge of "
        "known strength, each through the whole pipeline in memory. Shares with 90 % intervals.",
    ]
    if summary["worlds"]:
        parts += ["## Markets with nothing to find", table(_worlds(summary))]
    if summary["planted"]:
        parts += [
            "## Markets with an edge",
            "Power is the share called go; beside it the share that would be called go with perfect knowledge of the "
            "planted signal, which no model can exceed by skill. `edge` is the annual gross Sharpe ratio planted in "
            "each symbol; the oracle's net Sharpe ratio is what knowing it exactly earned on the walk-forward folds.",
            table(_planted(summary)),
            "Of the markets of an edge of 2 to 4 that one test shows, those called go:",
            table(_kept(summary)),
            "Shares of what the oracle's positions are worth without luck (positions by the planted drift, net of "
            "costs, folds and holdout); the best single model is chosen afterwards, by that worth itself.",
            table(_shares(summary)),
            "What each rule costs: the share of these markets that passes the verdict's test alone, the test and one "
            "other rule, and all of them.",
            table(_rules(summary)),
        ]
    parts += ["## Intervals", table(_coverage(summary))]
    if summary["loss"]:
        parts += [
            "## Probability of loss",
            "How often the best model of the folds was foretold to lose money, and how often it did, in the holdout.",
            table(_loss(summary)),
        ]
    return "\n\n".join(parts) + "\n"


def _with_interval(estimate: Mapping[str, Any]) -> str:
    if estimate["value"] is None:
        return "none to count"
    if estimate["low"] is None:
        return percent(estimate["value"])
    return f"{percent(estimate['value'])} ({percent(estimate['low'])} to {percent(estimate['high'])})"


def _worlds(summary: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for world in summary["worlds"]:
        yield {
            "world": WORLDS[world["world"]],
            "markets": number(world["markets"], 0),
            "called go (false discovery)": _with_interval(world["false_discovery"]),
            "chance of so many, if 5 % are": percent(world["false_discovery_chance"]),
            "called watch": _with_interval(world["false_watch"]),
            "pass the test alone": _with_interval(world["test_alone"]),
            "pass by the error as found": _with_interval(world["found_error"]),
            "signs tossed by day": _size(world["tossed"], "day"),
            "by ten days": _size(world["tossed"], "ten_days"),
            "bets ever reach 20": _with_interval(world["false_alarm"]),
            "judged Sharpe, mean": number(world["sharpe_mean"]),
            "deviation": number(world["sharpe_deviation"]),
            "largest": number(world["sharpe_largest"]),
        }


def _planted(summary: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for cell in summary["planted"]:
        yield {
            "edge": number(cell["edge"], 0),
            "days": number(cell["days"], 0),
            "markets": number(cell["markets"], 0),
            "power": _with_interval(cell["power"]),
            "one test": percent(cell["one_test"]["value"], 0),
            "with perfect knowledge": percent(cell["perfect_power"]["value"], 0),
            "one test, perfect knowledge": percent(cell["perfect_test"]["value"], 0),
            "bets ever reach 20": percent(cell["e_process"]["value"], 0),
            "not no-go": percent(cell["not_no_go"]["value"], 0),
            "oracle, net": number(cell["oracle_sharpe"]),
        }


def _kept(summary: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for row in summary["kept"]:
        yield {
            "days": "all" if row["days"] is None else number(row["days"], 0), "markets": number(row["markets"], 0),
            "shown by one test": number(row["kept"]["n"], 0), "called go": _with_interval(row["kept"]),
        }  # fmt: skip


def _shares(summary: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for cell in summary["planted"]:
        yield {
            "edge": number(cell["edge"], 0), "days": number(cell["days"], 0), "markets": number(cell["markets"], 0),
            **{SHARES.get(name, name.replace("_", " ")): _with_interval(one) for name, one in cell["shares"].items()},
        }  # fmt: skip


def _size(tossed: Mapping[str, Any], name: str) -> str:
    if name not in tossed:
        return "none to toss"
    return f"{percent(tossed[name]['mean'])}, largest {percent(tossed[name]['largest'])}"


def _unfinished(summary: Mapping[str, Any]) -> Iterator[str]:
    if summary.get("wanted", 0) > summary["null_markets"] + summary["planted_markets"]:
        yield (
            f"**Not finished**: {summary['null_markets'] + summary['planted_markets']} of {summary['wanted']} markets "
            "are judged. The same command goes on."
        )


def _rules(summary: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for row in summary["rules"]:
        yield {
            "edge": number(row["edge"], 0), "markets": number(row["markets"], 0),
            "test": percent(row["test"]["value"], 0), "and beats baselines": percent(row["baselines"]["value"], 0),
            "and earns at twice the costs": percent(row["costs"]["value"], 0),
            "and holdout does not refute": percent(row["holdout"]["value"], 0),
            "all": _with_interval(row["all"]),
        }  # fmt: skip


def _coverage(summary: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    coverage = summary["coverage"]
    rows = {
        "all rules and models before costs, on null markets": coverage["before_costs"],
        **{f"- {name.replace('_', ' ')}": one for name, one in coverage["by_rule"].items()},
        "what was earned less what was expected, on planted markets": coverage["luck"],
        "strategies that learn nothing, around their worth in other markets": coverage["unlearned"],
        "all strategies, around what their positions earn by the drift as it came": coverage["planted"],
    }
    for name, one in rows.items():
        yield {
            "90 % intervals of": name, "that hold the truth": _with_interval(one), "intervals": number(one["n"], 0)
        }  # fmt: skip


def _loss(summary: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for row in summary["loss"]:
        yield {
            "probability of loss": f"{percent(row['from'], 0)} to {percent(row['to'], 0)}",
            "markets": number(row["markets"], 0),
            "foretold, mean": percent(row["foretold"], 0),
            "observed": _with_interval(row["observed"]),
        }
