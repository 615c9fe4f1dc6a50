"""Colours that colour-blind readers can tell apart (Okabe and Ito 2008), and what every chart shares."""

import math
from typing import Any

BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, YELLOW, BLACK, GREY, WHITE = "#56B4E9", "#CC79A7", "#F0E442", "#1b1f24", "#8a94a0", "#ffffff"
SERIES = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, GREY, BLACK)
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
# Charts of single symbols on one page, at most: a page of hundreds opens in no browser.
SHOWN_SYMBOLS = 20


def style(figure: Any, height: int = 380) -> Any:
    """The figure with the report's font, margins, white ground and a legend above the plot."""
    figure.update_layout(
        template="plotly_white",
        height=height,
        font={"family": FONT, "size": 13, "color": BLACK},
        margin={"l": 60, "r": 20, "t": 40, "b": 50},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "xanchor": "left", "x": 0},
        hovermode="closest",
    )
    return figure


def log_ticks(low: float, high: float, most: int = 9) -> list[float]:
    """Round numbers for a logarithmic axis: 1, 2 and 5 of each power of ten, or powers alone where those are many.

    Args:
        low: the lowest value drawn, above 0.
        high: the highest.
        most: how many numbers are readable.
    """
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 5), (1,)):
        ticks = [digit * 10.0**power for power in powers for digit in digits if low <= digit * 10.0**power <= high]
        if len(ticks) <= most:
            break
    return ticks


def log_axis(title: str, low: float, high: float) -> dict[str, Any]:
    """A logarithmic axis whose every tick is written in full; plotly writes the 2 of 20 alone.

    Args:
        title: of the axis.
        low: the lowest value drawn.
        high: the highest.
    """
    axis: dict[str, Any] = {"type": "log", "title": title}
    if not (0 < low < high and math.isfinite(high)):
        return axis
    ticks = log_ticks(low, high)
    if len(ticks) < 2:  # within one step: plotly's own numbers are whole
        return axis | {"tickformat": "~s"}
    return axis | {"tickvals": ticks, "ticktext": [f"{tick:,.10g}" for tick in ticks]}
