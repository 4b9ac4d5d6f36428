"""Who may take a role, use the key and be reached: whole documents, as the examples are applied."""

import importlib
import json
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from jobs import lambda_handler
from tests.terraform.standins import ACCOUNT, REGION
from tests.terraform.test_applied import Made, made
from tests.terraform.tool import needs_terraform
from tools import lambda_zip

pytestmark = needs_terraform

OURS = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
LOGS = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group"
DIMENSIONS = {  # by namespace, as AWS names them: an alarm with another one hears nothing
    "AWS/Lambda": "FunctionName",
    "AWS/SQS": "QueueName",
}
METRICS = {"AWS/Lambda": {"Errors", "Throttles"}, "AWS/SQS": {"ApproximateNumberOfMessagesVisible"}}
EXAMPLES = ("ecs-daemon", "ecs-cron", "lambda")

each = pytest.mark.parametrize("example", EXAMPLES)
Applied = Callable[[str], Made]


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Applied:
    """What an example makes; each is applied once."""
    return cache(lambda example: made(example, tmp_path_factory.mktemp(example)))


def of(found: Made, type_: str) -> dict[str, dict[str, Any]]:
    """All resources of a type, by address."""
    return {address: one for address, one in found.items() if f"{type_}." in address}


def statement(service: str, condition: object = None) -> dict[str, Any]:
    """Trust in a service of AWS, that of this account where it says for whom it asks."""
    said = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return said | ({"Condition": condition} if condition else {})


@each
def test_a_role_is_taken_by_its_service_for_this_account_alone(example: str, applied: Applied) -> None:
    """Each trust policy as a whole; Lambda alone says for no account that it asks."""
    worker = (
        statement("lambda.amazonaws.com")
        if example == "lambda"
        else statement("ecs-tasks.amazonaws.com", OURS)
    )
    expected = {"rotator": worker}
    if example != "lambda":
        expected["rotator-execution"] = statement("ecs-tasks.amazonaws.com", OURS)
    if example != "ecs-daemon":
        expected["rotator-scheduler"] = statement("scheduler.amazonaws.com", OURS)
    roles = of(applied(example), "aws_iam_role").values()
    assert {one["name"]: json.loads(one["assume_role_policy"]) for one in roles} == {
        name: {"Version": "2012-10-17", "Statement": [one]} for name, one in expected.items()
    }


@each
def test_the_key_is_used_through_its_two_services(example: str, applied: Applied) -> None:
    """The policy as a whole: administration by the account, DynamoDB for callers of this account, and the log
    groups that are encrypted with it.
    """
    found = applied(example)
    ((_, key),) = of(found, "aws_kms_key").items()
    administer, table, logs = json.loads(key["policy"])["Statement"]
    use = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    assert administer == {
        "Sid": "Administer",
        "Effect": "Allow",
        "Principal": {"AWS": ROOT},
        "Action": "kms:*",
        "Resource": "*",
    }
    assert table == {
        "Sid": "UseThroughDynamoDB",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": ["kms:CreateGrant", *use],
        "Resource": "*",
        "Condition": {
            "StringEquals": {
                "kms:CallerAccount": ACCOUNT,
                "kms:ViaService": f"dynamodb.{REGION}.amazonaws.com",
            }
        },
    }
    context = logs["Condition"].pop("ArnLike")
    assert logs == {
        "Sid": "EncryptLogs",
        "Effect": "Allow",
        "Principal": {"Service": f"logs.{REGION}.amazonaws.com"},
        "Action": use,
        "Resource": "*",
        "Condition": {},
    }
    (pattern,) = context.values()
    assert list(context) == ["kms:EncryptionContext:aws:logs:arn"]
    assert pattern.startswith(f"{LOGS}:")
    encrypted = [
        one for one in of(found, "aws_cloudwatch_log_group").values() if one["kms_key_id"] == key["arn"]
    ]
    assert encrypted
    assert [one["name"] for one in encrypted if not fnmatchcase(f"{LOGS}:{one['name']}", pattern)] == []


@pytest.mark.parametrize("example", ["ecs-daemon", "ecs-cron"])
def test_a_task_reaches_https_and_nothing_reaches_it(example: str, applied: Applied) -> None:
    """Its group has one rule: HTTPS, out."""
    found = applied(example)
    (rule,) = of(found, "aws_vpc_security_group_egress_rule").values()
    asked = {name: rule[name] for name in ("ip_protocol", "from_port", "to_port", "cidr_ipv4")}
    assert asked == {"ip_protocol": "tcp", "from_port": 443, "to_port": 443, "cidr_ipv4": "0.0.0.0/0"}
    (group,) = of(found, "aws_security_group").values()
    assert rule["security_group_id"] == group["id"]
    assert of(found, "aws_vpc_security_group_ingress_rule") == {}


@each
def test_alarms_listen_to_metrics_that_exist(example: str, applied: Applied) -> None:
    """AWS's metrics have the dimension that AWS gives them, of a thing that is made here; our own have none,
    and are filled by a filter of the log.
    """
    found = applied(example)
    made_here = {one.get("function_name") or one.get("name") for one in found.values()}
    filled = {
        (one["metric_transformation_1"]["namespace"], one["metric_transformation_1"]["name"])
        for one in of(found, "aws_cloudwatch_log_metric_filter").values()
    }
    for alarm in of(found, "aws_cloudwatch_metric_alarm").values():
        namespace, metric = alarm["namespace"], alarm["metric_name"]
        if namespace in DIMENSIONS:
            assert metric in METRICS[namespace]
            assert list(alarm["dimensions"]) == [DIMENSIONS[namespace]]
            assert set(alarm["dimensions"].values()) <= made_here
        else:
            assert (namespace, metric) in filled
            assert "dimensions" not in alarm


def test_the_function_finds_its_code_and_its_policies(applied: Applied, tmp_path: Path) -> None:
    """Its handler can be imported, and policies lie where the package has them, below Lambda's own folder."""
    (function,) = of(applied("lambda"), "aws_lambda_function").values()
    name, _, entry = function["handler"].rpartition(".")
    assert getattr(importlib.import_module(name), entry) is lambda_handler.handler
    given = tmp_path / "rotator.yaml"
    given.touch()
    tree = tmp_path / "package"
    tree.mkdir()
    lambda_zip.policies(tree, given)
    (packed,) = tree.iterdir()
    assert function["environment_1"]["variables"]["ROTATOR_POLICIES"] == f"/var/task/{packed.name}"
