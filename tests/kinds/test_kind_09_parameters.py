"""Kind 9: parameters are checked together before any node, lists take words, and a rebate can be stated."""

from pathlib import Path
from typing import Annotated, Any

import pytest
from kedro.framework.cli.utils import _split_params
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from pydantic import Field, ValidationError

from tradewind.cli.parameter_checks import check_all, unknown_keys
from tradewind.errors import BadParameters
from tradewind.learning.features.catalogue import FeatureSelection
from tradewind.market.universe import Universe
from tradewind.parameters import Parameters
from tradewind.trading.execution.costs import Costs

ROOT = Path(__file__).resolve().parents[2]


def checked(env: str, **given: Any) -> None:
    bootstrap_project(ROOT)
    with KedroSession.create(project_path=ROOT, env=env, runtime_params=given) as session:
        check_all(session.load_context())


@pytest.mark.parametrize("env", ["quick", "test", "null_market", "research"])
def test_what_is_configured_here_is_right(env: str) -> None:
    checked(env)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"evaluation": {"statistic": {"draws": 1}}}, "did you mean evaluation.statistics?"),
        ({"evaluation": {"statistics": {"drawz": 1}}}, "evaluation.statistics.drawz: there is no such key"),
        ({"classifier": {"xgbost": {}}}, "did you mean classifier.xgboost?"),
        ({"live": {"limit": {}}}, "live.limit: there is no such key"),
        ({"sed": 1}, "did you mean seed?"),
        ({"deployment": {"model": "lstm "}}, "deployment.model 'lstm ' is none of params:models"),
        ({"trading": {"execution": {"max_leverage": 0.5}}}, "trading.sizing.max_position 1 is beyond"),
        ({"feature_engineering": {"features": {"include": "rsi_*x"}}}, "no feature is named rsi_*x"),
        ({"evaluation": 3}, "evaluation: must be a block of keys, found 3"),
    ],
)
def test_a_fault_in_any_block_is_seen_whatever_stage_is_run(given: dict[str, Any], told: str) -> None:
    with pytest.raises(BadParameters) as found:
        checked("test", **given)
    assert told in str(found.value)
    assert "\n" not in str(found.value)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(BadParameters) as found:
        checked("test", sed=1, trading={"costs": {"taker_fee_bps": -1}}, regimes={"modell": "x"})
    assert all(word in str(found.value) for word in ("sed:", "trading.costs.taker_fee_bps", "regimes.modell"))


def test_words_of_the_command_line_are_a_list() -> None:
    def on_line(text: str) -> Any:
        return next(iter(_split_params(None, None, text).values()))

    assert FeatureSelection(slower_timeframes=on_line("a=1w")).slower_timeframes == ("1w",)
    assert FeatureSelection(slower_timeframes=on_line("a=4h 1d")).slower_timeframes == ("4h", "1d")
    assert FeatureSelection(slower_timeframes=on_line("a=null")).slower_timeframes is None
    assert FeatureSelection(tiers=on_line("a=1 2 5")).tiers == (1, 2, 5)
    assert FeatureSelection(tiers=on_line("a=3")).tiers == (3,)
    assert Universe(venue="v", symbols=on_line("a=B A"), timeframe="1h").symbols == ("B", "A")
    assert Costs(book=on_line("a=1000:1.5 5000:4")).book == ((1000, 1.5), (5000, 4))


def _list_fields(kind: type[Parameters]) -> list[str]:
    return [name for name, field in kind.model_fields.items() if "tuple[" in str(field.annotation)]


def _every_block() -> list[type[Parameters]]:
    found, waiting = [], list(Parameters.__subclasses__())
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        found += [kind] if kind.__module__.startswith("tradewind.") else []
    return found


def test_no_list_parameter_of_any_block_refuses_words_for_being_no_list() -> None:
    """Law: whatever else is wrong with the words, a string is never `not a list`."""
    from tradewind.live.settings import LiveRules  # noqa: F401 - loads the blocks of the paper account
    from tradewind.pipeline_registry import register_pipelines

    register_pipelines()
    tried = 0
    for kind in _every_block():
        for name in set(_list_fields(kind)) - kind.whole:
            if "dict[" in str(kind.model_fields[name].annotation):
                continue
            tried += 1
            try:
                kind(**{name: "1 2"})
            except ValidationError as error:
                told = [one["type"] for one in error.errors() if one["loc"] == (name,)]
                assert not {"tuple_type", "list_type"} & set(told), (kind, name)
    assert tried > 15


def test_an_entry_with_spaces_stays_whole_where_a_block_says_so() -> None:
    class Named(Parameters):
        whole = frozenset({"names"})
        names: Annotated[tuple[str, ...], Field(min_length=1)] = ("a b",)

    with pytest.raises(ValidationError):
        Named(names="a b")
    assert Named(names=("a b",)).names == ("a b",)


def test_a_rebate_can_be_stated_and_is_not_raised_with_the_costs() -> None:
    """A sibling: a world with dearer costs paid larger rebates."""
    rebate = Costs(maker_fee_bps=_split_params(None, None, "a=-2.5")["a"])
    assert rebate.maker_fee_bps == -2.5
    assert rebate.scaled(2.0).maker_fee_bps == -2.5
    assert rebate.scaled(0.0).maker_fee_bps == 0.0
    assert rebate.scaled(2.0).taker_fee_bps == 10.0
    assert Costs(maker_fee_bps=2.0).scaled(2.0).maker_fee_bps == 4.0


def test_a_block_of_a_model_that_the_run_leaves_out_may_stay() -> None:
    assert unknown_keys({"classifier": {"random_forest": {"parameters": {}}}}, {"classifier": {}}, {"seed"}) == []
