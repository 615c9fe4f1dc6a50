"""Pages of the documentation that are made of the code, when `make docs` builds it: mkdocs calls `on_files`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import yaml

PROJECT = Path(__file__).resolve().parents[1]
BASE = PROJECT / "conf/base"


def on_config(config: Any) -> Any:
    """Put pages that the menu does not name at the end of its last part, so that none is lost."""
    docs = PROJECT / "docs"
    last = next(iter(config["nav"][-1].values()))
    last.extend(page for page in unnamed(str(config["nav"]), docs))
    return config


def unnamed(menu: str, docs: Path) -> list[str]:
    """The pages of a folder that a menu does not name."""
    pages = sorted(path.relative_to(docs).as_posix() for path in docs.rglob("*.md"))
    return [page for page in pages if f"'{page}'" not in menu]


def on_files(files: Any, config: Any) -> Any:
    """Add the pages."""
    from mkdocs.structure.files import File

    sys.path.insert(0, str(PROJECT / "src"))
    pages = {"options": options_page(), "parameters": parameters_page(), "datasets": datasets_page()}
    for name, text in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def parameters_page() -> str:
    """Every parameter file as it stands: its comments name the class of each block and say what the values mean."""
    parts = [
        "# Parameters",
        "",
        "The defaults, as they are in `conf/base`. `--params=seed=8` changes a value for one run,",
    ]
    parts += ["`conf/ENV/parameters.yml` for an environment, where only the values that differ are written.", ""]
    for path in sorted(BASE.glob("parameters*.yml")):
        parts += [f"## {path.stem.removeprefix('parameters').strip('_') or 'all stages'}", "", "```yaml"]
        parts += [path.read_text().rstrip(), "```", ""]
    return "\n".join(parts)


def datasets_page() -> str:
    """Every dataset by stage: what it is, its layer and its place."""
    parts = [
        "# Datasets",
        "",
        "`catalog.yml` by stage; `{...}` stands for a name. In a notebook, `load(NAME)` gives the table.",
        "",
    ]
    for path in sorted(BASE.glob("catalog_*.yml")):
        entries = yaml.safe_load(path.read_text())
        rows = [row for name, entry in entries.items() if not name.startswith("_") for row in _dataset_row(name, entry)]
        parts += [
            f"## {path.stem.removeprefix('catalog_')}",
            "",
            "| dataset | type | layer | place |",
            "|---|---|---|---|",
        ]
        parts += [*rows, ""]
    return "\n".join(parts)


def _dataset_row(name: str, entry: dict[str, Any]) -> Iterator[str]:
    layer = ((entry.get("metadata") or {}).get("kedro-viz") or {}).get("layer", "")
    place = entry.get("filepath") or entry.get("path") or ""
    kind = str(entry.get("type", "")).rpartition(".")[2]
    yield f"| `{name}` | {kind} | {layer} | {f'`{place}`' if place else ''} |"


def options_page() -> str:
    """The help of every command of the project."""
    from tradewind.cli import cli

    context = click.Context(cli, info_name="kedro")
    parts = ["# Options of every command", "", "As `kedro COMMAND --help` prints them.", ""]
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        if command is not None:
            told = command.get_help(click.Context(command, info_name=name, parent=context))
            parts += [f"## kedro {name}", "", "```text", told.rstrip(), "```", ""]
    return "\n".join(parts)
