"""How the service is run."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from tradewind.operations.canary.rules import CanaryRules
from tradewind.operations.registry.gate import GateRules
from tradewind.operations.registry.records import Environment
from tradewind.parameters import Parameters

Port = Annotated[int, Field(ge=0, le=65535)]


class ServingSettings(Parameters):
    """The service's settings (`tradewind serve`).

    Attributes:
        registry: folder of the registry.
        environment: whose champion answers.
        host: of all ports; other machines reach it only if this is said.
        port, grpc_port, metrics_port: 0 lets the system choose.
        tokens: file of the tokens' hashes.
        max_age_bars: how old features may be before a forecast is refused; none in development unless given.
        cost_forecasts: file of the `execution_study` stage, whose forecast of recordings states the cost of an order
            where a request tells the book; without it the formula does.
        exchange_info: file of the venue's answer to `exchangeInfo`, by which plans know lot, tick, smallest and largest
            order; without it `params:trading.execution` of the champion says them, where it does.
        max_book_age_s: an older book is refused.
        poll_s: between two looks at the registry.
        body_bytes: of a request at most.
        slow_s: within which a request's headers, and then its body, must have arrived.
        requests_a_second: of one token, on average over ten seconds.
        canary, gate: the rules of trials and of production.
    """

    registry: Path
    environment: Environment = "development"
    host: str = "127.0.0.1"
    port: Port = 8470
    grpc_port: Port = 8471
    metrics_port: Port = 8472
    tokens: Path
    max_age_bars: Annotated[float | None, Field(gt=0)] = None
    cost_forecasts: Path | None = None
    exchange_info: Path | None = None
    max_book_age_s: Annotated[float, Field(gt=0)] = 2.0
    poll_s: Annotated[float, Field(gt=0)] = 0.25
    body_bytes: Annotated[int, Field(ge=1024)] = 256 * 1024
    slow_s: Annotated[float, Field(gt=0)] = 10.0
    requests_a_second: Annotated[float, Field(gt=0)] = 2000.0
    canary: CanaryRules = CanaryRules()
    gate: GateRules = GateRules()
