"""The leak audit in words and tables."""

from collections.abc import Iterator

import pandas as pd

from tradewind.reports.markdown import table
from tradewind.reports.text import number, percent
from tradewind.validation import purity
from tradewind.validation.acting import NOT_TRADED
from tradewind.validation.comparing import KEYS, Findings, Leak
from tradewind.validation.planted_leaks import PlantedLeak

MOVED = 0.01  # of a feature's standard deviation: smaller deviations do not change what a model says


def render(found: Findings, warm_up_rows: pd.DataFrame, universe: str) -> str:
    """The findings and the warm-up table as Markdown.

    Args:
        found: of `audit.audit_run`.
        warm_up_rows: of `audit.warm_up`.
        universe: the market's name.
    """
    leaking = found.leaking
    verdict = (
        "**Nothing at or before any cut moved.**"
        if not leaking
        else f"**{len(leaking)} columns or strategies moved at or before a cut: they know the future.**"
    )
    parts = [
        "# Leak audit",
        f"{universe}. The run was repeated on histories that end at {len(found.cuts)} cuts, that are noise after them, "
        "that go the opposite way after them, and in which the exchange is down after them. What was known at or "
        "before a cut must be the same, value by value, from bars to accounts.",
        verdict,
        table(_products(found)),
    ]
    if leaking:
        parts += ["## What moved", table(_leaks(found))]
    strategies = [name for product, name in found.compared if product == "positions"]
    parts += [
        "## Strategies",
        table(
            {
                "strategy": name,
                "positions compared": number(found.compared["positions", name], 0),
                "moved": "yes" if ("positions", name) in leaking else "no",
            }
            for name in strategies
        ),
        f"Not looked at, since they are comparisons that nobody trades: {', '.join(NOT_TRADED)}.",
        *_places(found),
        *_choices(found),
        "## Warm-up",
        "What features say when a live system has loaded so many bars only, against the whole history. A deviation of "
        f"more than {percent(MOVED, 0)} of a feature's standard deviation counts.",
        table(_warm_up_table(warm_up_rows)),
    ]
    late = _deviating(warm_up_rows)
    if len(late):
        parts += ["Features that already speak and still deviate:", table(_late(late))]
    return "\n\n".join(parts) + "\n"


def _places(found: Findings) -> Iterator[str]:
    if found.places:
        yield "## Places"
        yield (
            "Bars, features and labels alone were cut at these places, too; scores of quality look back further than a "
            "place goes, and are compared above alone. A bar may be rare in more ways than one."
        )
        yield table({"where": kind, "cuts": number(count, 0) if count else "none there"}
                    for kind, count in found.places.items())  # fmt: skip


def _choices(found: Findings) -> Iterator[str]:
    if found.choices:
        tested = [one for one in found.choices if one.could_flip]
        yield "## Choices"
        yield (
            f"{len(tested)} futures after the middle of the first test window were made in which another candidate "
            "is the best: a choice made by the test would have flipped in them."
        )
        yield table({"step": one.step, "made the best": one.candidate,
                     "a choice flipped": "yes" if one.flipped else "no" if one.could_flip else "not tested"}
                    for one in found.choices)  # fmt: skip


def planted_line(planted: PlantedLeak | None, first: Leak | None) -> str:
    """One line of the audit of the audit; `planted` is None for the run without a leak."""
    where = f"{first.product} {first.name}, {_when(first)}" if first else ""
    if planted is None:
        return f"{'FALSE ALARM' if first else 'silent':<12}  the run without a leak  {where}".rstrip()
    return f"{'caught' if first else 'MISSED':<12}  {planted.kind:<14} {planted.name:<38} {planted.what}: {where}"


def _when(leak: Leak) -> str:
    return leak.detail if leak.product == purity.PRODUCT else f"{leak.history} after {_instant(leak.cut)}"


def _instant(at: pd.Timestamp) -> str:
    return "" if pd.isna(at) else f"{at:%Y-%m-%d %H:%M}"


def _products(found: Findings) -> Iterator[dict[str, str]]:
    for product in (*KEYS, purity.PRODUCT):
        columns = {name: count for (kind, name), count in found.compared.items() if kind == product and name != "rows"}
        if columns:
            moved = sum(kind == product for kind, _ in found.leaking)
            yield {
                "what": product.replace("_", " "),
                "columns or strategies": number(len(columns), 0),
                "values compared": number(sum(columns.values()), 0),
                "moved": number(moved, 0),
            }


def _leaks(found: Findings) -> Iterator[dict[str, str]]:
    for (product, name), leak in found.leaking.items():
        yield {
            "what": product.replace("_", " "), "name": name, "history": leak.history,
            "cut": _instant(leak.cut), "value": leak.detail, "first moved": f"{leak.symbol} {_instant(leak.first)}",
        }  # fmt: skip


def _deviating(warm_up_rows: pd.DataFrame) -> pd.DataFrame:
    return warm_up_rows[(warm_up_rows["worst"] > MOVED) & (warm_up_rows["missing"] < 1)]


def _warm_up_table(warm_up_rows: pd.DataFrame) -> Iterator[dict[str, str]]:
    for bars, part in warm_up_rows.groupby("bars"):
        silent = part["missing"] > 0
        deviating = ~silent & (part["worst"] > MOVED)
        yield {
            "bars loaded": number(int(str(bars)), 0),
            "as with all": number(int((~silent & ~deviating).sum()), 0),
            "no value yet": number(int(silent.sum()), 0),
            "deviating": number(int(deviating.sum()), 0),
        }


def _late(late: pd.DataFrame) -> Iterator[dict[str, str]]:
    for feature, part in late.groupby("feature", sort=False):
        worst = part.set_index("bars")["worst"]
        yield {"feature": str(feature), **{f"after {bars}": number(value, 3) for bars, value in worst.items()}}
