"""What a run tells of itself: a line a node and a stage, an estimate, no silence, a bar on a terminal."""

import io
import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.hooks import hook_impl
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner, ThreadRunner
from rich.console import Console

from tradewind.cli.run_progress import ProgressHooks
from tradewind.compute import track
from tradewind.errors import BadData
from tradewind.progress import RunProgress, note, run, started
from tradewind.progress.displays import Bar, Lines
from tradewind.progress.plan import RunPlan, keep_seconds, read_seconds


class Told(Lines):
    """Lines that are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def _show(self, line: str) -> None:
        self.last_shown = time.monotonic()
        self.lines.append(line)


@pytest.fixture(autouse=True)
def none_is_left() -> Iterator[None]:
    yield
    assert started() is None


def test_every_node_is_a_line_with_its_time_and_every_stage_one() -> None:
    told = Told()
    progress = RunProgress(["a.load", "b.train", "a.check"], display=told)
    progress.open()
    for node in ("a.load", "a.check", "b.train"):
        progress.begin(node)
        progress.finish(node)
    progress.close()
    assert [line.split(":")[0] for line in told.lines] == ["a.load", "a.check", "-- a", "b.train", "-- b"]
    assert told.lines[1].endswith(" s (2 of 3)")
    assert told.lines[2].startswith("-- a: 2 nodes, 0.0 s")


def test_ten_quiet_seconds_are_broken_with_what_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "QUIET_S", 0.2)
    told = Told()
    progress = RunProgress(["classifier.lightgbm.make_forecasts"], display=told)
    progress.open()
    progress.begin("classifier.lightgbm.make_forecasts")
    assert note("fold 3 of 5")
    time.sleep(0.9)
    progress.compiling("trading.step")
    time.sleep(0.5)
    progress.compiled()
    progress.close()
    assert len(told.lines) >= 2
    assert told.lines[0].startswith("classifier.lightgbm.make_forecasts, fold 3 of 5: ")
    assert any("compiling trading.step (once; later runs load it)" in line for line in told.lines)
    assert not note("nobody listens")


def test_what_numba_compiles_is_told() -> None:
    from numba import njit

    told = list[str]()
    progress = RunProgress(["a.load"], display=Told())
    progress.open()
    progress.compiling = told.append  # type: ignore[method-assign]
    njit(lambda x: x + 1)(1)
    progress.close()
    assert len(told) == 1
    assert told[0].endswith("<lambda>")


def test_an_earlier_run_tells_how_long_the_rest_takes(tmp_path: Path) -> None:
    plan = RunPlan(["a.short", "b.long"], {"a.short": 1.0, "b.long": 99.0})
    assert plan.seconds_left({}) == pytest.approx(100)
    plan.finish("a.short", 1.0)
    assert plan.share({}) == pytest.approx(0.01)
    assert plan.share({"b.long": 49.5}) == pytest.approx(0.505)
    assert plan.share({"b.long": 10_000.0}) < 1  # it never says that a node is done which is not
    slow = RunPlan(["a.short", "b.long"], {"a.short": 9.0, "b.long": 90.0})
    slow.finish("a.short", 19.0)  # (19 + 1) / (9 + 1): twice as long as before
    assert slow.seconds_left({}) == pytest.approx(180)

    late = RunPlan(["a.short", "b.long"], {"a.short": 9.0, "b.long": 90.0})
    assert late.seconds_left({"a.short": 90.0}) > late.seconds_left(
        {"a.short": 9.0}
    )  # a node that takes too long tells

    known = {"a.linear.train": 8.0, "a.boosted.train": 12.0, "b.report": 80.0}
    fresh = RunPlan([*known, "a.own.train", "a.own.draw"], known)
    assert fresh.seconds_left({}) == pytest.approx(8 + 12 + 80 + 10 + 0.5), "a new model takes what others take"
    assert fresh.seconds_left({"a.own.draw": 60.0}) < 111, "a node that nothing is known of does not tell the pace"

    file = tmp_path / "seconds.json"
    keep_seconds(file, {"a.short": 1.23456})
    keep_seconds(file, {"b.long": 2.0})
    assert read_seconds(file) == {"a.short": 1.235, "b.long": 2.0}
    for nonsense in ("[", "[1]", '{"a": "b"}'):
        file.write_text(nonsense)
        assert read_seconds(file) == {}


@pytest.mark.parametrize("runner", [SequentialRunner, ThreadRunner])
def test_a_run_of_kedro_is_followed_to_its_end(runner: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [
        Node(lambda: (1, 2), None, ["one", "two"], name="a.make"),
        Node(lambda one, two: one + two, ["one", "two"], "three", name="b.add"),
        Node(lambda three: None, "three", None, name="b.look"),
    ]
    told = Told()
    monkeypatch.setattr("tradewind.cli.run_progress.RunProgress", lambda names, file: RunProgress(names, file, told))
    manager = _create_hook_manager()
    manager.register(ProgressHooks())
    pipeline, catalog = Pipeline(nodes), DataCatalog()
    manager.hook.before_pipeline_run(run_params={}, pipeline=pipeline, catalog=catalog)
    runner().run(pipeline, catalog, hook_manager=manager)
    manager.hook.after_pipeline_run(run_params={}, run_result={}, pipeline=pipeline, catalog=catalog)
    assert [line.split(":")[0] for line in told.lines] == ["a.make", "-- a", "b.add", "b.look", "-- b"]


class Refusing:
    """A hook that refuses the run before its first node."""

    @hook_impl
    def before_pipeline_run(self) -> None:
        raise BadData("the folder is locked")


def test_a_failing_node_and_a_refused_run_end_the_bar() -> None:
    manager, hooks = _create_hook_manager(), ProgressHooks()
    manager.register(hooks)
    given = {"pipeline": Pipeline([Node(lambda: 1, None, "one", name="a.make")]), "catalog": DataCatalog()}
    manager.hook.before_pipeline_run(run_params={}, **given)
    assert started() is not None
    hooks.on_pipeline_error()
    assert started() is None
    manager.register(Refusing())
    with pytest.raises(BadData, match="locked"):
        manager.hook.before_pipeline_run(run_params={}, **given)
    assert started() is None


def test_a_run_that_nobody_ended_ends_with_the_next() -> None:
    """An interrupted run is told to no hook; its thread would speak for ever."""
    first, second = RunProgress(["a.load"], display=Told()), RunProgress(["a.load"], display=Told())
    first.open()
    second.open()
    assert started() is second
    second.close()
    assert not [
        one for one in threading.enumerate() if one.name == "progress" and one.join(2) is None and one.is_alive()
    ]


def test_items_are_told_to_the_run_that_is_under_way() -> None:
    progress = RunProgress(["a.load"], display=Told())
    progress.open()
    seen = [progress.state()["doing"] for _ in track(range(2), "folds")]
    progress.close()
    assert seen == ["folds: 1 of 2", "folds: 2 of 2"]


def test_a_terminal_has_one_bar_below_the_lines_of_the_stages() -> None:
    screen = io.StringIO()
    progress = RunProgress(["a.load", "b.xgboost.make_forecasts"])
    bar = Bar(progress.state)
    bar.console = Console(file=screen, force_terminal=True, width=90, highlight=False)
    progress.display = bar
    progress.open()
    progress.begin("a.load")
    progress.finish("a.load")
    progress.begin("b.xgboost.make_forecasts")
    logging.getLogger("tradewind.test").setLevel(logging.INFO)
    logging.getLogger("tradewind.test").info("xgboost fold 3: trained")
    drawn = Console(file=io.StringIO(), width=90)
    drawn.print(bar.drawn())
    logging.getLogger("tradewind.test").warning("a symbol has a hole")
    logging.getLogger("tradewind.test").info("kept for good", extra={"lasting": True})
    progress.close()
    first, second = drawn.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert first.startswith("b xgboost ")
    assert "1/2" in first
    assert first.rstrip().endswith(" left")
    assert second.strip() == "xgboost fold 3: trained"
    printed = screen.getvalue()
    assert "✓" in printed
    assert "a: 1 node, 0.0 s" in printed
    assert "a symbol has a hole" in printed and "kept for good" in printed
    assert not any(type(one).__name__ == "AboveTheBar" for one in logging.getLogger().handlers)


def test_seconds_are_kept_for_the_next_run(tmp_path: Path) -> None:
    file = tmp_path / "08_reporting/node_seconds.json"
    progress = RunProgress(["a.load"], file, Told())
    progress.open()
    progress.begin("a.load")
    progress.finish("a.load")
    progress.close()
    assert list(json.loads(file.read_text())) == ["a.load"]
