"""Expressions compiled to a program: what they share is computed once, and what is done with is overwritten."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tradewind.learning.features import machine
from tradewind.learning.features.expression import Expression
from tradewind.learning.features.machine import OPERATIONS, Floats, Table


@dataclass(frozen=True)
class Program:
    """A table of operations for the machine.

    Attributes:
        table: one row an operation, in the order to run them (see `machine`).
        numbers: the constants, shares and filter weights that the rows refer to.
        n_state: how many numbers of state the program carries from bar to bar.
        n_slots: how many rows of scratch space it needs.
        columns: the names of the columns it reads, in the order in which it expects them.
    """

    table: Table
    numbers: Floats
    n_state: int
    n_slots: int
    columns: tuple[str, ...]


@dataclass
class _Line:
    """One operation before slots are given out."""

    name: str
    inputs: tuple[tuple[int, int], ...]  # (line, output) of what it reads
    window: int
    numbers: tuple[float, ...]
    column: str = ""


def compile_program(roots: Sequence[Expression], columns: Sequence[str], rows: Sequence[int] = ()) -> Program:
    """The program that computes `roots`. Equal parts of the roots are computed once.

    Args:
        roots: one expression a feature.
        columns: names of the columns that the machine will be given, in their order.
        rows: for each root its row of the results; one after another if empty.

    Returns:
        What `machine.run` runs.
    """
    lines: list[_Line] = []
    line_of: dict[tuple, int] = {}
    placed: dict[int, tuple[int, int]] = {}
    for row, root in zip(rows or range(len(roots)), roots, strict=True):
        value = _place(root, lines, line_of, placed)
        lines.append(_Line("emit", (value,), root.lookback, (), column=str(row)))
    return _assemble(lines, tuple(columns))


def running_costs(roots: Sequence[Expression]) -> list[float]:
    """Nanoseconds a bar of a program of the first root, of the first two, and so on; roughly."""
    lines: list[_Line] = []
    line_of: dict[tuple, int] = {}
    placed: dict[int, tuple[int, int]] = {}
    costs, cost, counted = [], 0.0, 0
    for root in roots:
        _place(root, lines, line_of, placed)
        cost += OPERATIONS["emit"].cost + sum(_cost(line) for line in lines[counted:])
        counted = len(lines)
        costs.append(cost)
    return costs


def _cost(line: _Line) -> float:
    operation = OPERATIONS[line.name]
    return operation.cost + operation.cost_of_window * line.window


def _place(root: Expression, lines: list[_Line], line_of: dict[tuple, int], placed: dict) -> tuple[int, int]:
    """The line and output that hold `root`, after appending what is missing (depth first, without recursion)."""
    todo = [root]
    while todo:
        part = todo[-1]
        if id(part) in placed:
            todo.pop()
            continue
        waiting = [inner for inner in part.inputs if id(inner) not in placed]
        if waiting:
            todo += reversed(waiting)
            continue
        inputs = tuple(placed[id(inner)] for inner in part.inputs)
        key = (part.operation, inputs, part.window, part.numbers, part.name)
        if key not in line_of:
            line_of[key] = len(lines)
            lines.append(_Line(part.operation, inputs, part.window, part.numbers, part.name))
        placed[id(part)] = (line_of[key], part.output)
        todo.pop()
    return placed[id(root)]


def _assemble(lines: list[_Line], columns: tuple[str, ...]) -> Program:
    last_use: dict[int, int] = {}
    for number, line in enumerate(lines):
        for source, _ in line.inputs:
            last_use[source] = number
    numbers: list[float] = [0.0]
    slot_of: dict[tuple[int, int], int] = {}
    free: list[int] = []
    n_slots = n_state = 0
    table = np.zeros((len(lines), machine.N_COLUMNS), dtype=np.int64)
    for number, line in enumerate(lines):
        operation, row = OPERATIONS[line.name], table[number]
        row[machine.CODE], row[machine.WINDOW] = operation.code, line.window
        for place, value in enumerate(line.inputs):
            row[machine.IN0 + place] = slot_of[value]
        if line.numbers:
            row[machine.NUMBER] = len(numbers)
            numbers += line.numbers
        row[machine.STATE] = n_state
        n_state += operation.state[0] + operation.state[1] * line.window
        if line.name == "emit":
            row[machine.OUT0] = int(line.column)
        else:
            for output in range(operation.outputs):
                if free:
                    slot = free.pop()
                else:
                    slot, n_slots = n_slots, n_slots + 1
                slot_of[number, output] = slot
                row[machine.OUT0 + output] = slot
        if line.name == "column":
            row[machine.IN0] = columns.index(line.column)
        # Only now: an operation must not write over what it still reads.
        for source in {read for read, _ in line.inputs}:
            if last_use[source] == number:
                free += [slot_of[source, output] for output in range(OPERATIONS[lines[source].name].outputs)]
    return Program(table, np.array(numbers), n_state, n_slots, columns)
