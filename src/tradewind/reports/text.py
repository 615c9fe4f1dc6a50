"""Numbers and sentences as people read them; the page and its Markdown twin share them."""

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from tradewind.market.calendars import Calendar
from tradewind.market.universe import Universe
from tradewind.reports.performance import label
from tradewind.reports.tables import ReportTables

HEADLINE = {
    "go": "An edge after costs is shown.",
    "watch": "There may be an edge; it is not shown.",
    "no-go": "Not shown: nothing here has been seen to earn its costs.",
}

ALWAYS_VALID = 20.0  # 1 / 5 %

COVERAGE = {
    "judged": "judged",
    "missing": "not judged: listed, and its stage has not made it",
    "left over": "not judged: left by an earlier run, not listed in this one",
}


def percent(value: Any, digits: int = 1) -> str:
    """12.3 %, or a dash where there is no number."""
    return f"{round(value, digits + 2) + 0.0:.{digits}%}".replace("%", " %") if _is_number(value) else "–"  # no -0.0 %


def number(value: Any, digits: int = 2) -> str:
    """1.23, or a dash where there is no number."""
    return f"{round(value, digits) + 0.0:,.{digits}f}" if _is_number(value) else "–"  # no -0.00


def interval(low: Any, high: Any, digits: int = 2) -> str:
    """0.12 to 3.45; a dash where there is none, and where its ends are one: that says that nothing was measured.

    Args:
        low: the lower end.
        high: the upper end.
        digits: after the point.
    """
    if low == high or not (_is_number(low) or _is_number(high)):
        return "–"
    return f"{number(low, digits)} to {number(high, digits)}"


def probability(value: Any) -> str:
    """12.3 %; what would be rounded to certainty is said to be beyond the last digit."""
    if _is_number(value) and not 0.0005 <= value < 0.9995:
        return "> 99.9 %" if value > 0.5 else "< 0.1 %"
    return percent(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def day(instant: Any) -> str:
    """2024-01-31, or a dash."""
    return "–" if pd.isna(instant) else f"{pd.Timestamp(instant):%Y-%m-%d}"


def closing_day(instant: Any) -> str:
    """The day of a bar that closes at `instant`, which may be the midnight after it, or a dash."""
    return day(instant if pd.isna(instant) else pd.Timestamp(instant) - pd.Timedelta(1, "ms"))


def how_chosen(verdict: dict[str, Any]) -> str:
    """Why this strategy is the one judged, as the end of a sentence."""
    if verdict["named"]:
        return (
            "which was named before the run: one trial, nothing was chosen. Beside it the best single model of "
            f"{verdict['models_compared']} is {label(verdict['best_model'])}, Sharpe ratio "
            f"{number(verdict['best_model_sharpe'])}: above what the best of {verdict['best_model_trials']} trials "
            f"would show by luck with probability {probability(verdict['best_model_probability'])}."
        )
    return (
        f"of the {verdict['models_compared']} models that were compared the one with the best walk-forward Sharpe "
        "ratio. The holdout had no part in the choice."
    )


def what_would_break_it(verdict: dict[str, Any]) -> list[str]:
    """Plain sentences on how far the result is from being gone."""
    sentences = []
    multiple = verdict.get("break_even_cost_multiple")
    if multiple is None:
        sentences.append("It outlives every multiple of the costs that was tried.")
    elif multiple == 0:
        sentences.append("It loses money even without costs.")
    else:
        sentences.append(f"Costs of {number(multiple, 1)} times those assumed would eat all of it.")
    low, high = verdict["holdout_sharpe_low"], verdict["holdout_sharpe_high"]
    if _is_number(low) and low <= 0 < high:
        sentences.append(
            f"The holdout alone is too short to settle it: its interval, {interval(low, high)}, holds zero."
        )
    elif low == high == 0:
        sentences.append("The model held no position in the holdout: nothing there confirms it.")
    elif _is_number(high) and high <= 0:
        sentences.append(f"The holdout has broken it already: its interval, {interval(low, high)}, lies below zero.")
    sentences.append("The interval assumes that the future resembles the folds; a market that changes is not in it.")
    return sentences


def what_would_change_it(verdict: dict[str, Any], significance: pd.DataFrame, bars_per_day: float) -> list[str]:
    """Plain sentences on what is missing for a better verdict, or for a worse one, and how many more bars settle it.

    Args:
        verdict: of `metrics.verdict.judge`.
        significance: of `evaluation.significance.measure_significance`.
        bars_per_day: of the timeframe.
    """
    row = significance.set_index("strategy").loc[verdict["strategy"]]
    sentences = [
        f"What could have been seen: with these {number(verdict['days_all'], 0)} days a true Sharpe ratio of "
        f"{number(verdict['detectable_sharpe'])} is missed in half of all cases, and a smaller one more often.",
        more_bars(row["minimum_days"], row["days"], bars_per_day, "to tell its Sharpe ratio from zero at 95 %"),
    ]
    if verdict["trials"] > 1:
        of_trials = f"to tell it from the best of {verdict['trials']} trials without an edge"
        sentences.append(more_bars(row["minimum_days_deflated"], row["days"], bars_per_day, of_trials))
    if "e_value_all" in row:
        sentences.append(daily_looks(float(row["e_value_all"])))
    unmet = [reason for met, reason in zip(verdict["passed"], verdict["reasons"], strict=True) if not met]
    if verdict["verdict"] == "go":
        sentences.append(
            "If one of the checks fails, the verdict is watch; if the folds alone say too little or the holdout "
            "refutes them, no-go."
        )
    elif unmet:
        checks = "one check is" if len(unmet) == 1 else f"{len(unmet)} checks are"
        sentences.append(f"For a go, {checks} to be met that now fail: " + "; ".join(unmet) + ".")
    sentences.append(
        "Searching on for a better number does not help: every new trial is counted, and raises what chance alone "
        "would show. More history, lower costs or a better idea do."
    )
    return sentences


def daily_looks(e_value: float) -> str:
    """What one who looks every day may say: the largest wealth of bets against the strategy (`metrics.e_process`)."""
    has = "has" if e_value >= ALWAYS_VALID else "has not"
    return (
        f"Looked at every day, an edge {has} been shown: bets on it, which win nothing on average if there is none, "
        f"have reached {number(e_value)} times their stake; {number(ALWAYS_VALID, 0)} times is reached in 5 % of cases "
        "at most, however often one looks."
    )


def bars_per_day(settings: dict[str, Any]) -> float:
    """Of the universe that the run's settings name."""
    calendar = calendar_of(settings)
    return calendar.bars_per_year / calendar.days_per_year


def calendar_of(settings: dict[str, Any]) -> Calendar:
    """When the market of the run's universe trades."""
    return Universe.model_validate(settings["universe"]).trading_calendar


def more_bars(needed_days: float, days: float, bars_per_day: float, purpose: str) -> str:
    """How many more bars a purpose asks for, if the Sharpe ratio stays what it is.

    Args:
        needed_days: the length of the track record that the purpose asks for.
        days: the length that there is.
        bars_per_day: of the timeframe.
        purpose: the end of the sentence.
    """
    if not math.isfinite(needed_days):
        return f"No number of bars is enough {purpose}: it does not exceed it now."
    if needed_days <= days:
        return f"The {number(days, 0)} days there are suffice {purpose}: {number(needed_days, 0)} are needed."
    missing = needed_days - days
    return (
        f"If it stays as it is, {number(missing, 0)} more days ({number(missing * bars_per_day, 0)} bars a symbol) are "
        f"needed {purpose}: {number(needed_days, 0)} instead of {number(days, 0)}."
    )


def scorecard_rows(scorecard: pd.DataFrame) -> Iterator[dict[str, str]]:
    """The usual criteria as text, with what meets them without skill."""
    for row in scorecard.to_dict("records"):
        show = percent if row["unit"] == "share" else number
        yield {
            "criterion": row["criterion"],
            "asked": f"{'at most' if row['at_most'] else 'at least'} {show(row['target'])}",
            "measured": show(row["value"]),
            "90 % interval": f"{show(row['low'])} to {show(row['high'])}" if _is_number(row["low"]) else "–",
            "shown": row["state"],
            "by chance": show(row["by_chance"]),
            "the limit": show(row.get("limit", float("nan"))),
            "without skill": show(row["trivial_value"]),
            "by which rule": label(row["trivial_rule"]),
        }


def quality_rows(quality: pd.DataFrame) -> Iterator[dict[str, str]]:
    """The data quality table as text."""
    for row in quality.to_dict("records"):
        yield {
            "symbol": row["symbol"],
            "from": day(row["first"]),
            "to": day(row["last"]),
            "received": number(row["rows_received"], 0),
            "accepted": number(row["rows_accepted"], 0),
            "rejected": number(row["rows_rejected"], 0),
            "missing bars": number(row["missing_bars"], 0),
            "complete": percent(row["completeness"], 2),
            "gaps": number(row["gaps"], 0),
            "longest": number(row["longest_gap_bars"], 0),
            "segments": number(row["segments"], 0),
            "no volume": number(row["zero_volume_bars"], 0),
            "largest move": percent(row["largest_abs_return"]),
        }


def label_rows(labels: pd.DataFrame) -> Iterator[dict[str, str]]:
    """The label quality table as text; bets are counted only where the labels judge bets."""
    bets = {"no bet": "unlabelled_side"} if (labels["unlabelled_side"] > 0).any() else {}
    counts = {"horizon unfinished": "unlabelled_horizon", "no volatility yet": "unlabelled_volatility"} | bets
    for row in labels.to_dict("records"):
        yield {
            "symbol": row["symbol"],
            "bars": number(row["rows"], 0),
            "labelled": number(row["labelled"], 0),
            **{name: number(row[column], 0) for name, column in counts.items()},
            "features missing": number(row["left_out_missing_features"], 0),
            "used": number(row["model_rows"], 0),
            "down": percent(row["share_down"]),
            "flat": percent(row["share_flat"]),
            "up": percent(row["share_up"]),
            "balance": number(row["balance"]),
            "alive at once": number(row["mean_concurrency"], 1),
            "effective": number(row["effective_labels"], 0),
        }


def stability_rows(stability: pd.DataFrame) -> Iterator[dict[str, str]]:
    """The label stability table as text."""
    for row in stability.to_dict("records"):
        yield {
            "symbol": row["symbol"],
            "test from": f"{row['test_start']:%Y-%m-%d}",
            "labels": number(row["rows"], 0),
            "down": percent(row["share_down"]),
            "flat": percent(row["share_flat"]),
            "up": percent(row["share_up"]),
            "mean weight": number(row["mean_weight"]),
            "PSI": number(row["psi"], 3),
        }


def coverage_rows(coverage: pd.DataFrame) -> Iterator[dict[str, str]]:
    """Which models the run lists or found, and whether they were judged."""
    for row in coverage.to_dict("records"):
        yield {
            "model": label(row["model"]),
            "stage": row["stage"].replace("_", " "),
            "family": row["family"] or "–",
            "state": COVERAGE[row["state"]],
        }


def feature_rows(tables: ReportTables, count: int = 25) -> Iterator[dict[str, str]]:
    """The features that matter most, with what they are and how they are distributed."""
    importance = tables.importance.groupby("feature")["mean_abs_shap"].mean().sort_values(ascending=False)
    dictionary = tables.feature_dictionary.set_index("name")
    distribution = tables.feature_distribution.set_index("name")
    for name in [name for name in importance.index if name in dictionary.index][:count]:
        what, spread = dictionary.loc[name], distribution.loc[name]
        yield {
            "feature": str(name),
            "what it is": str(what["formula"]),
            "mean |SHAP|": number(importance[name], 4),
            "missing": percent(spread["missing_share"]),
            "1 %": f"{spread['p01']:.3g}",
            "median": f"{spread['p50']:.3g}",
            "99 %": f"{spread['p99']:.3g}",
        }


def fold_rows(folds: pd.DataFrame) -> Iterator[dict[str, str]]:
    """The folds as text."""
    for row in folds.to_dict("records"):
        yield {
            "fold": str(row["fold"]),
            "role": row["role"].replace("_", "-"),
            "trains from": day(row["train_start"]),
            "tests from": day(row["test_start"]),
            "to": day(row["test_end"]),
            "purge": f"{pd.Timedelta(row['purge']) / pd.Timedelta(hours=1):g} h",
            "embargo": f"{pd.Timedelta(row['embargo']) / pd.Timedelta(hours=1):g} h",
        }


def significance_rows(significance: pd.DataFrame) -> Iterator[dict[str, str]]:
    """Sharpe ratios with their errors and their deflation as text, best first."""
    for row in significance.sort_values("sharpe", ascending=False).to_dict("records"):
        yield {
            "strategy": label(row["strategy"]),
            "Sharpe": number(row["sharpe"]),
            "error if days were normal": number(row["error_normal"]),
            "error as they are": number(row["error"]),
            "Sharpe, corrected for autocorrelation": number(row["sharpe_autocorrelated"]),
            "P(Sharpe > 0)": probability(row["probabilistic_sharpe"]),
            "deflated": probability(row["deflated_sharpe"]),
            "days needed": number(row["minimum_days"], 0),
            "days had": number(row["days"], 0),
            "sign flip p": number(row["sign_flip"], 3),
            "skewness": number(row["skewness"], 1),
            "kurtosis": number(row["kurtosis"], 1),
        }


def superiority_rows(selection: dict[str, Any]) -> Iterator[dict[str, str]]:
    """P-values that the best model is no better than a benchmark."""
    for key, name in (("against_cash", "holding cash"), ("against_holding", "buying and holding")):
        if key in selection:
            yield {
                "the best model against": name,
                "White's reality check": number(selection[key]["reality_check"], 3),
                "Hansen's SPA": number(selection[key]["consistent"], 3),
                "SPA, lower to upper": f"{number(selection[key]['lower'], 3)} to {number(selection[key]['upper'], 3)}",
            }


def side_cost_rows(robustness: Any, order: list[str]) -> Iterator[dict[str, str]]:
    """Sharpe ratio at all-in costs a side and the break-even, in the leaderboard's order."""
    table = robustness["costs"]
    for strategy in order:
        part = table[table["strategy"] == strategy]
        if len(part):
            yield {
                "strategy": label(strategy),
                **{f"{row.bps:g} bps": number(float(row.sharpe)) for row in part.itertuples()},
                "break-even, bps a side": number(float(part["break_even_bps"].iloc[0]), 1),
            }


def _of(robustness: Any, table: str, chosen: str) -> list[dict[str, Any]]:
    stressed = robustness[table]
    rows: list[dict[str, Any]] = stressed[stressed["strategy"] == chosen].to_dict("records")
    return rows


def world_rows(robustness: Any, chosen: str) -> Iterator[dict[str, str]]:
    """The judged strategy in worse worlds."""
    for row in _of(robustness, "worlds", chosen):
        yield {
            "world": row["world"],
            "Sharpe": number(row["sharpe"]),
            "total return": percent(row["total_return"]),
            "max drawdown": percent(row["max_drawdown"]),
        }


def stress_rows(robustness: Any, chosen: str) -> Iterator[dict[str, str]]:
    """The judged strategy in the days when markets broke."""
    for row in _of(robustness, "stress", chosen):
        yield {
            "event": row["event"],
            "days": f"{day(row['from'])} to {day(row['to'])}",
            "return": percent(row["total_return"]),
            "max drawdown": percent(row["max_drawdown"]),
            "mean exposure": percent(row["exposure"], 0),
        }


def left_out_rows(robustness: Any, chosen: str) -> Iterator[dict[str, str]]:
    """The judged strategy without each year and each symbol."""
    for row in _of(robustness, "leave_one_out", chosen):
        yield {"without": f"{row['left_out']} {row['group']}", "Sharpe": number(row["sharpe"])}


def condition_rows(robustness: Any, chosen: str, by: str) -> Iterator[dict[str, str]]:
    """Net return of the judged strategy by hour or regime.

    Args:
        robustness: the robustness tables.
        chosen: the judged strategy.
        by: hour or regime.
    """
    for row in _of(robustness, "conditions", chosen):
        if row["by"] == by:
            yield {
                by: row["group"],
                "share of bars": percent(row["share"]),
                "net a bar, bps": f"{number(row['mean_bps'])} ± {number(1.645 * row['error_bps'])}",
                "total return": percent(row["total_return"]),
            }


def trade_rows(trades: Any) -> Iterator[dict[str, str]]:
    """What the trades came to as text; `trades` are rows of `anatomy.trade_rows`."""
    for row in trades:
        yield {
            "trades": row["trades"],
            "count": number(row["count"], 0),
            "won": percent(row["won"]),
            "mean won": percent(row["mean_won"], 2),
            "mean lost": percent(row["mean_lost"], 2),
            "profit factor": number(row["profit_factor"]),
            "bars, median": number(row["median_bars"], 0),
            "worst met, median": percent(row["mae"], 2),
            "best met, median": percent(row["mfe"], 2),
            "of the best, kept": percent(row["captured"], 0),
            "sum of net": percent(row["net"]),
        }


def exit_rows(trades: pd.DataFrame) -> Iterator[dict[str, str]]:
    """Trades by what ended them."""
    for reason, part in trades.groupby("exit_reason", sort=True):
        yield {
            "ended by": str(reason),
            "trades": number(len(part), 0),
            "won": percent((part["net"] > 0).mean()),
            "mean net": percent(part["net"].mean(), 3),
        }


def market_sentence(share: dict[str, float] | None) -> str:
    """How much of the result the market alone explains."""
    if share is None:
        return "There is too little movement to tell the market's share from the strategy's own."
    reach = 1.645 * share["alpha_error"]
    alpha = f"{percent(share['alpha'])} a year ({percent(share['alpha'] - reach)} to {percent(share['alpha'] + reach)})"
    return (
        f"Against buying and holding its beta is {number(share['beta'])} and the market explains "
        f"{percent(share['r2'], 0)} of its daily variance; what is its own (alpha) is {alpha}, without compounding."
    )


def group_rows(tables: ReportTables) -> Iterator[dict[str, str]]:
    """Share of the mean absolute SHAP value by model and family of features."""
    families = dict(
        zip(tables.feature_dictionary["name"], tables.feature_dictionary.get("family", "all"), strict=False)
    )
    table = tables.importance.assign(family=tables.importance["feature"].map(families).fillna("other"))
    shares = table.pivot_table(index="family", columns="model", values="mean_abs_shap", aggfunc="sum", fill_value=0.0)
    shares = shares / shares.sum().clip(lower=1e-300)
    for family, row in shares.sort_values(list(shares.columns), ascending=False).iterrows():
        yield {"features of": str(family)} | {label(str(model)): percent(value) for model, value in row.items()}


def path_rows(paths: pd.DataFrame) -> Iterator[dict[str, str]]:
    """The paths of combinatorial cross-validation as text."""
    for row in paths.to_dict("records"):
        yield {
            "path": number(row["path"] + 1, 0),
            "Sharpe": number(row["sharpe"]),
            "a year": percent(row["annual_return"]),
            "max drawdown": percent(row["max_drawdown"]),
        }


def seed_rows(spread: pd.DataFrame) -> Iterator[dict[str, str]]:
    """Each model's Sharpe ratio over its seeds as text."""
    for model, part in spread.groupby("model", sort=False):
        yield {
            "model": label(str(model)),
            "seeds": number(len(part), 0),
            "Sharpe, mean": number(part["sharpe"].mean()),
            "deviation": number(part["sharpe"].std()),
            "lowest": number(part["sharpe"].min()),
            "highest": number(part["sharpe"].max()),
        }
