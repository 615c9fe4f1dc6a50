"""The reference distributions that a paper account's guardrail of drift compares with: those of a registered bundle."""

from pathlib import Path

from tradewind.errors import BadModel, BadParameters
from tradewind.live.session.drift import FEATURES, FORECASTS, References
from tradewind.live.settings import Drift
from tradewind.market.universe import Universe
from tradewind.metrics.drift import DriftReference
from tradewind.operations.bundle.contents import Bundle
from tradewind.operations.monitoring.drift import references_of
from tradewind.operations.registry.registry import Registry
from tradewind.trading.decision.decider import Decider


def references_for(
    rules: Drift | None, registry: Path, model: str, decider: Decider, universe: Universe
) -> References:  # fmt: skip
    """References of features and forecasts of every symbol; none where the guardrail is off.

    Args:
        rules: of the guardrail.
        registry: folder of the registry.
        model: the stored model that decides alone; empty: a rule, a filter or several strategies do.
        decider: what computes the features.
        universe: what is traded.

    Raises:
        BadParameters: the bundle is of another model or other bars, or a feature of it is not computed here.
        BadModel: it has no reference of a symbol.
    """
    if rules is None:
        return {}
    if not registry.is_dir():
        raise BadParameters(f"{registry} is not there: deploy the model, or leave live.guardrails.drift empty (null)")
    bundle = Registry(registry).load(rules.version)
    where = f"live.guardrails.drift.version {rules.version}"
    if bundle.spec.name != model:
        raise BadParameters(
            f"{where} is of {bundle.spec.name}, and {model or 'no single model'} decides: name a version of the model "
            "that decides, or leave live.guardrails.drift empty (null)"
        )
    if bundle.spec.universe.timeframe != universe.timeframe:
        raise BadParameters(f"{where} is of {bundle.spec.universe.timeframe} bars, traded are {universe.timeframe}")
    lacking = [name for name in bundle.spec.features if name not in decider.names]
    if lacking:
        raise BadParameters(f"{where} reads features that are not computed here: {', '.join(lacking[:5])}")
    return {symbol: _of_symbol(bundle, symbol, where) for symbol in universe.symbols}


def _of_symbol(bundle: Bundle, symbol: str, where: str) -> dict[str, DriftReference]:
    kinds = references_of(bundle)["references"].get(symbol)
    if kinds is None:
        raise BadModel(f"{where} knows nothing of {symbol}: deploy a model that was trained on it")
    found = {}
    for kind in (FEATURES, FORECASTS):
        if "none" in kinds[kind]:
            raise BadModel(f"{where} has no reference of {symbol}, {kind}: {kinds[kind]['none']}")
        found[kind] = DriftReference.of_document(kinds[kind])
    return found
