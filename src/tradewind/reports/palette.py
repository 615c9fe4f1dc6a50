"""Colours that colour-blind readers can tell apart (Okabe and Ito 2008), and what every chart shares."""

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
