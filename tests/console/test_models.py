"""The registry's commands: what they ask of the registry, from the words of the command line."""

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from tradewind.console import models as commands


class Registry:
    """Remembers the moves that it is asked for."""

    def __init__(self) -> None:
        self.moves: list[tuple[Any, ...]] = []

    def move(self, environment: str, role: str, to: int, expected: int | None, reason: Any, override: bool) -> str:
        """Keep the move; who makes it depends on the machine."""
        self.moves.append((environment, role, to, expected, reason.why, override))
        return f"{role} {to}"


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registry in the place of the one on the disk."""
    kept = Registry()
    monkeypatch.setattr(commands, "_registry", lambda folder: kept)
    return kept


@pytest.mark.parametrize(
    ("group", "words", "move"),
    [
        (commands.models, ["move", "3", "--reason", "better", "--expected", "2", "--override"],
         ("production", "champion", 3, 2, "better", True)),
        (commands.canary, ["start", "4", "--reason", "try it", "--environment", "staging"],
         ("staging", "canary", 4, None, "try it", False)),
    ],
)  # fmt: skip
def test_a_role_is_given_as_the_words_say(
    registry: Registry, group: click.Group, words: list[str], move: tuple[Any, ...]
) -> None:
    result = CliRunner().invoke(group, words)
    assert result.exit_code == 0, result.output
    assert registry.moves == [move]
    assert result.output == f"{move[0]}: {move[1]} {move[2]}\n"


@pytest.mark.parametrize("words", [["move", "--reason", "better"], ["move", "3"], ["move", "three", "--reason", "x"]])
def test_a_move_without_version_or_reason_is_refused(registry: Registry, words: list[str]) -> None:
    assert CliRunner().invoke(commands.models, words).exit_code == 2
    assert registry.moves == []


def test_a_registry_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(commands.models, ["move", "3", "--reason", "x", "--registry", str(tmp_path / "none")])
    assert "there is no registry at" in str(result.exception)
