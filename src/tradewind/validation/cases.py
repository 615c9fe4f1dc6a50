"""Which markets of known answer are judged: null, planted, and null worlds made of real candles."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tradewind.errors import BadParameters
from tradewind.parameters import Parameters

WORLD_SEED = 210_000  # of the first null world's coin
PLANTED, LENGTH = 200_000, 10_000  # from the first seed to that of planted markets, and from one length to the next
YEAR = 365
RULES_VERSION = 3  # higher where the verdict's test or the fields of an outcome changed: older outcomes do not count
World = Literal["simulated", "sign_flipped", "block_shuffled"]
MadeOfCandles = Literal["sign_flipped", "block_shuffled"]
_JUDGED_BY = ("data_engineering", "feature_engineering", "classifier", "evaluation", "trading")


class Case(BaseModel):
    """A market to judge; `edge` 0 is a null market. `world` says what it is made of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    edge: float = Field(ge=0)
    days: int = Field(ge=180)
    seed: int = Field(ge=0)
    n_symbols: int = Field(default=3, ge=1)
    world: World = "simulated"

    @property
    def key(self) -> str:
        """The identifier of the case."""
        return f"{self.world}, edge {self.edge:g}, {self.days} days, {self.n_symbols} symbols, seed {self.seed}"


class TruthForm(Parameters):
    """One form of the experiment: which markets, and what is seen of them.

    Attributes:
        null_markets: simulated markets with nothing to find.
        planted_markets: with an edge, of every strength and length in turn.
        worlds: null worlds of each kind, where real candles are given.
        world_kinds: what they are: bars mirrored by a coin, whole days in another order.
        first_seed: of the null markets; planted ones begin 200,000 above.
        n_symbols: of simulated markets.
        null_days: of history.
        world_days: of history, the latest of the candles.
        edges: annual Sharpe ratio before costs; a market's seed belongs to the edge's place.
        lengths: days of planted markets; a market's seed belongs to the length's place.
        features: names to compute in the place of the parameters' `include`; `*` alone leaves that as it is.
        side_features: of markets that have the side series.
    """

    null_markets: Annotated[int, Field(ge=0, lt=PLANTED)]
    planted_markets: Annotated[int, Field(ge=0)]
    worlds: Annotated[int, Field(ge=0)]
    world_kinds: Annotated[tuple[MadeOfCandles, ...], Field(min_length=1)]
    first_seed: Annotated[int, Field(ge=0)]
    n_symbols: Annotated[int, Field(ge=1, le=100)]
    null_days: Annotated[int, Field(ge=180)]
    world_days: Annotated[int, Field(ge=180)]
    edges: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]
    lengths: Annotated[tuple[Annotated[int, Field(ge=180)], ...], Field(min_length=1)]
    features: Annotated[tuple[str, ...], Field(min_length=1)]
    side_features: tuple[str, ...]

    @model_validator(mode="after")
    def _each_once(self) -> "TruthForm":
        for name in ("edges", "lengths", "world_kinds"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name} must name each once, found {list(values)}")
        if self.planted_markets * len(self.edges) > LENGTH or LENGTH * len(self.lengths) > PLANTED:
            raise ValueError(
                f"planted_markets times the number of edges must be at most {LENGTH:,}, and lengths at most "
                f"{PLANTED // LENGTH}, or the seeds of different markets would meet"
            )
        return self

    def changed(self, **fields: Any) -> "TruthForm":
        """The same with other values, checked; those that are None stay."""
        return type(self).model_validate(self.model_dump() | {k: v for k, v in fields.items() if v is not None})


class TruthRules(Parameters):
    """The two forms of `kedro truth` (`params:truth`)."""

    light: TruthForm
    full: TruthForm


def null_cases(form: TruthForm) -> list[Case]:
    """Simulated markets with nothing to find.

    Args:
        form: of the experiment.
    """
    return [
        Case(edge=0, days=form.null_days, seed=form.first_seed + number, n_symbols=form.n_symbols)
        for number in range(form.null_markets)
    ]


def planted_cases(form: TruthForm, edges: Sequence[float] = (), lengths: Sequence[int] = ()) -> list[Case]:
    """Markets with an edge, of every strength and length in turn; the same market whatever others are asked for.

    Args:
        form: of the experiment.
        edges: only these of the form's; none takes all.
        lengths: only these of the form's, in days; none takes all.

    Raises:
        BadParameters: an edge or a length that the form does not have.
    """
    for what, asked, there in (("edge", edges, form.edges), ("length in days", lengths, form.lengths)):
        strange = sorted(set(asked) - set(there))
        if strange:
            raise BadParameters(f"truth: {strange[0]:g} is no {what} of this form: take one of {sorted(there)}")
    cells = [
        (edge, days, form.first_seed + PLANTED + LENGTH * far + place)
        for far, days in enumerate(form.lengths)
        for place, edge in enumerate(form.edges)
        if (not edges or edge in edges) and (not lengths or days in lengths)
    ]
    out = []
    for number in range(form.planted_markets):
        edge, days, seed = cells[number % len(cells)]
        seed += len(form.edges) * (number // len(cells))
        out.append(Case(edge=edge, days=days, seed=seed, n_symbols=form.n_symbols))
    return out


def null_world_cases(
    n_each: int, n_symbols: int, days: int = 730, kinds: Sequence[MadeOfCandles] = ("sign_flipped", "block_shuffled")
) -> list[Case]:
    """Null markets made of real candles, so many of each kind.

    Args:
        n_each: markets of each kind.
        n_symbols: in each market.
        days: the length of a market's history.
        kinds: what they are.
    """
    return [
        Case(edge=0, days=days, seed=WORLD_SEED + number, n_symbols=n_symbols, world=world)
        for number in range(n_each)
        for world in kinds
    ]


def with_features(parameters: Mapping[str, Any], form: TruthForm, side_series: Sequence[str]) -> dict[str, Any]:
    """The parameters with the features that the form asks for, as names to include.

    Args:
        parameters: what Kedro loads.
        form: of the experiment.
        side_series: of the markets that are judged.
    """
    if form.features == ("*",):
        return dict(parameters)
    stage = parameters["feature_engineering"]
    of_side = [one for one in form.side_features if any(name.startswith(one.rstrip("*")) for name in side_series)]
    selection = stage["features"]
    given = selection if isinstance(selection, Mapping) else selection.model_dump()
    features = {**given, "include": [*form.features, *of_side]}
    return {**parameters, "feature_engineering": {**stage, "features": features}}


def identity(parameters: Mapping[str, Any]) -> str:
    """An identifier of these parameters: outcomes under different ones must not be mixed.

    Args:
        parameters: what Kedro loads, with the form's features.
    """
    judged_by = {name: parameters[name] for name in sorted(parameters) if name in _JUDGED_BY}
    judged_by["rules"] = RULES_VERSION
    return hashlib.sha256(json.dumps(judged_by, sort_keys=True, default=str).encode()).hexdigest()[:12]
