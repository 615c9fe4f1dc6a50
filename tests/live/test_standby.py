"""A standby goes on where the primary was, and the primary is out, whatever it was about to do."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live.conftest import session_of, simulated
from tests.live.test_session import by_time, records, step_bars
from tradewind.errors import BadParameters
from tradewind.learning.features.assembly import Bar
from tradewind.live.runtime import JOURNAL, Runtime, Start
from tradewind.live.standby import FENCE, LEDGER, take_over, take_turn
from tradewind.live.venue.paper import PaperVenue
from tradewind.operations.journal.anchors import verify
from tradewind.operations.journal.fence import Fence, Fenced, Turn
from tradewind.operations.journal.journal import read

SYMBOLS = ("SIM1", "SIM2", "SIM3")


def opened(folder: Path, turn: Turn, past: list[Bar]) -> Runtime:
    session = session_of(SYMBOLS)
    venue = PaperVenue(folder / LEDGER, session.rules.fills, session.setup.costs, session.instruments, turn)
    now = max((one.timestamp for one in past), default=0)
    try:
        return Runtime(folder, session, venue, Start({"model": "rule"}, past, (), now), None, turn)
    except BaseException:
        venue.close()
        raise


def market() -> tuple[list[Bar], list[list[Bar]]]:
    bars, _ = simulated(days=6, outages=0)
    first = sorted({one.timestamp for one in bars})[60]
    return [one for one in bars if one.timestamp <= first], by_time([one for one in bars if one.timestamp > first])


def close(runtime: Runtime) -> None:
    runtime.close()
    runtime.broker.close()  # type: ignore[attr-defined]


def test_a_standby_goes_on_and_the_primary_is_out(folder: Path) -> None:
    past, rest = market()
    primary = opened(folder, take_turn(folder), past)
    for now in rest[:12]:
        step_bars(primary, now)
    with pytest.raises(BadParameters, match="in use by another process"):
        take_turn(folder)  # a second start by mistake takes nothing away from it
    assert primary.turn is not None
    primary.turn.check()
    primary.turn.beat(1)
    state = primary.state.to_bytes(primary.session.decider)
    told: list[str] = []
    turn = asyncio.run(take_over(folder, 0.3, told.append))  # the primary is frozen
    assert turn.epoch == 2 and "took over as turn 2" in told[-1]
    standby = opened(folder, turn, [])
    assert standby.state.to_bytes(standby.session.decider) == state
    assert records(standby, "recovered")[-1]["turn"] == 2
    for now in rest[12:20]:
        step_bars(standby, now)
    with pytest.raises(Fenced):  # it wakes up
        step_bars(primary, rest[12])
    with pytest.raises(Fenced):
        primary.turn.beat(2)
    head = standby.journal.head
    close(primary)
    close(standby)
    assert verify(folder / JOURNAL)[:2] == head
    sent = [one.body["client_id"] for one in read(folder / LEDGER) if one.kind == "order"]
    assert len(sent) == len(set(sent)) and {one["client_id"] for one in records(standby, "intent")} >= set(sent)


def test_a_run_that_was_ended_in_order_is_left_alone(folder: Path) -> None:
    past, rest = market()
    primary = opened(folder, take_turn(folder), past)
    step_bars(primary, rest[0])
    primary.end("asked to end")
    primary.broker.close()  # type: ignore[attr-defined]

    async def wait() -> None:
        async with asyncio.timeout(1.2):
            await take_over(folder, 0.1, lambda line: None)

    with pytest.raises(TimeoutError):
        asyncio.run(wait())
    assert Fence(folder / FENCE).present() == 1


def test_a_write_that_was_cut_between_two_lines_is_completed(folder: Path) -> None:
    """Nobody acted on a batch of which only the first records reached the disk."""
    past, rest = market()
    runtime = opened(folder, take_turn(folder), past)
    batch, at = b"", 0
    while b'"kind":"intent"' not in batch:
        before = (folder / JOURNAL).stat().st_size
        step_bars(runtime, rest[at])
        # The first write of the bar: its event with decisions and intents.
        lines = (folder / JOURNAL).read_bytes()[before:].splitlines(keepends=True)
        first = next(line for line in lines if b'"kind":"market"' in line)
        events = [number for number, line in enumerate(lines) if b'"cause":0' in line]
        end = events[1] if len(events) > 1 else len(lines)
        assert lines[0] == first
        batch, at = b"".join(lines[:end]), at + 1
    close(runtime)
    begin = (folder / JOURNAL).read_bytes()[:before]
    ledger = (folder / LEDGER).read_bytes()
    own = batch.splitlines(keepends=True)
    outcomes = set()
    for kept in range(1, len(own) + 1):
        place = folder / f"cut{kept}"
        place.mkdir()
        (place / JOURNAL).write_bytes(begin + b"".join(own[:kept]) + b"abc half a record")
        (place / LEDGER).write_bytes(ledger)
        (place / FENCE).mkdir()
        again = opened(place, take_turn(place), [])
        kinds = [one.kind for one in read(place / JOURNAL)]
        intents = [one["client_id"] for one in records(again, "intent")]
        outcomes.add((kinds.count("decision"), tuple(intents)))
        close(again)
    assert len(own) > 3 and len(outcomes) == 1


def test_the_ones_of_a_start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim: Callable[..., Turn | None] = lambda self, after, who="": None  # noqa: E731 - somebody was quicker
    monkeypatch.setattr(Fence, "claim", claim)
    with pytest.raises(BadParameters, match="just begun"):
        take_turn(folder)
