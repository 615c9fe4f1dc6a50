"""Forecast distributions at several horizons, scored against what happened."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.metrics.distribution import score
from tradewind.metrics.ranking import StatisticsRules
from tradewind.metrics.resampling import draw_totals

Floats = NDArray[np.float64]
COLUMNS = ("q05", "q25", "q50", "q75", "q95")


def score_horizons(
    forecasts: pd.DataFrame, happened: pd.DataFrame, folds: pd.DataFrame, statistics: StatisticsRules, seed: int
) -> pd.DataFrame:
    """One row a model, role of the fold (walk_forward or holdout) and horizon.

    rows; hit_rate, its interval and decided, the number of rows whose median says a direction; pinball and crps
    in basis points; coverage_50, coverage_90, width_50_bps and width_90_bps of the central intervals; below_q05 to
    below_q95, the share of outcomes at or below each quantile. `happened` has a column `forward_return_N` a horizon;
    rows whose horizon had not ended are left out of the scores.

    Args:
        forecasts: quantiles of the forward log return by model, instant, symbol and horizon.
        happened: the forward log returns, a column a horizon.
        folds: the folds table.
        statistics: of the resampling behind the interval of the hit rate.
        seed: of the resampling.
    """
    role = dict(zip(folds["fold"], folds["role"], strict=True))
    joined = forecasts.merge(happened, on=["symbol", "timestamp"], how="left", validate="many_to_one")
    joined["role"] = joined["fold"].map(role)
    rows = []
    for (model, of, bars), part in joined.groupby(["model", "role", "horizon"], sort=False):
        moved = part[f"forward_return_{bars}"].to_numpy(dtype=np.float64)
        ended = np.isfinite(moved)
        ended_rows, outcome = part[ended], moved[ended]
        scores = score(outcome, ended_rows[list(COLUMNS)].to_numpy(dtype=np.float64))
        hits = _hit_rate(ended_rows["timestamp"], ended_rows["q50"].to_numpy(), outcome, statistics, seed)
        below = {f"below_{name}": share for name, share in zip(COLUMNS, scores.below, strict=True)}
        rows.append(
            {
                "model": model, "role": of, "horizon": bars, "rows": len(outcome), **hits,
                "pinball_bps": 1e4 * scores.pinball, "crps_bps": 1e4 * scores.crps,
                "coverage_50": scores.coverage_50, "coverage_90": scores.coverage_90,
                "width_50_bps": 1e4 * scores.width_50, "width_90_bps": 1e4 * scores.width_90, **below,
            }
        )  # fmt: skip
    return pd.DataFrame(rows).astype({"model": "str", "role": "str", "horizon": "int64", "rows": "int64"})


def _hit_rate(
    timestamp: pd.Series, median: Floats, outcome: Floats, statistics: StatisticsRules, seed: int
) -> dict[str, float]:
    """Share of rows whose median has the outcome's sign, with the interval from days drawn in blocks: neighbouring
    rows share most of their horizon, and symbols their days."""
    decided = (median != 0) & (outcome != 0)
    right = decided & (np.sign(median) == np.sign(outcome))
    if not decided.any():
        return {"decided": 0, "hit_rate": np.nan, "hit_rate_low": np.nan, "hit_rate_high": np.nan}
    day = timestamp.dt.floor("D")
    totals = pd.DataFrame({"right": right, "decided": decided}).groupby(day.array).sum().to_numpy(dtype=np.float64)
    rng = np.random.default_rng(seed)
    drawn = draw_totals(totals, statistics.mean_block_days, statistics.n_resamples, rng)
    rates = drawn[:, 0] / np.maximum(drawn[:, 1], 1.0)
    low, high = np.quantile(rates, [(1 - statistics.confidence) / 2, (1 + statistics.confidence) / 2])
    return {
        "decided": int(decided.sum()), "hit_rate": float(right.sum() / decided.sum()),
        "hit_rate_low": float(low), "hit_rate_high": float(high),
    }  # fmt: skip
