"""The base of every parameter block: frozen, unknown keys refused, renamed keys refused with their new name."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator


class Parameters(BaseModel):
    """A typed block of parameters.

    Attributes:
        renamed: old key to new key. A configuration that still uses the old one is refused with the new name in the
            message.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    renamed: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _refuse_renamed_keys(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            for old, new in cls.renamed.items():
                if old in given:
                    raise ValueError(f"{old} is called {new} now: rename the key")
        return given


def faults(error: ValidationError, before: str = "", show_values: bool = True) -> str:
    """What is wrong with the values, in one line: KEY.PATH: what is wrong, found VALUE; and so on.

    Args:
        error: what pydantic says of them.
        before: the path of the block, put before each key.
        show_values: whether values may be shown; not where one may be a secret.
    """
    told = []
    for fault in error.errors(include_url=False, include_context=False):
        key = ".".join(map(str, (*filter(None, [before]), *fault["loc"])))
        what = in_plain_words(fault["msg"])
        is_there = fault["type"] != "missing" and not isinstance(fault["input"], Mapping)
        value = f", found {fault['input']!r}" if show_values and is_there else ""
        told.append(f"{key}: {what}{value}" if key else f"{what}{value}")
    return "; ".join(told)


def in_plain_words(message: str) -> str:
    """pydantic's message as a reader of YAML would say it."""
    message = message.removeprefix("Value error, ")
    return {
        "Extra inputs are not permitted": "there is no such key: correct its name or remove it",
        "Field required": "is missing",
        "Input should be a valid tuple": "must be a list, such as [A, B]",
        "Input should be a valid list": "must be a list, such as [A, B]",
        "Input should be a valid dictionary or instance of": "must be a block of keys",
    }.get(message, message.replace("Input should be", "must be"))
