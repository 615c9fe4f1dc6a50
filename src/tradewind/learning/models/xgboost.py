"""XGBoost (Chen and Guestrin 2016), stored as UBJSON."""

from typing import Any, ClassVar

import numpy as np
import pandas as pd

from tradewind.learning.models.base import Sample
from tradewind.learning.models.boosting import BoostingForecaster, Floats


class XGBoostForecaster(BoostingForecaster):
    """Histogram trees of XGBoost, one thread a fit."""

    name: ClassVar[str] = "xgboost"
    model_file: ClassVar[str] = "model.ubj"

    def _grow(self, train: Sample, valid: Sample) -> tuple[Any, int, list[tuple[float, float]]]:
        import xgboost

        settings = {
            "objective": "multi:softprob",
            "num_class": 3,
            "eval_metric": "mlogloss",
            "tree_method": "hist",
            "learning_rate": self.parameters.learning_rate,
            "max_depth": self.parameters.max_depth,
            "min_child_weight": self.parameters.min_child_weight,
            "subsample": self.parameters.row_share,
            "colsample_bytree": self.parameters.feature_share,
            "reg_lambda": self.parameters.l2,
            "max_bin": self.parameters.max_bins,
            "seed": self.seed,
            "nthread": 1,
        }
        matrix = self._matrix(train, None)
        watched = self._matrix(valid, matrix)
        history: dict[str, dict[str, list[float]]] = {}
        trees = xgboost.train(
            settings,
            matrix,
            num_boost_round=self.parameters.max_rounds,
            evals=[(matrix, "train"), (watched, "valid")],
            early_stopping_rounds=self.parameters.early_stopping_rounds,
            evals_result=history,
            verbose_eval=False,
        )
        curve = list(zip(history["train"]["mlogloss"], history["valid"]["mlogloss"], strict=True))
        return trees, int(trees.best_iteration) + 1, curve

    def _matrix(self, sample: Sample, reference: Any) -> Any:
        import xgboost

        return xgboost.QuantileDMatrix(
            sample.x,
            label=sample.label.astype(np.int64) + 1,
            weight=sample.weight,
            max_bin=self.parameters.max_bins,
            nthread=1,
            ref=reference,
        )

    def _rounds(self) -> tuple[int, int]:
        return 0, self._fitted.best_rounds

    def _probability(self, x: pd.DataFrame) -> Floats:
        return np.asarray(self._trees.inplace_predict(x, iteration_range=self._rounds()), dtype=np.float64)

    def _gain(self) -> Floats:
        first, end = self._rounds()
        gain = self._trees[first:end].get_score(importance_type="total_gain")
        return np.array([gain.get(name, 0.0) for name in self._fitted.features], dtype=np.float64)

    def _shap(self, x: pd.DataFrame) -> Floats:
        import xgboost

        matrix = xgboost.DMatrix(x, nthread=1)
        contributions = self._trees.predict(matrix, pred_contribs=True, iteration_range=self._rounds())
        return np.abs(contributions[:, :, :-1]).mean(axis=1).astype(np.float64)

    def _to_bytes(self) -> bytes:
        return bytes(self._trees.save_raw(raw_format="ubj"))

    def _from_bytes(self, content: bytes) -> Any:
        import xgboost

        trees = xgboost.Booster(params={"nthread": 1})
        trees.load_model(bytearray(content))
        return trees
