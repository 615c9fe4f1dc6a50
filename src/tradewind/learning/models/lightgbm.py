"""LightGBM (Ke et al. 2017), stored as text."""

from typing import Any, ClassVar

import numpy as np
import pandas as pd

from tradewind.learning.models.base import Floats, Sample
from tradewind.learning.models.boosting import BoostingForecaster, Growth
from tradewind.learning.models.row_model import Values


class LightGBMForecaster(BoostingForecaster):
    """Leaf-wise trees of LightGBM, one thread a fit, in its deterministic mode."""

    name: ClassVar[str] = "lightgbm"
    model_file: ClassVar[str] = "model.txt"

    def _settings(self) -> dict[str, Any]:
        return {
            "objective": "multiclass",
            "num_class": 3,
            "metric": "multi_logloss",
            "learning_rate": self.parameters.learning_rate,
            "max_depth": self.parameters.max_depth,
            "num_leaves": 2**self.parameters.max_depth - 1,
            "min_sum_hessian_in_leaf": self.parameters.min_child_weight,
            "min_data_in_leaf": 20,
            "bagging_fraction": self.parameters.subsample,
            "bagging_freq": 1,
            "feature_fraction": self.parameters.colsample,
            "lambda_l2": self.parameters.reg_lambda,
            "max_bin": self.parameters.max_bin,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "verbosity": -1,
        }

    def _grow(self, train: Sample, valid: Sample) -> tuple[Any, int, list[tuple[float, float]]]:
        import lightgbm

        settings = self._settings()
        data = lightgbm.Dataset(
            train.x, label=train.label.astype(np.int64) + 1, weight=train.weight, params=settings, free_raw_data=True
        )
        watched = data.create_valid(valid.x, label=valid.label.astype(np.int64) + 1, weight=valid.weight)
        history: dict[str, dict[str, list[float]]] = {}
        trees = lightgbm.train(
            settings,
            data,
            num_boost_round=self.parameters.n_estimators,
            valid_sets=[data, watched],
            valid_names=["train", "valid"],
            callbacks=[
                lightgbm.early_stopping(self.parameters.early_stopping_rounds, first_metric_only=True, verbose=False),
                lightgbm.record_evaluation(history),
            ],
        )
        curve = list(zip(history["train"]["multi_logloss"], history["valid"]["multi_logloss"], strict=True))
        return trees, int(trees.best_iteration or trees.current_iteration()), curve

    def _grow_on(self, sample: Sample, growth: Growth) -> tuple[bytes, int]:
        import lightgbm

        settings = self._settings() | {
            "learning_rate": growth.learning_rate,
            "min_sum_hessian_in_leaf": growth.min_child_weight,
            "seed": self.seed + self.best_rounds,  # other draws than those of the trees before
        }
        best = lightgbm.Booster(model_str=self._model.model_to_string(num_iteration=self.best_rounds))
        x = sample.x[list(self.features)]
        data = lightgbm.Dataset(x, sample.label.astype(np.int64) + 1, weight=sample.weight, params=settings)
        grown = lightgbm.train(settings, data, num_boost_round=growth.rounds, init_model=best)
        text: str = grown.model_to_string(num_iteration=-1)
        return text.encode(), int(grown.current_iteration())

    def raw(self, values: Values) -> Floats:
        """Probabilities before calibration (rows, 3)."""
        predicted = self._model.predict(values, num_iteration=self.best_rounds, num_threads=1)
        return np.asarray(predicted, dtype=np.float64)

    def _gain(self) -> Floats:
        return np.asarray(
            self._model.feature_importance(importance_type="gain", iteration=self.best_rounds), dtype=np.float64
        )

    def _shap(self, x: pd.DataFrame) -> Floats:
        contributions = self._model.predict(x, num_iteration=self.best_rounds, pred_contrib=True, num_threads=1)
        by_class = np.asarray(contributions).reshape(len(x), 3, -1)  # each class: the features, then the expected value
        return np.abs(by_class[:, :, :-1]).mean(axis=1)

    def _to_bytes(self) -> bytes:
        text: str = self._model.model_to_string(num_iteration=-1)
        return text.encode()

    def _restore(self, content: bytes) -> Any:
        import lightgbm

        return lightgbm.Booster(model_str=content.decode())
