"""The feature dictionary: what each feature is, and how its values are distributed."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tradewind.learning.features.spec import Feature


def dictionary_table(features: Sequence[Feature]) -> pd.DataFrame:
    """One row a feature: name, tier, family, meaning, formula, lookback (bars), unit, source."""
    columns = ("name", "tier", "family", "meaning", "formula", "lookback", "unit", "source")
    return pd.DataFrame([{column: getattr(feature, column) for column in columns} for feature in features])


def distribution_table(tables: Mapping[str, pd.DataFrame], features: Sequence[Feature]) -> pd.DataFrame:
    """One row a feature over all symbols: missing_share, mean, std, min, p01, p50, p99, max."""
    rows = []
    for feature in features:
        values = np.concatenate([table[feature.name].to_numpy(dtype=np.float64) for table in tables.values()])
        present = values[np.isfinite(values)]
        row: dict[str, object] = {"name": feature.name, "missing_share": 1 - len(present) / max(len(values), 1)}
        statistics = ("mean", "std", "min", "p01", "p50", "p99", "max")
        if len(present):
            low, first, middle, last, high = np.quantile(present, [0, 0.01, 0.5, 0.99, 1])
            row |= dict(zip(statistics, (present.mean(), present.std(), low, first, middle, last, high), strict=True))
        else:
            row |= dict.fromkeys(statistics, np.nan)
        rows.append(row)
    return pd.DataFrame(rows)


def dictionary_text(features: Sequence[Feature], distribution: pd.DataFrame) -> str:
    """The dictionary and the distributions as Markdown, a table a tier."""
    titles = {
        1: "Price and returns", 2: "Trend and momentum", 3: "Volatility, volume and microstructure",
        4: "Slower timeframes and cross-asset", 5: "Side data and calendar",
    }  # fmt: skip
    by_name = distribution.set_index("name")
    lines = ["# Feature dictionary", "", "Every value is known at the bar's close; the lookback is in bars.", ""]
    for tier, title in titles.items():
        members = [feature for feature in features if feature.tier == tier]
        if not members:
            continue
        lines += [
            f"## {tier}. {title}",
            "",
            "| name | formula | lookback | unit | source | missing | 1 % | median | 99 % |",
        ]
        lines.append("|---|---|---:|---|---|---:|---:|---:|---:|")
        for feature in members:
            row = by_name.loc[feature.name]
            formula = feature.formula.replace("|", "\\|")
            lines.append(
                f"| `{feature.name}` | {formula} | {feature.lookback} | {feature.unit} | {feature.source} "
                f"| {row['missing_share']:.1%} | {row['p01']:.4g} | {row['p50']:.4g} | {row['p99']:.4g} |"
            )
        lines.append("")
    return "\n".join(lines)
