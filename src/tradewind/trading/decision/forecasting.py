"""The policy of a model: features to a forecast, a forecast to a target."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tradewind.learning.features.packing import Arrays
from tradewind.trading.decision.protocols import Account, Floats, RowForecaster, Seen, Steps
from tradewind.trading.decision.reasons import INFINITE
from tradewind.trading.decision.targets import TargetRules, TargetState, fold_targets


@dataclass(frozen=True)
class ForecastPolicy:
    """Trades the forecasts of one model.

    A bar has a forecast where at most `max_missing_share` of all features are missing, as rows of the model input; a
    model that reads windows needs as many such bars without a bar missing between them.

    Attributes:
        forecaster: the fitted model.
        rules: from forecasts to targets.
        max_missing_share: as `params:feature_engineering.model_input`.
    """

    forecaster: RowForecaster
    rules: TargetRules
    max_missing_share: float
    _columns: dict[tuple[str, ...], NDArray[np.int64]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that the model reads."""
        return self.forecaster.features

    def begin(self) -> Arrays:
        """No direction, no position, no bars of a window."""
        return {
            "target": TargetState().to_array(),
            "window": np.empty((0, len(self.features)), dtype=np.float32),
            "closed": np.array([-1], dtype=np.int64),
        }

    def advance(self, state: Arrays, seen: Seen, account: Account) -> tuple[Arrays, Steps]:
        """The account plays no part: a forecast does not depend on what is held.

        Args:
            state: of `begin`, or as the last call left it.
            seen: features and volatility of the bars that follow.
            account: not read.
        """
        is_infinite = np.isinf(seen.features).any(axis=1)
        missing = np.isnan(seen.features).sum(axis=1) / seen.features.shape[1]
        usable = (missing <= self.max_missing_share) & ~is_infinite
        rows = np.ascontiguousarray(seen.features[:, self._places(seen.names)])
        forecast, window, closed = self._forecast(state, seen, rows, usable)
        after, folded = fold_targets(TargetState.from_array(state["target"]), forecast, seen.volatility, self.rules)
        reasons = folded.reasons | np.where(is_infinite, INFINITE, 0)
        moved: Arrays = {"target": after.to_array(), "window": window, "closed": closed}
        return moved, Steps(forecast, folded.edge, folded.target, reasons)

    def _places(self, names: tuple[str, ...]) -> NDArray[np.int64]:
        if names not in self._columns:
            self._columns[names] = np.array([names.index(name) for name in self.features], dtype=np.int64)
        return self._columns[names]

    def _forecast(
        self, state: Arrays, seen: Seen, rows: NDArray[np.float32], usable: NDArray[np.bool_]
    ) -> tuple[Floats, NDArray[np.float32], NDArray[np.int64]]:
        """The forecast of each bar, the rows that later windows still read, and the close of the newest of them."""
        forecast, length = np.full((len(rows), 4), np.nan), self.forecaster.window_bars
        if length == 1:
            for row in np.flatnonzero(usable).tolist():
                forecast[row] = self.forecaster.predict_row(rows[row])
            return forecast, state["window"], state["closed"]
        earlier = len(state["window"])
        joined = np.concatenate((state["window"], rows))
        closed, run = int(state["closed"][0]), earlier
        for row in range(len(rows)):
            # A bar missing inside a segment is bridged by features, not by windows of rows.
            run = run + 1 if seen.chunk.open_time[row] == closed else 1
            run = run if usable[row] else 0
            closed = int(seen.chunk.timestamp[row])
            if run >= length:
                end = earlier + row + 1
                forecast[row] = self.forecaster.predict_row(joined[end - length : end])
        carried = min(run, length - 1)
        return forecast, joined[len(joined) - carried :].copy(), np.array([closed], dtype=np.int64)
