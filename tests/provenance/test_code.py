"""The code that reaches a node: what it imports, also inside functions and by name; what draws counts in pages only."""

from pathlib import Path

import pytest

from tradewind.provenance.code import Code

SOURCE = {
    "pipelines/stage/nodes.py": "from tradewind.rules import own\n\ndef node():\n    from tradewind.late import deep\n",
    "rules/__init__.py": "",
    "rules/own.py": "from tradewind.errors import BadData\nfrom tradewind.reports.page import page\n",
    "rules/other.py": "",
    "late/deep.py": "from importlib import import_module\nload = import_module(f'tradewind.late.{1}')\n",
    "late/by_name.py": "",
    "reports/page.py": "",
    "reports/templates/page.html": "<p>",
    "errors.py": "",
}
MODULE = "tradewind.pipelines.stage.nodes"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in SOURCE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "folder"),
    [("pipelines/stage/nodes.py", "pipelines/stage"), ("rules/own.py", "rules"), ("late/by_name.py", "late")],
)
def test_an_edit_changes_the_hash_of_its_folder_alone(root: Path, name: str, folder: str) -> None:
    before = Code(root).of(MODULE)
    (root / name).write_text(SOURCE[name] + "# edited\n")
    after = Code(root).of(MODULE)
    assert {one for one in before if before[one] != after[one]} == {folder}


@pytest.mark.parametrize("name", ["rules/other.py", "errors.py", "reports/page.py", "reports/templates/page.html"])
def test_what_does_not_reach_a_table_changes_nothing(root: Path, name: str) -> None:
    before = Code(root).of(MODULE)
    (root / name).write_text("# edited\n")
    assert Code(root).of(MODULE) == before


@pytest.mark.parametrize("name", ["reports/page.py", "reports/templates/page.html"])
def test_what_draws_counts_in_pages_and_figures(root: Path, name: str) -> None:
    before = Code(root).of(MODULE, is_drawn=True)
    (root / name).write_text("# edited\n")
    assert Code(root).of(MODULE, is_drawn=True) != before


def test_a_feature_of_your_own_reaches_the_features_and_not_the_bars() -> None:
    code, own = Code(), "learning/features/own.py"
    assert (code._root / own).is_file()
    assert own in {str(one) for one in code._reached("pipelines/feature_engineering/feature_nodes.py", ())}
    assert "learning/features" not in code.of("tradewind.pipelines.data_engineering.nodes")


def test_code_of_other_packages_has_no_hash() -> None:
    assert Code().of("json") == {}


@pytest.mark.parametrize("own", ["trading/strategy/own.py", "learning/models/scikit_learn.py"])
@pytest.mark.parametrize("nodes", ["data_engineering/quality_nodes.py", "regimes/nodes.py"])
def test_a_strategy_or_a_model_of_your_own_makes_no_page_of_the_data_anew(nodes: str, own: str) -> None:
    code = Code()
    assert own in code._reached("pipelines/evaluation/nodes.py", ()) | code._reached(
        "pipelines/classifier/nodes.py", ()
    )
    assert own not in code._reached(f"pipelines/{nodes}", ())
