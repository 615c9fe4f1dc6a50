"""Features bar by bar or all at once, from the same compiled programs: live and batch cannot differ."""

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import BadData
from tradewind.learning.features import machine, slow_bars
from tradewind.learning.features.bars import CLOCK, COLUMNS, Chunk, Floats, chunk_of, clock_column
from tradewind.learning.features.expression import columns_of
from tradewind.learning.features.packing import Arrays, chunk_arrays, chunk_from, pack, unpack
from tradewind.learning.features.program import Program, compile_program, running_costs
from tradewind.learning.features.spec import Feature, State, Window

Lines = NDArray  # one row a feature, in the precision of the caller
SEGMENT, SEEN = 0, 1


@dataclass
class PlanState:
    """Everything a plan carries from one bar to the next. `copy` it to keep it.

    Attributes:
        clock: segment of the last bar (-1 before the first), bars of it so far, then slower bars of each timeframe so
        far. numbers: the state of all programs and of the slower bars in the making, then what slower features last
        were. python: the states of features written in Python, by name.
    """

    clock: NDArray[np.int64]
    numbers: Floats
    python: dict[str, State] = field(default_factory=dict)

    def copy(self) -> "PlanState":
        """The same state, which the original will not change."""
        return PlanState(self.clock.copy(), self.numbers.copy(), dict(self.python))


@dataclass(frozen=True)
class _Slower:
    """The features on one slower timeframe: which rows they fill, their program, and where their state lies."""

    rows: NDArray[np.int64]
    program: Program
    grid: tuple[int, int]
    how: NDArray[np.int64]
    bar: slice  # the slower bar in the making
    state: slice
    last: slice


class Plan:
    """Features compiled together. It holds no state of its own: `begin` makes one, `advance` moves it on."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self.features = tuple(features)
        compiled = [feature for feature in self.features if feature.expression is not None]
        names: set[str] = set()
        for feature in compiled:
            names |= columns_of(feature.expression)  # type: ignore[arg-type]
        self.columns = tuple(sorted(names))
        self._base_rows = self._rows_of(0)
        self._base = self._compile(self._base_rows, self._base_rows.tolist())
        self._base_state = slice(0, self._base.n_state)
        size, self._slower = self._base.n_state, []
        for slow_ms in sorted({feature.slow_ms for feature in compiled} - {0}):
            rows = self._rows_of(slow_ms)
            program = self._compile(rows, range(len(rows)))
            ends = np.cumsum([size, slow_bars.state_size(len(self.columns)), program.n_state, len(rows)])
            bar, state, last = (slice(int(a), int(b)) for a, b in itertools.pairwise(ends))
            size = last.stop
            how = slow_bars.aggregations(self.columns)
            self._slower.append(_Slower(rows, program, slow_bars.grid_ms(slow_ms), how, bar, state, last))
        self._n_numbers = size
        self._python_rows = [row for row, feature in enumerate(self.features) if feature.expression is None]
        programs = [self._base, *(slower.program for slower in self._slower)]
        self._slots = np.empty((max(program.n_slots for program in programs) + 1, machine.BLOCK))

    def _rows_of(self, slow_ms: int) -> NDArray[np.int64]:
        rows = [row for row, one in enumerate(self.features) if one.expression is not None and one.slow_ms == slow_ms]
        return np.array(rows, dtype=np.int64)

    def _compile(self, rows: NDArray[np.int64], into: Sequence[int]) -> Program:
        roots = [self.features[row].expression for row in rows]
        return compile_program([root for root in roots if root is not None], self.columns, into)

    def fingerprint(self) -> str:
        """A hash of what is computed and how: a saved state fits a plan of the same fingerprint alone."""
        described = [[feature.name, feature.formula, feature.lookback] for feature in self.features]
        digest = hashlib.sha256(json.dumps(described).encode())
        for program in (self._base, *(slower.program for slower in self._slower)):
            digest.update(json.dumps(program.columns).encode() + program.table.tobytes() + program.numbers.tobytes())
        return digest.hexdigest()

    @property
    def reads_chunks(self) -> bool:
        """Whether it has features written in Python, which read whole chunks."""
        return bool(self._python_rows)

    def to_arrays(self, state: PlanState) -> tuple[dict[str, Any], Arrays]:
        """The state as a JSON head and arrays, for `packing.pack`.

        Raises:
            BadData: a feature's step keeps a state that is no `Window`.
        """
        windows: dict[str, Any] = {}
        arrays: Arrays = {"clock": state.clock, "numbers": state.numbers}
        for name, window in state.python.items():
            if not isinstance(window, Window):
                raise BadData(f"feature {name} keeps a state of its own, which has no form in bytes: use `windowed`")
            windows[name] = window.seen
            if window.bars is not None:
                arrays |= chunk_arrays(window.bars, name)
        return {"plan": self.fingerprint(), "windows": windows}, arrays

    def from_arrays(self, head: Mapping[str, Any], arrays: Arrays) -> PlanState:
        """The state again.

        Raises:
            BadData: it belongs to another plan.
        """
        if head.get("plan") != self.fingerprint():
            raise BadData("the saved feature stream belongs to other features: replay the history")
        python: dict[str, State] = {}
        for name, seen in head["windows"].items():
            python[name] = Window(int(seen), chunk_from(arrays, name))
        return PlanState(arrays["clock"], arrays["numbers"], python)

    def begin(self) -> PlanState:
        """The state before the first bar."""
        clock = np.zeros(2 + len(self._slower), dtype=np.int64)
        clock[SEGMENT] = -1
        state = PlanState(clock, np.zeros(self._n_numbers))
        self._begin_segment(state, -1)
        return state

    def _begin_segment(self, state: PlanState, segment: int) -> None:
        state.clock[:] = 0
        state.clock[SEGMENT] = segment
        state.numbers[:] = 0.0
        for slower in self._slower:
            state.numbers[slower.last] = np.nan
        state.python = {}

    def advance(self, state: PlanState, chunk: Chunk, out: Lines | None = None) -> Lines:
        """The features of the next bars.

        Args:
            state: made by `begin`; moved on in place.
            chunk: bars that follow those already seen.
            out: is filled and handed back where it is given; float32 or float64, shape (features, bars).

        Returns:
            Shape (features, bars); NaN means not yet known.
        """
        out = np.empty((len(self.features), len(chunk))) if out is None else out
        columns, times = chunk.matrix(self.columns), np.stack([chunk.open_time, chunk.timestamp])
        for start, stop in chunk.segments():
            if state.clock[SEGMENT] != chunk.segment[start]:
                self._begin_segment(state, int(chunk.segment[start]))
            self.advance_columns(state, columns, times, out, (start, stop))
            for row in self._python_rows:
                feature = self.features[row]
                assert feature.step is not None
                inner = state.python.get(feature.name)
                state.python[feature.name], out[row, start:stop] = feature.step(inner, chunk.rows(start, stop))
        return out

    def advance_columns(
        self, state: PlanState, columns: Floats, times: NDArray[np.int64], out: Lines, span: tuple[int, int]
    ) -> None:
        """As `advance`, for bars of one segment given as plain columns, without features written in Python.

        Args:
            state: made by `begin` and set to this segment; moved on in place.
            columns: `self.columns` in their order, shape (columns, bars).
            times: open_time and timestamp, UTC milliseconds, shape (2, bars).
            out: is filled, shape (features, bars).
            span: first bar and the one after the last.
        """
        start, stop = span
        program = self._base
        numbers = state.numbers[self._base_state]
        bars = (start, stop, int(state.clock[SEEN]))
        machine.run(program.table, program.numbers, numbers, self._slots, columns, out, bars)
        state.clock[SEEN] += stop - start
        for number, slower in enumerate(self._slower):
            slow = np.empty((len(self.columns), stop - start + 1))
            newest = np.empty(stop - start, dtype=np.int64)
            closed = slow_bars.close_slow_bars(
                columns, times, span, slower.how, slower.grid, state.numbers[slower.bar], slow, newest
            )
            values = np.empty((len(slower.rows), closed))
            if closed:
                bars, program = (0, closed, int(state.clock[2 + number])), slower.program
                machine.run(
                    program.table, program.numbers, state.numbers[slower.state], self._slots, slow, values, bars
                )
                state.clock[2 + number] += closed
            slow_bars.hold(values, newest, state.numbers[slower.last], out, slower.rows, start)


class FeatureStream:
    """All features of one symbol, live: one bar in, one value a feature out.

    Warm it with `advance(history)`. `to_bytes` and `from_bytes` stop and restart it; the values go on as if nothing had
    happened.
    """

    def __init__(self, features: Sequence[Feature]) -> None:
        self._plan = Plan(features)
        self._state = self._plan.begin()
        self.names = tuple(feature.name for feature in features)
        self.columns = self._plan.columns

    def advance(self, chunk: Chunk) -> Floats:
        """One row a feature, one value a bar of the chunk."""
        return self._plan.advance(self._state, chunk)

    def push(self, bar: Mapping[str, float]) -> Floats:
        """One value a feature after one more bar, given as its columns (`open_time` and `timestamp` in milliseconds).

        Raises:
            BadData: a column is missing.
        """
        state, out = self._state, np.empty((len(self.names), 1))
        try:
            if self._plan.reads_chunks:
                return self._plan.advance(state, chunk_of(bar), out)[:, 0]
            times = np.array([[bar["open_time"]], [bar["timestamp"]]], dtype=np.int64)
            segment = bar["segment"]
            columns = np.array(
                [[clock_column(name, times[1])[0] if name in CLOCK else bar[name]] for name in self.columns]
            )
        except KeyError as error:
            own = [name for name in (COLUMNS if self._plan.reads_chunks else self.columns) if name not in CLOCK]
            raise BadData(f"the bar has no column {error.args[0]!r}; it needs {', '.join(own)}") from error
        if state.clock[SEGMENT] != segment:
            self._plan._begin_segment(state, int(segment))
        self._plan.advance_columns(state, columns, times, out, (0, 1))
        return out[:, 0]

    def to_bytes(self) -> bytes:
        """The whole state, with its plan's fingerprint and a hash of its own.

        Raises:
            BadData: a feature's step keeps a state that is no `Window`.
        """
        head, arrays = self._plan.to_arrays(self._state)
        return pack(head, arrays)

    @classmethod
    def from_bytes(cls, features: Sequence[Feature], content: bytes) -> "FeatureStream":
        """The stream of the same features as it was when saved.

        Raises:
            BadData: the bytes are damaged, or belong to other features or another version of them.
        """
        stream = cls(features)
        stream._state = stream._plan.from_arrays(*unpack(content, "feature stream"))
        return stream


def compute_batch(features: Sequence[Feature], chunk: Chunk, threads: int = 2) -> NDArray[np.float32]:
    """float32 values of a whole history, one row a feature, in the order of `features`.

    The features are shared out between threads in runs of equal cost; the result does not depend on how many.

    Args:
        features: one row each.
        chunk: a whole history of one symbol.
        threads: at work.

    Returns:
        float32, shape (features, bars).
    """
    out = np.empty((len(features), len(chunk)), dtype=np.float32)
    bounds = _equal_runs(features, threads)
    parts = [(Plan(features[start:stop]), out[start:stop]) for start, stop in bounds]
    if len(parts) == 1:
        parts[0][0].advance(parts[0][0].begin(), chunk, parts[0][1])
        return out
    with ThreadPoolExecutor(max_workers=threads) as on:
        list(on.map(lambda part: part[0].advance(part[0].begin(), chunk, part[1]), parts))
    return out


def _equal_runs(features: Sequence[Feature], parts: int) -> list[tuple[int, int]]:
    """Consecutive runs of features of about equal cost, none empty. What two runs share is computed in both."""
    parts = max(1, min(parts, len(features)))
    if parts == 1:
        return [(0, len(features))]
    forwards = _costs(features)
    backwards = _costs(features[::-1])[::-1]
    cuts = []
    for part in range(1, parts):
        before, after = np.array(forwards[:-1]) * (parts - part), np.array(backwards[1:]) * part
        cuts.append(1 + int(np.argmin(np.abs(before - after))))
    bounds = sorted({0, *cuts, len(features)})
    return list(itertools.pairwise(bounds))


def _costs(features: Sequence[Feature]) -> list[float]:
    """Nanoseconds a bar of the first feature, of the first two, and so on; roughly."""
    on_bars = [one.expression for one in features if one.expression is not None and not one.slow_ms]
    shared = iter(np.diff(running_costs(on_bars), prepend=0.0))
    others = [100.0 if one.expression is None else 1.5 if one.slow_ms else None for one in features]
    return list(itertools.accumulate(float(next(shared)) if other is None else other for other in others))
