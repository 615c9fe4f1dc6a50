"""What each page says, made of the runtime's state and its newest records."""

import json
import resource
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tradewind.live.accounts.gap import PARTS
from tradewind.live.dashboard.parts import (
    Raw,
    candles,
    card,
    instant,
    lines,
    money,
    signed,
    table,
    text,
    tile,
    tiles,
    used_bar,
)
from tradewind.live.dashboard.rollout import rollout
from tradewind.live.origin import CODE
from tradewind.live.process import Process, percentile
from tradewind.live.session.trading import used_of_limits
from tradewind.operations.journal.records import Record
from tradewind.trading.risk.gate import MAY_BE_OVERRIDDEN

MEANING = {
    "no_forecast": "the model says nothing: too few features are known",
    "below_entry": "the edge is too small to enter",
    "does_not_pay_costs": "the expected return does not pay the round trip",
    "segment_began": "the first bar after a gap",
    "entered": "a position is opened",
    "held": "the position is kept",
    "left": "the position is closed",
    "no_volatility": "there is no volatility to size by",
    "infinite_feature": "a feature is infinite",
    "filtered": "the rule would hold a position, and the model that filters it does not agree",
    "chose_flat": "the agent chose no position",
    "no_action": "a policy of the agent says no number: it holds nothing until the next bar",
    "guardrail": "a guardrail changed the target",
    "paused": "the account is paused",
    "halted": "the account is HALTED",
    "reducing": "the account is REDUCING",
    "stale_data": "the data of this symbol is doubted",
}
QUIET = "the rule says flat"
SHOWN = 60
Query = Mapping[str, str]


def newest(process: Process, *kinds: str) -> Iterator[Record]:
    """Records of these kinds, the newest first."""
    return (one for one in reversed(process.runtime.recent) if one.kind in kinds)


def first(process: Process, count: int, *kinds: str) -> list[Record]:
    """The newest records of these kinds.

    Args:
        process: the running paper account.
        count: at most.
        *kinds: of records; all if none is given.

    Returns:
        The newest first.
    """
    return [one for one, _ in zip(newest(process, *kinds), range(count), strict=False)]


def reasons(body: Mapping[str, Any]) -> str:
    """Why a decision is what it is, in words; there is always one."""
    words = [MEANING.get(one, one) for one in body["why"]]
    if not words:
        words = [QUIET]
    if body.get("parts"):  # what each said may differ: the net target is their sum
        words.append(", ".join(f"{name} {part:+.3f}" for name, part in sorted(body["parts"].items())))
    if body.get("lacking") is not None and body["lacking"] > 0:
        words.append(f"an edge larger by {body['lacking']:.3f} would have entered")
    return "; ".join(words)


def now(process: Process, query: Query, token: str) -> str:
    """Equity against the twin, positions, the last decisions.

    Args:
        process: the running paper account.
        query: of the address, by name.
        token: that forms must send back.

    Returns:
        HTML of the page's body.
    """
    state, session = process.runtime.state, process.runtime.session
    equity, twin = state.paper.equity, state.twin.equity * session.capital
    day = equity - state.risk.day_start
    used = used_of_limits(session, state)
    accounts = first(process, 400, "account")[::-1]
    chart = lines(
        [
            ("paper account", "var(--accent)", [one.body["equity"] for one in accounts]),
            ("twin: the backtest going on", "var(--warn)", [one.body["twin"] for one in accounts]),
        ],
        "equity of the paper account and of its twin",
    )
    positions = [
        (name, units, state.paper.entries.get(name, 0.0), state.paper.marks[name],
         signed(units * (state.paper.marks[name] - state.paper.entries.get(name, 0.0)),
                money(units * (state.paper.marks[name] - state.paper.entries.get(name, 0.0)))),
         units * state.paper.marks[name] / equity)
        for name, units in state.paper.units.items() if units
    ]  # fmt: skip
    last = [
        (instant(one.body["timestamp"])[5:16], one.body["symbol"], one.body["weight"], reasons(one.body))
        for one in first(process, 6, "decision")
    ]
    return "".join((
        tiles(
            tile("Equity", f"{equity:,.2f}", f"started with {session.capital:,.0f}"),
            tile("Today", signed(day, money(day)), f"{day / max(state.risk.day_start, 1e-9):+.2%}"),
            tile("Drawdown", f"{used['drawdown'][0]:.2%}", f"limit {used['drawdown'][1]:.0%}"),
            tile("Exposure", f"{used['max_gross'][0]:.1%}", f"limit {used['max_gross'][1]:.0%}"),
            tile("Gap to the twin", signed(state.gap.total, money(state.gap.total)), f"twin {twin:,.2f} at the close"),
            tile("Decisions", str(state.counts.get("decisions", 0)), f"{state.counts.get('fills', 0)} fills"),
        ),
        card("Equity", chart),
        '<div class="two">',
        card("Positions", table(("symbol", "units", "entry", "price", "profit", "share"), positions, "no positions")),
        card("Last decisions", table(("bar", "symbol", "target", "why"), last)),
        "</div>",
    ))  # fmt: skip


def why(process: Process, query: Query, token: str) -> str:
    """Every bar and symbol, acted on or not, with its reasons.

    Args:
        process: the running paper account.
        query: `symbol` and `acts` choose.
        token: that forms must send back.

    Returns:
        HTML of the page's body.
    """
    symbol, acts = query.get("symbol", ""), query.get("acts", "")
    found = [
        one for one in newest(process, "decision")
        if (not symbol or one.body["symbol"] == symbol) and (not acts or one.body["acts"] == (acts == "yes"))
    ][:SHOWN]  # fmt: skip
    names = "".join(
        f"<option{' selected' if one == symbol else ''}>{text(one)}</option>" for one in process.runtime.session.symbols
    )
    choices = "".join(
        f'<option value="{value}"{" selected" if value == acts else ""}>{label}</option>'
        for value, label in (("", "all bars"), ("yes", "acted"), ("no", "did nothing"))
    )
    form = (
        f'<form class="row" method="get"><select name="symbol"><option value="">all symbols</option>{names}</select>'
        f'<select name="acts">{choices}</select><button>show</button></form>'
    )
    rows = [
        (
            instant(one.body["timestamp"])[5:16], one.body["symbol"],
            Raw('<b class="good">acted</b>') if one.body["acts"] else "nothing", one.body["edge"],
            one.body["expected_return"], one.body["before"], one.body["weight"], reasons(one.body),
        )
        for one in found
    ]  # fmt: skip
    head = ("bar closed", "symbol", "did", "edge", "expected return", "target before", "target", "why")
    return card("Why it traded, and why it did not", form, table(head, rows))


def chart(process: Process, query: Query, token: str) -> str:
    """Candles with the fills of one symbol, and its target.

    Args:
        process: the running paper account.
        query: `symbol` chooses.
        token: that forms must send back.

    Returns:
        HTML of the page's body.
    """
    symbols = process.runtime.session.symbols
    symbol = query.get("symbol") if query.get("symbol") in symbols else symbols[0]
    bars: dict[int, list[float]] = {}
    for record in newest(process, "market"):
        for row in record.body["bars"]:
            if row[0] == symbol and row[2] not in bars and len(bars) < 120:
                bars[row[2]] = [row[2], row[3], row[4], row[5], row[6]]
    bar_ms = process.runtime.session.decider.assembly.bar_ms
    ids = {one.body["client_id"] for one in newest(process, "intent") if one.body["symbol"] == symbol}
    marks: dict[tuple[int, bool], tuple[float, float]] = {}
    for one in newest(process, "report"):
        if one.body["what"] == "fill" and one.body["client_id"] in ids:
            key = ((one.body["at_ms"] // bar_ms + 1) * bar_ms, one.body["units"] > 0)
            value, units = marks.get(key, (0.0, 0.0))
            marks[key] = (value + one.body["price"] * one.body["units"], units + one.body["units"])
    filled = [(at, value / units, units) for (at, _), (value, units) in marks.items() if units]
    links = " ".join(f'<a class="tag" href="?symbol={text(one)}">{text(one)}</a>' for one in symbols)
    decisions = [one.body for one in newest(process, "decision") if one.body["symbol"] == symbol][:120][::-1]
    target = lines(
        [("target, share of the account", "var(--accent)", [one["weight"] for one in decisions]),
         ("edge", "var(--warn)", [one["edge"] if one["edge"] is not None else float("nan") for one in decisions])],
        "target and edge", 160,
    )  # fmt: skip
    drawn = candles(sorted(bars.values()), filled)
    legend = '<p><span style="color:var(--accent)">▲</span> bought <span style="color:var(--warn)">▼</span> sold</p>'
    return card(f"{symbol}", f"<div>{links}</div>", drawn, legend) + card("Target and edge", target)


def orders(process: Process, query: Query, token: str) -> str:
    """Intents, fills, refusals, and the gap split.

    Args:
        process: the running paper account.
        query: of the address, by name.
        token: that forms must send back.

    Returns:
        HTML of the page's body.
    """
    state = process.runtime.state
    parts = [(name, signed(state.gap.parts[name], money(state.gap.parts[name])), GAP[name]) for name in PARTS]
    parts.append(("sum", signed(state.gap.total, money(state.gap.total)), "paper account minus twin"))
    sent = [
        (instant(one.at_ms)[5:], one.body["client_id"], one.body["symbol"], one.body["kind"], one.body["units"],
         one.body["price"], one.body["purpose"])
        for one in first(process, 25, "intent")
    ]  # fmt: skip
    fills = [
        (instant(one.body["at_ms"])[5:], one.body["client_id"], one.body["units"], one.body["price"], one.body["fee"],
         "maker" if one.body["is_maker"] else "taker")
        for one in newest(process, "report") if one.body["what"] == "fill"
    ][:25]  # fmt: skip
    refused = [
        (instant(one.at_ms)[5:], one.body["symbol"], one.body["units"], one.body["code"], one.body["value"],
         one.body["limit"])
        for one in first(process, 25, "risk_rejected")
    ]  # fmt: skip
    open_orders = [
        (one.client_id, one.symbol, one.status, one.units, one.done) for one in state.orders.values() if one.is_open
    ]
    return "".join((
        card("Open orders", table(("id", "symbol", "status", "units", "filled"), open_orders, "none")),
        '<div class="two">',
        card("Why the account is not its twin", table(("part", "amount", "meaning"), parts)),
        card("Refused by the gate", table(("at", "symbol", "units", "code", "found", "allowed"), refused, "none")),
        "</div>",
        card("Sent", table(("at", "id", "symbol", "kind", "units", "price", "for"), sent)),
        card("Fills", table(("venue's time", "id", "units", "price", "fee", "side"), fills)),
    ))  # fmt: skip


GAP = {
    "fee": "fees paid against those of the backtest",
    "spread": "price from the middle of the book, against the backtest's spread and slippage",
    "drift": "the middle at the decision against the bar's open",
    "latency": "the middle moved between decision and fill",
    "missed": "held something else than the twin: not or later filled, or sized by another equity",
    "rejected": "the same, where the gate, a guardrail or the account's state said no",
    "funding": "funding on what was held",
}


def risk(process: Process, query: Query, token: str) -> str:
    """Limits as used and allowed, the history of states, and what an operator may do.

    Args:
        process: the running paper account.
        query: of the address, by name.
        token: that forms must send back.

    Returns:
        HTML of the page's body.
    """
    state = process.runtime.state
    limits = [
        (name.replace("_", " "), used, allowed, used_bar(used, allowed))
        for name, (used, allowed) in used_of_limits(process.runtime.session, state).items()
    ]
    changes = [
        (instant(one.at_ms)[5:], one.body["before"], one.body["mode"], one.body["who"], one.body["reason"])
        for one in first(process, 20, "state_changed")
    ]
    guards = [
        (instant(one.at_ms)[5:], one.body["guardrail"], one.body["value"], one.body["allowed"], one.body["effect"])
        for one in first(process, 10, "guardrail")
    ]
    actions = "".join(f"<option>{one}</option>" for one in ("pause", "reduce", "flatten", "halt", "resume", "override"))
    codes = "".join(f"<option>{one}</option>" for one in sorted(MAY_BE_OVERRIDDEN))
    form = (
        f'<form class="row" method="post" action="/control"><input type="hidden" name="token" value="{token}">'
        f'<select name="action">{actions}</select><input name="who" placeholder="your name" required>'
        '<input name="reason" placeholder="reason" required><select name="reset"><option value="">keep limits</option>'
        '<option value="daily_loss">daily loss begins anew</option>'
        '<option value="drawdown">drawdown begins anew</option>'
        '<option value="daily_loss drawdown">both begin anew</option></select>'
        f'<select name="code"><option value="">no override</option>{codes}</select>'
        '<input name="minutes" type="number" min="1" max="1440" placeholder="minutes"><button>order</button></form>'
    )
    overrides = ", ".join(f"{code} until {instant(until)}" for code, until in state.risk.overrides) or "none"
    mode = (
        f"{state.risk.mode}{', paused' if state.risk.paused else ''}{', closing all' if state.risk.flattening else ''}"
    )
    return "".join((
        tiles(
            tile("State", mode, state.risk.reason), tile("By", state.risk.who, instant(state.risk.since_ms)),
            tile("Overrides", overrides), tile("Refused", str(state.counts.get("rejected", 0)), "orders, by the gate"),
        ),
        card("Limits", table(("limit", "used", "allowed", ""), limits)),
        card("Order something", form, "<p>A halt outlives this process; only resume, with a reason, ends it.</p>"),
        '<div class="two">',
        card("States", table(("at", "from", "to", "who", "why"), changes, "no change yet")),
        card("Guardrails", table(("at", "guardrail", "found", "allowed", "effect"), guards, "none acted")),
        "</div>",
    ))  # fmt: skip


def models(process: Process, query: Query, token: str) -> str:
    """Who decides.

    Args:
        process: the running paper account.
        query: of the address, by name.
        token: that forms must send back.

    Returns:
        HTML of the page's body.
    """
    about = process.runtime.about
    rows = [
        (name.replace("_", " "), value if isinstance(value, str) else json.dumps(value))
        for name, value in about.items()
        if name not in ("settings", CODE)  # hashes, for the next start
    ]
    bodies = [one.body for one in newest(process, "decision")][:600]
    known = [one for one in bodies if one["p_up"] is not None]
    counts: dict[str, int] = {}
    for body in bodies:
        for one in body["why"] or ["the rule says flat"]:
            counts[one] = counts.get(one, 0) + 1
    top = [
        (MEANING.get(name, name), count, count / len(bodies))
        for name, count in sorted(counts.items(), key=lambda x: -x[1])
    ]
    return "".join((
        tiles(
            tile("Decides", about.get("decider", "?")), tile("Features", str(about.get("features", "?"))),
            tile("With a forecast", f"{len(known) / max(len(bodies), 1):.0%}", f"of {len(bodies)} decisions"),
            tile("CPU of a decision", f"{percentile(process.runtime.timing.cpu, 50):.1f} ms", "median"),
        ),
        _books(process),
        card("What it said", table(("reason", "times", "share"), top)),
        card("This run", table(("what", "is"), rows)),
    ))  # fmt: skip


def _books(process: Process) -> str:
    """Of strategies side by side: what each holds and is worth; nothing where there is one."""
    state = process.runtime.state
    rows = [
        (name, f"{book.equity(state.paper.marks):,.2f}", f"{book.fees:,.2f}",
         ", ".join(f"{symbol} {units:+.3f}" for symbol, units in sorted(book.units.items()) if abs(units) > 1e-9))
        for name, book in state.books.of.items()
    ]  # fmt: skip
    return card("Strategies side by side", table(("strategy", "equity", "fees", "holds"), rows)) if rows else ""


def health(process: Process, query: Query, token: str) -> str:
    """Ages, latencies, faults of the feed, memory.

    Args:
        process: the running paper account.
        query: of the address, by name.
        token: that forms must send back.

    Returns:
        HTML of the page's body.
    """
    runtime, state = process.runtime, process.runtime.state
    feeds = [
        (name, instant(state.seen_ms.get(name, 0)), (state.now_ms - state.seen_ms.get(name, 0)) / 1000,
         state.stale.get(name, "fine"))
        for name in runtime.session.symbols
    ]  # fmt: skip
    notes = [
        (instant(one.at_ms)[5:], one.body["symbol"] or "all", one.body["what"], one.body["detail"])
        for one in first(process, 20, "feed")
    ]
    aside = [
        (instant(one.at_ms)[5:], one.body["symbol"], one.body["what"], str(one.body["value"]))
        for one in first(process, 10, "quarantined")
    ]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return "".join((
        tiles(
            tile("Bar to durable intent", f"{percentile(runtime.timing.durable, 99):.0f} ms", "P99"),
            tile("The same", f"{percentile(runtime.timing.durable, 50):.0f} ms", "median"),
            tile("Speed", f"{process.speed():,.0f}", "seconds of the venue a second"),
            tile("Memory", f"{memory:,.0f} MB", "highest so far"),
            tile("Put aside", str(state.counts.get("quarantined", 0)), "bars and prices that cannot be"),
            tile("Clock", f"{state.skew_ms} ms", "from the venue's"),
        ),
        card("Data", table(("symbol", "last heard of", "age s", "state"), feeds)),
        card("Notes of the feed", table(("at", "symbol", "what", "detail"), notes, "none")),
        card("Put aside", table(("at", "symbol", "why", "what"), aside, "none")),
    ))  # fmt: skip


def journal(process: Process, query: Query, token: str) -> str:
    """The newest records, by kind, and what led to what.

    Args:
        process: the running paper account.
        query: `seq` and `kind` choose.
        token: that forms must send back.

    Returns:
        HTML of the page's body.
    """
    wanted, kind = query.get("seq", ""), query.get("kind", "")
    seq, digest = process.runtime.journal.head
    records = process.runtime.recent
    if wanted.isdigit():
        number = int(wanted)
        records = [one for one in records if number in (one.seq, one.cause)]
    kinds = sorted({one.kind for one in process.runtime.recent})
    chosen = [one for one in reversed(records) if not kind or one.kind == kind][:SHOWN]
    rows = [
        (Raw(f'<a href="?seq={one.seq}">{one.seq}</a>'), instant(one.at_ms)[5:], one.kind,
         Raw(f'<a href="?seq={one.cause}">{one.cause}</a>') if one.cause else "",
         Raw(f'<code class="long">{text(json.dumps(dict(one.body))[:260])}</code>'),
         Raw(f"<code>{one.hash[:10]}</code>"))
        for one in chosen
    ]  # fmt: skip
    links = " ".join(f'<a class="tag" href="?kind={text(one)}">{text(one.replace("_", " "))}</a>' for one in kinds)
    verify = f"tradewind journal verify {'/'.join(process.runtime.folder.parts[-3:])}"
    return "".join((
        card("Head", f"<p>record {seq}, <code>{digest}</code></p><p>Check it: <code>{text(verify)}</code></p>"),
        card("Records", f'<div><a class="tag" href="?">all</a> {links}</div>',
             table(("number", "at", "kind", "cause", "what", "hash"), rows)),
    ))  # fmt: skip


PAGES: dict[str, Callable[[Process, Query, str], str]] = {
    "Now": now, "Why": why, "Chart": chart, "Orders": orders, "Risk": risk, "Models": models, "Health": health,
    "Journal": journal, "Rollout": rollout,
}  # fmt: skip
