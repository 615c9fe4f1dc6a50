"""The models of regimes in a bundle: fitted on all bars, one a symbol, with what they last announced.

They stand beside the forecaster: unless it reads `regime_*`, no decision depends on them.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.errors import BadData, BadModel
from tradewind.learning.features.bars import Chunk
from tradewind.learning.features.packing import Arrays, pack, unpack
from tradewind.learning.regimes.base import FILE, REGIMES, Bars, RegimeModel, Steps
from tradewind.learning.regimes.catalogue import model
from tradewind.learning.regimes.walk_forward import RegimePlan
from tradewind.operations.bundle.sealing import Files
from tradewind.trading.decision.protocols import Observed

STATE = "regimes.state"
_REMEDY = "deploy the model again"


class RegimeReading(NamedTuple):
    """The regime of a symbol after its last bar.

    Attributes:
        timestamp: close of the bar, UTC milliseconds.
        regime: the one that is announced, of `REGIMES`.
        probabilities: of each of `REGIMES`, filtered; they sum to 1.
        p_leave: probability that the announced one is left within `horizon_bars`.
        horizon_bars: that `p_leave` looks ahead.
        since: close of the bar on which it was announced, UTC milliseconds.
    """

    timestamp: int
    regime: str
    probabilities: dict[str, float]
    p_leave: float
    horizon_bars: int
    since: int


@dataclass
class RegimesInService:
    """The models of all symbols and where each stands; `advance` moves it on, bar by bar.

    Attributes:
        models: by symbol.
        latest: by symbol, the regime after its last bar.
        states: of the models, by symbol; those of symbols without a bar are left out.
    """

    models: Mapping[str, RegimeModel]
    latest: dict[str, RegimeReading] = field(default_factory=dict)
    states: dict[str, Arrays] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the kind of model, the same for all symbols."""
        return next(iter(self.models.values())).name

    def advance(self, symbol: str, chunk: Chunk) -> None:
        """Take in bars of one symbol that follow those before.

        Args:
            symbol: of the universe.
            chunk: consecutive bars, oldest first.

        Raises:
            BadData: a close that is missing or not positive.
        """
        if not len(chunk):
            return
        kind = self.models[symbol]
        state = self.states.get(symbol) or kind.begin()
        self.states[symbol], steps = kind.advance(state, Bars.of_chunk(chunk))
        before = self.latest.get(symbol)
        self.latest[symbol] = _last(steps, chunk.timestamp, before.since if before else 0, kind.rules.horizon_bars)

    def take_in(self, observed: Iterable[Observed]) -> None:
        """The bars that a decider has observed, so that both have seen the same."""
        for one in observed:
            self.advance(one.seen.symbol, one.seen.chunk)

    def files(self) -> Files:
        """Models and states as files of a bundle."""
        models = {symbol: json.loads(one.files()[FILE]) for symbol, one in self.models.items()}
        heads = {symbol: reading._asdict() for symbol, reading in self.latest.items()}
        arrays = {
            f"{symbol}|{name}": array for symbol in heads for name, array in self.states[symbol].items()
        }  # fmt: skip
        return {FILE: (json.dumps(models, indent=1) + "\n").encode(), STATE: pack({"said": heads}, arrays)}

    @classmethod
    def from_files(cls, files: Files, symbols: tuple[str, ...]) -> Self | None:
        """From trusted files of a bundle, with a state of its own; None where it has no models of regimes.

        Raises:
            BadModel: a file is damaged, or a symbol of the universe has no model.
        """
        if FILE not in files:
            return None
        try:
            documents: dict[str, dict[str, Any]] = json.loads(files[FILE])
            models = {
                symbol: model(one["name"]).from_files({FILE: json.dumps(one).encode()})
                for symbol, one in documents.items()
            }  # fmt: skip
            head, arrays = unpack(files[STATE], "regime state")
            latest = {symbol: RegimeReading(**one) for symbol, one in head["said"].items()}
        except (KeyError, ValueError, TypeError, AttributeError, BadData) as error:
            raise BadModel(f"{FILE} or {STATE} of the bundle is damaged ({error}): {_REMEDY}") from error
        if set(models) != set(symbols):
            raise BadModel(f"{FILE} has models of {sorted(models)}, the bundle trades {sorted(symbols)}: {_REMEDY}")
        states = {
            symbol: {key.partition("|")[2]: array for key, array in arrays.items() if key.startswith(f"{symbol}|")}
            for symbol in latest
        }
        return cls(models, latest, states)


def _last(steps: Steps, timestamp: NDArray[np.int64], since: int, horizon_bars: int) -> RegimeReading:
    """The regime after the last bar; `since` is what was known before the first."""
    announced = np.flatnonzero(steps.run_length == 1)
    began = int(timestamp[announced[-1]]) if len(announced) else since
    chances = dict(zip(REGIMES, steps.probabilities[-1].tolist(), strict=True))
    regime = REGIMES[int(steps.regime[-1])]
    return RegimeReading(int(timestamp[-1]), regime, chances, float(steps.p_leave[-1]), horizon_bars, began)


def fit_regimes(bars: Mapping[str, pd.DataFrame], plan: RegimePlan, seed: int) -> RegimesInService:
    """A model of regimes of every symbol, fitted on all of its bars, as each fit of the walk-forward on those before.

    Args:
        bars: checked bars by symbol, with their segments, oldest first.
        plan: the model and its rules.
        seed: of the fits.

    Returns:
        The models, before the first bar.

    Raises:
        BadData: a symbol has too few bars to learn from.
    """
    return RegimesInService({symbol: plan.unfitted(seed).fit(Bars.of_table(one)) for symbol, one in bars.items()})
