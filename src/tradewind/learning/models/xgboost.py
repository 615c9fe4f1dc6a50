"""XGBoost (Chen and Guestrin 2016), stored as UBJSON."""

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from tradewind.learning.models.base import Floats, Sample
from tradewind.learning.models.boosting import BoostingForecaster, Growth
from tradewind.learning.models.row_model import Values


class XGBoostForecaster(BoostingForecaster):
    """Histogram trees of XGBoost, one thread a fit."""

    name: ClassVar[str] = "xgboost"
    model_file: ClassVar[str] = "model.ubj"

    def _settings(self) -> dict[str, Any]:
        return {
            "objective": "multi:softprob",
            "num_class": 3,
            "eval_metric": "mlogloss",
            "tree_method": "hist",
            "learning_rate": self.parameters.learning_rate,
            "max_depth": self.parameters.max_depth,
            "min_child_weight": self.parameters.min_child_weight,
            "subsample": self.parameters.subsample,
            "colsample_bytree": self.parameters.colsample,
            "reg_lambda": self.parameters.reg_lambda,
            "max_bin": self.parameters.max_bin,
            "seed": self.seed,
            "nthread": 1,
        }

    def _grow(self, train: Sample, valid: Sample) -> tuple[Any, int, list[tuple[float, float]]]:
        import xgboost

        settings = self._settings()
        matrix = self._matrix(train, None)
        watched = self._matrix(valid, matrix)
        history: dict[str, dict[str, list[float]]] = {}
        trees = xgboost.train(
            settings,
            matrix,
            num_boost_round=self.parameters.n_estimators,
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
            max_bin=self.parameters.max_bin,
            nthread=1,
            ref=reference,
        )

    def _grow_on(self, sample: Sample, growth: Growth) -> tuple[bytes, int]:
        import xgboost

        settings = self._settings() | {
            "learning_rate": growth.learning_rate,
            "min_child_weight": growth.min_child_weight,
            "seed": self.seed + self.best_rounds,  # other draws than those of the trees before
        }
        first, end = self._rounds()
        matrix = self._matrix(replace(sample, x=sample.x[list(self.features)]), None)
        grown = xgboost.train(settings, matrix, num_boost_round=growth.rounds, xgb_model=self._model[first:end])
        return bytes(grown.save_raw(raw_format="ubj")), int(grown.num_boosted_rounds())

    def _rounds(self) -> tuple[int, int]:
        return 0, self.best_rounds

    def raw(self, values: Values) -> Floats:
        """Probabilities before calibration (rows, 3)."""
        # Not by feature names: a row live has none.
        predicted = self._model.inplace_predict(values, iteration_range=self._rounds(), validate_features=False)
        return np.asarray(predicted, dtype=np.float64)

    def _gain(self) -> Floats:
        first, end = self._rounds()
        gain = self._model[first:end].get_score(importance_type="total_gain")
        return np.array([gain.get(name, 0.0) for name in self._fitted.features], dtype=np.float64)

    def _shap(self, x: pd.DataFrame) -> Floats:
        import xgboost

        matrix = xgboost.DMatrix(x, nthread=1)
        contributions = self._model.predict(matrix, pred_contribs=True, iteration_range=self._rounds())
        return np.abs(contributions[:, :, :-1]).mean(axis=1).astype(np.float64)

    def _to_bytes(self) -> bytes:
        return bytes(self._model.save_raw(raw_format="ubj"))

    def _restore(self, content: bytes) -> Any:
        import xgboost

        trees = xgboost.Booster(params={"nthread": 1})
        trees.load_model(bytearray(content))
        return trees
