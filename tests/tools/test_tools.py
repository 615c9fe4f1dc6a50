"""The tools that make pictures and pages: what they are given and what comes out, without a browser."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]


def tool(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, PROJECT / f"tools/{name}.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    import sys

    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


def test_a_bar_that_is_drawn_anew_leaves_no_line() -> None:
    erase = "\r\x1b[2K\x1b[1A\x1b[2K"
    said = (
        "begin\r\n\x1b[1mclassifier\x1b[0m 1/9 11% 0:01, about 20 s left\r\n  training\r\n"[:-2]
        + erase
        + "classifier 2/9 22% 0:02, about 10 s left\r\n  fold 3"
        + erase
        + "\x1b[32m✓\x1b[0m classifier: 9 nodes\r\nGO\r\n"
    )
    lines, bar = tool("pictures").shown(said)
    assert lines == ["begin", "\x1b[32m✓\x1b[0m classifier: 9 nodes", "GO", ""]
    assert bar == ["begin", "classifier 2/9 22% 0:02, about 10 s left", "  fold 3"]


def test_every_picture_of_the_documents_is_made_by_a_command_and_small() -> None:
    source = (PROJECT / "tools/pictures.py").read_text()
    pictures = {path.name for path in (PROJECT / "docs/images").glob("*.png")}
    made = {
        name
        for name in pictures
        if name in source
        or name.rsplit("_", 2)[0] + "_{width_name}_{scheme}.png" in source
        or (name.startswith("paper_") and f'"{name[6:-4]}"' in source)
    }
    assert pictures - made == set()
    assert {
        path.name: path.stat().st_size
        for path in (PROJECT / "docs/images").glob("*.png")
        if path.stat().st_size > 150_000
    } == {}


def test_pages_of_the_code_have_every_parameter_file_dataset_and_command() -> None:
    pages = tool("docs_pages")
    parameters = pages.parameters_page()
    assert "taker_fee_bps" in parameters and "## deep_learning" in parameters
    datasets = pages.datasets_page()
    entries = [
        name for path in (PROJECT / "conf/base").glob("catalog_*.yml") for name in yaml.safe_load(path.read_text())
    ]
    assert [name for name in entries if not name.startswith("_") and f"`{name}`" not in datasets] == []
    options = pages.options_page()
    for command in ("run", "import-bars", "compare", "status"):
        assert f"## kedro {command}\n" in options
    assert "--dry-run" in options


def test_every_page_is_in_the_menu_of_the_site(tmp_path: Path) -> None:
    pages = tool("docs_pages")
    (tmp_path / "howto").mkdir()
    for name in ("README.md", "howto/own.md", "new.md"):
        (tmp_path / name).write_text("# Page")
    menu = [{"Home": "README.md"}, {"To do": [{"Own": "howto/own.md"}]}]
    assert pages.unnamed(str(menu), tmp_path) == ["new.md"]
    last = [{"Home": "README.md"}, {"Others": []}]
    added = pages.on_config({"nav": last})["nav"][-1]["Others"]
    assert "howto/own_data.md" in added and "README.md" not in added


def test_containers_and_hooks_name_what_exists() -> None:
    container = json.loads((PROJECT / ".devcontainer/devcontainer.json").read_text())
    assert (PROJECT / ".devcontainer" / container["build"]["dockerfile"]).resolve() == PROJECT / "Containerfile"
    assert container["postCreateCommand"].split()[1] in (PROJECT / "Makefile").read_text()
    lines = (PROJECT / "Containerfile").read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY") for word in line.split()[2:-1]]
    assert [name for name in copied if not (PROJECT / name).exists()] == []
    pinned = (PROJECT / "constraints.txt").read_text()
    assert "torch==2.13.0" in pinned and any("torch==2.13.0" in line for line in lines)
    hooks = [
        hook
        for repo in yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text())["repos"]
        for hook in repo["hooks"]
    ]
    assert {hook["id"] for hook in hooks} == {"ruff", "ruff-format", "import-linter", "notebooks"}
    for tool_name in ("ruff", "import-linter", "pre_commit"):
        assert f"\n{tool_name}==" in pinned


@pytest.mark.slow
@pytest.mark.depth
def test_the_site_is_built_and_a_broken_link_stops_it(tmp_path: Path) -> None:
    import shutil
    import subprocess
    import sys

    pytest.importorskip("mkdocs")
    for name in ("docs", "tools", "conf"):
        shutil.copytree(PROJECT / name, tmp_path / name)
    (tmp_path / "src").symlink_to(PROJECT / "src")
    shutil.copy(PROJECT / "mkdocs.yml", tmp_path)

    (recipe,) = [line for line in (PROJECT / "Makefile").read_text().splitlines() if "mkdocs build" in line]
    options = recipe.partition("#")[0].split("mkdocs build")[1].split()

    def build() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mkdocs", "build", *options]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    done = build()
    assert done.returncode == 0, done.stderr[-3000:]
    index = json.loads((tmp_path / "site/search/search_index.json").read_text())
    assert any("taker_fee_bps" in entry["text"] for entry in index["docs"])
    pages = [path.read_text() for path in (tmp_path / "site").rglob("*.html")]
    assert len(pages) > 30
    assert not any('src="http' in page or "fonts.googleapis" in page for page in pages)
    (tmp_path / "docs/glossary.md").write_text("[gone](nowhere.md) [also](architecture.md#no-such-part)")
    done = build()
    assert done.returncode != 0
    assert "nowhere.md" in done.stdout + done.stderr and "no-such-part" in done.stdout + done.stderr


def test_what_candles_and_funding_of_venues_leave_to_be_gained_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = np.random.default_rng(3)
    minutes = pd.date_range("2024-01-01", periods=3000, freq="5min", tz="UTC")
    price = pd.Series(100 * np.exp(np.cumsum(1e-4 * generator.standard_normal(3000))))
    pd.DataFrame({"timestamp": minutes, "close": price}).to_parquet(tmp_path / "short.parquet")
    long = pd.DataFrame({"timestamp": minutes[::3], "close": price[2::3].to_numpy()})  # the last of three
    long["close"] *= 1 + 1e-4 * generator.standard_normal(len(long))
    long.to_parquet(tmp_path / "long.parquet")
    rates = pd.DataFrame({"timestamp": minutes[::96], "rate": 1e-4})
    for name, more in (("a", 0.0), ("b", 2e-4)):
        rates.assign(rate=rates["rate"] + more + 1e-7 * generator.standard_normal(len(rates))).pipe(
            lambda table: pd.concat([table] * 3, ignore_index=True)
        ).assign(timestamp=pd.date_range("2024-01-01", periods=3 * len(rates), freq="8h", tz="UTC")).to_parquet(
            tmp_path / f"{name}.parquet"
        )
    main = tool("arbitrage_of_candles").main
    main(["pair", str(tmp_path / "long.parquet"), str(tmp_path / "short.parquet")])
    assert "1,000 common closes" in (said := capsys.readouterr().out) and "nothing to do" in said
    main(["funding", str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")])
    assert "2.00 bps a settlement pay 24 after 12 settlements" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="What two venues' prices"):
        main(["pair"])
