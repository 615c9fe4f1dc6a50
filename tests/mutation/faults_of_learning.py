"""Named faults in splits, training and calibration."""

from tests.mutation.fault import Fault

_FIT = "tests/learning/models/test_fitting.py"
_FOLDS = "tests/learning/splits/test_folds.py"
_COMBINED = "tests/learning/splits/test_combinatorial.py"

FAULTS = [
    # splits
    Fault(
        "no purge",
        "learning/splits/purged.py",
        'ended = rows["horizon_end"] < fold.test_start',
        'ended = rows["timestamp"] < fold.test_start',
        _FOLDS,
    ),
    Fault(
        "no embargo",
        "learning/splits/purged.py",
        "fold.test_start - pd.Timedelta(fold.embargo)",
        "fold.test_start",
        _FOLDS,
    ),
    Fault(
        "the inner split without purge",
        "learning/splits/purged.py",
        'fit = (rows["horizon_end"] < boundary)',
        'fit = (rows["timestamp"] < boundary)',
        _FOLDS,
    ),
    Fault(
        "a label that ends with the first row that judges it",
        "learning/splits/purged.py",
        'fit = (rows["horizon_end"] < boundary)',
        'fit = (rows["horizon_end"] <= boundary)',
        _FOLDS,
    ),
    Fault(
        "a training window closed at its end",
        "learning/splits/purged.py",
        '(rows["timestamp"] < fold.train_end)',
        '(rows["timestamp"] <= fold.train_end)',
        _FOLDS,
    ),
    Fault(
        "a purge of the horizon alone",
        "learning/splits/walk_forward.py",
        "((horizon_bars + 1) * (spacing or bar)",
        "((horizon_bars + 0) * (spacing or bar)",
        _FOLDS,
    ),
    Fault("the leak check looks at nothing", "learning/splits/purged.py", "if overlapping.any():", "if False:", _FOLDS),
    Fault(
        "the test begins a bar late",
        "learning/splits/purged.py",
        '(rows["timestamp"] >= fold.test_start) &',
        '(rows["timestamp"] > fold.test_start) &',
        _FOLDS + " " + "tests/learning/models/test_walk_forward.py",
    ),
    Fault(
        "a rolling window that expands",
        "learning/splits/walk_forward.py",
        "start - (test_start - first) if rolling else first",
        "first",
        _FOLDS,
    ),
    Fault(
        "the holdout is trained on",
        "learning/splits/walk_forward.py",
        "(end - plan.holdout_share * span)",
        "(end - 0.5 * plan.holdout_share * span)",
        _FOLDS,
    ),
    Fault(
        "combinations without purge",
        "learning/splits/combinatorial.py",
        "((ended >= start) & (timestamp <= end))",
        "((timestamp >= start) & (timestamp <= end))",
        _COMBINED,
    ),
    Fault(
        "combinations without embargo", "learning/splits/combinatorial.py", "+ plan.embargo_bars * bar)", ")", _COMBINED
    ),
    Fault("paths in one", "learning/splits/combinatorial.py", "seen[at] += 1", "seen[at] += 0", _COMBINED),
    # training and calibration
    Fault(
        "calibrated on the rows that stopped the training",
        "learning/models/row_model.py",
        "fit_scaling(self.raw_probability(calibration.x), calibration.label)",
        "fit_scaling(self.raw_probability(valid.x), valid.label)",
        _FIT,
    ),
    Fault(
        "stopped on the calibration rows",
        "learning/models/row_model.py",
        "learned = self._learn(train, valid)",
        "learned = self._learn(train, calibration)",
        _FIT,
    ),
    Fault(
        "stopping and calibration rows swapped",
        "learning/models/base.py",
        "(self.thinned, self.valid, self.calibration)",
        "(self.thinned, self.calibration, self.valid)",
        _FIT,
    ),
    Fault(
        "trained on rows that are not thinned",
        "learning/models/base.py",
        "for mask in (self.thinned, ",
        "for mask in (self.fit, ",
        _FIT,
    ),
    Fault(
        "calibration never applied",
        "learning/models/row_model.py",
        "self._fitted.scaling.apply(raw) if self.is_calibrated else raw",
        "raw",
        _FIT,
    ),
    Fault(
        "calibration upside down",
        "learning/models/calibration.py",
        "self.slope * np.log(np.maximum(probability, FLOOR))",
        "np.log(np.maximum(probability, FLOOR)) / self.slope",
        _FIT + " tests/learning/models/test_calibration.py",
    ),
    Fault("xgboost ignores its seed", "learning/models/xgboost.py", '"seed": self.seed,', '"seed": 0,', _FIT),
    Fault("lightgbm ignores its seed", "learning/models/lightgbm.py", '"seed": self.seed,', '"seed": 0,', _FIT),
    Fault("xgboost without weights", "learning/models/xgboost.py", "weight=sample.weight,", "", _FIT),
    Fault("lightgbm without weights", "learning/models/lightgbm.py", "weight=train.weight, params", "params", _FIT),
    Fault(
        "tuning judged on its own fit rows",
        "learning/models/tuning.py",
        "fit_samples(train, judge, judge), judge)",
        "fit_samples(train, judge, judge), train)",
        _FIT,
    ),
    Fault("tuning takes the worst", "learning/models/tuning.py", "best = min(trials", "best = max(trials", _FIT),
    Fault(
        "training rows of the test",
        "learning/models/walk_forward.py",
        "past, store, rules = rows[training],",
        "past, store, rules = rows[training | testing],",
        "tests/learning/models/test_walk_forward.py",
    ),
]
