"""Named faults, put into a copy of the source one at a time: each must be noticed by the tests beside it."""

from typing import NamedTuple


class Fault(NamedTuple):
    """One line of a file made wrong.

    Attributes:
        name: what is wrong, in words.
        file: below src/tradewind.
        right: text that stands there once.
        wrong: what stands there instead.
        tests: the narrow tests that must notice.
        plain: run compiled functions as plain Python, so that what was compiled before does not count.
    """

    name: str
    file: str
    right: str
    wrong: str
    tests: str
    plain: bool = False


_E = "trading/engine/"
_K7 = "tests/kinds/test_kind_07_inputs_of_the_account.py"
_BACKTEST = "tests/trading/engine/test_backtest.py"
_STEPS = "tests/trading/engine/test_orders.py tests/trading/engine/test_backtest.py"
_FIT = "tests/learning/models/test_fitting.py"
_FOLDS = "tests/learning/splits/test_folds.py"
_COMBINED = "tests/learning/splits/test_combinatorial.py"
_TARGETS = "tests/trading/decision/test_targets.py tests/trading/strategy/test_signals.py"
_RISK = "tests/trading/risk/test_states.py"
_GATE = "tests/trading/risk/test_gate.py"
_ATOMIC = "tests/test_atomic.py"
_DELIVERIES = "tests/data/files/test_deliveries.py tests/kinds/test_kind_04_stale_rows.py"
_RECEIPTS = "tests/kinds/test_kind_02_receipts.py"
_COSTS = "tests/trading/execution/test_costs.py"
_SHARPE = "tests/metrics/test_sharpe.py"

FAULTS = [
    # account
    Fault(
        "filled at the close instead of the open",
        _E + "step.py",
        "price, gross, cost, met = bar.opening, 0.0, 0.0, False",
        "price, gross, cost, met = bar.close, 0.0, 0.0, False",
        _BACKTEST,
        True,
    ),
    Fault(
        "a stop beyond the open filled at its level",
        _E + "step.py",
        "side * min(worst, side * price), True",
        "side * worst, True",
        _STEPS,
        True,
    ),
    Fault(
        "the profit before the stop where a bar has both",
        _E + "step.py",
        "if lowest <= worst:",
        "if lowest <= worst and highest < best:",
        _STEPS,
        True,
    ),
    Fault(
        "longs receive positive funding",
        _E + "step.py",
        "funding = units * bar.opening * bar.funding_rate + max",
        "funding = -units * bar.opening * bar.funding_rate + max",
        _BACKTEST,
        True,
    ),
    Fault(
        "shorts borrow for nothing",
        _E + "step.py",
        "max(-units, 0.0) * bar.opening * schedule.borrow\n    if units",
        "max(-units, 0.0) * 0.0\n    if units",
        _STEPS,
        True,
    ),
    Fault(
        "a maker pays the taker's fee",
        _E + "step.py",
        "paid = abs(missing) * price * schedule.maker",
        "paid = abs(missing) * price * schedule.taker",
        _STEPS,
        True,
    ),
    Fault(
        "a limit order filled where it is only touched",
        _E + "step.py",
        "bar.opening <= limit or bar.low < limit",
        "bar.opening <= limit or bar.low <= limit",
        _STEPS + " " + _K7,
        True,
    ),
    Fault(
        "a limit order not filled at an open equal to its price",
        _E + "step.py",
        "return bar.opening <= limit or bar.low < limit",
        "return bar.low < limit",
        _K7,
        True,
    ),
    Fault("lots rounded up", _E + "step.py", "np.trunc(units / lot", "np.ceil(units / lot", _STEPS, True),
    Fault(
        "the tick in favour of the trader",
        _E + "step.py",
        "worse = np.ceil(steps - 1e-9) if units > 0.0",
        "worse = np.floor(steps - 1e-9) if units > 0.0",
        _STEPS,
        True,
    ),
    Fault(
        "no liquidation with leverage",
        _E + "step.py",
        "if (schedule.leverage > 1.0 or side < 0.0) and side",
        "if (schedule.leverage > 999.0 or side < 0.0) and side",
        _STEPS,
        True,
    ),
    Fault(
        "held for one bar longer than allowed",
        _E + "step.py",
        "states[at, HELD] >= schedule.longest",
        "states[at, HELD] > schedule.longest",
        _STEPS,
        True,
    ),
    Fault(
        "participation without a limit",
        _E + "step.py",
        "missing = min(max(missing, -most), most)",
        "missing = missing",
        _STEPS,
        True,
    ),
    Fault(
        "no smallest order",
        _E + "step.py",
        "* price < schedule.smallest and target != 0.0",
        "* price < 0.0 and target != 0.0",
        _STEPS,
        True,
    ),
    Fault(
        "the mean entry price forgotten when more is bought",
        _E + "step.py",
        "(states[at, ENTRY] * before + price * units) / after",
        "price",
        "tests/trading/engine/test_step.py " + _STEPS,
        True,
    ),
    Fault(
        "impact of the present bar's volatility",
        _E + "account.py",
        "symbols[at, due + 1] if known else 0.0, symbols[at, due + 2]",
        "quotes[row, at, VOLATILITY] if known else 0.0, symbols[at, due + 2]",
        _BACKTEST,
        True,
    ),
    Fault(
        "filled on the bar of the decision",
        _E + "backtest.py",
        "begin(len(bars), 1 + costs.latency_bars)",
        "begin(len(bars), max(costs.latency_bars, 1))",
        _BACKTEST,
        True,
    ),
    Fault(
        "a position kept over a gap",
        _E + "account.py",
        "if symbols[at, SEGMENT] >= 0.0:\n                    if",
        "if symbols[at, SEGMENT] >= 99.0:\n                    if",
        _BACKTEST,
        True,
    ),
    Fault(
        "a loss beyond the account owed", _E + "account.py", "if net > -1.0 + 1e-12:", "if net > -9.0:", _STEPS, True
    ),
    Fault(
        "more than the leverage not scaled down",
        _E + "account.py",
        "if n_symbols > 1 and asked >",
        "if n_symbols > 99 and asked >",
        "tests/trading/engine/test_portfolio.py",
        True,
    ),
    Fault(
        "a missing price is stepped over",
        _E + "inputs.py",
        'refuse(~((values > 0) & (values < np.inf)), name, values, "above 0 and finite")',
        'refuse(values < 0, name, values, "above 0 and finite")',
        _K7,
    ),
    Fault(
        "a missing funding rate is paid",
        _E + "inputs.py",
        'refuse(~np.isfinite(rate), "funding_rate"',
        'refuse(np.isinf(rate), "funding_rate"',
        _K7,
    ),
    Fault(
        "a missing target is traded",
        _E + "inputs.py",
        "wrong = ~(np.abs(found) <= rules.max_leverage)",
        "wrong = np.abs(found) > rules.max_leverage",
        _K7,
    ),
    # costs
    Fault(
        "no half-spread",
        "trading/execution/costs.py",
        "self.taker_fee_bps * 1e-4 + self.half_spread_bps * 1e-4 +",
        "self.taker_fee_bps * 1e-4 +",
        _COSTS,
    ),
    Fault(
        "a round trip costs one side",
        "trading/execution/costs.py",
        "2.0 * side.reshape",
        "1.0 * side.reshape",
        "tests/trading/decision/test_targets.py",
    ),
    Fault(
        "impact grows with the order, not with its root",
        "trading/execution/cost_share.py",
        "impact * volatility * np.sqrt(participation)",
        "impact * volatility * participation",
        _STEPS,
        True,
    ),
    Fault(
        "a dearer world pays larger rebates",
        "trading/execution/costs.py",
        'scaled["maker_fee_bps"] = max(',
        'scaled["maker_fee_bps"] = min(',
        "tests/kinds/test_kind_09_parameters.py -k rebate",
    ),
    Fault(
        "scaled costs keep their slippage",
        "trading/execution/costs.py",
        '"half_spread_bps", "slippage_bps", "slippage_share_of_volatility",',
        '"half_spread_bps", "slippage_bps",',
        _COSTS,
    ),
    # decision
    Fault(
        "signals without the cost hurdle",
        "trading/decision/targets.py",
        "hurdle = signal.cost_multiple * rules.costs",
        "hurdle = 0.0 * rules.costs",
        _TARGETS,
    ),
    Fault(
        "the edge upside down",
        "trading/decision/targets.py",
        "forecast[:, 2] - forecast[:, 0], signal",
        "forecast[:, 0] - forecast[:, 2], signal",
        _TARGETS,
    ),
    Fault(
        "entered below the threshold",
        "trading/strategy/signals.py",
        "if held == 0.0 and size >= entry:",
        "if held == 0.0 and size >= leave:",
        _TARGETS,
        True,
    ),
    Fault(
        "never left",
        "trading/strategy/signals.py",
        "(held != 0.0 and (size < leave or sign != held))",
        "(held != 0.0 and sign != held)",
        _TARGETS,
        True,
    ),
    Fault(
        "held without a forecast",
        "trading/strategy/signals.py",
        "if np.isnan(edge[row]) or (held",
        "if (held",
        _TARGETS,
        True,
    ),
    Fault(
        "the hurdle in either direction",
        "trading/strategy/signals.py",
        "expected_return[row] * sign > hurdle[row]",
        "abs(expected_return[row]) > hurdle[row]",
        _TARGETS,
        True,
    ),
    Fault(
        "larger where prices move more",
        "trading/strategy/sizing.py",
        "target_per_bar / volatility[row], largest",
        "target_per_bar * volatility[row] * 1e4, largest",
        _TARGETS,
        True,
    ),
    Fault(
        "no largest position",
        "trading/strategy/sizing.py",
        "direction[row] * min(target_per_bar / volatility[row], largest)",
        "direction[row] * (target_per_bar / volatility[row])",
        _TARGETS,
        True,
    ),
    Fault(
        "a volatility of the day taken for the bar's",
        "trading/decision/targets.py",
        "np.sqrt(self.bars_per_year)",
        "np.sqrt(365.25)",
        _TARGETS,
    ),
    Fault(
        "forecasts joined by place, not by time",
        "trading/decision/targets.py",
        '[columns].reindex(history["timestamp"])',
        "[columns].reset_index(drop=True).reindex(range(len(history)))",
        _TARGETS,
    ),
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
    Fault("lightgbm ignores its seed", "learning/models/lightgbm.py", '"seed": self.seed', '"seed": 0', _FIT),
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
        "past, test = rows[training], rows[testing]",
        "past, test = rows[training | testing], rows[testing]",
        "tests/learning/models/test_walk_forward.py",
    ),
    # keys and stores
    Fault(
        "the key without the parameters",
        "learning/models/walk_forward.py",
        "parameters=parameters.model_dump(),",
        "parameters=None,",
        _FIT,
    ),
    Fault(
        "the key without the rules",
        "learning/models/walk_forward.py",
        "rules=rules.model_dump(),\n            seed",
        "rules=None,\n            seed",
        _FIT,
    ),
    Fault(
        "the key without the seed",
        "learning/models/walk_forward.py",
        "seed=seed,\n            format",
        "seed=0,\n            format",
        _FIT,
    ),
    Fault(
        "the key without the values",
        "learning/models/walk_forward.py",
        "digest.update(pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes())",
        "pass",
        _FIT,
    ),
    Fault(
        "the key without the names",
        "learning/models/walk_forward.py",
        "digest.update(json.dumps(list(rows.columns)).encode())",
        "pass",
        _FIT,
    ),
    Fault(
        "hashes of model files unread",
        "datasets/model_store.py",
        "if hashlib.sha256(content).hexdigest() != hashes[name]:",
        "if False:",
        "tests/learning/models/test_walk_forward.py",
    ),
    Fault(
        "a model of another key is taken",
        "datasets/model_store.py",
        'if manifest["key"] != key:',
        "if False:",
        "tests/learning/models/test_walk_forward.py",
    ),
    Fault(
        "no fsync before the rename",
        "atomic.py",
        "        _sync(temporary)\n        temporary.replace(path)",
        "        temporary.replace(path)",
        _ATOMIC,
    ),
    Fault(
        "no fsync of the folder",
        "atomic.py",
        "temporary.replace(path)\n        _sync(path.parent)",
        "temporary.replace(path)",
        _ATOMIC,
    ),
    Fault(
        "copied instead of renamed",
        "atomic.py",
        "temporary.replace(path)\n        _sync",
        "path.write_bytes(temporary.read_bytes())\n        _sync",
        _ATOMIC,
    ),
    Fault(
        "the latest delivery of a content counts",
        "data/files/deliveries.py",
        "is_first[1:] = (opened[1:]",
        "is_first[:-1] = (opened[1:]",
        _DELIVERIES,
    ),
    Fault("no row is provisional", "data/files/deliveries.py", "+= PROVISIONAL_MS", "+= 0", _DELIVERIES),
    Fault(
        "provisional rows replace finished ones",
        "data/files/deliveries.py",
        "reach, volume, ~provisional, rows",
        "reach, volume, provisional, rows",
        _DELIVERIES,
    ),
    Fault(
        "sqlite keeps the latest moment",
        "data/stores/sqlite.py",
        "content_hash = ? AND received_at > ?",
        "content_hash = ? AND received_at < ?",
        _DELIVERIES + " tests/laws/test_stores.py -k sqlite",
    ),
    Fault(
        "the door makes no checks",
        "data/files/deliveries.py",
        "reason = reasons_to_reject(typed, key, received_at)",
        'reason = np.full(len(typed), "", dtype=object)',
        _RECEIPTS,
    ),
    Fault(
        "rows off the grid are bars",
        "data/files/cleaning.py",
        "(opened_ms - bar_anchor_ms(bar_ms)) % bar_ms != 0",
        "opened_ms < 0",
        _RECEIPTS,
    ),
    # joins
    Fault(
        "a settlement paid a bar early",
        _E + "backtest.py",
        'np.searchsorted(closed, known, side="left")',
        'np.searchsorted(closed, known, side="right") - 1',
        "tests/trading/engine/test_histories.py",
    ),
    Fault(
        "side values known a bar early",
        "learning/features/market_columns.py",
        'known, value = epoch_ms(series["known_at"]),',
        'known, value = epoch_ms(series["known_at"]) - 3_600_000,',
        "tests/laws/test_joins.py",
    ),
    # risk
    Fault(
        "the first reading halts nothing",
        "trading/risk/states.py",
        "if broken and state.mode == ACTIVE:",
        "if False:",
        _RISK,
    ),
    Fault(
        "a reading that is no number is fine",
        "trading/risk/states.py",
        "broken: tuple[str, ...] = LOSS_LIMITS",
        "broken: tuple[str, ...] = ()",
        _RISK,
    ),
    Fault("the day begins at each reading", "trading/risk/states.py", "else state.day_start)", "else equity)", _RISK),
    Fault(
        "the peak falls with the equity", "trading/risk/states.py", "peak=max(state.peak, equity)", "peak=equity", _RISK
    ),
    Fault("resumed while a limit is broken", "trading/risk/states.py", "    if still:\n", "    if False:\n", _RISK),
    Fault(
        "the size of a position unchecked",
        "trading/risk/gate.py",
        "    value = position_after(order, view, order.symbol) * view.prices[order.symbol]\n",
        "    value = 0.0\n",
        _GATE,
    ),
    Fault(
        "orders on the other side not counted",
        "trading/risk/gate.py",
        "max(abs(held + buying), abs(held - selling))",
        "abs(held + buying)",
        _GATE,
    ),
    Fault(
        "stale data traded on", "trading/risk/gate.py", "age > limits.max_data_age_s and not", "False and not", _GATE
    ),
    Fault(
        "reducing lets a position turn", "trading/risk/gate.py", "<= abs(held) * (1 + TINY)", "<= 9 * abs(held)", _GATE
    ),
    # verdict
    Fault(
        "luck of one model instead of the best of n",
        "metrics/sharpe.py",
        "if n_trials <= 1:",
        "if n_trials <= 1e9:",
        _SHARPE,
    ),
    Fault(
        "verdict's luck of one model",
        "evaluation/significance.py",
        "n = n_trials if is_model else 1.0",
        "n = 1.0",
        "tests/evaluation/test_luck_of_the_best.py",
    ),
    Fault(
        "trials of earlier runs not counted",
        "evaluation/significance.py",
        "ratios.effective_trials(ours) * counted.trials / max(len(models), 1), 1.0)",
        "ratios.effective_trials(ours), 1.0)",
        "tests/evaluation/test_luck_of_the_best.py",
    ),
    Fault(
        "effective trials without correlation",
        "metrics/sharpe.py",
        "moving.shape[1] ** 2 / (correlation**2).sum()",
        "moving.shape[1]",
        _SHARPE,
    ),
]
