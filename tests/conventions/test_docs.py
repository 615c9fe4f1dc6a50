"""The paths that the documents name exist."""

import re
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PLACES = (PROJECT, PROJECT / "src/tradewind", PROJECT / "docs")
DOCUMENTS = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]
ENDINGS = (".py", ".yml", ".md", ".j2", ".toml")
MADE_BY_RUNS = ("data/08_reporting/", "data/07_model_output/", "conf/local/")


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
