"""The paths, links and commands that the documents name exist, and their snippets run."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click import Context

from tradewind.cli import cli

PROJECT = Path(__file__).resolve().parents[2]
PLACES = (PROJECT, PROJECT / "src/tradewind", PROJECT / "docs")
DOCUMENTS = [*sorted(PROJECT.glob("*.md")), *sorted((PROJECT / "docs").rglob("*.md"))]
README = (PROJECT / "README.md").read_text()
ENDINGS = (".py", ".yml", ".md", ".j2", ".toml")
MADE_BY_RUNS = ("data/07_model_output/", "data/08_reporting/", "data/09_deployment/", "data/env/", "conf/local/")
ENVIRONMENTS = {"...", "ENV", "NAME", *(one.name for one in (PROJECT / "conf").iterdir())}
KEDRO = {"run", "viz", "jupyter", "airflow", "package"}  # commands of Kedro and its plugins


def missing_paths(text: str) -> Iterator[str]:
    """Files of the project that a text names in backticks and that do not exist; patterns and names in capitals stand
    for something the reader chooses."""
    for path in re.findall(r"`([\w./-]+/[\w.-]+)`", text):
        is_ours = (
            path.endswith(ENDINGS)
            and not path.startswith(MADE_BY_RUNS)
            and not {"NAME", "ENV"} & set(re.split(r"[/.]", path))
        )
        if is_ours and not any((place / path).exists() for place in PLACES):
            yield path


def test_documents_name_files_that_exist() -> None:
    found = {document.name: sorted(set(missing_paths(document.read_text()))) for document in DOCUMENTS}
    assert {name: paths for name, paths in found.items() if paths} == {}


def test_a_path_that_moved_is_caught() -> None:
    assert list(missing_paths("see `truth/planted_leaks.py` and `learning/labels/NAME.py`")) == [
        "truth/planted_leaks.py"
    ]


def broken_links(document: Path) -> Iterator[str]:
    """Relative links of a document that lead nowhere."""
    for link in re.findall(r"\]\(([^)#\s]+)", document.read_text()):
        if "://" not in link and not (document.parent / link).exists():
            yield link


def test_links_lead_somewhere(tmp_path: Path) -> None:
    found = {str(document.relative_to(PROJECT)): list(broken_links(document)) for document in DOCUMENTS}
    assert {name: links for name, links in found.items() if links} == {}
    planted = tmp_path / "planted.md"
    planted.write_text("[here](planted.md) [gone](gone.md) [away](https://example.org)")
    assert list(broken_links(planted)) == ["gone.md"]


def commands(text: str) -> Iterator[list[str]]:
    """The words of every `kedro` command in blocks of bash and in backticks, without comments."""
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ")
    lines = [part for line in blocks.splitlines() for part in line.split("&&")]
    lines += re.findall(r"`(kedro [^`]+)`", text.replace("\n", " "))
    for line in lines:
        words = shlex.split(line, comments=True)
        while words and ("=" in words[0] and not words[0].startswith("-")):
            words = words[1:]  # an environment variable
        if words and words[0].endswith("kedro") and len(words) > 1 and words[1].islower() and words[1][0] != "-":
            yield words[1:]


def wrong_words(command: list[str]) -> Iterator[str]:
    """What a command names that does not exist: the command, an option of it, an environment."""
    name, known = command[0], cli.get_command(Context(cli), command[0])
    if known is None and name not in KEDRO:
        yield name
    options = {option for one in getattr(known, "params", ()) for option in one.opts} | {"--help", "--env", "--params"}
    for at, word in enumerate(command[1:], start=1):
        if known is not None and word.startswith("--") and word.partition("=")[0] not in options:
            yield word
        if command[at - 1] == "--env" and word not in ENVIRONMENTS:
            yield word


def test_commands_in_the_documents_exist() -> None:
    found = {
        document.name: [
            (command, wrong) for command in commands(document.read_text()) for wrong in wrong_words(command)
        ]
        for document in DOCUMENTS
    }
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
    assert sum(len(list(commands(document.read_text()))) for document in DOCUMENTS) > 40
    planted = "```bash\nA=b kedro import-bars x.csv --dry --env nowhere  # --no\nkedro fly\n```"
    assert [list(wrong_words(command)) for command in commands(planted)] == [["--dry", "nowhere"], ["fly"]]


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert len(README.split()) <= 1200


def snippet(start: str, module: Any) -> dict[str, Any]:
    """What a Python snippet of the README defines where it says that it is written."""
    (code,) = [one for one in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if one.startswith(start)]
    names = dict(vars(module))
    exec(compile(code, "README.md", "exec"), names)
    return names


def test_the_readmes_feature_is_one() -> None:
    from tradewind.learning.features import own

    family = snippet("@feature", own)["weekly_pull"]
    assert [one.name for one in family.features()] == ["weekly_pull_24", "weekly_pull_72"]
    assert family.features()[1].lookback == 71


def test_the_readmes_strategy_is_one() -> None:
    from tradewind.trading.strategy import own

    rule = snippet("@strategy", own)["follow_the_day"]
    assert (rule.name, rule.lookback(24.0), rule.lookback(6.0)) == ("follow_the_day", 24, 6)


def test_the_readmes_model_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from tradewind.learning.models import scikit_learn

    monkeypatch.setattr(scikit_learn, "ESTIMATORS", dict(scikit_learn.ESTIMATORS))
    snippet("def _decision_tree", scikit_learn)
    kind = scikit_learn.estimator_forecaster("decision_tree")
    assert (kind.name, kind.family) == ("decision_tree", "forest")
    made = scikit_learn.ESTIMATORS["decision_tree"]
    fitted = made.make(**made.defaults).fit(np.arange(600.0)[:, None], np.repeat([-1, 0, 1], 200))
    assert fitted.predict([[0.0], [599.0]]).tolist() == [-1, 1]
