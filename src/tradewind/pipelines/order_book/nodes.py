"""Nodes of the stage that rebuilds order books; the work is in `tradewind.data.order_book`."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from plotly.graph_objects import Figure

from tradewind.compute import ComputeRules, split
from tradewind.data.order_book import agreement, events, seconds, trades
from tradewind.data.order_book.events import BookRules, Contract
from tradewind.data.quality import join_rows
from tradewind.reports.order_book import book_figure

Streams = Mapping[str, Callable[[], pd.DataFrame]]
Loaders = dict[str, Callable[[], pd.DataFrame]]


def rebuild_books(
    source_depth: Streams, source_trades: Streams, rules: BookRules, compute: ComputeRules
) -> tuple[Loaders, Loaders, Loaders]:
    """For each stream the book at the end of each second, what walking it cost, and the rejected rows.

    Args:
        source_depth: by stream a function that loads changes of depth.
        source_trades: by stream a function that loads trades; may lack streams.
        rules: distances, order sizes and venues.
        compute: executor and workers.

    Returns:
        Three mappings by stream.
    """
    work = {name: (name, load, source_trades.get(name), rules) for name, load in source_depth.items()}
    book_seconds, walk_costs, rejected = split(_rebuilt, work, compute, results=3)
    return book_seconds, walk_costs, rejected


def make_trade_bars(source_trades: Streams, rules: BookRules, compute: ComputeRules) -> tuple[Loaders, Loaders]:
    """For each stream the bars that its trades make, and the rejected trades.

    Args:
        source_trades: by stream a function that loads trades.
        rules: the timeframe of the bars.
        compute: executor and workers.

    Returns:
        Two mappings by stream.
    """
    work = {name: (name, load, rules) for name, load in source_trades.items()}
    bars, rejected = split(_bars, work, compute, results=2)
    return bars, rejected


def check_books(book_seconds: Streams, source_quotes: Streams, source_depth: Streams) -> pd.DataFrame:
    """How each rebuilt book agrees with the exchange's own best prices.

    Args:
        book_seconds: by stream a function that loads its rebuilt seconds.
        source_quotes: by stream a function that loads best prices; may lack streams.
        source_depth: by stream a function that loads changes of depth, for the skew of the clock.

    Returns:
        One row a stream that has quotes.
    """
    rows = []
    for name, load in book_seconds.items():
        if name in source_quotes:
            skew_ms = events.clock_skew_ms(source_depth[name]())
            measured = agreement.compare_quotes(load(), source_quotes[name](), skew_ms)
            rows.append({"stream": name, "clock_skew_ms": skew_ms, **measured})
    names = ["stream", "clock_skew_ms", "seconds", "equal_share", "largest_difference_bps"]
    return pd.DataFrame(rows, columns=names)


def measure_costs(walk_costs: Streams) -> tuple[pd.DataFrame, dict[str, Any]]:
    """What orders of each size paid, and for each symbol the points for `params:trading.costs.book`."""
    summary = seconds.summarise_costs(join_rows([load() for load in walk_costs.values()]))
    points = {
        f"{venue}/{symbol}": seconds.book_points(rows) for (venue, symbol), rows in summary.groupby(["venue", "symbol"])
    }
    return summary, points


def draw_books(book_seconds: Streams) -> Figure:
    """Spread, depth and imbalance over time."""
    return book_figure({name: load() for name, load in book_seconds.items()})


def _rebuilt(
    name: str, load_depth: Callable[[], pd.DataFrame], load_trades: Callable[[], pd.DataFrame] | None, rules: BookRules
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    contract = Contract.of(name, rules)
    book = seconds.rebuild(load_depth(), contract, rules)
    if load_trades is None:
        table = book.seconds.assign(buy_value=float("nan"), sell_value=float("nan"))
    else:
        believed, _ = trades.valid_trades(load_trades(), name)
        table = seconds.add_flow(book.seconds, believed, contract)
    return table, book.costs, book.rejected


def _bars(name: str, load_trades: Callable[[], pd.DataFrame], rules: BookRules) -> tuple[pd.DataFrame, pd.DataFrame]:
    believed, rejected = trades.valid_trades(load_trades(), name)
    return trades.bars_of_stream(believed, Contract.of(name, rules), rules.timeframe), rejected
