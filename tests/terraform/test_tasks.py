"""What the tasks of ECS run, as Terraform evaluates it, beside what the worker promises."""

import json
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.daemon import LAST, PATIENCE
from rotator.cli import run as cli
from rotator.ledger.kept_key import VARIABLE
from rotator.telemetry import logs
from tests.docs.pages import ROOT
from tests.terraform.blocks import module
from tests.terraform.tool import MODULES, WrongError, needs_terraform, planned

CONTAINERS = MODULES / "ecs-task" / "containers"
GIVEN = {
    "image": f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/rotator@sha256:{'0' * 64}",
    "runs": "daemon",
    "ledger_url": "dynamodb://rotator?region=eu-west-1",
    "audit_key_secret_arn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rotator/audit-key-AbCdEf",
    "sentry_dsn_secret_arn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rotator/sentry-AbCdEf",
    "environment": {"HTTPS_PROXY": "http://proxy.example.com:3128"},
    "log_group": "/ecs/rotator",
    "region": "eu-west-1",
}


def containers(data: Path, **more: object) -> dict[str, Any]:
    """The containers of a task, by name."""
    return {one["name"]: one for one in json.loads(planned(CONTAINERS, data, GIVEN | more)["json"])}


@needs_terraform
def test_every_container_is_confined(tmp_path: Path) -> None:
    """Not root, nothing to write but the task's own state, no capability, no core dump."""
    for one in containers(tmp_path).values():
        assert one["user"] == "65532:65532"
        assert one["readonlyRootFilesystem"] is True
        assert one["privileged"] is False
        assert one["linuxParameters"] == {"initProcessEnabled": True, "capabilities": {"drop": ["ALL"]}}
        assert one["ulimits"] == [{"name": "core", "softLimit": 0, "hardLimit": 0}]
        assert [mount["containerPath"] for mount in one["mountPoints"]] == ["/var/lib/rotator"]


@needs_terraform
def test_a_daemon_is_given_time_to_end(tmp_path: Path) -> None:
    """ECS kills later than the worker's patience ends, and its last alarms are told."""
    worker = containers(tmp_path)["rotator"]
    assert timedelta(seconds=worker["stopTimeout"]) > PATIENCE + LAST
    assert worker["stopTimeout"] <= 120  # seconds, the most that Fargate gives


@needs_terraform
def test_a_daemon_is_asked_whether_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The health check is a command of the program, with the daemon's own tick; a single tick has none."""
    worker = containers(tmp_path, every="20s")["rotator"]
    assert worker["command"] == ["daemon", "--tick", "20s"]
    kind, program, *words = worker["healthCheck"]["command"]
    assert (kind, program, words) == ("CMD", "rotator", ["health", "--tick", "20s"])
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert cli(words) == 1
    assert "There is no heartbeat" in "".join(capsys.readouterr())
    tick = containers(tmp_path, runs="tick")["rotator"]
    assert tick["command"] == ["tick"]
    assert "healthCheck" not in tick


@needs_terraform
def test_no_secret_stands_in_a_task(tmp_path: Path) -> None:
    """Who may describe the task sees the ARNs of two secrets, and nothing that is one."""
    made = containers(tmp_path)
    named = {each["name"]: each["valueFrom"] for one in made.values() for each in one["secrets"]}
    assert named == {"SENTRY_DSN": GIVEN["sentry_dsn_secret_arn"]}
    plain = {each["name"] for one in made.values() for each in one.get("environment", [])}
    assert plain == {"ROTATOR_LEDGER", VARIABLE, "HTTPS_PROXY"}


@needs_terraform
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"image": "rotator:latest"}, "by its digest"),
        ({"ledger_url": "sqlite:////var/lib/rotator/ledger.sqlite"}, "disk does not last"),
        ({"environment": {"SENTRY_DSN": "https://x"}}, "has a variable of its own"),
        ({"runs": "doctor"}, "daemon or tick"),
    ],
)
def test_what_would_lose_keys_is_refused(tmp_path: Path, wrong: dict[str, object], said: str) -> None:
    """A tag that may move, a disk that ends, a secret in a variable: refused while Terraform plans."""
    with pytest.raises(WrongError, match=said):
        containers(tmp_path, **wrong)


def test_the_alarms_listen_for_what_is_logged() -> None:
    """The sentence that a worker writes each day, and the level of its alarms, are those of its source."""
    filters = module(MODULES / "alarms").blocks["resource"]
    heartbeat = filters["aws_cloudwatch_log_metric_filter.heartbeat"]["pattern"]
    assert heartbeat.replace("\\", "") == '{ $.event = "reconciled: *" }'
    assert 'log.info("reconciled: ' in (ROOT / "rotator" / "reconcile" / "daily.py").read_text()
    errors = filters["aws_cloudwatch_log_metric_filter.errors"]["pattern"].replace("\\", "")
    line = logging.makeLogRecord({"levelno": logging.ERROR, "levelname": "ERROR", "msg": "it failed"})
    told = logs._parts(line)
    assert f'$.level = "{told["level"]}"' in errors
    assert told["event"] == "it failed"
