"""The alerts: of metrics that exist, one for each row of operations, and each seen to fire by promtool."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.watching.programs import program
from support.watching.queries import fault_of_query

from streams.app.settings import Settings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
(GROUP,) = yaml.safe_load((FOLDER / "alerts.yml").read_text("utf-8"))["groups"]
RULES = {rule["alert"]: rule for rule in GROUP["rules"]}
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")
ROWS = re.findall(r'^\| <a id="([\w-]+)"></a>[^|]+ \| `(\w+)` \|', OPERATIONS, re.MULTILINE)


def test_each_row_of_operations_has_its_alert() -> None:
    """One each, whose runbook leads to the row; no alert without a row, no row without one."""
    runbooks = {(rule["annotations"]["runbook_url"].partition("#")[2], name) for name, rule in RULES.items()}
    assert len(ROWS) == len(RULES) == len(runbooks)
    assert set(ROWS) == runbooks
    pages = {rule["annotations"]["runbook_url"].partition("#")[0] for rule in RULES.values()}
    assert pages == {"docs/operations.md"}
    told = OPERATIONS.partition("## Fault by fault")[2].partition("\n## ")[0]
    faults = [line for line in told.splitlines() if line.startswith("|")][2:]
    assert len(faults) == len(ROWS), "a row has no anchor or no alert"


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_alerts_are_on_metrics_that_exist(rule: dict[str, Any]) -> None:
    """With labels and values of theirs, a severity, and a summary that names labels that there are."""
    assert fault_of_query(rule["expr"]) is None
    assert rule["labels"]["severity"] in {"page", "ticket", "info"}
    shown = re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])
    assert {*shown} <= {"instance", "job", *CASES[rule["alert"]].labels}


def test_a_wrong_query_would_be_found() -> None:
    """The check can fail: by the metric, a label, a value."""
    assert fault_of_query("tagstream_upload_total > 0") == "no metric tagstream_upload_total"
    assert fault_of_query('tagstream_uploads_total{user="a"}') == "tagstream_uploads_total has no label user"
    assert fault_of_query('tagstream_findings{check="moon"}') == "tagstream_findings has no check 'moon'"
    assert fault_of_query("sum by (host) (tagstream_circuits_open)") == "no label host in any of its metrics"


def test_prometheus_looks_where_a_worker_is() -> None:
    """The default port, and these alerts."""
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text("utf-8"))
    (job,) = config["scrape_configs"]
    settings = Settings()
    assert job["static_configs"] == [{"targets": [f"{settings.metrics_host}:{settings.metrics_port}"]}]
    assert job["job_name"] == "tagstream"
    assert config["rule_files"] == ["alerts.yml"]


@pytest.mark.parametrize("file", ["prometheus.yml", "compose.yml"])
def test_prometheus_takes_them(file: str) -> None:
    """Its own tool reads configuration and rules."""
    command = [program("promtool"), "check", "config", str(FOLDER / file)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@dataclass(frozen=True)
class Case:
    """Series by which an alert fires, a sample a minute, and the labels that it then has.

    Attributes:
        quiet: A minute at which it does not fire yet.
        fires: One at which it does.
    """

    series: dict[str, str]
    quiet: int
    fires: int
    labels: dict[str, str]


A = {"instance": "a"}
JOB = {"job": "tagstream"}


def finding(check: str, status: str, quiet: int = 1) -> Case:
    name = f'tagstream_findings{{instance="a",check="{check}",status="{status}"}}'
    return Case({name: "0 0 1x20"}, quiet, 4, {**A, "check": check, "status": status})


def restart(reason: str) -> Case:
    name = f'tagstream_restarts_total{{instance="a",reason="{reason}"}}'
    return Case({name: "3 3 4x40"}, 1, 4, {**A, "reason": reason})


def letters(reason: str) -> dict[str, str]:
    return {
        f'tagstream_dead_letters_total{{instance="a",reason="{reason}"}}': "0x20 20+20x40",
        'tagstream_uploads_total{instance="a"}': "0+100x60",
    }


CASES = {
    "TagstreamKafkaAway": Case({'tagstream_kafka_up{instance="a"}': "1 1 0x20"}, 2, 4, A),
    "TagstreamCommitsStand": Case(
        {
            'tagstream_transactions_total{instance="a",result="committed"}': "0+9x5 45x30",
            'tagstream_partition_lag_records{instance="a",partition="0"}': "7x40",
        },
        9,
        17,
        A,
    ),
    "TagstreamCommitUnknown": restart("commit_unknown"),
    "TagstreamWorkerAway": Case({'up{job="tagstream",instance="a"}': "1 1 0x20"}, 3, 5, {**A, **JOB}),
    "TagstreamAnswersIncomplete": Case({'tagstream_state_complete{instance="a"}': "1 0x30"}, 14, 17, A),
    "TagstreamTopicGone": Case({'up{job="tagstream",instance="a"}': "1 1 0x20"}, 2, 4, JOB),
    "TagstreamPartitionsDiffer": finding("partitions", "fail"),
    "TagstreamStateExpires": finding("cleanup.policy", "fail"),
    "TagstreamTombstonesShort": finding("delete.retention.ms", "fail"),
    "TagstreamRecordsTooLarge": finding("max.message.bytes", "fail"),
    "TagstreamLoginRefused": finding("login", "fail"),
    "TagstreamPermissionMissing": finding("permissions", "fail"),
    "TagstreamDiskFull": Case(
        {'tagstream_snapshots_total{instance="a",result="failed"}': "0 0 1x20"},
        1,
        4,
        {**A, "result": "failed"},
    ),
    "TagstreamDataDirectory": finding("data directory", "fail"),
    "TagstreamSnapshotsUnusable": Case(
        {
            'tagstream_snapshots_total{instance="a",result="unusable"}': "0 0 2x20",
            'process_start_time_seconds{instance="a"}': "60x20",
        },
        1,
        4,
        {**A, "result": "unusable"},
    ),
    "TagstreamNameTaken": restart("unusable"),
    "TagstreamClockWrong": finding("clock", "warn"),
    "TagstreamEventsInvalid": Case(letters("invalid_event"), 20, 35, {}),
    "TagstreamTimestampsFree": finding("message.timestamp", "warn"),
    "TagstreamBehind": Case(
        {'tagstream_partition_lag_seconds{instance="a",partition="3"}': "700x30"},
        9,
        12,
        {**A, "partition": "3"},
    ),
    "TagstreamRepartitioningStands": Case(
        {'tagstream_repartition_lag_records{instance="a"}': "700x40"},
        9,
        30,
        A,
    ),
    "TagstreamFilesUnreadable": Case(
        {'tagstream_dead_letters_total{instance="a",reason="unreadable_file"}': "0 0 40x30"},
        1,
        5,
        {**A, "reason": "unreadable_file"},
    ),
    "TagstreamRetriesOld": Case(
        {'tagstream_retries_oldest_seconds{instance="a",partition="1"}': "43000+100x20"},
        1,
        5,
        {**A, "partition": "1"},
    ),
    "TagstreamPartitionsWithoutWorker": Case(
        {
            'tagstream_partition_ready{instance="a",partition="0"}': "1x30",
            'tagstream_partition_ready{instance="b",partition="1"}': "1 1 1 0x30",
        },
        5,
        12,
        {},
    ),
    "TagstreamOpenTransaction": Case(
        {'tagstream_open_transaction_records{instance="a",partition="2"}': "8x30"},
        14,
        17,
        {**A, "partition": "2"},
    ),
    "TagstreamDeadLetters": Case(letters("http_4xx"), 25, 45, {}),
    "TagstreamOwnFaults": Case(letters("internal_error"), 19, 24, {**A, "reason": "internal_error"}),
    "TagstreamRestarts": Case(
        {'tagstream_restarts_total{instance="a",reason="killed"}': "0+1x30"}, 1, 8, {**A, "reason": "killed"}
    ),
    "TagstreamMemoryShort": Case(
        {
            'tagstream_fetch_memory_bytes{instance="a"}': "95x30",
            'tagstream_fetch_memory_limit_bytes{instance="a"}': "100x30",
        },
        14,
        17,
        A,
    ),
    "TagstreamEventLoopLate": Case(
        {
            'tagstream_event_loop_lag_seconds_bucket{instance="a",le="0.5"}': "0+1x30",
            'tagstream_event_loop_lag_seconds_bucket{instance="a",le="1.0"}': "0+9x30",
            'tagstream_event_loop_lag_seconds_bucket{instance="a",le="+Inf"}': "0+9x30",
        },
        10,
        15,
        A,
    ),
    "TagstreamQueriesFail": Case(
        {'tagstream_http_requests_total{instance="a",route="/trends/top",status="503"}': "0+60x30"},
        10,
        15,
        {"route": "/trends/top"},
    ),
}
HEALTHY = {
    'up{job="tagstream",instance="a"}': "1x60",
    'tagstream_kafka_up{instance="a"}': "1x60",
    'tagstream_findings{instance="a",check="topics",status="fail"}': "0x60",
    'tagstream_restarts_total{instance="a",reason="killed"}': "1x60",
    'tagstream_restarts_total{instance="a",reason="stopped"}': "0+1x60",
    'tagstream_snapshots_total{instance="a",result="unusable"}': "0x60",
    'tagstream_uploads_total{instance="a"}': "0+100x60",
    'tagstream_dead_letters_total{instance="a",reason="http_4xx"}': "0+1x60",
    'tagstream_transactions_total{instance="a",result="committed"}': "0+9x60",
    'tagstream_partition_lag_records{instance="a",partition="0"}': "7x60",
    'tagstream_partition_lag_seconds{instance="a",partition="0"}': "3x60",
    'tagstream_partition_ready{instance="a",partition="0"}': "1x60",
    'tagstream_state_complete{instance="a"}': "1x60",
    'tagstream_http_requests_total{instance="a",route="/readyz",status="503"}': "0+60x60",
    'tagstream_fetch_memory_bytes{instance="a"}': "50x60",
    'tagstream_fetch_memory_limit_bytes{instance="a"}': "100x60",
    'process_start_time_seconds{instance="a"}': "60x60",
}


def expected(name: str, labels: dict[str, str]) -> dict[str, Any]:
    """The alert as promtool shall find it."""
    rule = RULES[name]
    summary = re.sub(r"{{ \$labels\.(\w+) }}", lambda found: labels[found[1]], rule["annotations"]["summary"])
    return {
        "exp_labels": {**labels, **rule["labels"]},
        "exp_annotations": {**rule["annotations"], "summary": summary},
    }


def scenario(series: dict[str, str], *tests: dict[str, Any]) -> dict[str, Any]:
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    return {"interval": "1m", "input_series": inputs, "alert_rule_test": list(tests)}


def promtool(tmp_path: Path, *tests: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "alerts_test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(FOLDER / "alerts.yml")], "tests": list(tests)}))
    command = [program("promtool"), "test", "rules", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_alert_is_tried() -> None:
    """None is left out below."""
    assert CASES.keys() == RULES.keys()


def test_each_alert_fires_when_it_should(tmp_path: Path) -> None:
    """And not before: promtool runs the rules over each case."""
    tests = [
        scenario(
            case.series,
            {"eval_time": f"{case.quiet}m", "alertname": name, "exp_alerts": []},
            {"eval_time": f"{case.fires}m", "alertname": name, "exp_alerts": [expected(name, case.labels)]},
        )
        for name, case in CASES.items()
    ]
    done = promtool(tmp_path, *tests)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_healthy_worker_wakes_nobody(tmp_path: Path) -> None:
    """Whatever is usual, no alert fires; and promtool would say if one did."""
    quiet = [{"eval_time": "50m", "alertname": name, "exp_alerts": []} for name in RULES]
    done = promtool(tmp_path, scenario(HEALTHY, *quiet))
    assert done.returncode == 0, done.stdout + done.stderr
    away = {'tagstream_kafka_up{instance="a"}': "0x60"}
    assert promtool(tmp_path, scenario(HEALTHY | away, *quiet)).returncode == 1
