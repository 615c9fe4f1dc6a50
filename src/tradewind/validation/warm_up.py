"""What features say when a live system has loaded so many bars only."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tradewind.compute import track
from tradewind.validation.research_run import RunSettings, Sources, Steps, make_bars, make_features

WARM_UPS = (199, 399, 999, 1999)


def warm_up(
    sources: Sources, settings: RunSettings, lengths: Sequence[int] = WARM_UPS, n_places: int = 4
) -> pd.DataFrame:
    """feature, bars, missing, worst: what each feature says after so many bars of history only.

    `missing` is the share of symbols and places where it has no value yet, `worst` the largest deviation from what the
    whole history says, in standard deviations of the feature (NaN where it has no value). A value that deviates is a
    feature that speaks before it has warmed up: a live system that has loaded so many bars would trade on something
    else than was tested.

    Args:
        sources: the received rows.
        settings: parameters of the run.
        lengths: bars of history that are kept.
        n_places: instants at which features are compared.
    """
    bars, side_series = make_bars(sources, settings, Steps())
    whole = make_features(bars, side_series, sources.universe, settings, Steps())
    # Of the symbol that begins last: at its instants every symbol has bars.
    instants = max((table["timestamp"] for table in bars.values()), key=lambda column: column.iloc[0])
    last_row = len(instants) - 1
    ends = [int(place) for place in np.linspace(min(max(lengths), last_row), last_row, n_places)]
    names = [name for name in next(iter(whole.values())).columns if name not in ("symbol", "timestamp")]
    spread = pd.concat([table[names] for table in whole.values()]).std().replace(0.0, np.nan).to_numpy()
    rows = []
    for length in track(list(lengths), "audit: warm-up"):
        deviations, missing = [], []
        for end in ends:
            last = instants.iloc[end]
            part = {name: table[table["timestamp"] <= last].tail(length) for name, table in bars.items()}
            short = make_features(part, side_series, sources.universe, settings, Steps())
            for name, table in short.items():
                usual = whole[name].set_index("timestamp").loc[table["timestamp"].iloc[-1], names].to_numpy(np.float64)
                now = table[names].iloc[-1].to_numpy(np.float64)
                missing.append(np.isnan(now) & ~np.isnan(usual))
                deviations.append(np.where(np.isnan(now) & np.isnan(usual), 0.0, np.abs(now - usual) / spread))
        with np.errstate(all="ignore"):
            worst = np.nanmax(np.where(np.isnan(deviations), -1.0, deviations), axis=0)
        share = np.mean(missing, axis=0)
        rows.append(
            pd.DataFrame(
                {"feature": names, "bars": length, "missing": share, "worst": np.where(worst < 0, np.nan, worst)}
            )
        )
    return pd.concat(rows, ignore_index=True)
