"""Pieces of pages: tables, tiles, bars, and charts as SVG. Everything that is shown is escaped here."""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, NamedTuple


class Raw(NamedTuple):
    """HTML that was made here."""

    html: str


LONG = 40  # characters


def text(value: Any) -> str:
    """A value as safe HTML."""
    if isinstance(value, Raw):
        return value.html
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return '<span class="soft">none</span>'
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.2f}"
    return escape(str(value))


def instant(at_ms: int) -> str:
    """A moment, UTC."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}" if at_ms > 0 else "never"


def money(value: float) -> str:
    """With sign and two decimals."""
    return f"{value:+,.2f}"


def signed(value: float, shown: str) -> Raw:
    """Green above zero, red below."""
    kind = "good" if value > 0 else "bad" if value < 0 else "soft"
    return Raw(f'<span class="{kind}">{escape(shown)}</span>')


def tile(name: str, value: Any, below: str = "") -> str:
    """One number with its name.

    Args:
        name: above the number.
        value: as `text` writes it.
        below: a remark.

    Returns:
        HTML.
    """
    about = f"<small>{escape(below)}</small>"
    return f'<div class="tile"><small>{escape(name)}</small><strong>{text(value)}</strong>{about}</div>'


def tiles(*made: str) -> str:
    """Tiles in a row."""
    return f'<div class="tiles">{"".join(made)}</div>'


def card(title: str, *inside: str) -> str:
    """A titled box."""
    return f'<section class="card"><h2>{escape(title)}</h2>{"".join(inside)}</section>'


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], empty: str = "nothing yet") -> str:
    """Rows of values; numbers are set to the right.

    Args:
        head: names of the columns.
        rows: of as many cells.
        empty: what is said if there are none.

    Returns:
        HTML.
    """
    made = list(rows)
    if not made:
        return f"<p>{escape(empty)}</p>"
    numeric = [isinstance(value, int | float) for value in made[0]]
    names = "".join(
        f'<th class="{"n" if is_number else ""}">{escape(name)}</th>'
        for name, is_number in zip(head, numeric, strict=True)
    )
    body = "".join(
        "<tr>" + "".join(f'<td class="{_class_of(one)}">{text(one)}</td>' for one in row) + "</tr>"
        for row in made
    )  # fmt: skip
    return f'<div class="scroll"><table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></div>'


def _class_of(value: Any) -> str:
    """Numbers are set to the right; a sentence keeps a width that can be read on a telephone."""
    if isinstance(value, int | float):
        return "n"
    return "long" if isinstance(value, str) and len(value) > LONG else ""


def used_bar(used: float, allowed: float) -> Raw:
    """How much of a limit is used."""
    share = min(max(used / allowed, 0.0), 1.0) if allowed > 0 else 1.0
    colour = "var(--bad)" if share >= 0.9 else "var(--warn)" if share >= 0.6 else "var(--accent)"
    return Raw(f'<div class="bar"><i style="width:{share * 100:.0f}%;background:{colour}"></i></div>')


def lines(series: Sequence[tuple[str, str, Sequence[float]]], label: str, height: int = 220) -> str:
    """Lines over the same instants.

    Args:
        series: name, colour and values of each; values that are not finite are left out.
        label: for readers of the screen.
        height: of the chart.

    Returns:
        HTML with SVG.
    """
    known = [value for _, _, values in series for value in values if math.isfinite(value)]
    if len(known) < 4:
        return "<p>a chart needs a few bars more</p>"
    low, high = min(known), max(known)
    span = (high - low) or max(abs(high), 1.0) * 1e-3
    width, left, drawn = 900, 84, []

    def y(value: float) -> float:
        return 12 + (height - 24) * (1 - (value - low) / span)

    for share in (0.0, 0.5, 1.0):
        level = low + share * span
        drawn.append(
            f'<line x1="{left}" x2="{width}" y1="{y(level):.1f}" y2="{y(level):.1f}" stroke="var(--line)"/>'
            f'<text x="{left - 6}" y="{y(level) + 4:.1f}" text-anchor="end" font-size="12" fill="var(--soft)">'
            f"{level:,.{0 if high >= 10_000 else 2}f}</text>"
        )
    for _, colour, values in series:
        step = (width - left) / max(len(values) - 1, 1)
        points = " ".join(
            f"{left + at * step:.1f},{y(value):.1f}" for at, value in enumerate(values) if math.isfinite(value)
        )
        drawn.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
    legend = " ".join(f'<span class="tag" style="color:{colour}">{escape(name)}</span>' for name, colour, _ in series)
    box = f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
    return f"<div>{legend}</div>{box}{''.join(drawn)}</svg>"


def candles(bars: Sequence[Sequence[float]], marks: Sequence[tuple[int, float, float]], height: int = 320) -> str:
    """Candles of (timestamp, open, high, low, close), and marks of fills (timestamp, price, units).

    Args:
        bars: timestamp, open, high, low and close of each, oldest first.
        marks: of fills: timestamp of the bar, price and units.
        height: of the chart.

    Returns:
        HTML with SVG.
    """
    if len(bars) < 3:
        return "<p>a chart needs a few bars more</p>"
    low, high = min(one[3] for one in bars), max(one[2] for one in bars)
    span, width, left = (high - low) or 1.0, 900, 60
    step = (width - left) / len(bars)

    def y(price: float) -> float:
        return 12 + (height - 24) * (1 - (price - low) / span)

    drawn = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        level = low + share * span
        drawn.append(
            f'<line x1="{left}" x2="{width}" y1="{y(level):.1f}" y2="{y(level):.1f}" stroke="var(--line)"/>'
            f'<text x="{left - 6}" y="{y(level) + 4:.1f}" text-anchor="end" font-size="12" fill="var(--soft)">'
            f"{level:,.2f}</text>"
        )
    place = {}
    for number, (at, opening, top, bottom, close) in enumerate(bars):
        x = left + (number + 0.5) * step
        place[int(at)] = x
        colour = "var(--good)" if close >= opening else "var(--bad)"
        body = max(abs(y(opening) - y(close)), 1.0)
        drawn.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y(top):.1f}" y2="{y(bottom):.1f}" stroke="{colour}"/>'
            f'<rect x="{x - step * 0.35:.1f}" y="{min(y(opening), y(close)):.1f}" width="{step * 0.7:.1f}" '
            f'height="{body:.1f}" fill="{colour}"/>'
        )
    for at, price, units in marks:
        if at in place:
            turn, colour = (-1, "var(--accent)") if units > 0 else (1, "var(--warn)")
            x, base = place[at], y(price) - turn * 16
            drawn.append(
                f'<polygon points="{x:.1f},{y(price) - turn * 4:.1f} {x - 6:.1f},{base:.1f} {x + 6:.1f},{base:.1f}" '
                f'fill="{colour}" stroke="var(--card)"><title>{"bought" if units > 0 else "sold"} {abs(units):g} at '
                f"{price:g}</title></polygon>"
            )
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="candles and fills">{"".join(drawn)}</svg>'
