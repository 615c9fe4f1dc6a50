"""A YAML file as a typed block; errors name the line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from tradewind.errors import BadParameters
from tradewind.parameters import Parameters, in_plain_words

Block = TypeVar("Block", bound=Parameters)
MOST_BYTES = 256 * 1024
Place = tuple[str | int, ...]


class WrongAt(ValueError):
    """Something is wrong with the value at `place`, the path of keys and positions that leads there."""

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(message)
        self.place = place


def read_yaml(path: Path, kind: type[Block]) -> Block:
    """The file as a block of this kind.

    Raises:
        BadParameters: it is not there, is no YAML, has a key twice or an unknown one, or a value that its kind refuses;
            with the line.
    """
    try:
        content = path.read_bytes()[: MOST_BYTES + 1]
    except OSError as error:
        raise BadParameters(f"{path} cannot be read ({error.strerror}): name the file that is meant") from error
    if len(content) > MOST_BYTES:
        raise BadParameters(f"{path} is larger than {MOST_BYTES // 1024} kB: it is not the file that is meant")
    try:
        root = yaml.compose(content, Loader=yaml.SafeLoader)
        given = yaml.safe_load(content)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        what = getattr(error, "problem", None) or "it cannot be read"
        raise BadParameters(f"{path}{line}: {what}: correct the YAML there") from error
    _refuse_twice(root, path)
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise BadParameters(_faults(error, root, path)) from error


def _faults(error: ValidationError, root: Any, path: Path) -> str:
    lines = []
    for fault in error.errors(include_url=False):
        place: Place = tuple(fault["loc"])
        wrong = (fault.get("ctx") or {}).get("error")
        if isinstance(wrong, WrongAt):
            place += wrong.place
        key = ".".join(map(str, place))
        lines.append(f"{path} line {_line(root, place)}: {f'{key}: ' if key else ''}{in_plain_words(fault['msg'])}")
    return "; ".join(lines)


def _line(root: Any, place: Sequence[str | int]) -> int:
    """The line of the key that `place` leads to, as far as it is there."""
    node, line = root, root.start_mark.line if root is not None else 0
    for step in place:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(step)]
            if not found:
                break
            line, node = found[0][0].start_mark.line, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line
    return int(line) + 1


def _refuse_twice(node: Any, path: Path) -> None:
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                raise BadParameters(f"{path} line {key.start_mark.line + 1}: {key.value} is there twice: remove one")
            seen.add(key.value)
            _refuse_twice(value, path)
    elif isinstance(node, yaml.SequenceNode):
        for one in node.value:
            _refuse_twice(one, path)
