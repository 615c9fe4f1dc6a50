"""The feature dictionary as one page that can be searched and sorted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tradewind.learning.features.spec import TIERS
from tradewind.reports.palette import BLUE, GREY, VERMILION

WIDTH, HEIGHT = 110, 30


@dataclass(frozen=True)
class FeatureTables:
    """What the page is made of: the tables of the feature_engineering stage, and importance by model."""

    dictionary: pd.DataFrame
    distribution: pd.DataFrame
    coefficients: pd.DataFrame
    drift: pd.DataFrame
    histograms: pd.DataFrame
    importance: Mapping[str, pd.DataFrame]


def render_feature_page(tables: FeatureTables) -> str:
    """A self-contained page: one row a feature, drawn small, all text escaped by the template."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(loader=PackageLoader("tradewind.reports"), autoescape=True, trim_blocks=True)
    template = environment.get_template("feature_dictionary.html.j2")
    horizons = sorted(tables.coefficients["horizon"].unique().tolist())
    return template.render(
        rows=_rows(tables, horizons), horizons=horizons, tiers=TIERS, n_models=len(tables.importance),
        families=sorted(tables.dictionary["family"].unique()),
    )  # fmt: skip


def _rows(tables: FeatureTables, horizons: list[int]) -> list[dict[str, Any]]:
    by_name = {
        "distribution": tables.distribution.set_index("name"),
        "coefficients": dict(iter(tables.coefficients.groupby("feature"))),
        "drift": dict(iter(tables.drift.groupby("feature"))),
        "histograms": dict(iter(tables.histograms.groupby("feature"))),
    }
    shares = _importance_shares(tables.importance)
    limit = float(tables.coefficients[["low", "high"]].abs().quantile(0.99).max()) or 1.0
    rows = []
    for entry in tables.dictionary.to_dict("records"):
        name = entry["name"]
        coefficients = by_name["coefficients"].get(name)
        drift, spread = by_name["drift"].get(name), by_name["distribution"].loc[name]
        best = _strongest(coefficients)
        rows.append(
            {
                **entry,
                "missing": float(spread["missing_share"]),
                "median": float(spread["p50"]),
                "histogram": histogram_svg(by_name["histograms"].get(name)),
                "drift_svg": drift_svg(drift),
                "psi": float(drift["psi"].max()) if drift is not None else float("nan"),
                "decay": decay_svg(coefficients, limit),
                "ic": best,
                "importance": shares.get(name, 0.0),
            }
        )
    return rows


def _importance_shares(importance: Mapping[str, pd.DataFrame]) -> dict[str, float]:
    """Mean over the models of each feature's share of the absolute SHAP values."""
    shares = []
    for table in importance.values():
        mean = table.groupby("feature")["mean_abs_shap"].mean()
        shares.append(mean / max(mean.sum(), 1e-300))
    if not shares:
        return {}
    overall = pd.concat(shares, axis=1).fillna(0.0).mean(axis=1)
    return {str(name): float(value) for name, value in overall.items()}


def _strongest(coefficients: pd.DataFrame | None) -> dict[str, Any] | None:
    """The horizon with the largest coefficient against its interval, in figures."""
    if coefficients is None or coefficients.empty:
        return None
    strength = coefficients["ic"].abs() / np.maximum(coefficients["high"] - coefficients["low"], 1e-12)
    best = coefficients.loc[strength.idxmax()]
    return {
        "horizon": int(best["horizon"]), "ic": float(best["ic"]),
        "low": float(best["low"]), "high": float(best["high"]),
        "clear": bool(best["low"] > 0 or best["high"] < 0),
    }  # fmt: skip


def histogram_svg(histogram: pd.DataFrame | None) -> str:
    """The distribution as small bars."""
    if histogram is None or histogram.empty:
        return ""
    shares = histogram["share"].to_numpy() / max(histogram["share"].max(), 1e-12)
    step = WIDTH / len(shares)
    bars = "".join(
        f'<rect x="{at * step:.1f}" y="{HEIGHT - HEIGHT * share:.1f}" width="{step * 0.85:.1f}" '
        f'height="{HEIGHT * share:.1f}"/>'
        for at, share in enumerate(shares)
    )
    return _svg(bars)


def _svg(inside: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" fill="{BLUE}">{inside}</svg>'


def drift_svg(drift: pd.DataFrame | None) -> str:
    """Median by year as a line in the band of the middle half."""
    if drift is None or drift.empty:
        return ""
    low, high = float(drift["q05"].min()), float(drift["q95"].max())
    scale = (HEIGHT - 2) / (high - low) if high > low else 0.0

    def points(column: str) -> list[tuple[float, float]]:
        last = max(len(drift) - 1, 1)
        return [
            (2 + at * (WIDTH - 4) / last, HEIGHT - 1 - (value - low) * scale)
            for at, value in enumerate(drift[column].tolist())
        ]

    def path(line: list[tuple[float, float]]) -> str:
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in line)

    band = path(points("q25") + points("q75")[::-1])
    middle = points("q50")
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.8"/>' for x, y in middle)
    line = f'<polyline points="{path(middle)}" fill="none" stroke="{BLUE}"/>'
    return _svg(f'<polygon points="{band}" opacity="0.22"/>{line}{dots}')


def decay_svg(coefficients: pd.DataFrame | None, limit: float) -> str:
    """The information coefficient at each horizon with its interval, on the same scale for all features."""
    if coefficients is None or coefficients.empty:
        return ""
    ordered = coefficients.sort_values("horizon")
    step, middle = WIDTH / len(ordered), HEIGHT / 2

    def height(value: float) -> float:
        return middle - float(np.clip(value / limit, -1, 1)) * (middle - 1)

    marks = []
    for at, (ic, low, high) in enumerate(ordered[["ic", "low", "high"]].to_numpy()):
        x = (at + 0.5) * step
        colour = GREY if low <= 0 <= high else BLUE if ic > 0 else VERMILION
        x_and_y = f'x1="{x:.1f}" x2="{x:.1f}" y1="{height(low):.1f}" y2="{height(high):.1f}"'
        marks.append(f'<line {x_and_y} stroke="{colour}" stroke-width="2"/>')
        marks.append(f'<circle cx="{x:.1f}" cy="{height(ic):.1f}" r="2.6" fill="{colour}"/>')
    axis = f'<line x1="0" x2="{WIDTH}" y1="{middle}" y2="{middle}" stroke="#c3cad3"/>'
    return _svg(axis + "".join(marks))
