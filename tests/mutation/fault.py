"""What a named fault is."""

from typing import NamedTuple


class Fault(NamedTuple):
    """One line of a file made wrong.

    Attributes:
        name: what is wrong, in words.
        file: below src/tradewind.
        right: text that stands there once.
        wrong: what stands there instead.
        tests: the narrow tests that must notice.
        plain: run compiled functions as plain Python, so that what was compiled before does not count.
    """

    name: str
    file: str
    right: str
    wrong: str
    tests: str
    plain: bool = False
