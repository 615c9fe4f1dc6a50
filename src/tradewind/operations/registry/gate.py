"""What a version must show before it enters production."""

from typing import Annotated

from pydantic import Field

from tradewind.operations.bundle.contents import LATENCY, PROBE_TOLERANCE, Bundle
from tradewind.parameters import Parameters


class GateRules(Parameters):
    """The latest that a forecast may take in the bundle's own measurement (99th percentile, milliseconds of wall)."""

    row_p99_ms: Annotated[float, Field(gt=0)] = 2.0
    window_p99_ms: Annotated[float, Field(gt=0)] = 20.0


def missing_evidence(bundle: Bundle, rules: GateRules) -> tuple[str, ...]:
    """What keeps the bundle out of production, in words; nothing if it may enter.

    The verdict must be go, the graph must say here what the trained model gave for the probe rows, to 1e-6, and the
    latency baseline must be in the budget.
    """
    missing, evidence = [], bundle.spec.evidence
    if evidence.verdict != "go":
        about = f", the run's is about {evidence.judged}" if evidence.judged != bundle.spec.name else ""
        missing.append(f"verdict go (it is {evidence.verdict}{about})")
    apart = bundle.probe_error()
    if not apart <= PROBE_TOLERANCE:
        missing.append(f"probe equal to {PROBE_TOLERANCE:g} (it differs by {apart:.1e})")
    budget = rules.window_p99_ms if bundle.forecaster.reads_windows else rules.row_p99_ms
    p99 = float(bundle.document(LATENCY)["wall_ms"]["p99"])
    if not p99 <= budget:
        missing.append(f"a 99th percentile of at most {budget:g} ms (it is {p99:.2f} ms)")
    return tuple(missing)
