"""What a feature is made of: a tree of causal operations on a bar's columns.

An expression only knows operations that look backwards, so its lookback, its warm-up and its formula follow from it
and cannot be misstated. `program` compiles many of them into one pass.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Union

from tradewind.errors import BadParameters

Number = Union["Expression", float, int]

# Bars after which an exponential mean of span s has forgotten all but 1e-8 of its past: (1 - 2 / (s + 1))^n < 1e-8.
SETTLING_SPANS = 9.5


@dataclass(frozen=True, eq=False)
class Expression:
    """One causal operation and what it is applied to.

    Attributes:
        operation: a name from `machine.OPERATIONS`, or `column` or `constant`.
        inputs: the expressions it reads.
        window: bars it looks at, the current one included; its lag or its span for those that have one.
        numbers: further parameters: a constant's value, the weights of a filter.
        output: which of the operation's results this is.
        lookback: bars before the current one that the value depends on.
        text: the formula.
        name: the column's name, for columns.
    """

    operation: str
    inputs: tuple["Expression", ...] = ()
    window: int = 0
    numbers: tuple[float, ...] = ()
    output: int = 0
    lookback: int = 0
    text: str = ""
    name: str = ""

    def __add__(self, other: Number) -> "Expression":
        return binary("add", self, other, "{} + {}")

    def __radd__(self, other: Number) -> "Expression":
        return binary("add", other, self, "{} + {}")

    def __sub__(self, other: Number) -> "Expression":
        return binary("subtract", self, other, "{} - {}")

    def __rsub__(self, other: Number) -> "Expression":
        return binary("subtract", other, self, "{} - {}")

    def __mul__(self, other: Number) -> "Expression":
        return binary("multiply", self, other, "{} * {}")

    def __rmul__(self, other: Number) -> "Expression":
        return binary("multiply", other, self, "{} * {}")

    def __truediv__(self, other: Number) -> "Expression":
        return binary("divide", self, other, "{} / {}")

    def __rtruediv__(self, other: Number) -> "Expression":
        return binary("divide", other, self, "{} / {}")

    def __gt__(self, other: Number) -> "Expression":
        return binary("greater", self, other, "{} > {}")

    def __lt__(self, other: Number) -> "Expression":
        return binary("greater", other, self, "{} > {}")

    def __neg__(self) -> "Expression":
        return unary("negate", self, "-{}")

    def __pow__(self, power: int) -> "Expression":
        if power != 2:
            raise BadParameters(f"an expression may only be squared, found the power {power!r}")
        return Expression("multiply", (self, self), lookback=self.lookback, text=f"{_inner(self)}^2")

    def __bool__(self) -> bool:
        raise BadParameters(f"{self.text} has no single truth value: write where(condition, then, otherwise)")


def column(name: str) -> Expression:
    """A column of the bars, by its name."""
    return Expression("column", text=name.removeprefix("side:"), name=name)


def constant(value: float) -> Expression:
    """The same number on every bar."""
    return Expression("constant", numbers=(float(value),), text=f"{value:g}")


def as_expression(value: Number) -> Expression:
    """`value` itself, or the constant."""
    return value if isinstance(value, Expression) else constant(value)


def unary(operation: str, value: Number, form: str) -> Expression:
    """An operation on one value, bar by bar; `form` is its formula with {} for the value.

    Args:
        operation: a key of `machine.OPERATIONS`.
        value: an expression or a constant.
        form: the formula, with {} for the value.

    Returns:
        An expression with the lookback of the value.
    """
    inner = as_expression(value)
    text = form.format(inner.text if form.endswith("({})") else _inner(inner))
    return Expression(operation, (inner,), lookback=inner.lookback, text=text)


def binary(operation: str, left: Number, right: Number, form: str) -> Expression:
    """An operation on two values, bar by bar.

    Args:
        operation: a key of `machine.OPERATIONS`.
        left: an expression or a constant.
        right: the same.
        form: the formula, with {} for either value.

    Returns:
        An expression with the longer lookback of the two.
    """
    a, b = as_expression(left), as_expression(right)
    plain = "(" in form
    text = form.format(a.text if plain else _inner(a), b.text if plain else _inner(b))
    return Expression(operation, (a, b), lookback=max(a.lookback, b.lookback), text=text)


def choose(condition: Number, then: Number, otherwise: Number) -> Expression:
    """`then` where the condition is not 0, `otherwise` where it is; missing where the condition is.

    Args:
        condition: 0 or not, bar by bar.
        then: value where it is not 0.
        otherwise: value where it is 0.

    Returns:
        An expression with the longest lookback of the three.
    """
    parts = tuple(as_expression(part) for part in (condition, then, otherwise))
    text = f"where({', '.join(part.text for part in parts)})"
    return Expression("choose", parts, lookback=max(part.lookback for part in parts), text=text)


def over_window(
    operation: str, inputs: tuple[Number, ...], window: int, label: str, *, output: int = 0, reach: int | None = None
) -> Expression:
    """An operation on the last `window` values.

    Args:
        operation: a key of `machine.OPERATIONS`.
        inputs: one or more expressions that the kernel reads.
        window: bars, the present one included.
        label: the name in formulas and messages.
        output: which of the kernel's results this is, from 0.
        reach: bars before the present one that count; `window - 1` if None.

    Returns:
        An expression whose lookback is the longest of the inputs' plus the reach.

    Raises:
        BadParameters: a window that is not a whole number, or is too short to look backwards.
    """
    reach = window - 1 if reach is None else reach
    if not isinstance(window, int) or isinstance(window, bool) or window < 1 or reach < 0:
        raise BadParameters(
            f"{label} needs a window of at least one whole bar, found {window!r}: only the past is known"
        )
    parts = tuple(as_expression(part) for part in inputs)
    text = f"{label}({', '.join(part.text for part in parts)}, {window})"
    lookback = max(part.lookback for part in parts) + reach
    return Expression(operation, parts, window=window, output=output, lookback=lookback, text=text)


def recursion(operation: str, value: Number, span: int, label: str, *, settling: float) -> Expression:
    """A recursive mean; its lookback is where the past weighs less than 1e-8.

    Args:
        operation: a key of `machine.OPERATIONS`.
        value: an expression or a constant.
        span: of the mean, bars.
        label: the name in formulas and messages.
        settling: bars; the span of the exponential mean that forgets as fast.

    Returns:
        An expression.

    Raises:
        BadParameters: a span that is not a whole number of bars from 1 on.
    """
    inner = as_expression(value)
    if not isinstance(span, int) or span < 1:
        raise BadParameters(f"{label} needs a span of at least one whole bar, found {span!r}")
    lookback = inner.lookback + int(SETTLING_SPANS * (settling + 1)) + 1
    return Expression(operation, (inner,), window=span, lookback=lookback, text=f"{label}({inner.text}, {span})")


def columns_of(expression: Expression) -> frozenset[str]:
    """The names of the columns it reads."""
    return frozenset(_walk(expression, lambda part: part.name if part.operation == "column" else None))


def _walk(expression: Expression, read: Callable[[Expression], str | None]) -> set[str]:
    names: set[str] = set()
    seen: set[int] = set()
    todo = [expression]
    while todo:
        part = todo.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        value = read(part)
        if value:
            names.add(value)
        todo += part.inputs
    return names


def _inner(part: Expression) -> str:
    """The formula, in brackets unless it is one name, number or call."""
    depth = 0
    for letter in part.text:
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and letter in " -":
            return f"({part.text})"
    return part.text
