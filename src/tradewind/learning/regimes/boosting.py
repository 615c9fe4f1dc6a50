"""Boosted trees that foretell the regime of the next stretch, from the last moves over several stretches."""

import math
from typing import Annotated, Any, ClassVar

import numpy as np
from numba import njit
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
        checked_share: the latest share of the past, on which the number of rounds is found.
    """

    spans: tuple[Annotated[int, Field(ge=4, le=5000)], ...] = (6, 24, 72, 168, 336)
    rounds: Annotated[int, Field(ge=1, le=2000)] = 150
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.04
    leaves: Annotated[int, Field(ge=2, le=256)] = 8
    least_leaf_bars: Annotated[int, Field(ge=1)] = 200
    checked_share: Annotated[float, Field(gt=0, lt=0.9)] = 0.3


@njit(cache=True, nogil=True)
def _softmax(scores: Floats, out: Floats) -> None:
    """exp(scores), normalised by row, into the first columns of `out`: one bar at a time, as a stream has them."""
    for bar in range(len(scores)):
        most, total = scores[bar].max(), 0.0
        for place in range(scores.shape[1]):
            out[bar, place] = math.exp(scores[bar, place] - most)
            total += out[bar, place]
        for place in range(scores.shape[1]):
            out[bar, place] /= total


class BoostingModel(PersistenceModel):
    """The regime of the next stretch by gradient boosting (Ke et al. 2017), no bar's own future among what it reads.

    The trees start from what persistence says, and there are as many as pay on the latest part of the past, which is
    none where persistence is all that can be known.
    """

    name: ClassVar[str] = "boosting"
    rules_class: ClassVar[type[RegimeRules]] = BoostingRules
    text: str

    def _learn(self, moves: Floats, starts: Bools) -> None:
        super()._learn(moves, starts)
        window = self.rules.window_bars
        observed, _ = observe(moves, starts, np.full(window, np.nan), 0)
        regime = classify(observed, self.wild, self.rules.trending_t)
        segment = np.cumsum(starts)
        later = regime[window:]
        is_known = (later >= 0) & (segment[:-window] == segment[window:])
        rows, _ = self._described(self._fresh(), moves, starts)
        self.text = self._grown(rows[:-window][is_known], self._base(regime[:-window][is_known]), later[is_known])
        self._load()

    def _base(self, regime: NDArray[np.int64]) -> Floats:
        """The scores of persistence, (bars, 3), by the last stretch's regime; -1 where there is none."""
        return np.asarray(np.log(np.vstack([self.table, self.shares]))[regime])

    def _grown(self, rows: Floats, base: Floats, later: NDArray[np.int64]) -> str:
        """The trees as text; none where they gain nothing on rows whose stretch begins after all that grew them."""
        import lightgbm

        begins = int(len(rows) * (1 - self.rules.checked_share))
        grows = slice(0, max(begins - self.rules.window_bars, 0))
        if grows.stop < LEAST_ROWS or len(rows) - begins < LEAST_ROWS:
            return ""
        settings = {
            "objective": "multiclass", "num_class": 3, "num_leaves": self.rules.leaves,
            "learning_rate": self.rules.learning_rate, "min_data_in_leaf": self.rules.least_leaf_bars,
            "deterministic": True, "force_row_wise": True, "num_threads": 1, "seed": self.seed, "verbosity": -1,
        }  # fmt: skip
        data = lightgbm.Dataset(rows[grows], later[grows], init_score=base[grows])
        checked = data.create_valid(rows[begins:], later[begins:], init_score=base[begins:])
        losses: dict[str, Any] = {}
        lightgbm.train(
            settings, data, self.rules.rounds, [checked], ["checked"], callbacks=[lightgbm.record_evaluation(losses)]
        )  # fmt: skip
        course = losses["checked"]["multi_logloss"]
        given = base[begins:][np.arange(len(rows) - begins), later[begins:]]
        if min(course) >= float(-given.mean()):
            return ""
        rounds = int(np.argmin(course)) + 1
        whole = lightgbm.Dataset(rows, later, init_score=base)
        return str(lightgbm.train(settings, whole, num_boost_round=rounds).model_to_string())

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
        observed, filled = observe(moves, starts, state["window"], int(state["filled"][0]))
        scores = self._base(classify(observed, self.wild, self.rules.trending_t))
        rows, state = self._described(state, moves, starts)
        # Where the shortest span is not full yet, the trees have nothing to read.
        is_described = ~np.isnan(rows).all(axis=1)
        if self._booster is not None and is_described.any():
            scores[is_described] += self._booster.predict(rows[is_described], raw_score=True, num_threads=1)
        probabilities = np.zeros((len(moves), len(REGIMES)))
        _softmax(scores, probabilities)
        return state | {"filled": np.array([filled], dtype=np.int64)}, probabilities, probabilities

    def _learnt(self) -> dict[str, Any]:
        return super()._learnt() | {"text": self.text}

    def _restore(self, learnt: dict[str, Any]) -> None:
        super()._restore(learnt)
        from lightgbm.basic import LightGBMError

        self.text = str(learnt["text"])
        try:
            self._load()
        except LightGBMError as error:
            raise BadModel(f"regimes.json has no trees of {self.name} ({error}): fit it again") from error
