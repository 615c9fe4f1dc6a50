"""Settings of a live account: limits, guardrails, how orders are worked, where they go, how fills are simulated."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tradewind.parameters import Parameters
from tradewind.trading.risk.limits import RiskLimits

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class Exposure(Parameters):
    """All targets are scaled so that their sum is `scale_to` where it would be more than `above`."""

    above: Positive = 0.9
    scale_to: Positive = 0.8

    @model_validator(mode="after")
    def _scales_whatever_is_above(self) -> "Exposure":
        if self.scale_to > self.above:
            raise ValueError(
                f"scale_to {self.scale_to:g} is beyond above {self.above:g}: nothing would be scaled between"
            )
        return self


class Turnover(Parameters):
    """Where more than `above` times the equity was traded in 24 hours, targets may shrink and nothing else."""

    above: Positive = 6.0


class ExpectedShortfall(Parameters):
    """Where the mean of the worst 2.5 % of the account's last `bars` returns is beyond `above`, targets are scaled by
    how far it is."""

    above: Positive = 0.02
    bars: Annotated[int, Field(ge=40)] = 480


class Drift(Parameters):
    """What becomes of a symbol's targets where its features or forecasts are no longer those of the training.

    Attributes:
        version: of the registry: the bundle whose reference distributions are compared with; of the model that decides.
        above: largest score of a column, as a multiple of the bundle's threshold, beyond which the guardrail acts.
        action: scale the target, hold the last one, or reduce: the position may only shrink.
        scale_to: share of the target that is left by `scale`.
    """

    version: Annotated[int, Field(ge=1)]
    above: Annotated[float, Field(ge=1)] = 1.0
    action: Literal["scale", "hold", "reduce"] = "scale"
    scale_to: Annotated[float, Field(ge=0, lt=1)] = 0.5


class Guardrails(Parameters):
    """What changes a target before it becomes an order (`params:live`, `guardrails`); None switches one off."""

    exposure: Exposure | None = Exposure()
    turnover_a_day: Turnover | None = Turnover()
    expected_shortfall: ExpectedShortfall | None = ExpectedShortfall()
    drift: Drift | None = None


class ExecutorRules(Parameters):
    """How a change of position is worked (`params:live`, `executor`).

    Attributes:
        kind: market takes at once; limit rests at the near touch and takes what is left after `patience_s`; twap takes
            in `slices` over `duration_s`; bracket takes at once and leaves at `stop_loss` or `take_profit`.
        patience_s, duration_s, slices: see `kind`.
        stop_loss, take_profit: shares of the entry price.
        unknown_after_s: an order of which nothing is heard for so long is asked for, and its symbol frozen.
    """

    kind: Literal["market", "limit", "twap", "bracket"] = "market"
    patience_s: Positive = 300.0
    duration_s: Positive = 900.0
    slices: Annotated[int, Field(ge=1, le=100)] = 3
    stop_loss: Positive = 0.03
    take_profit: Positive = 0.06
    unknown_after_s: Positive = 600.0


class PaperFills(Parameters):
    """How the paper account's orders are filled (`params:live`, `fills`).

    Attributes:
        latency_ms: from sending an order to its arrival in the book.
        queue_ahead: share of a level's size that stands before a resting order when it arrives.
        heartbeat_s: where the venue hears nothing of us for so long (its time), it takes back what rests.
        bar_latency_share: with bars alone, how far from the open towards the bar's worse end a market order is filled.
        bar_participation: with bars alone, the largest share of a bar's volume that an order gets; the rest waits.
    """

    latency_ms: Annotated[int, Field(ge=0, le=60_000)] = 120
    queue_ahead: Annotated[float, Field(ge=0, le=1)] = 1.0
    heartbeat_s: Positive = 900.0
    bar_latency_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    bar_participation: Annotated[float, Field(gt=0, le=1)] = 0.02


class LiveRules(Parameters):
    """All settings of a live account (`params:live`).

    Attributes:
        limits: what the risk gate allows.
        guardrails: what changes targets.
        executor: how orders are worked.
        fills: how they are simulated.
        grace_s: how long a timestamp waits for symbols whose bar has not come.
        quote_every_s: how often prices are passed on between bars, venue's time.
        snapshot_every_bars: bars between two snapshots of the state.
        anchor_every_s: time between two anchors of the journal's head.
        slow_decision_ms: CPU of the decisions on one event beyond which an alarm stands in the journal.
        warmup_bars: bars of the past that features are computed from before the first decision.
    """

    limits: RiskLimits = RiskLimits()
    guardrails: Guardrails = Guardrails()
    executor: ExecutorRules = ExecutorRules()
    fills: PaperFills = PaperFills()
    grace_s: NotNegative = 5.0
    quote_every_s: Positive = 5.0
    snapshot_every_bars: Annotated[int, Field(ge=1)] = 24
    anchor_every_s: Positive = 3600.0
    slow_decision_ms: Positive = 1000.0
    warmup_bars: Annotated[int, Field(ge=1, le=100_000)] = 1000


class BrokerRules(Parameters):
    """An account at a venue that orders are sent to (`params:paper`, `broker`); None: fills are simulated.

    Attributes:
        exchange: the one whose answers are known, spot.
        network: testnet has no real money; live needs `real_money`, too.
        real_money: that orders may cost real money.
        base_url: a server on this machine that speaks the same protocol; empty: the network's own.
        recv_window_ms: an order that arrives so much later than it was signed is refused by the venue; after that one
            which the venue does not know is proven not to live.
        settle_s: added to it, for the venue's own delay until it shows what it has accepted.
        answer_s: longest wait for an answer; then what became of the request is unknown.
        send_within_s: an order that could not be sent by then is refused: its price is old.
        poll_s: how often an open order is asked for.
        start_s: longest wait for the venue at a start.
        heartbeat_s: where this process's loop shows no sign of life for so long, what rests is taken back.
        reconcile_s: how often positions are compared with the venue's while nothing is open.
        close_s: longest time for taking back what is open at the end.
    """

    exchange: Literal["binance"] = "binance"
    network: Literal["testnet", "live"] = "testnet"
    real_money: bool = False
    base_url: Annotated[str, Field(pattern=r"^(http://(127\.0\.0\.1|localhost)(:[0-9]{1,5})?)?$")] = ""
    recv_window_ms: Annotated[int, Field(ge=100, le=60_000)] = 5000
    settle_s: NotNegative = 2.0
    answer_s: Annotated[float, Field(gt=0, le=120)] = 10.0
    send_within_s: Positive = 10.0
    poll_s: Positive = 1.0
    start_s: Positive = 60.0
    heartbeat_s: Positive = 60.0
    reconcile_s: Positive = 60.0
    close_s: Positive = 20.0

    @model_validator(mode="after")
    def _real_money_is_confirmed_twice(self) -> "BrokerRules":
        if (self.network == "live") != self.real_money:
            raise ValueError(
                "orders with real money need both network: live and real_money: true; orders without need neither"
            )
        return self

    @property
    def account(self) -> str:
        """Name of its keys: those of one network are never tried at another."""
        return f"{self.exchange}_{self.network}"


class StrategyChoice(Parameters):
    """One of several strategies side by side (`params:paper`, `strategies`).

    Attributes:
        name: of its book.
        share: of the account that it trades.
        rule: a strategy without a model; empty: the model decides.
        model: a stored model, or a deployed agent; with a rule it is the filter that must agree.
    """

    name: Annotated[str, Field(min_length=1, pattern=r"^[^|]+$")]
    share: Annotated[float, Field(gt=0, le=1)]
    rule: str = ""
    model: str = ""

    @model_validator(mode="after")
    def _decides_by_something(self) -> "StrategyChoice":
        if not self.rule and not self.model:
            raise ValueError(f"strategy {self.name} needs a rule, a model, or both")
        return self


class PaperRules(Parameters):
    """Which paper account `make paper` opens (`params:paper`).

    Attributes:
        model: a stored model, or one whose newest bundle decides (an agent such as ppo, equal_weight); empty: the
            newest bundle of the registry, else the newest model of a run.
        rule: a strategy without a model, where there is none.
        filter: a stored model that must agree with the rule's positions (then the rule decides); empty: none.
        strategies: several side by side, each with a book of its own; the three above are then not read.
        folder: of the run.
        anchors: where heads of its journal are kept; best on another disk.
        port: of the dashboard, on this machine alone.
        metrics_port: of the figures for Prometheus, on this machine alone; 0: any that is free; None: no figures.
        watched: summary of the monitoring pipeline, shown among the figures where it is there.
        speed: of the simulated exchange, as simulated seconds a second.
        world_seed: of its market.
        rollout: the plan whose stage limits the account, such as conf/base/rollout.yml; empty: none does.
        broker: an account at a venue that orders are sent to; None: fills are simulated, nothing is sent.
    """

    model: str = ""
    rule: str = "time_series_momentum"
    filter: str = ""
    strategies: tuple[StrategyChoice, ...] = ()
    folder: str = "data/09_paper/run"
    anchors: str = "data/09_paper/anchors.jsonl"
    port: Annotated[int, Field(ge=1, le=65_535)] = 8710
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] | None = None
    watched: str = "data/09_deployment/monitoring.json"
    speed: Positive = 3600.0
    world_seed: Annotated[int, Field(ge=0)] = 1009
    rollout: str = ""
    broker: BrokerRules | None = None

    @model_validator(mode="after")
    def _fits_one_account(self) -> "PaperRules":
        names = [one.name for one in self.strategies]
        if len(set(names)) < len(names):
            raise ValueError(f"strategies must have a name of their own each, found {names}")
        if (whole := sum(one.share for one in self.strategies)) > 1 + 1e-9:
            raise ValueError(f"the shares of strategies come to {whole:g}, more than the account")
        if self.port == self.metrics_port:
            raise ValueError(f"port and metrics_port are both {self.port}")
        return self
