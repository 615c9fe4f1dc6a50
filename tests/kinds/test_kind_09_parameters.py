"""Kind 9: parameters are checked together before any node, lists take words, and a rebate can be stated."""

from pathlib import Path
from typing import Annotated, Any

import pytest
from kedro.framework.cli.utils import _split_params
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from pydantic import Field, ValidationError

from tradewind.adaptive.rl.walk_forward import AgentRules
from tradewind.cli.parameter_checks import check_all, contradictions, unknown_keys
from tradewind.errors import BadParameters
from tradewind.learning.ensemble.joining import EnsembleRules
from tradewind.learning.features.catalogue import FeatureSelection
from tradewind.live.settings import PaperRules
from tradewind.market.universe import Universe
from tradewind.metrics.verdict import VerdictRules
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


def test_an_agent_is_asked_for_actions_that_it_can_take_before_it_trains() -> None:
    rules = {"agent": {"algorithm": "sac"}, "environment": {"actions": "discrete"}}
    with pytest.raises(ValidationError, match="sac needs environment.actions continuous"):
        AgentRules.model_validate(rules)
    assert AgentRules.model_validate(rules | {"environment": {"actions": "continuous"}}).agent.algorithm == "sac"


def test_what_a_node_would_refuse_late_is_refused_before_any() -> None:
    """Siblings: each was found by the node that needed it, most of them after the models had been trained."""
    two = [{"name": "a", "share": 0.6, "rule": "r"}] * 2
    with pytest.raises(BadParameters) as found:
        checked(
            "test", universe={"side_series": "funding funding"}, regimes={"rules": {"horizon_bars": 0}},
            evaluation={"ensembles": {"forecasts": "hedge hedge"},
                        "robustness": {"entry_thresholds": [0.1, 2], "capitals": [0]}},
            live={"guardrails": {"exposure": {"above": 0.5, "scale_to": 0.8}}}, paper={"strategies": two},
            order_book={"book": {"timeframe": "1q"}},
        )  # fmt: skip
    for word in (
        "universe.side_series holds a series twice", "rules.horizon_bars", "each way once", "nothing would be scaled",
        "evaluation.robustness.entry_thresholds.1", "evaluation.robustness.capitals.0", "a name of their own each",
        "order_book.book.timeframe",
    ):  # fmt: skip
        assert word in str(found.value)
    with pytest.raises(BadParameters) as found:
        checked(
            "test", classifier={"linear": {"parameters": {"c": 0}}, "xgboost": {"parameters": {"depht": 3}}},
            feature_engineering={"horizons": {"bars": [1, 10_000]}}, evaluation={"verdict": {"judged": "lightgmb"}},
        )  # fmt: skip
    for word in (
        "classifier.linear.parameters.c", "classifier.xgboost.parameters.depht", "horizons.bars 10000 is beyond the",
        "evaluation.verdict.judged 'lightgmb' is no strategy of this run",
    ):  # fmt: skip
        assert word in str(found.value)


@pytest.mark.parametrize("given", [
    {"port": 9000, "metrics_port": 9000},
    {"strategies": [{"name": name, "share": 0.6, "rule": "r"} for name in "ab"]},
])  # fmt: skip
def test_a_paper_account_that_cannot_be_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="are both 9000|come to 1.2, more than the account"):
        PaperRules.model_validate(given)


@pytest.mark.parametrize(
    ("judged", "is_made"),
    [(None, True), ("equal_weight", True), ("linear", True), ("ppo", True), ("buy_and_hold", True), ("stacking", True),
     ("hedge", False), ("volatility_only", False), ("lightgbm", False), ("agents_vote", False)],
)  # fmt: skip
def test_what_the_run_makes_may_be_judged_and_nothing_else(judged: str | None, is_made: bool) -> None:
    blocks = {
        "evaluation.verdict": VerdictRules(judged=judged), "evaluation.ensembles": EnsembleRules(forecasts="stacking")
    }  # fmt: skip
    told = contradictions(blocks, {"models": "linear volatility_only ppo"})
    assert told == [] if is_made else "is no strategy of this run" in told[0]


def test_agents_are_joined_only_where_there_are_some() -> None:
    blocks = {"evaluation.ensembles": EnsembleRules(agents="agents_vote")}
    assert "params:models lists no agents" in contradictions(blocks, {"models": "linear"})[0]
    assert contradictions(blocks, {"models": "linear ppo"}) == []


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
