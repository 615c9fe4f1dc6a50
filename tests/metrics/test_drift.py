"""Drift: quiet on what has not changed, however slowly it moves; loud on what has, and right about the column."""

import json

import numpy as np
import pytest
from scipy.signal import lfilter

from tests.depth import deep
from tradewind.errors import BadData, BadParameters
from tradewind.metrics.drift import DriftReference, DriftWindow, learn

COLUMNS, WINDOW, ROWS, MONTHS = tuple(f"f{number}" for number in range(20)), 720, 2 * 8766, 5


def slow_columns(generator: np.random.Generator, rows: int) -> np.ndarray:
    """Autoregressions of 0.97, 0.5 and 0.9, and noise whose volatility clusters; 500 bars of start are dropped."""
    made = []
    for number in range(len(COLUMNS)):
        noise = generator.standard_normal(rows + 500)
        persistence = (0.97, 0.5, 0.0, 0.9)[number % 4]
        if number % 4 == 2:
            volatility = np.exp(lfilter([1], [1, -0.98], 0.15 * generator.standard_normal(rows + 500)) / 2)
            made.append(volatility * noise)
        else:
            made.append(lfilter([1], [1, -persistence], noise) * np.sqrt(1 - persistence**2))
    return np.array(made).T[500:]


def changed_columns(reference: DriftReference, values: np.ndarray) -> list[str]:
    window = DriftWindow(reference)
    window.add(values)
    return [name for name, _, _ in window.changed()]


@pytest.mark.parametrize(("markets", "most"), [(4, 0.25), deep(100, 0.055)])
def test_months_without_a_change_are_quiet_and_changes_are_found_in_their_column(markets: int, most: float) -> None:
    """Of 20 to 500 months; the bound of the few leaves room for chance, that of the many is two errors above 4 %."""
    generator = np.random.default_rng(5)
    alarms, found, first = [], [], []
    changes = (lambda x: x + 0.5, lambda x: 1.5 * x, lambda x: np.full_like(x, x[0]), lambda x: np.full_like(x, np.nan))
    for _ in range(markets):
        values = slow_columns(generator, ROWS + MONTHS * WINDOW)
        reference = learn(COLUMNS, values[:ROWS], WINDOW, generator, level=0.025)
        for month in range(MONTHS):
            fresh = values[ROWS + month * WINDOW :][:WINDOW]
            alarms.append(bool(changed_columns(reference, fresh)))
            column = int(generator.choice([1, 5, 9]))  # of 0.5: 720 rows are worth 240
            for change in changes:
                other = fresh.copy()
                other[:, column] = change(other[:, column])
                names = changed_columns(reference, other)
                found.append(COLUMNS[column] in names)
                first.append(bool(names) and names[0] == COLUMNS[column])
    assert np.mean(alarms) <= most
    assert np.mean(found) >= 0.9 and np.mean(first) >= 0.9


@pytest.mark.parametrize("markets", [4, deep(60)])
def test_a_swapped_symbol_is_found_within_two_hundred_effective_rows_by_what_is_its_own(markets: int) -> None:
    """Another symbol has most of its columns from the same law, and three at levels and scales of its own."""
    generator, effective, persistence = np.random.default_rng(22), 200, 0.5
    rows = round(effective * (1 + persistence) / (1 - persistence))
    own, level, scale = [1, 5, 9], np.array([0.0, 0.5, -0.5]), np.array([1.5, 1.0, 0.7])
    found, named, alarms = [], [], []
    for _ in range(markets):
        reference = learn(COLUMNS, slow_columns(generator, ROWS), WINDOW, generator, level=0.025)
        for _ in range(MONTHS):
            other = slow_columns(generator, rows)
            alarms.append(bool(changed_columns(reference, other)))  # of another symbol that is alike in all columns
            other[:, own] = level + scale * other[:, own]
            names = changed_columns(reference, other)
            found.append(bool(names))
            named.append(bool(names) and names[0] in {COLUMNS[column] for column in own})
    assert np.mean(found) >= 0.9 and np.mean(named) >= 0.9
    assert np.mean(alarms) <= (0.25 if markets < 20 else 0.055)


def test_bar_by_bar_is_the_table_at_once_and_a_document_is_the_reference() -> None:
    generator = np.random.default_rng(1)
    values = generator.standard_normal((2000, 3))
    values[generator.random((2000, 3)) < 0.1] = np.nan
    reference = learn(("a", "b", "c"), values, 120, generator)
    again = DriftReference.of_document(json.loads(json.dumps(reference.as_document())))
    at_once, by_bar = DriftWindow(reference), DriftWindow(again)
    at_once.add(values[:120])
    for row in values[:120]:
        by_bar.add(row)
    np.testing.assert_array_equal(at_once.scores(), by_bar.scores())


def test_constant_and_missing_columns_are_learned_and_their_end_is_seen() -> None:
    generator = np.random.default_rng(2)
    noise = generator.standard_normal(2000)
    values = np.column_stack([noise, np.full(2000, 3.0), np.full(2000, np.nan)])
    reference = learn(("noise", "constant", "missing"), values, 120, generator)
    assert changed_columns(reference, values[:120]) == []
    alive = values[:120].copy()
    alive[:, 1] += generator.standard_normal(120)
    alive[:, 2] = 1.0
    assert set(changed_columns(reference, alive)) == {"constant", "missing"}


def test_what_cannot_be_learned_or_compared_is_refused() -> None:
    generator = np.random.default_rng(3)
    values = generator.standard_normal((900, 1))
    with pytest.raises(BadData, match="900 rows are too few to learn what windows of 720 do: 2880 are needed"):
        learn(("a",), values, 720, generator)
    with pytest.raises(BadParameters, match="at least 30 rows"):
        learn(("a",), values, 10, generator)
    with pytest.raises(BadParameters, match="must have 2 columns"):
        learn(("a", "b"), values, 60, generator)
    reference = learn(("a",), values, 60, generator)
    with pytest.raises(BadParameters, match="must have 1 columns: found 2"):
        DriftWindow(reference).add(np.zeros((5, 2)))
    with pytest.raises(BadData, match="no row was counted"):
        DriftWindow(reference).scores()
    with pytest.raises(BadData, match="cannot be read"):
        DriftReference.of_document({"columns": ["a"]})
