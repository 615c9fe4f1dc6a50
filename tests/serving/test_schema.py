"""Random requests made from the OpenAPI document, right and wrong ones, get documented statuses and no fault."""

from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import status_code_conformance

from tests.operations.bundles import bundle_files
from tests.serving.conftest import serving

STREAM = "/v1/stream"  # it does not end: it is opened, and left after its first event
DOCUMENTED_FAULTS = {501, 503}  # no regime model; too few bars


def examine(folder: Path, examples: int) -> dict[str, int]:
    """How many requests each call got."""
    asked: dict[str, int] = {}
    with (
        serving(folder, bundle_files(), bundle_files(seed=2), requests_a_second=1e6) as service,
        service.client() as client,
    ):
        document = client.get("/openapi.json").json()
        schema = schemathesis.openapi.from_dict(document)
        headers = {"Authorization": f"Bearer {service.tokens['admin']}"}
        for found in schema.get_all_operations():
            assert isinstance(found, Ok)
            operation = found.ok()
            asked[operation.label] = 0
            if operation.path == STREAM:
                asked[operation.label] = _listen(client, examples)
                continue
            modes = [GenerationMode.POSITIVE]
            if document["paths"][operation.path][operation.method].get("requestBody"):
                modes.append(GenerationMode.NEGATIVE)
            for mode in modes:
                _ask(operation, mode, examples // len(modes), (service.address, headers, asked))
            while asked[operation.label] < examples:  # a call that takes nothing has one case only
                response = operation.Case().call(base_url=service.address, headers=headers)
                assert response.status_code < 500 and str(response.status_code) in operation.definition.raw["responses"]
                asked[operation.label] += 1
    return asked


def _listen(client: httpx.Client, times: int) -> int:
    for _ in range(times):
        with client.stream("GET", STREAM) as events:
            assert events.status_code == 200 and next(events.iter_lines()) == "event: begun"
    return times


def _ask(operation: Any, mode: GenerationMode, examples: int, given_with: tuple[Any, ...]) -> None:
    address, headers, asked = given_with

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        response = case.call(base_url=address, headers=headers)
        asked[operation.label] += 1
        assert response.status_code < 500 or response.status_code in DOCUMENTED_FAULTS, response.content
        case.validate_response(response, checks=[status_code_conformance])

    ask()


def test_random_requests_get_documented_statuses(tmp_path: Path) -> None:
    asked = examine(tmp_path, 12)
    assert len(asked) >= 15 and "POST /v1/predict/price" in asked and sum(asked.values()) > 100


@pytest.mark.depth
def test_a_thousand_random_requests_a_call_get_documented_statuses(tmp_path: Path) -> None:
    asked = examine(tmp_path, 1000)
    assert len(asked) >= 20 and min(asked.values()) >= 1000
