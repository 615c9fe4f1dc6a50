"""What ways to execute would have cost inside recorded books, with intervals; and whether that says anything."""

from typing import Annotated, Any, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field

from tradewind.data.order_book.events import BookRules
from tradewind.data.order_book.replay import Floats, Ints
from tradewind.errors import BadParameters
from tradewind.parameters import Parameters
from tradewind.trading.execution.recordings import policies
from tradewind.trading.execution.recordings.bootstrap import Draw
from tradewind.trading.execution.recordings.forms import (
    DONE,
    DRIFT,
    LAST_MIDDLE,
    MAKER,
    MAKER_VALUE,
    MIDDLE,
    OPPORTUNITY,
    QUANTITY,
    REASONS,
    SPREAD,
    STATUS,
    TAKER,
    TAKER_VALUE,
    WALK,
    Executions,
    Replayed,
)
from tradewind.trading.execution.recordings.recording import Reading, Recording, mean_middle, mean_traded
from tradewind.trading.execution.recordings.replay import replay_orders

PARTS = ("fee", "spread", "walk", "drift", "opportunity")
ONE_ORDER, POST_ONLY, HINDSIGHT = "one_order", "post_only", "hindsight"
LATER = (0.2, 0.4, 0.6, 0.8)  # shares of the horizon at which hindsight may take everything, too
LEAST_AGREEMENT = 0.8

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
FeeBps = Annotated[float, Field(ge=-100, le=1000, allow_inf_nan=False)]


class Fees(Parameters):
    """Fees in bps of the value; a maker's may be a rebate."""

    maker_bps: FeeBps = 2.0
    taker_bps: FeeBps = 5.0


class RecordingStudy(Parameters):
    """What is executed inside recorded books (`params:execution_study.recordings`).

    Attributes:
        values: of orders, quote currency.
        horizon_s: from arrival to the deadline.
        every_s: between two arrivals; at each one purchase and one sale, each as if it were alone.
        warm_s: of the recording before the first arrival.
        latency_ms: one way.
        slices: of TWAP.
        queue_ahead: share of a level that stands before an order that joins it.
        max_age_s: of the last event, for a book to be believed.
        block_s: mean length of the blocks of the bootstrap.
        resamples: of the bootstrap.
        least_blocks: below which there is too little to say.
        fees: where the venue is not named, and of the forecast's total.
        fees_of_venues: by venue.
    """

    values: Annotated[tuple[Positive, ...], Field(min_length=1)] = (1_000.0, 10_000.0, 100_000.0)
    horizon_s: Positive = 10.0
    every_s: Positive = 1.0
    warm_s: Positive = 10.0
    latency_ms: Annotated[int, Field(ge=0, le=60_000)] = 120
    slices: Annotated[int, Field(ge=2, le=100)] = 5
    queue_ahead: Annotated[float, Field(ge=0, le=1)] = 1.0
    max_age_s: Positive = 2.0
    block_s: Positive = 30.0
    resamples: Annotated[int, Field(ge=100)] = 2000
    least_blocks: Annotated[int, Field(ge=2)] = 8
    fees: Fees = Fees()
    fees_of_venues: dict[str, Fees] = {}

    @property
    def horizon_ms(self) -> int:
        """The horizon in whole milliseconds."""
        return round(self.horizon_s * 1000)

    def fees_of(self, recording: Recording) -> Fees:
        """Of a recording's venue."""
        return self.fees_of_venues.get(recording.name.split("/")[0], self.fees)

    def plans(self) -> dict[str, policies.Plan]:
        """What is compared, one order first."""
        return {
            ONE_ORDER: policies.one_order,
            "twap": policies.equal_slices(self.slices),
            "post_then_cross_at_half": policies.post_then_cross(0.5),
            "post_then_cross_at_end": policies.post_then_cross(1.0),
            POST_ONLY: policies.post_only,
        }


def reading(study: RecordingStudy, books: BookRules) -> Reading:
    """How the study reads books; contracts and venues are those of the books' own stage.

    Args:
        study: queue and age.
        books: contracts and venues.
    """
    return Reading(study.queue_ahead, round(1000 * study.max_age_s), books)


class Carried(NamedTuple):
    """A plan carried out at every arrival.

    Attributes:
        parts: cost of each execution in bps of its value at arrival by `PARTS`, (executions, 5); NaN where void.
        replayed: as it came from the replay.
    """

    parts: Floats
    replayed: Replayed


class Arrivals(NamedTuple):
    """Instants and sides, (executions,): a purchase and a sale at each instant, next to each other."""

    time_ms: Ints
    side: Ints


def arrivals_in(recording: Recording, study: RecordingStudy) -> Arrivals:
    """Arrivals from the first believed prices on, as long as the deadline is within the recording.

    Args:
        recording: whose.
        study: how many and how far apart.
    """
    known = np.isfinite(recording.prices).all(axis=1)
    if not known.any():
        return Arrivals(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    first = recording.times_ms[np.argmax(known)] + round(1000 * study.warm_s)
    last = recording.times_ms[-1] - study.horizon_ms
    times = np.arange(first, last, round(1000 * study.every_s), dtype=np.int64)
    return Arrivals(np.repeat(times, 2), np.tile(np.array([1, -1]), len(times)))


def carry_out(
    recording: Recording, arrivals: Arrivals, plan: policies.Plan, value: float, study: RecordingStudy
) -> Carried:
    """Carry out a plan at every arrival.

    Args:
        recording: the market.
        arrivals: when and on which side.
        plan: what is done.
        value: of each order, quote currency.
        study: horizon, latency and fees.

    Raises:
        BadParameters: the value is less than a contract, or the deadline is too near for the latency.
    """
    if 0 < value < recording.venue.contract:
        raise BadParameters(f"{recording.name}: {value:g} is less than a contract of {recording.venue.contract:g}")
    actions = policies.actions(plan, arrivals.time_ms, study.horizon_ms, study.latency_ms)
    slots = 2 * (int(study.horizon_s / study.every_s) + 2)
    replayed = replay_orders(
        recording.updates, recording.trades, recording.venue,
        Executions(arrivals.side, np.full(len(arrivals.side), value)), actions, slots,
    )  # fmt: skip
    out, fees = replayed.result, study.fees_of(recording)
    fee = (fees.maker_bps * out[:, MAKER_VALUE] + fees.taker_bps * out[:, TAKER_VALUE]) * 1e-4
    parts = np.column_stack([fee, out[:, SPREAD], out[:, WALK], out[:, DRIFT], out[:, OPPORTUNITY]])
    parts[out[:, STATUS] != DONE] = np.nan
    return Carried(parts, replayed)


def compare_recording(recording: Recording, study: RecordingStudy, generator: np.random.Generator) -> pd.DataFrame:
    """Every plan at every size in one recording.

    Args:
        recording: the market.
        study: what is executed.
        generator: draws the resamples.

    Returns:
        One row a size and plan: executions and those that were void with the reasons; cost and its parts in bps of the
        value at arrival, what is saved against one order, in bps and as a share, of it without the fee (`price_saved`),
        and the share of what hindsight would save, each with its interval (`_low`, `_high`, 95 %); cost without fees
        against the market's mean price over time (`against_twap`) and by volume (`against_vwap`); the shares that were
        met while they rested and that were not done; what can be said.
    """
    arrivals = arrivals_in(recording, study)
    rows: list[dict[str, Any]] = []
    for value in study.values:
        runs = {name: carry_out(recording, arrivals, plan, value, study) for name, plan in study.plans().items()}
        later = [carry_out(recording, arrivals, policies.delayed(share), value, study).parts for share in LATER]
        done = [run.parts for name, run in runs.items() if name != POST_ONLY]
        best = _cheapest([*done, *later])
        rows += _rows(recording, arrivals, value, runs, best, study, generator)
    return pd.DataFrame(rows)


def _cheapest(parts: list[Floats]) -> Floats:
    """The parts of the cheapest of several ways of each execution; NaN where one of them is void."""
    stacked = np.stack(parts)
    totals = stacked.sum(axis=2)
    chosen = np.where(np.isnan(totals).any(axis=0), 0, np.nan_to_num(totals, nan=np.inf).argmin(axis=0))
    best = stacked[chosen, np.arange(stacked.shape[1])]
    best[np.isnan(totals).any(axis=0)] = np.nan
    return best


def _rows(
    recording: Recording, arrivals: Arrivals, value: float, runs: dict[str, Carried], best: Floats,
    study: RecordingStudy, generator: np.random.Generator,
) -> list[dict[str, Any]]:  # fmt: skip
    draw = Draw(len(arrivals.time_ms) // 2, study.resamples, study.every_s / study.block_s, generator)
    one = runs[ONE_ORDER].parts
    means = mean_middle(recording, arrivals.time_ms, study.horizon_ms)
    traded = mean_traded(recording, arrivals.time_ms, study.horizon_ms)
    rows = []
    for name, parts in {**{each: run.parts for each, run in runs.items()}, HINDSIGHT: best}.items():
        run = runs.get(name)
        common = np.isfinite(parts).all(axis=1) & np.isfinite(one).all(axis=1) & np.isfinite(best).all(axis=1)
        total, base, least = parts.sum(axis=1), one.sum(axis=1), best.sum(axis=1)
        row: dict[str, Any] = {
            "recording": recording.name, "value": value, "policy": name, "executions": int(common.sum()),
            "void": int((~common).sum()), "reasons": _reasons(runs),
        }  # fmt: skip
        row |= draw.mean("cost", total, common)
        for part, values in zip(PARTS, parts.T, strict=True):
            row |= draw.mean(part, values, common)
        row |= draw.mean("saved", base - total, common)
        row |= draw.mean("price_saved", (base - one[:, 0]) - (total - parts[:, 0]), common)
        row |= draw.ratio("saved_share", base - total, base, common)
        row |= draw.ratio("share_of_gap", base - total, base - least, common)
        for label, price in (("against_twap", means), ("against_vwap", traded)):
            paid = _against(run, arrivals.side, price) if run is not None else np.full(len(total), np.nan)
            row |= draw.mean(label, paid, common & np.isfinite(paid))
        row |= _shares(run, common)
        row["says"] = _says(name, row, recording, study)
        rows.append(row)
    return rows


def _against(run: Carried, side: Ints, price: Floats) -> Floats:
    """Price paid against a price of the market, without fees, bps; what was not filled counts at the last middle."""
    out = run.replayed.result
    with np.errstate(invalid="ignore", divide="ignore"):
        filled = (out[:, MAKER] + out[:, TAKER]) / out[:, QUANTITY]
        paid = out[:, MIDDLE] * (out[:, MAKER_VALUE] + out[:, TAKER_VALUE]) * 1e-4 + (1 - filled) * out[:, LAST_MIDDLE]
        return np.asarray(1e4 * side * (paid / price - 1.0))


def _shares(run: Carried | None, counted: np.ndarray) -> dict[str, float]:
    """What was met while it rested, and what was not done at all."""
    if run is None or not counted.any():
        return {"maker_share": float("nan"), "undone_share": 0.0 if run is None else float("nan")}
    out = run.replayed.result[counted]
    made, taken = out[:, MAKER] / out[:, QUANTITY], out[:, TAKER] / out[:, QUANTITY]
    return {"maker_share": float(made.mean()), "undone_share": float(np.maximum(1.0 - made - taken, 0.0).mean())}


def _reasons(runs: dict[str, Carried]) -> str:
    status = np.concatenate([run.replayed.result[:, STATUS] for run in runs.values()])
    return "; ".join(text for reason, text in REASONS.items() if (status == reason).any())


def _says(name: str, row: dict[str, Any], recording: Recording, study: RecordingStudy) -> str:
    """What the figures show of saving against one order."""
    blocks = row["executions"] / 2 * study.every_s / study.block_s
    if blocks < study.least_blocks:
        return f"too few data to say: {blocks:.1f} blocks where {study.least_blocks} are asked for"
    if recording.quotes_agree < LEAST_AGREEMENT:
        return f"too few data to say: best prices are those quoted in {100 * recording.quotes_agree:.0f} % of seconds"
    if name == HINDSIGHT:
        return "chosen afterwards"
    if row["undone_share"] > 1e-3:
        return f"leaves {100 * row['undone_share']:.1f} % undone"
    if name == ONE_ORDER:
        return "compared with"
    if row["saved_low"] > 0:
        return "saves"
    return "costs more" if row["saved_high"] < 0 else "no saving shown"
