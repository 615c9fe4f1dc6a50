"""Plans with a book: forecast costs with intervals where there is a forecast, what a bad book gets; at both doors."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pandas as pd
import pytest
import schemathesis
from google.protobuf.json_format import MessageToDict
from hypothesis import HealthCheck, given, settings
from schemathesis.core.result import Ok

from tests.operations.bundles import bundle_files
from tests.serving.conftest import Service, serving
from tests.serving.test_bad_input import asked, problem
from tests.trading.execution.forecasts.test_forecasts import TERMS, simulated
from tradewind.errors import BadData
from tradewind.serving.execution_plan import planned
from tradewind.serving.messages import PlanRequest
from tradewind.serving.plan_terms import UNKNOWN, read_instruments
from tradewind.serving.refusals import Refusal
from tradewind.serving.rpc import prediction_pb2 as messages
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.forecasts.costs import COST, FEATURES, ONE_ORDER, fit_forecast
from tradewind.trading.execution.forecasts.plan import read_forecast
from tradewind.trading.execution.orders import OrderRules
from tradewind.trading.execution.slicing import Order, plan_slices
from tradewind.trading.execution.steps import Steps

PLAN = "/v1/execution/plan"
BOOK = {
    "bids": [{"price": 99.995, "size": 4.0}, {"price": 99.985, "size": 5.0}],
    "asks": [{"price": 100.005, "size": 5.0}, {"price": 100.015, "size": 5.0}],
    "age_s": 0.0, "volatility_bps": 2.0, "momentum_bps": 0.1, "taken_quantity": 3.0,
}  # fmt: skip
ORDER = {"symbol": "SIM1", "side": "buy", "quantity": 6.0, "price": 100.0, "deadline_s": 0.0}


def document() -> dict[str, Any]:
    """A file of forecasts, of recordings of SIM1 whose walk is what the book shows and whose fills follow the queue."""
    rng, table = np.random.default_rng(3), simulated().assign(source="simulated/SIM1/2024-01-01")
    for name in FEATURES:
        table[name] = rng.uniform(-50.0, 50.0, len(table))
    table["walk"] = table["walk_now_bps"] + 0.1 * rng.normal(size=len(table))
    waiting = table.assign(fill=(rng.random(len(table)) < 1 / (1 + np.exp(-table["log_queue"]))).astype(float))
    ways = pd.concat([waiting, table.assign(way=ONE_ORDER, fill=np.nan)], ignore_index=True)
    ways[COST] = 5.0 - 3.0 * ways["fill"].fillna(0.0) + ways["spread"] + ways["walk"] + ways["drift"]
    return {"recordings": fit_forecast(ways, TERMS, rng).model_dump(mode="json")}


@pytest.fixture(scope="module")
def informed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a forecast of costs."""
    folder = tmp_path_factory.mktemp("informed")
    (folder / "costs.json").write_text(json.dumps(document()))
    with serving(folder, bundle_files(seed=1), cost_forecasts=folder / "costs.json") as found:
        yield found


def by_rest(service: Service, body: dict[str, Any]) -> dict[str, Any]:
    answer = asked(service, body, PLAN)
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


def by_grpc(service: Service, body: dict[str, Any]) -> Any:
    request = messages.PlanRequest(**body)
    return service.stub().OptimizeExecution(request, metadata=service.metadata())


def without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_null(each) for name, each in value.items() if each is not None}
    return [without_null(each) for each in value] if isinstance(value, list) else value


def as_rest_says(reply: Any) -> Any:
    return MessageToDict(reply, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def test_a_book_gets_the_forecast_cost_with_its_parts_at_both_doors(informed: Service) -> None:
    said = by_rest(informed, ORDER | {"book": BOOK})
    assert said["cost_by"] == "forecast" and said["unplanned_quantity"] == 0.0 and said["policy"] == "one_order"
    forecast = said["forecast"]
    parts = forecast["one_order_bps"]
    assert parts["impact"] is None  # nobody reacts in a recording: no figure, and no zero
    for name in ("total", "fee", "spread", "walk", "drift"):
        assert parts[name]["low"] <= parts[name]["high"]
    means = sum(parts[name]["mean"] for name in ("fee", "spread", "walk", "drift"))
    assert parts["total"]["mean"] == pytest.approx(means) == pytest.approx(said["expected_cost_bps"]["total"])
    fill = forecast["fill_probability"]
    assert 0 < fill["low"] < fill["mean"] < fill["high"] < 1 and forecast["horizon_s"] == 10.0
    assert as_rest_says(by_grpc(informed, ORDER | {"book": BOOK})) == without_null(said)


def test_the_cost_follows_the_book(informed: Service) -> None:
    """The planted fault: another book behind the same request would be seen in walk and fill probability."""
    thin = BOOK | {"asks": [{"price": 100.005, "size": 1.0}, {"price": 100.045, "size": 9.0}]}
    deep, walked = (by_rest(informed, ORDER | {"book": each})["forecast"] for each in (BOOK, thin))
    assert walked["one_order_bps"]["walk"]["mean"] > deep["one_order_bps"]["walk"]["mean"] + 0.5
    queued = BOOK | {"bids": [{"price": 99.995, "size": 400.0}]}
    assert by_rest(informed, ORDER | {"book": queued})["forecast"]["fill_probability"] != deep["fill_probability"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"volatility_bps": None}, "the forecast needs book.volatility_bps"),
        ({"volatility_bps": 1e4}, "outside of what the forecast was trained on"),
        ({"bids": [{"price": 90.0, "size": 1.0}]}, "nothing stands within 5 bps"),
    ],
)
def test_where_the_forecast_knows_nothing_the_formula_answers_and_says_so(
    informed: Service, change: dict[str, Any], reason: str
) -> None:
    body = ORDER | {"book": without_null(BOOK | change)}
    said = by_rest(informed, body)
    assert said["cost_by"] == "formula" and said["forecast"] is None and reason in said["reasons"][0]
    assert said["expected_cost_bps"] == by_rest(informed, ORDER)["expected_cost_bps"]
    assert as_rest_says(by_grpc(informed, body)) == without_null(said)


def test_without_a_forecast_or_a_book_the_formula_answers(service: Service, informed: Service) -> None:
    said = by_rest(service, ORDER | {"book": BOOK})
    assert said["cost_by"] == "formula" and "has no forecast" in said["reasons"][0]
    plain = by_rest(informed, ORDER)
    assert plain["cost_by"] == "formula" and plain["reasons"] == [UNKNOWN] and plain["forecast"] is None


def test_depth_below_the_size_gives_a_smaller_plan_with_the_reason(informed: Service) -> None:
    said = by_rest(informed, ORDER | {"quantity": 12.5, "book": BOOK})
    assert [one["quantity"] for one in said["slices"]] == [10.0] and said["unplanned_quantity"] == 2.5
    assert said["cost_by"] == "forecast" and said["forecast"]["quantity"] == 10.0
    assert "2.5 of 12.5 units are not planned" in said["reasons"][0]
    resting = by_rest(informed, ORDER | {"quantity": 12.5, "book": BOOK, "limit_price": 99.995})
    assert resting["unplanned_quantity"] == 0.0 and resting["forecast"]["fill_probability"] is not None
    away = by_rest(informed, ORDER | {"book": BOOK, "limit_price": 99.0})
    assert away["forecast"]["fill_probability"] is None


def test_the_fee_is_the_accounts_whatever_the_forecast_was_learnt_with(informed: Service) -> None:
    forecast, champion = informed.functions.cost_forecast, informed.functions.models.now.champion
    assert forecast is not None and champion is not None
    request, spec = PlanRequest.model_validate(ORDER | {"book": BOOK}), champion.bundle.spec
    own = spec.trading.costs.taker_fee_bps
    same, other = (
        planned(request, spec, forecast.model_copy(update={"taker_bps": fee}), 2.0) for fee in (own, own + 70.0)
    )
    assert same.reasons == other.reasons == [UNKNOWN] and same.forecast is not None and other.forecast is not None
    parts, shifted = (one.forecast.one_order_bps for one in (same, other) if one.forecast)
    assert parts.fee == shifted.fee and parts.fee is not None and parts.fee.mean == own
    assert parts.total is not None and shifted.total is not None
    assert shifted.total.mean == pytest.approx(parts.total.mean)
    # The cost that it was taught had the other fee in it, which is taken out again.
    assert shifted.total.high == pytest.approx(parts.total.high - 70.0)


@pytest.mark.parametrize("source", ["simulated/SIM2/2024-01-01", "elsewhere/SIM1/2024-01-01"])
def test_a_forecast_of_another_symbol_or_venue_states_nothing_of_this_one(informed: Service, source: str) -> None:
    forecast, champion = informed.functions.cost_forecast, informed.functions.models.now.champion
    assert forecast is not None and champion is not None
    request, spec = PlanRequest.model_validate(ORDER | {"book": BOOK}), champion.bundle.spec
    wrong = planned(request, spec, forecast.model_copy(update={"sources": (source,)}), 2.0)
    assert wrong.cost_by == "formula" and wrong.forecast is None
    assert f"learnt from {source[:-11]}, and says nothing of simulated/SIM1" in wrong.reasons[0]
    assert wrong.expected_cost_bps == planned(request, spec, None, 2.0).expected_cost_bps
    both = forecast.model_copy(update={"sources": (source, *forecast.sources)})
    assert planned(request, spec, both, 2.0).cost_by == "forecast"


def test_the_same_book_of_another_symbol_is_answered_by_the_formula_at_both_doors(informed: Service) -> None:
    body = ORDER | {"symbol": "SIM2", "book": BOOK}
    said = by_rest(informed, body)
    assert said["cost_by"] == "formula" and "says nothing of simulated/SIM2" in said["reasons"][0]
    assert as_rest_says(by_grpc(informed, body)) == without_null(said)


def test_slices_are_cut_to_the_depth_and_cost_what_is_left() -> None:
    costs, order = Costs(impact_coefficient=0.5), Order(100.0, 50.0, 7200.0, 0.0, None, 0.01, 1000.0)
    plan = plan_slices(order, costs, 3600.0, most=20.0)
    assert [one.quantity for one in plan.slices] == [20.0] * 3
    assert plan.cost == plan_slices(order._replace(quantity=60.0), costs, 3600.0).cost
    assert plan_slices(order, costs, 3600.0, most=1e9) == plan_slices(order, costs, 3600.0)


INFO = {"symbols": [{
    "symbol": "SIM1", "status": "TRADING", "filters": [
        {"filterType": "PRICE_FILTER", "tickSize": "0.01"}, {"filterType": "NOTIONAL", "minNotional": "10"},
        {"filterType": "LOT_SIZE", "stepSize": "0.01", "minQty": "0.02", "maxQty": "50"},
    ],
}]}  # fmt: skip


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that knows what the venue takes."""
    folder = tmp_path_factory.mktemp("strict")
    (folder / "info.json").write_text(json.dumps(INFO))
    with serving(folder, bundle_files(seed=1), exchange_info=folder / "info.json") as found:
        yield found


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"quantity": 6.005}, "quantity", "no multiple of the lot of 0.01"),
        ({"quantity": 0.09}, "quantity", "below the smallest order of 0.1"),  # worth 9 of 10
        ({"quantity": 0.01, "price": 5000.0}, "quantity", "below the smallest order of 0.02"),
        ({"quantity": 0.1, "limit_price": 99.0}, "quantity", "below the smallest order of 0.11"),
        ({"quantity": 1e15}, "quantity", "more than 200 orders of the venue's largest of 50"),
        ({"limit_price": 99.995}, "limit_price", "no multiple of the tick of 0.01"),
        ({"quantity": 0.0}, "quantity", ""), ({"quantity": -1.0}, "quantity", ""),
        ({"quantity": float("nan")}, "quantity", ""), ({"deadline_s": -1.0}, "deadline_s", ""),
        ({"book": BOOK | {"asks": [{"price": 100.005, "size": 0.05}]}}, "book", "below the smallest order"),
    ],
)  # fmt: skip
def test_what_the_venue_would_refuse_is_refused_with_its_field_at_both_doors(
    strict: Service, change: dict[str, Any], field: str, words: str
) -> None:
    found = problem(asked(strict, ORDER | change, PLAN), 422)
    assert found["field"] == field and words in found["detail"]
    with pytest.raises(grpc.RpcError) as refused:
        by_grpc(strict, ORDER | change)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert dict(refused.value.trailing_metadata())["field"] == field


def test_the_remedy_is_rounded_towards_zero_and_accepted(strict: Service) -> None:
    found = problem(asked(strict, ORDER | {"quantity": 6.009}, PLAN), 422)
    assert found["remedy"] == "ask for 6, which is rounded towards zero"
    said = by_rest(strict, ORDER | {"quantity": 6.0})
    assert said["slices"][0]["quantity"] == 6.0 and said["reasons"] == [] and said["unplanned_quantity"] == 0.0
    for side, near in (("buy", "99.99"), ("sell", "100")):
        body = ORDER | {"side": side, "limit_price": 99.994}
        assert f"ask for {near}, " in problem(asked(strict, body, PLAN), 422)["remedy"]


def test_a_plan_is_of_orders_that_the_venue_takes(strict: Service) -> None:
    """Depth between two lots is rounded towards zero, and told; none is above the largest."""
    cut = by_rest(strict, ORDER | {"book": BOOK | {"asks": [{"price": 100.005, "size": 3.456}]}})
    assert [one["quantity"] for one in cut["slices"]] == [3.45] and cut["unplanned_quantity"] == pytest.approx(2.55)
    assert any("2.55 of 6 units are not planned" in one for one in cut["reasons"])
    large = by_rest(strict, ORDER | {"quantity": 120.01})
    assert [one["quantity"] for one in large["slices"]] == [40.0, 40.0, 40.01] and large["unplanned_quantity"] == 0.0
    assert as_rest_says(by_grpc(strict, ORDER | {"quantity": 120.01})) == without_null(large)
    other = by_rest(strict, ORDER | {"symbol": "SIM2", "quantity": 6.005})
    assert other["reasons"] == [UNKNOWN] and other["slices"][0]["quantity"] == 6.005


def test_without_the_venue_the_champions_parameters_say_what_is_taken(service: Service) -> None:
    champion = service.functions.models.now.champion
    assert champion is not None
    spec = champion.bundle.spec
    rules = OrderRules(min_notional=50.0)
    known = spec.model_copy(update={"trading": spec.trading.model_copy(update={"execution": rules})})
    request = PlanRequest.model_validate(ORDER | {"quantity": 0.6})
    assert planned(request, known, None, 2.0).reasons == []
    with pytest.raises(Refusal, match="below the smallest order of 0.5 at a price of 100") as refused:
        planned(request.model_copy(update={"quantity": 0.4}), known, None, 2.0)
    assert (refused.value.status, refused.value.field) == (422, "quantity")


@pytest.mark.parametrize("quantity", [7.0, 7.01, 3.33, 0.41, 0.2])
def test_slices_are_whole_lots_that_add_up_and_none_is_below_the_smallest(quantity: float) -> None:
    costs, order = Costs(impact_coefficient=0.5), Order(quantity, 50.0, 86_400.0, 0.0, None, 0.01, 1000.0)
    plan = plan_slices(order, costs, 3600.0, steps=Steps(0.01, 0.2))
    parts = [one.quantity for one in plan.slices]
    assert sum(parts) == pytest.approx(quantity, abs=1e-12) and min(parts) >= 0.2 - 1e-12
    assert all(abs(one / 0.01 - round(one / 0.01)) < 1e-9 for one in parts) and max(parts) - min(parts) < 0.0101
    assert len(parts) == min(25, int(quantity / 0.2 + 1e-9))


@pytest.mark.parametrize("content", [
    "{", "[]", "{}", '{"symbols": [{"symbol": "A", "status": "TRADING"}]}',
    json.dumps(INFO).replace('"0.01"}, {"filterType": "NOTIONAL"', '"0"}, {"filterType": "NOTIONAL"'),
    json.dumps(INFO).replace('"maxQty": "50"', '"maxQty": "fifty"'),
])  # fmt: skip
def test_a_file_that_is_no_answer_of_a_venue_is_refused_with_its_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "info.json"
    path.write_text(content)
    with pytest.raises(BadData, match=r"info.json: not an answer to exchangeInfo .*: save the venue's answer"):
        read_instruments(path)
    with pytest.raises(BadData, match="none.json: not an answer to exchangeInfo"):
        read_instruments(tmp_path / "none.json")


LEVEL = {"price": 100.005, "size": 5.0}


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"asks": []}, "book.asks"),
        ({"bids": []}, "book.bids"),
        ({"bids": [], "asks": []}, "book.bids"),
        ({"asks": [{"price": 99.99, "size": 1.0}]}, "book"),
        ({"asks": [{"price": 99.995, "size": 1.0}]}, "book"),
        ({"age_s": 2.5}, "book.age_s"),
        ({"age_s": float("nan")}, "book.age_s"),
        ({"age_s": -1.0}, "book.age_s"),
        ({"asks": [LEVEL | {"price": float("nan")}]}, "book.asks.0.price"),
        ({"asks": [LEVEL | {"size": float("inf")}]}, "book.asks.0.size"),
        ({"asks": [LEVEL | {"size": 0.0}]}, "book.asks.0.size"),
        ({"bids": [BOOK["bids"][0], {"price": 99.9, "size": -1.0}]}, "book.bids.1.size"),  # type: ignore[index]
        ({"bids": [{"price": 0.0, "size": 1.0}]}, "book.bids.0.price"),
        ({"asks": list(reversed(BOOK["asks"]))}, "book.asks"),  # type: ignore[call-overload]
        ({"bids": list(reversed(BOOK["bids"]))}, "book.bids"),  # type: ignore[call-overload]
        ({"asks": [{"price": 100.0 + at, "size": 1.0} for at in range(1, 202)]}, "book.asks"),
        ({"volatility_bps": -1.0}, "book.volatility_bps"),
        ({"taken_quantity": -1.0}, "book.taken_quantity"),
    ],
)
def test_a_book_that_is_none_is_refused_with_its_field_at_both_doors(
    informed: Service, change: dict[str, Any], field: str, side: str
) -> None:
    body = ORDER | {"side": side, "book": BOOK | change}
    assert problem(asked(informed, body, PLAN), 422)["field"] == field
    with pytest.raises(grpc.RpcError) as refused:
        by_grpc(informed, body)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert dict(refused.value.trailing_metadata())["field"] == field


def test_random_plans_with_books_get_documented_statuses(informed: Service) -> None:
    with informed.client() as client:
        schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    operation = next(one.ok() for one in schema.get_all_operations() if isinstance(one, Ok) and one.ok().path == PLAN)
    seen = set()

    @settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        case.body = case.body | {"symbol": "SIM1"} if isinstance(case.body, dict) else case.body
        headers = {"Authorization": f"Bearer {informed.tokens['admin']}"}
        response = case.call(base_url=informed.address, headers=headers)
        seen.add(response.status_code)
        assert response.status_code in (200, 422), response.text

    ask()
    assert 422 in seen


def test_a_file_that_holds_no_forecast_is_refused_with_its_name(tmp_path: Path) -> None:
    path, good = tmp_path / "costs.json", document()
    path.write_text(json.dumps(good))
    assert read_forecast(path).model_dump(mode="json") == good["recordings"]
    told = good["recordings"]
    cut = {"parts": {"one_order": {"cost": told["parts"]["one_order"]["cost"] | {"mean": [1.0]}}}}
    for content, words in (
        ("{", "not a file of forecasts"),
        (json.dumps({"book": told}), "holds no forecast of recordings"),
        (json.dumps({"recordings": told | {"learnt_from": "worlds"}}), "learnt_from must be recordings"),
        (json.dumps({"recordings": told | {"sources": ["x"]}}), "sources must be venue/symbol/day, found 'x'"),
        (json.dumps({"recordings": told | {"sources": []}}), "sources must say which recordings"),
        (json.dumps({"recordings": told | {"centre": [0.0]}}), f"centre must have {len(FEATURES)} numbers"),
        (json.dumps({"recordings": told | {"horizon_s": -1}}), "horizon_s"),
        (json.dumps({"recordings": told | {"maker_bps": float("nan")}}), "NaN is no number"),
        (json.dumps({"recordings": told | cut}), "parts.one_order.cost must have 10 coefficients"),
        (json.dumps({"recordings": told | {"parts": {}}}), "parts has no cost of one_order"),
    ):
        path.write_text(content)
        with pytest.raises(BadData, match=words) as refused:
            read_forecast(path)
        assert str(path) in str(refused.value)
    with pytest.raises(BadData, match="not a file of forecasts"):
        read_forecast(tmp_path / "none.json")
