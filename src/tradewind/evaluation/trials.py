"""What was ever tried on a market: every idea counts once, whatever day it was tried on.

A trial is a configuration, not an outcome: a day more of history is the same idea. Markets are the same where they
share prices, so that neither a symbol more or less nor another bar begins the count anew, and a simulation of another
seed is another market.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tradewind.adaptive.rl.parameters import AGENTS
from tradewind.evaluation.traded_market import TradedMarket
from tradewind.learning.models.catalogue import MODELS

Entries = Sequence[Mapping[str, Any]]
MARKET, TRIAL, HOLDOUT = "market", "trial", "holdout"
# Blocks that say how results are measured or computed, not what is traded.
_NOT_AN_IDEA = ("evaluation", "universe", "compute", "models", "order_book")
_TRADED_BY = ("signal", "sizing")  # of params:trading; dearer costs are the same idea


@dataclass(frozen=True)
class Counted:
    """What the ledger says.

    Attributes:
        trials: configurations of models ever evaluated on this market, those of this run included.
        looks: how often its holdout was looked at with different results, this run included.
        entries: what is to be remembered of this run.
    """

    trials: int
    looks: int
    entries: list[dict[str, Any]]


def market_marks(market: TradedMarket) -> tuple[str, ...]:
    """The last price of every month that is over, of every symbol, as short hashes: what two markets share.

    The venue's name, the symbols' and the bar play no part. A history without a whole month is marked by its first bar.
    """
    marks = set[str]()
    for table, _ in market.histories.values():
        month = (table["timestamp"] - pd.Timedelta(1, unit="ms")).dt.strftime("%Y-%m")
        last = table.groupby(month.to_numpy())["close"].last()
        done = last.iloc[:-1] if len(last) > 1 else table.set_index(month.to_numpy())["close"].iloc[:1]
        marks |= {_digest(f"{at} {float(close)!r}") for at, close in done.items()}
    return tuple(sorted(marks))


def configurations(parameters: Mapping[str, Any], models: Iterable[str]) -> dict[str, str]:
    """By model the hash of all parameters that could change what it trades.

    Args:
        parameters: all that Kedro loads.
        models: names of models and agents; each is told from the others by its name and its own block.
    """
    shared = {key: value for key, value in parameters.items() if key not in (*_NOT_AN_IDEA, "trading")}
    trading = parameters.get("trading", {})
    shared["trading"] = {name: trading[name] for name in _TRADED_BY if name in trading}
    digests = {}
    for model in models:
        others = {*MODELS, *AGENTS} - {model}
        mine = {
            key: {name: part for name, part in block.items() if name not in others}
            if isinstance(block, Mapping)
            else block
            for key, block in shared.items()
        }
        digests[model] = _digest(f"{model} {json.dumps(mine, sort_keys=True, default=str)}")
    return digests


def count(history: Entries, marks: Sequence[str], tried: Mapping[str, str], holdout: pd.DataFrame) -> Counted:
    """How many ideas were tried on the market of this run, and how often its holdout was looked at.

    Args:
        history: the ledger.
        marks: of the market of this run, by `market_marks`.
        tried: by model its configuration.
        holdout: the rows strategy, timestamp, net of the models in the holdout.

    Returns:
        The counts, this run included, and its entries.
    """
    shared = sorted(
        {entry["market"] for entry in history if entry.get("kind") == MARKET and set(entry["marks"]) & set(marks)}
    )
    market = shared[0] if shared else _digest(" ".join(marks))
    marked = {mark for entry in history if entry.get("kind") == MARKET for mark in entry["marks"]}
    fresh = sorted(set(marks) - marked)
    entries: list[dict[str, Any]] = []
    if fresh:
        entries.append({"key": _digest(f"{market} {fresh}"), "kind": MARKET, "market": market, "marks": fresh})
    entries += [
        {"key": _digest(f"{market} {name} {one}"), "kind": TRIAL, "market": market, "strategy": name, "idea": one}
        for name, one in sorted(tried.items())
    ]
    entries.append(_look(market, holdout, sorted(tried)))
    same_market = [entry for entry in [*history, *entries] if entry.get("market") in {market, *shared}]
    ideas = {(entry["strategy"], entry["idea"]) for entry in same_market if entry["kind"] == TRIAL}
    looks = {entry["key"] for entry in same_market if entry["kind"] == HOLDOUT}
    return Counted(len(ideas), len(looks), entries)


def _look(market: str, rows: pd.DataFrame, models: list[str]) -> dict[str, Any]:
    """The same models with the same results on the same holdout are one look, however often the run is repeated."""
    ordered = rows[rows["strategy"].isin(models)].sort_values(["strategy", "timestamp"])
    net = np.round(ordered["net"].to_numpy(dtype=np.float64), 12).tobytes()
    return {"key": _digest(f"{market} {models} {_digest(net)}"), "kind": HOLDOUT, "market": market, "models": models}


def _digest(content: str | bytes) -> str:
    return hashlib.sha256(content if isinstance(content, bytes) else content.encode()).hexdigest()[:16]
