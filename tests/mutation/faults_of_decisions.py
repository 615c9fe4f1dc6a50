"""Named faults in decisions, risk and the verdict."""

from tests.mutation.fault import Fault

_TARGETS = "tests/trading/decision/test_targets.py tests/trading/strategy/test_signals.py"
_RISK = "tests/trading/risk/test_states.py"
_GATE = "tests/trading/risk/test_gate.py"
_SHARPE = "tests/metrics/test_sharpe.py"

FAULTS = [
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
        "if not np.isnan(edge[row]) and (held",
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
        "the largest position in a price that stands still",
        "trading/strategy/sizing.py",
        "has_volatility = volatility[row] > 0.0",
        "has_volatility = volatility[row] >= 0.0",
        _TARGETS,
        True,
    ),
    Fault(
        "a mean over another span",
        "trading/strategy/signals.py",
        "weight = 2.0 / (span + 1.0) if",
        "weight = 2.0 / (span - 1.0) if",
        _TARGETS,
        True,
    ),
    Fault(
        "a mean that never begins",
        "trading/strategy/signals.py",
        "if not np.isnan(values[row]) and not np.isnan(last):",
        "if np.isnan(values[row]) and not np.isnan(last):",
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
