"""Each rule fires on its planted fault and on nothing else, leads to the runbook, and a wrong file is refused."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tradewind.errors import BadParameters
from tradewind.operations.alarms.rules_files import anchors_of, check_rules

PROJECT = Path(__file__).resolve().parents[3]
MONITORING = PROJECT / "deploy/monitoring"
RULES = MONITORING / "rules"
Labels = dict[str, str]


@dataclass(frozen=True)
class Case:
    """One alert: rows of (metric, labels, values with the fault, values without), and when it is looked at.

    Attributes:
        every: between two values.
        at: when exactly the series with the fault must have fired.
        alike: labels that the alert keeps beside job and instance; of a figure over instances None.
    """

    rows: tuple[tuple[str, Labels, str, str], ...]
    at: str
    every: str = "1s"
    alike: tuple[str, ...] | None = ()


def one(metric: str, fault: str, quiet: str, at: str, every: str = "1s", **labels: str) -> Case:
    return Case(((metric, labels, fault, quiet),), at, every, tuple(labels))


def requests(fault: str, at: str, every: str) -> Case:
    """Requests of which some fail; without the fault there are many and none fails."""
    return Case(
        (("tradewind_requests_total", {"status": "500"}, fault, "0x120"),
         ("tradewind_requests_total", {"status": "200"}, "0+300x120", "0+300x120")),
        at, every, None,
    )  # fmt: skip


def answers(fast: str, at: str, every: str) -> Case:
    """Answers of which so many are fast."""
    return Case(
        (("tradewind_requests_total", {"status": "200"}, "0+300x120", "0+300x120"),
         ("tradewind_request_seconds_bucket", {"le": "0.05"}, fast, "0+299x120"),
         ("tradewind_request_seconds_count", {}, "0+300x120", "0+300x120")),
        at, every, None,
    )  # fmt: skip


CASES = {
    "AccountDown": one("up", "1 0x30", "1x9 0x2 1x30", "20s"),
    "AccountRestarts": one("process_start_time_seconds", "0 60 120 180 240x20", "0x5 300x20", "10m", "1m"),
    "LoopFrozen": one("tradewind_heartbeat_age_seconds", "0+1x20", "0.1x20", "7s"),
    "DecisionOverdue": Case(
        (("tradewind_decision_age_seconds", {}, "4500 4561x9", "4500x10"),
         ("tradewind_bar_seconds", {}, "3600x10", "3600x10")), "5s",
    ),
    "FeedSilent": one("tradewind_feed_silence_seconds", "50 61x9", "50 59x9", "5s"),
    "DataStale": one("tradewind_limit_used_ratio", "1.2x60", "1.2x10 0.5x50", "45s", limit="max_data_age_s"),
    "TradingHalted": one("tradewind_trading_state", "0 1x9", "0x10", "3s", state="HALTED"),
    "TradingReduced": Case((("tradewind_trading_state", {"state": "PAUSED"}, "0 1x30", "0 1x3 0x30"),), "20s"),
    "LossLimitBroken": one("tradewind_limits_tripped_total", "0x5 1x9", "4x5 0x9", "9s", limit="drawdown"),
    "LossLimitNear": one("tradewind_limit_used_ratio", "0.85x60", "0.75x60", "45s", limit="drawdown"),
    "OrdersRejected": Case((("tradewind_rejections_total", {"code": "max_gross"}, "0+1x70", "0+1x4 5x60"),), "60s"),
    "OrdersUnknown": one("tradewind_unknown_orders", "1x30", "1x5 0x30", "15s"),
    "DataQuarantined": one("tradewind_quarantined_total", "0+1x60", "0 1 2x60", "60s"),
    "GapToTwin": one("tradewind_gap_ratio", "-0.03x90", "0.015x90", "75s"),
    "JournalLags": one("tradewind_journal_lag_seconds", "0+1x9", "0x9", "5s"),
    "StepSlow": Case(
        (("tradewind_step_seconds_bucket", {"step": "journal", "le": "2.5"}, "0x60", "0+10x60"),
         ("tradewind_step_seconds_bucket", {"step": "journal", "le": "10"}, "0+10x60", "0+10x60"),
         ("tradewind_step_seconds_bucket", {"step": "journal", "le": "+Inf"}, "0+10x60", "0+10x60")),
        "14m", "15s", None,
    ),
    "ServiceDown": one("up", "1 0x30", "1x9 0x2 1x30", "20s"),
    "ServiceFrozen": one("tradewind_service_heartbeat_age_seconds", "0+1x20", "0.2x20", "18s"),
    "ServiceWithoutModel": one("tradewind_version", "0x30", "0x5 3x30", "15s", role="champion"),
    "ServiceErrorsFast": requests("0+6x120", "65m", "1m"),
    "ServiceErrorsSlow": requests("0+3x120", "7h", "5m"),
    "ServiceSlowFast": answers("0+200x120", "65m", "1m"),
    "ServiceSlowSlow": answers("0+270x120", "7h", "5m"),
    "ServiceFeedOld": Case(
        (("tradewind_last_bar_seconds", {}, "7000 7300x9", "7000x10"),
         ("tradewind_service_bar_seconds", {}, "3600x10", "3600x10")), "5s",
    ),
    "CanaryTakenBack": Case(
        (("tradewind_canary_rollbacks_total", {"check": "signs"}, "0x5 1x9", "2x5 0x9"),), "9m", "1m",
    ),
    "VersionRefused": one("tradewind_versions_refused_total", "0x5 1x9", "0x20", "9m", "1m"),
    "ModelOld": one("tradewind_model_trained_timestamp_seconds", "0x90", "3000000x90", "61d", "1d"),
    "ModelDegraded": one("tradewind_model_degraded", "0 1x9", "0x10", "5s"),
    "ModelDrift": one("tradewind_drifted_columns", "0 2x9", "0x10", "5s"),
    "MonitoringOld": one("tradewind_watched_timestamp_seconds", "0x20", "600000x20", "9d", "1d"),
    "AuthenticationStorm": Case(
        (("tradewind_authentication_failures_total", {"door": "rest"}, "0x5 40x90", "0+1x20 20x75"),), "60s", "1s",
        ("door",),
    ),
    "LabelsCapped": one("tradewind_label_others_total", "0x5 9x9", "9x20", "9s", label="symbol"),
    "MetricsFail": one("tradewind_metrics_errors_total", "0x5 1x9", "0x20", "9s"),
    "AlarmsNotDelivered": Case(
        (("alertmanager_notifications_failed_total", {"integration": "webhook", "reason": "other"}, "0x5 3x9",
          "0x20"),), "9s",
    ),
}  # fmt: skip
JOBS = {"AccountDown": "paper", "AccountRestarts": "paper", "ServiceDown": "service"}


def alerts() -> dict[str, dict[str, Any]]:
    files = [yaml.safe_load(path.read_text()) for path in sorted(RULES.glob("*.yml"))]
    rules = [rule for one in files for group in one["groups"] for rule in group["rules"]]
    return {rule["alert"]: rule for rule in rules if "alert" in rule}


def promtool(*words: str, folder: Path = MONITORING) -> str:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: apt-get install prometheus (tests/install_servers.sh)")
    done = subprocess.run(["promtool", *words], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def blocks(name: str, case: Case, rule: dict[str, Any]) -> dict[str, Any]:
    """A test of promtool: exactly the series with the fault fires, and at the start none does."""
    job = JOBS.get(name, "tradewind")
    series, expected = [], {}
    for metric, labels, fault, quiet in case.rows:
        for which, values in (("fault", fault), ("quiet", quiet)):
            where = {"job": which, "instance": "a"} if case.alike is None else {"job": job, "instance": which}
            text = ", ".join(f'{key}="{value}"' for key, value in sorted({**labels, **where}.items()))
            series.append({"series": f"{metric}{{{text}}}", "values": values})
            if which == "fault" and case.alike is not None:
                expected = where | {key: labels[key] for key in case.alike if key in labels}
    if case.alike is None:
        expected = {"job": "fault"} | ({"step": "journal"} if name == "StepSlow" else {})
    fired = {"exp_labels": expected | rule["labels"], "exp_annotations": rule["annotations"]}
    return {
        "interval": case.every, "input_series": series, "name": name,
        "alert_rule_test": [
            {"eval_time": case.at, "alertname": name, "exp_alerts": [fired]},
            {"eval_time": "0s", "alertname": name, "exp_alerts": []},
        ],
    }  # fmt: skip


def write_test(path: Path, every: str, tests: list[dict[str, Any]], rules: Path = RULES) -> str:
    files = [str(one) for one in sorted(rules.glob("*.yml"))]
    groups = ["service_objectives", "account_objectives", "account", "service", "model", "watching"]
    document = {"rule_files": files, "evaluation_interval": every, "group_eval_order": groups, "tests": tests}
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return str(path)


def test_every_alert_has_a_case_and_every_case_an_alert() -> None:
    assert set(CASES) | {"DeadMansSwitch"} == set(alerts())


@pytest.mark.parametrize("every", sorted({case.every for case in CASES.values()}))
def test_each_alert_fires_on_its_fault_and_on_nothing_else(tmp_path: Path, every: str) -> None:
    found = alerts()
    tests = [blocks(name, case, found[name]) for name, case in CASES.items() if case.every == every]
    promtool("test", "rules", write_test(tmp_path / "test.yml", every, tests), folder=tmp_path)


def test_a_rule_that_cannot_fire_is_caught(tmp_path: Path) -> None:
    """Planted: a threshold that nothing reaches."""
    rules = tmp_path / "rules"
    shutil.copytree(RULES, rules)
    text = (rules / "alerts.yml").read_text()
    (rules / "alerts.yml").write_text(text.replace("tradewind_heartbeat_age_seconds > 5", "tradewind_heartbeat > 5"))
    test = blocks("LoopFrozen", CASES["LoopFrozen"], alerts()["LoopFrozen"])
    with pytest.raises(AssertionError, match="LoopFrozen"):
        promtool("test", "rules", write_test(tmp_path / "test.yml", "1s", [test], rules), folder=tmp_path)


def test_the_switch_always_fires_and_little_traffic_burns_nothing(tmp_path: Path) -> None:
    """One request an hour that fails is a ratio of 1 and no alarm; nor is a counter that begins anew."""
    switch = alerts()["DeadMansSwitch"]
    always = {"eval_time": "3h", "alertname": "DeadMansSwitch", "exp_alerts": [
        {"exp_labels": switch["labels"], "exp_annotations": switch["annotations"]}]}  # fmt: skip
    burns = ["ServiceErrorsFast", "ServiceErrorsSlow", "ServiceSlowFast", "ServiceSlowSlow"]
    idle = 'tradewind_requests_total{job="idle", instance="a", status="500"}'
    again = 'tradewind_requests_total{job="again", instance="a", status="%s"}'
    test = {
        "interval": "5m", "name": "quiet",
        "input_series": [
            {"series": idle, "values": "0x11 1x11 2x60"},
            {"series": again % "200", "values": "100000+300x20 0+300x60"},
            {"series": again % "500", "values": "50x20 0x60"},
        ],
        "alert_rule_test": [
            always,
            *({"eval_time": at, "alertname": one, "exp_alerts": []} for one in burns for at in ("1h", "2h", "6h")),
        ],
    }  # fmt: skip
    promtool("test", "rules", write_test(tmp_path / "test.yml", "5m", [test]), folder=tmp_path)


COUNTED = re.compile(r"increase\((\w+)(?:\{[^}]*\})?\[")


def test_counters_that_begin_anew_and_a_clock_that_jumps_make_no_alarm(tmp_path: Path) -> None:
    """A process that was started again counts from nought; a watcher whose clock was set has a hole in its samples."""
    counted = {name: COUNTED.findall(rule["expr"]) for name, rule in alerts().items()}
    restarted = {name: metrics[0] for name, metrics in counted.items() if metrics}
    assert len(restarted) >= 8
    again = [
        {"series": f'{metric}{{job="again", which="w"}}', "values": "500x30 0x30"} for metric in restarted.values()
    ]
    burns = ["ServiceErrorsFast", "ServiceErrorsSlow", "ServiceSlowFast", "ServiceSlowSlow"]
    quiet = [
        {"eval_time": f"{at}m", "alertname": one, "exp_alerts": []} for one in restarted for at in (29, 31, 35, 60)
    ]
    resets = {"interval": "1m", "name": "again", "input_series": again, "alert_rule_test": quiet}
    # Two hours are missing, of a busy service of which one request in ten thousand fails and nearly all are fast.
    hole = [("requests_total", {"status": "200"}, 29_997), ("requests_total", {"status": "500"}, 3),
            ("request_seconds_bucket", {"le": "0.05"}, 29_700), ("request_seconds_count", {}, 30_000)]  # fmt: skip
    series = []
    for metric, labels, step in hole:
        text = ", ".join(f'{key}="{value}"' for key, value in {**labels, "job": "set", "instance": "a"}.items())
        series.append({"series": f"tradewind_{metric}{{{text}}}", "values": f"0+{step}x60 _x24 {85 * step}+{step}x60"})
    looks = [
        {"eval_time": at, "alertname": one, "exp_alerts": []} for one in burns for at in ("5h", "6h", "7h10m", "9h")
    ]
    jump = {"interval": "5m", "name": "set", "input_series": series, "alert_rule_test": looks}
    promtool("test", "rules", write_test(tmp_path / "a.yml", "1m", [resets]), folder=tmp_path)
    promtool("test", "rules", write_test(tmp_path / "b.yml", "5m", [jump]), folder=tmp_path)
    # Planted: the plain difference of a counter takes a start for a change.
    rules = tmp_path / "rules"
    shutil.copytree(RULES, rules)
    text = (rules / "alerts.yml").read_text().replace("increase(tradewind_limits_tripped_total[5m])",
                                                     "abs(delta(tradewind_limits_tripped_total[5m]))")  # fmt: skip
    (rules / "alerts.yml").write_text(text)
    with pytest.raises(AssertionError, match="LossLimitBroken"):
        promtool("test", "rules", write_test(tmp_path / "c.yml", "1m", [resets], rules), folder=tmp_path)


def test_each_recorded_figure_is_right_with_and_without_a_fault(tmp_path: Path) -> None:
    windows = ("5m", "30m", "1h", "6h")
    service = [
        *requests("0+60x120", "7h", "5m").rows,
        *(row for row in answers("0+150x120", "7h", "5m").rows if row[0] != "tradewind_requests_total"),
    ]
    account = [
        ("up", {}, "1x99 0 1 0 1 0 1 0 1 0 1x200", "1x400"),
        ("tradewind_decision_age_seconds", {}, "9000x400", "0x400"),
        ("tradewind_bar_seconds", {}, "3600x400", "3600x400"),
        *CASES["StepSlow"].rows,
    ]
    expected: dict[str, tuple[float, float]] = {
        **{f"service:requests:rate{one}": (1.2, 1.0) for one in windows},
        **{f"service:errors:ratio{one}": (0.167, 0.0) for one in windows},
        **{f"service:slow:ratio{one}": (0.5, 0.003) for one in windows},
        "account:up:ratio1d": (0.957, 1.0), "account:decided_on_time:ratio1d": (0.0, 1.0),
        "account:step_seconds:p99": (9.925, 2.475),
    }  # fmt: skip
    recorded = set(re.findall(r"record: (\S+)", (RULES / "objectives.yml").read_text()))
    assert set(expected) == recorded

    def series(rows: Any, **same: str) -> list[dict[str, str]]:
        out = []
        for metric, labels, fault, quiet in rows:
            for which, values in (("fault", fault), ("quiet", quiet)):
                where = same | {"job": "paper" if metric == "up" else which, "instance": which}
                text = ", ".join(f'{key}="{value}"' for key, value in {**labels, **where}.items())
                out.append({"series": f"{metric}{{{text}}}", "values": values})
        return out

    def asked(name: str, at: str) -> dict[str, Any]:
        key = "instance" if name == "account:up:ratio1d" else "job"
        samples = [
            {"labels": f'{{which="{which}"}}', "value": value}
            for which, value in zip(("fault", "quiet"), expected[name], strict=True)
        ]
        expr = f'sum by (which) (label_replace(round({name}, 0.001), "which", "$1", "{key}", "(.*)"))'
        return {"expr": expr, "eval_time": at, "exp_samples": samples}

    def test_of(rows: Any, names: list[str], every: str, at: str) -> dict[str, Any]:
        return {"interval": every, "input_series": series(rows), "promql_expr_test": [asked(one, at) for one in names]}

    def named(*starts: str) -> list[str]:
        return [one for one in expected if one.startswith(starts)]

    promtool("test", "rules", write_test(tmp_path / "a.yml", "5m", [
        test_of(service, named("service:"), "5m", "7h")]), folder=tmp_path)  # fmt: skip
    promtool("test", "rules", write_test(tmp_path / "b.yml", "1m", [
        test_of(account[:1], named("account:up"), "1m", "115m"),
        test_of(account[1:3], named("account:decided"), "1m", "2h"),
        test_of(account[3:], named("account:step"), "15s", "14m")]), folder=tmp_path)  # fmt: skip


def test_the_files_are_what_prometheus_and_alertmanager_read() -> None:
    promtool("check", "config", "prometheus.yml")
    if shutil.which("amtool") is None:
        pytest.skip("amtool is not installed: apt-get install prometheus-alertmanager (tests/install_servers.sh)")
    done = subprocess.run(
        ["amtool", "check-config", "alertmanager.yml"], cwd=MONITORING, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_leads_to_a_section_of_the_runbook_that_says_what_to_do() -> None:
    found = check_rules(RULES, PROJECT)
    linked = [one.annotations.runbook for rules in found.values() for one in rules.alerts() if one.annotations]
    assert len(linked) == len(set(linked)) == len(CASES) + 1
    sections = (PROJECT / "docs/runbook.md").read_text().partition("\n## Alarms\n")[2].split("\n### ")[1:]
    said = {section.partition("\n")[0]: section for section in sections}
    assert {name: "**Do:**" in said[name] for name in alerts()} == dict.fromkeys(alerts(), True)
    assert set(said) == set(alerts()), "a section of an alert that is no more"


WRONG = {
    "exprr: up == 0": ("expr: up == 0", r"alerts\.yml line 5: groups\.0\.rules\.0\.exprr: there is no such key"),
    "labels: {severity: urgent}": ("labels: {severity: page}", r"line 6: .*severity: must be 'page', 'ticket' or"),
    "annotations: {summary: Down.}": (
        "annotations: {summary: Down., runbook: docs/runbook.md#down}", r"line 7: .*runbook: is missing"
    ),
    "annotations: {summary: Down., runbook: docs/runbook.md#gone}": (
        "annotations: {summary: Down., runbook: docs/runbook.md#down}", r"line 7: alert Down links .*#gone.*: write it"
    ),
    "for: soon": ("for: 5s", r"line 8: .*for: "),
    "for: 5s\n        for: 6s": ("for: 5s", r"line 9: for is there twice: remove one"),
    "for: 5s\n      - record: a\n        expr: up\n        labels: {severity: page}": (
        "for: 5s", r"line 9: .*labels, annotations and for belong to alerts"
    ),
    "for: 5s\n      - alert: Down\n        expr: up\n        labels: {severity: page}\n"
    "        annotations: {summary: D., runbook: docs/runbook.md#down}": ("for: 5s", r"line 9: .*Down is there twice"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_file_is_refused_with_line_and_remedy(tmp_path: Path, wrong: str) -> None:
    right, message = WRONG[wrong]
    text = (
        "groups:\n  - name: a\n    rules:\n      - alert: Down\n        expr: up == 0\n"
        "        labels: {severity: page}\n"
        "        annotations: {summary: Down., runbook: docs/runbook.md#down}\n        for: 5s\n"
    )
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/runbook.md").write_text("# Runbook\n\n### Down\n")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/alerts.yml").write_text(text)
    assert len(check_rules(tmp_path / "rules", tmp_path)) == 1
    (tmp_path / "rules/alerts.yml").write_text(text.replace(right, wrong))
    with pytest.raises(BadParameters, match=message):
        check_rules(tmp_path / "rules", tmp_path)


def test_a_folder_without_rules_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadParameters, match="there are no rules in"):
        check_rules(tmp_path, tmp_path)


def test_anchors_are_those_of_github(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text("# The `disk` is full\n## DeadMansSwitch\ntext # no heading\n")
    assert anchors_of(document) == {"the-disk-is-full", "deadmansswitch"}


def test_dashboards_ask_for_figures_that_rules_or_processes_have() -> None:
    """What is asked is answered with data in `test_chain.py`; here only that the files are whole."""
    paths = sorted((MONITORING / "dashboards").glob("*.json"))
    assert len(paths) == 3
    for path in paths:
        board = json.loads(path.read_text())
        panels = board["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels) and board["uid"] and board["title"]
        places = [panel["gridPos"] for panel in panels]
        assert all(one["x"] + one["w"] <= 24 for one in places)
        assert len({(one["x"], one["y"]) for one in places}) == len(places)
        assert all(panel["targets"] and panel["title"] and panel["description"] for panel in panels)
