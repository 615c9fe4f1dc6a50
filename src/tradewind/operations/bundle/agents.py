"""What a bundle holds of an agent: a policy for each seed, the forecaster that they read, and a probe of both."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.adaptive.rl.deciding import FUNDING, AgentPolicy
from tradewind.adaptive.rl.forecaster_graph import SPREAD, ForecastGraph
from tradewind.adaptive.rl.market import TradingTerms
from tradewind.adaptive.rl.policies import ABOUT, LOG, POLICY, Policy
from tradewind.errors import BadModel
from tradewind.learning.features.bars import Chunk
from tradewind.learning.features.market_columns import SETTLED
from tradewind.learning.models.onnx_forecaster import OnnxForecaster
from tradewind.market.universe import Universe
from tradewind.operations.bundle.sealing import Files
from tradewind.trading.decision.protocols import Account, Seen
from tradewind.trading.setup import TradingSetup

FAMILY = "agent"
FORMAT = 2  # of a bundle that decides by policies: a version that knows only forecasters refuses it
PROBE_BARS, PROBE_POSITIONS = "probe-bars.npy", "probe-positions.npy"
Floats = NDArray[np.float64]
OWN = (POLICY, ABOUT, LOG)
# A row of the probe's bars. The instants are UTC milliseconds; volatility and funding as an account has them.
BARS = (
    "open_time", "timestamp", "segment", "open", "high", "low", "close", "volume", "volatility", "funding",
)  # fmt: skip


def policy_of(
    files: Files, forecaster: OnnxForecaster, universe: Universe, trading: TradingSetup, max_missing_share: float
) -> AgentPolicy:
    """The agent from trusted files of a bundle.

    Args:
        files: of the bundle.
        forecaster: its graph.
        universe: by whose bars a year borrowing is charged.
        trading: costs and order rules of the accounts that it sees.
        max_missing_share: of the features of a bar that is acted on.

    Raises:
        BadModel: a file is missing, damaged, or written by another version, or they do not belong together.
    """
    count = sum(name.startswith("seed-") and name.endswith(POLICY) for name in files)
    lacking = [f"seed-{number}-{name}" for number in range(max(count, 1)) for name in OWN]
    lacking = [name for name in (*lacking, PROBE_BARS, PROBE_POSITIONS) if name not in files]
    if lacking:
        raise BadModel(f"the bundle of an agent lacks {', '.join(lacking)}: deploy it again")
    if SPREAD not in [one.name for one in forecaster.session.get_outputs()]:
        raise BadModel(f"the forecaster of an agent has no output {SPREAD}: deploy the agent again")
    seeds = tuple(Policy.from_files({name: files[f"seed-{number}-{name}"] for name in OWN}) for number in range(count))
    terms = TradingTerms.from_rules(
        trading.costs, trading.execution, seeds[0].about.environment, universe.bars_per_year
    )
    policy = AgentPolicy(ForecastGraph(forecaster), seeds, terms, max_missing_share)
    unknown = [name for name in policy.features if name not in forecaster.features]
    if unknown:
        raise BadModel(
            f"the policies read features that their forecaster does not ({', '.join(unknown)}): deploy again"
        )
    return policy


def seen_of(features: NDArray[np.float32], bars: Floats, names: tuple[str, ...]) -> Seen:
    """The probe's bars as a policy is shown them.

    Args:
        features: shape (bars, features).
        bars: shape (bars, len(BARS)).
        names: of the features.
    """
    column = {name: np.ascontiguousarray(bars[:, at]) for at, name in enumerate(BARS)}
    nothing = np.full(len(bars), np.nan)
    chunk = Chunk(
        column["timestamp"].astype(np.int64), column["open_time"].astype(np.int64),
        column["segment"].astype(np.int32), column["open"], column["high"], column["low"], column["close"],
        column["volume"], nothing, nothing, nothing, nothing, nothing, {f"{SETTLED}{FUNDING}": column["funding"]},
    )  # fmt: skip
    return Seen("probe", chunk, names, features, column["volatility"])


def probe_error(policy: AgentPolicy, seen: Seen, expected: Floats) -> float:
    """By how much the positions, decided bar by bar, differ from those expected; inf for no number.

    Where only one bar of a run has features, whether another follows is not known on it: it is not compared.

    Args:
        policy: the agent.
        seen: of `seen_of`.
        expected: of `probe_of`.
    """
    _, steps = policy.advance(policy.begin(), seen, Account())
    apart: NDArray[np.float64] = np.abs(np.subtract(steps.target, expected))
    largest = float(apart[~_alone(seen)].max(initial=0.0))
    return largest if np.isfinite(largest) else float("inf")


def _alone(seen: Seen) -> NDArray[np.bool_]:
    has: NDArray[np.bool_] = np.asarray(np.isfinite(seen.features).any(axis=1))
    segment = seen.chunk.segment
    joined = has[1:] & has[:-1] & (segment[1:] == segment[:-1])
    return has & ~np.r_[False, joined] & ~np.r_[joined, False]


def one_by_one(policy: AgentPolicy, seen: Seen) -> tuple[Any, list[Seen]]:
    """What decides on one bar after another, for who times it, and the bars.

    Args:
        policy: the agent.
        seen: of `seen_of`.
    """
    bars = [
        Seen(seen.symbol, seen.chunk.rows(at, at + 1), seen.names, seen.features[at : at + 1],
             seen.volatility[at : at + 1])
        for at in range(len(seen.chunk))
    ]  # fmt: skip
    state = policy.begin()

    def decide(bar: Seen) -> None:
        nonlocal state
        state, _ = policy.advance(state, bar, Account())

    return decide, bars
