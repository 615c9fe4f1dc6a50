"""A whole paper account: exchange or venue, feed, session, dashboard, and the table at the end."""

import asyncio
import json
import secrets
import signal
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from tradewind import __version__, clock
from tradewind.atomic import write_bytes
from tradewind.data.feeds.binance import SIDE, BinanceFeed, BinanceRest
from tradewind.data.sources.ccxt_account import Keys
from tradewind.errors import BadParameters
from tradewind.learning.features.assembly import Bar, SideValue
from tradewind.live.dashboard.app import dashboard
from tradewind.live.exchange.server import Exchange
from tradewind.live.exchange.world import simulated_world
from tradewind.live.metrics import AccountMetrics
from tradewind.live.process import PacedClock, Process, WallClock, summary, summary_lines
from tradewind.live.runtime import JOURNAL, Runtime, Start
from tradewind.live.session.drift import References
from tradewind.live.session.session import Session
from tradewind.live.settings import LiveRules, PaperRules
from tradewind.live.stages import RolloutView, StageSource
from tradewind.live.standby import take_over, take_turn
from tradewind.live.venue.ccxt_broker import Opening
from tradewind.live.venue.choice import Simulated, addresses, mode_of, open_venue, require_same_mode
from tradewind.market.simulation.simulator import SimulationSpec
from tradewind.market.universe import Universe
from tradewind.operations.journal.fence import Turn
from tradewind.operations.journal.journal import read
from tradewind.trading.decision.decider import Decider
from tradewind.trading.risk.limits import Instrument
from tradewind.trading.setup import TradingSetup

FUTURE_DAYS = 400
EDGE = 6.0
CLOSING_S = 5.0  # a server's connections are waited for


@dataclass(frozen=True)
class Plan:
    """What is run.

    Attributes:
        paper: which account.
        rules: limits, guardrails, executors.
        setup: costs, order rules, signal, sizing.
        universe: what is traded.
        decider: closed bars to targets; a bundle's does as well.
        name: of the model or rule.
        models: stored models by name: their keys.
        project: folder that paths are relative to.
        references: of drift, where that guardrail is on.
        keys: of the account that orders go to, where one is configured.
    """

    paper: PaperRules
    rules: LiveRules
    setup: TradingSetup
    universe: Universe
    decider: Decider
    name: str
    models: dict[str, str]
    project: Path
    references: References = field(default_factory=dict)
    keys: Keys | None = None


@dataclass(frozen=True)
class DeskOptions:
    """Where to trade on paper, and how the process begins and ends.

    Attributes:
        exchange: simulated or binance.
        seconds: of the whole; None: until it is ended.
        new_run: whether a run that is there is put aside.
        standby: wait until the process that has the run shows nothing for `takeover_s`, then take over.
        takeover_s: see `standby`.
        updated: whether a run goes on with changed code where every command of it comes out the same.
    """

    exchange: str = "simulated"
    seconds: float | None = None
    new_run: bool = False
    standby: bool = False
    takeover_s: float = 15.0
    updated: bool = False


class _Server(uvicorn.Server):
    """A server that leaves the signals to the process that it is part of."""

    def capture_signals(self) -> Any:
        return nullcontext()

    @property
    def port(self) -> int:
        return int(self.servers[0].sockets[0].getsockname()[1])


async def _serve(app: Any, port: int) -> _Server:
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_level="error", ws="websockets-sansio", lifespan="off",
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = _Server(config)
    server.task = asyncio.create_task(server.serve())
    while not server.started:
        if server.task.done():
            raise BadParameters(f"port {port} cannot be opened: end what uses it, or choose another (paper.port)")
        await asyncio.sleep(0.02)
    return server


async def run_desk(plan: Plan, options: DeskOptions, say: Callable[[str], None]) -> dict[str, Any]:
    """Run the account; the summary at its end.

    Args:
        plan: what is run.
        options: where, and for how long.
        say: takes lines for people.

    Raises:
        BadParameters: the run in the folder is another one, or a port is in use.
        BadData: its journal is not what was written.
        TemporaryOutage: the venue does not answer.
    """
    folder, mode = plan.project / plan.paper.folder, mode_of(plan.paper.broker)
    if plan.paper.broker is not None and options.exchange == "simulated":
        raise BadParameters(
            f"paper.broker sends orders to {plan.paper.broker.account}, and the prices of the simulated exchange are "
            "none there: --exchange binance, or leave paper.broker empty (null)"
        )
    if options.new_run and folder.exists():
        folder.rename(folder.with_name(f"{folder.name}-{clock.now():%Y%m%dT%H%M%S}"))
    turn = await take_over(folder, options.takeover_s, say) if options.standby else take_turn(folder)
    began = _last_close(folder)
    exchange, servers = None, []
    rest_url, stream_url = addresses(plan.paper.broker)
    if options.exchange == "simulated":
        exchange = _exchange(plan, began)
        servers.append(await _serve(exchange.app(), 0))
        rest_url = f"http://127.0.0.1:{servers[0].port}"
        stream_url = rest_url.replace("http", "ws")
    rest = BinanceRest(rest_url)
    process = await _open(plan, rest, stream_url, folder, exchange, turn, options.updated)
    runtime = process.runtime
    servers.append(await _serve(dashboard(process), plan.paper.port))
    address = f"http://127.0.0.1:{servers[-1].port}/"
    found_at, end_metrics = {"address": address}, None
    if plan.paper.metrics_port is not None:
        end_metrics, found_at["metrics"] = _show_metrics(plan, process, exchange is not None)
    write_bytes(folder / "address.json", json.dumps(found_at).encode())
    how = "goes on" if runtime.recovered else "opened"
    say(f"{mode.label} account {how} ({mode.means}): {plan.name} on {options.exchange}, {folder}")
    say(f"Dashboard: {address}")
    if "metrics" in found_at:
        say(f"Figures for Prometheus: {found_at['metrics']}")
    world = asyncio.create_task(exchange.run()) if exchange else None
    stop = asyncio.Event()
    with suppress(NotImplementedError):
        for one in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(one, stop.set)
    running = asyncio.create_task(process.run(options.seconds))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
    for task in (running, stopping, *([world] if world else [])):
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    found = summary(process)
    say("\n".join(["", f"{mode.label} account, summary", *summary_lines(found)]))
    if process.failure:
        runtime.close()
    else:
        runtime.end("asked to end")
    process.venue.close()
    await rest.close()
    if end_metrics is not None:
        end_metrics()
    if exchange:
        await exchange.stop()
    for server in servers:
        await _close(server)
    return found


def _show_metrics(plan: Plan, process: Process, is_simulated: bool) -> tuple[Callable[[], None], str]:
    """Let Prometheus read the account; how to end that, and the address."""
    bar_s = plan.universe.bar.total_seconds() / (plan.paper.speed if is_simulated else 1.0)
    process.metrics = AccountMetrics(process.runtime, bar_s, plan.project / plan.paper.watched)
    process.metrics.registry.register(process.denials.count)
    end, port = process.metrics.serve("127.0.0.1", plan.paper.metrics_port or 0)
    return end, f"http://127.0.0.1:{port}/metrics"


async def _close(server: _Server) -> None:
    """Let the server end, or make it: who reads its pages must not keep the process."""
    server.should_exit = True
    try:
        async with asyncio.timeout(CLOSING_S):
            await asyncio.shield(server.task)
    except TimeoutError:
        server.force_exit = True
        await server.task


def _last_close(folder: Path) -> int:
    """The last timestamp that a run in the folder has decided on, 0 where there is none."""
    if not (folder / JOURNAL).is_file():
        return 0
    return max((one.body["timestamp"] for one in read(folder / JOURNAL) if one.kind == "account"), default=0)


def _exchange(plan: Plan, began_ms: int) -> Exchange:
    """The simulated exchange, whose time goes on where the run ended."""
    days = FUTURE_DAYS + plan.rules.warmup_bars * int(plan.universe.bar.total_seconds()) // 86_400 + 1
    spec = SimulationSpec(
        n_symbols=len(plan.universe.symbols), days=days, timeframe=plan.universe.timeframe, edge=EDGE, outages=6,
        seed=plan.paper.world_seed, start="2024-01-01",
    )  # fmt: skip
    world = simulated_world(spec, plan.rules.warmup_bars)
    if set(world.symbols) != set(plan.universe.symbols):
        raise BadParameters(f"the simulated exchange trades {', '.join(world.symbols)}: --exchange binance for others")
    exchange = Exchange(world, plan.paper.speed)
    exchange.now_ms = max(exchange.now_ms, began_ms)
    return exchange


async def _open(
    plan: Plan, rest: BinanceRest, stream: str, folder: Path, exchange: Exchange | None, turn: Turn, is_updated: bool
) -> Process:
    symbols, bar_ms = plan.universe.symbols, int(plan.universe.bar.total_seconds() * 1000)
    specs = await rest.instruments(symbols)
    broker, mode = plan.paper.broker, mode_of(plan.paper.broker)
    instruments = {name: Instrument(symbol=name, can_be_short=broker is None, **one) for name, one in specs.items()}
    now_ms = await rest.now_ms()
    begin_ms = now_ms - plan.rules.warmup_bars * bar_ms
    past = [Bar(*one) for name in symbols for one in await rest.klines(name, plan.universe.timeframe, begin_ms, now_ms)]
    past.sort(key=lambda one: (one.timestamp, one.symbol))
    side: list[SideValue] = []
    if exchange is not None:
        side = [SideValue(*one) for one in await rest.published(-1, now_ms)]
    journal = folder / JOURNAL
    begun = next(read(journal), None) if journal.is_file() else None  # none where the very first write was torn
    run = begun.body["run"] if begun else secrets.token_hex(4)
    require_same_mode(begun.body if begun else None, mode, folder)
    session = Session(
        run,
        plan.decider,
        plan.setup,
        plan.rules,
        instruments,
        plan.universe.bars_per_year,
        plan.universe.ends_ms,
        plan.references,
    )
    about = {
        "decider": plan.name, "models": plan.models, "venue": "simulated" if exchange else "binance",
        "symbols": list(symbols), "timeframe": plan.universe.timeframe, "code": __version__,
        "features": len(plan.decider.names), "speed": plan.paper.speed if exchange else 1.0,
        "executor": plan.rules.executor.kind, "broker": mode.name,
    }  # fmt: skip
    view = None
    opening = Opening(broker, plan.keys, folder, instruments, session.capital)
    venue = open_venue(opening, Simulated(plan.rules.fills, plan.setup.costs), folder / "venue.jsonl", turn)
    try:
        runtime = Runtime(
            folder,
            session,
            venue,
            Start(about, past, side, now_ms, is_updated),
            plan.project / plan.paper.anchors,
            turn,
        )
        if plan.paper.rollout:
            where = plan.project / plan.paper.rollout
            runtime.stage, view = StageSource(plan.project, where), RolloutView(plan.project, where)
            runtime.watch_stage()
    except BaseException:
        venue.close()
        raise
    feed = BinanceFeed(
        symbols, plan.universe.timeframe, bar_ms, rest, stream, silent_after_s=20.0,
        extra=(SIDE,) if exchange else (),
    )  # fmt: skip
    feed.begin_after(dict.fromkeys(symbols, max(runtime.state.done_ms, 0) or now_ms), runtime.state.published())
    time = PacedClock(bar_ms, runtime.state.now_ms) if exchange else WallClock()
    return Process(runtime, venue, feed, time, rollout=view)
