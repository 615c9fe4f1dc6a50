"""The base of every parameter block: frozen, unknown keys refused, renamed keys refused with their new name."""

from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator


class Parameters(BaseModel):
    """A typed block of parameters.

    Attributes:
        renamed: old key to new key. A configuration that still uses the old one is refused with the new name in the
            message.
        whole: fields of lists whose text is one entry, though it may have spaces.

    A list may be given as words in one string (`--params='models=a b'`, since Kedro splits `--params` at commas), or as
    its only entry; of pairs, each word is `A:B`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    renamed: ClassVar[Mapping[str, str]] = {}
    whole: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _refuse_renamed_keys(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            for old, new in cls.renamed.items():
                if old in given:
                    raise ValueError(f"{old} is called {new} now: rename the key")
            for name, value in given.items():
                if (
                    isinstance(value, bool)
                    and name in cls.model_fields
                    and _is_number(cls.model_fields[name].annotation)
                ):
                    raise ValueError(f"{name}: must be a number, found {str(value).lower()}")
            return {name: cls._as_list(name, value) for name, value in given.items()}
        return given

    @classmethod
    def _as_list(cls, name: str, value: Any) -> Any:
        """What was given as words, for a field that takes a list; anything else as it is."""
        if isinstance(value, bool) or not isinstance(value, str | int | float) or name in cls.whole:
            return value
        field = cls.model_fields.get(name)
        kinds = _list_kinds(field.annotation) if field is not None else None
        if kinds is None:
            return value
        of_pairs, may_be_none = kinds
        if may_be_none and str(value).lower() in ("null", "none"):
            return None
        words = value.split() if isinstance(value, str) else [value]
        return tuple(tuple(word.split(":")) if of_pairs and isinstance(word, str) else word for word in words)


def _is_number(annotation: Any) -> bool:
    """Whether a field takes numbers and no yes or no; pydantic would read yes as 1."""
    if get_origin(annotation) is Annotated:
        return _is_number(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        parts = get_args(annotation)
        return bool not in parts and any(_is_number(part) for part in parts)
    return annotation in (int, float)


def _list_kinds(annotation: Any) -> tuple[bool, bool] | None:
    """Whether a field that takes a list takes pairs, and whether it may be None; None where it takes no list."""
    parts = [annotation]
    if get_origin(annotation) is Annotated:
        return _list_kinds(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        parts = list(get_args(annotation))
    for part in parts:
        inner = get_args(part)[0] if get_origin(part) is Annotated else part
        if get_origin(inner) in (tuple, list) or inner in (tuple, list):
            entries = get_args(inner)
            return bool(entries) and get_origin(entries[0]) is tuple, type(None) in parts
    return None


def faults(error: ValidationError, before: str = "", show_values: bool = True) -> str:
    """What is wrong with the values, in one line: KEY.PATH: what is wrong, found VALUE; and so on.

    Args:
        error: what pydantic says of them.
        before: the path of the block, put before each key.
        show_values: whether values may be shown; not where one may be a secret.
    """
    found = []
    for fault in error.errors(include_url=False, include_context=False):
        places = [one for one in fault["loc"] if one != "[key]"]  # pydantic's word for a key of a mapping
        key = ".".join(map(str, (*filter(None, [before]), *places)))
        what = in_plain_words(fault["msg"])
        is_there = fault["type"] != "missing" and not isinstance(fault["input"], Mapping)
        value = f", found {fault['input']!r}" if show_values and is_there else ""
        found.append(f"{key}: {what}{value}" if key else f"{what}{value}")
    return "; ".join(found)


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
