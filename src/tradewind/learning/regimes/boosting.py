"""Boosted trees that foretell the regime of the next stretch, from the last moves over several stretches."""

from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tradewind.errors import BadModel
from tradewind.learning.features.packing import Arrays
from tradewind.learning.regimes.base import REGIMES, Bools, Floats, RegimeRules
from tradewind.learning.regimes.baselines import ObservedRules, PersistenceModel, classify, observe

LEAST_ROWS = 200  # settled bars, below which the past's shares are all that can be learnt


class BoostingRules(ObservedRules):
    """How the trees are grown. The regime foretold is that of the next `window_bars`, by the thresholds of the past.

    Attributes:
        spans: lengths of the stretches whose size and t-value the trees read, in bars.
        rounds: of boosting.
        learning_rate: of each round.
        leaves: of a tree.
        least_leaf_bars: bars in a leaf at least; neighbouring bars foretell nearly the same stretch.
    """

    spans: tuple[Annotated[int, Field(ge=4, le=5000)], ...] = (6, 24, 72, 168, 336)
    rounds: Annotated[int, Field(ge=1, le=2000)] = 80
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.04
    leaves: Annotated[int, Field(ge=2, le=256)] = 8
    least_leaf_bars: Annotated[int, Field(ge=1)] = 200


class BoostingModel(PersistenceModel):
    """The regime of the next stretch by gradient boosting (Ke et al. 2017), no bar's own future among what it reads."""

    name: ClassVar[str] = "boosting"
    rules_class: ClassVar[type[RegimeRules]] = BoostingRules
    text: str
    classes: list[int]

    def _learn(self, moves: Floats, starts: Bools) -> None:
        super()._learn(moves, starts)
        window = self.rules.window_bars
        observed, _ = observe(moves, starts, np.full(window, np.nan), 0)
        regime = classify(observed, self.wild, self.rules.trending_t)
        segment = np.cumsum(starts)
        later = regime[window:]
        is_known = (later >= 0) & (segment[:-window] == segment[window:])
        rows, _ = self._described(self._fresh(), moves, starts)
        self._grow(rows[:-window][is_known], later[is_known])

    def _grow(self, rows: Floats, later: NDArray[np.int64]) -> None:
        import lightgbm

        self.classes = np.unique(later).tolist()
        self.text = ""
        if len(rows) >= LEAST_ROWS and len(self.classes) > 1:
            settings = {
                "objective": "multiclass", "num_class": len(self.classes), "num_leaves": self.rules.leaves,
                "learning_rate": self.rules.learning_rate, "min_data_in_leaf": self.rules.least_leaf_bars,
                "deterministic": True, "force_row_wise": True, "num_threads": 1, "seed": self.seed, "verbosity": -1,
            }  # fmt: skip
            place = np.searchsorted(self.classes, later)
            booster = lightgbm.train(settings, lightgbm.Dataset(rows, place), num_boost_round=self.rules.rounds)
            self.text = booster.model_to_string()
        self._load()

    def _load(self) -> None:
        import lightgbm

        self._booster = lightgbm.Booster(model_str=self.text) if self.text else None

    def _fresh(self) -> Arrays:
        state: Arrays = {f"span{span}": np.full(span, np.nan) for span in self.rules.spans}
        return state | {"spans_filled": np.zeros(len(self.rules.spans), dtype=np.int64)}

    def _begin(self) -> Arrays:
        return super()._begin() | self._fresh()

    def _described(self, state: Arrays, moves: Floats, starts: Bools) -> tuple[Floats, Arrays]:
        """Log size and t-value of every span up to each bar, (bars, 2 spans); the state's windows are moved on."""
        columns, filled = [], state["spans_filled"].copy()
        for number, span in enumerate(self.rules.spans):
            seen, filled[number] = observe(moves, starts, state[f"span{span}"], int(filled[number]))
            columns += [np.log(np.maximum(seen[:, 0], 1e-12)), seen[:, 1]]
        return np.column_stack(columns), state | {"spans_filled": filled}

    def _advance(self, state: Arrays, moves: Floats, starts: Bools) -> tuple[Arrays, Floats, Floats]:
        after, _, _ = super()._advance({name: state[name] for name in ("window", "filled")}, moves, starts)
        rows, state = self._described(state, moves, starts)
        probabilities = np.zeros((len(moves), len(REGIMES)))
        probabilities[:, :3] = self.shares
        # Where the shortest span is not full yet, nothing is known but how often each regime is.
        is_described = ~np.isnan(rows).all(axis=1)
        if self._booster is not None and is_described.any():
            told = np.asarray(self._booster.predict(rows[is_described], num_threads=1))
            probabilities[is_described, :3] = 0.0
            for place, regime in enumerate(self.classes):
                probabilities[is_described, regime] = told[:, place]
        return {**state, **after}, probabilities, probabilities

    def _learnt(self) -> dict[str, Any]:
        return super()._learnt() | {"text": self.text, "classes": self.classes}

    def _restore(self, learnt: dict[str, Any]) -> None:
        super()._restore(learnt)
        self.text, self.classes = str(learnt["text"]), [int(one) for one in learnt["classes"]]
        try:
            self._load()
        except Exception as error:  # lightgbm has no narrower kind for text that is not its own
            raise BadModel(f"regimes.json has no trees of {self.name} ({error}): fit it again") from error
