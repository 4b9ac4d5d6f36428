"""Whole examples, applied with stand-ins for what AWS makes: what would be allowed, started and told."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from moto.events.models import EventPattern

from rotator.ledger.login import Login
from tests.terraform.standins import ACCOUNT, REGION, applied
from tests.terraform.tool import MODULES, WrongError, needs_terraform, run

pytestmark = needs_terraform

CLUSTER = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/main"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"
ON_ECS: Mapping[str, object] = {
    "image": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/rotator@sha256:{'0' * 64}",
    "repository_arn": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/rotator",
    "audit_key_secret_arn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:rotator/audit-key-AbCdEf",
    "cluster_arn": CLUSTER,
    "vpc_id": "vpc-0",
    "subnet_ids": ["subnet-0", "subnet-1"],
    "alarm_topic_arn": TOPIC,
}
WITHOUT_RESOURCE = {"ecr:GetAuthorizationToken"}  # of an account, which IAM can say in no other way
DATABASE = """
  postgres = {
    host              = "db.example.com"
    resource_id       = "db-ABC"
    security_group_id = "sg-db"
  }
"""

Made = dict[str, dict[str, Any]]


def made(example: str, folder: Path) -> Made:
    """All that an example makes."""
    if example != "lambda":
        return applied(example, folder, ON_ECS)
    (folder / "package.zip").write_bytes(b"rotator")
    native = {"market-maker": {"secret_id": "prod/market-maker", "days": 30}}
    given = {
        "package": str(folder / "package.zip"),
        "alarm_topic_arn": TOPIC,
        "audit_key_secret_arn": ON_ECS["audit_key_secret_arn"],
        "native": native,
    }
    return applied(example, folder, given)


def statements(found: Made) -> Iterator[dict[str, Any]]:
    """Every statement of every policy that a role is given."""
    for address, one in found.items():
        if ".aws_iam_" in address and "policy" in one:
            yield from json.loads(one["policy"])["Statement"]


def listed(value: str | list[str]) -> list[str]:
    """IAM takes one or several."""
    return [value] if isinstance(value, str) else value


@pytest.mark.parametrize("example", ["ecs-daemon", "ecs-cron", "lambda"])
def test_no_role_may_do_more(example: str, tmp_path: Path) -> None:
    """No policy of a role has a wildcard for actions, nor one for resources that could be named."""
    found = made(example, tmp_path)
    given = list(statements(found))
    assert len(given) > 5
    for one in given:
        assert not [action for action in listed(one["Action"]) if "*" in action]
        if "*" in listed(one["Resource"]):
            assert set(listed(one["Action"])) <= WITHOUT_RESOURCE
    alarms = [one for address, one in found.items() if "aws_cloudwatch_metric_alarm" in address]
    assert len(alarms) >= 2
    assert [one["alarm_name"] for one in alarms if one["alarm_actions"] != [TOPIC]] == []


def test_a_service_runs_the_task(tmp_path: Path) -> None:
    """The service runs this task without a public address, and takes back what does not become healthy."""
    found = made("ecs-daemon", tmp_path)
    service = found["module.service.aws_ecs_service.this"]
    task = found["module.task.aws_ecs_task_definition.this"]
    assert service["task_definition"] == task["arn"]
    assert service["network_configuration_1"]["assign_public_ip"] is False
    assert service["deployment_circuit_breaker_1"] == {"enable": True, "rollback": True}
    worker = json.loads(task["container_definitions"])[0]
    told = {one["name"]: one["value"] for one in worker["environment"]}
    assert told["ROTATOR_LEDGER"] == f"dynamodb://rotator?region={REGION}"


@pytest.mark.parametrize("runs", ["asked", "former"])
def test_a_deployment_that_was_taken_back_fails(runs: str, tmp_path: Path) -> None:
    """A service that ECS rolled back is steady; Terraform fails since it runs another revision."""
    text = (MODULES / "ecs-daemon" / "main.tf").read_text()
    (judged,) = re.findall(r"^  lifecycle \{\n.*?^  \}\n", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "main.tf").write_text(
        f"""
        variable "task" {{ default = {{ task_definition_arn = "asked" }} }}
        resource "terraform_data" "service" {{
          input = {{ task_definition = "{runs}" }}
          {judged.replace("self.", "self.output.")}
        }}
        """
    )
    run(tmp_path, tmp_path, "init", "-backend=false", "-input=false", "-no-color")
    with nullcontext() if runs == "asked" else pytest.raises(WrongError, match="took the deployment back"):
        run(tmp_path, tmp_path, "apply", "-auto-approve", "-input=false", "-no-color")


def test_a_schedule_starts_the_task_and_nothing_else(tmp_path: Path) -> None:
    """The scheduler may start revisions of this task in this cluster, and hand it its own two roles."""
    found = made("ecs-cron", tmp_path)
    scheduler = json.loads(found["module.cron.aws_iam_role_policy.scheduler"]["policy"])["Statement"]
    start, tag, hand_on, _ = scheduler
    task = found["module.task.aws_ecs_task_definition.this"]
    assert start["Resource"] == f"{task['arn_without_revision']}:*"
    assert start["Condition"] == {"ArnEquals": {"ecs:cluster": CLUSTER}}
    assert hand_on["Resource"] == [task["task_role_arn"], task["execution_role_arn"]]
    tasks = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/main/*"
    assert (tag["Action"], tag["Resource"]) == ("ecs:TagResource", tasks), "propagate_tags asks for it"
    assert tag["Condition"] == {"StringEquals": {"ecs:CreateAction": "RunTask"}}
    target = found["module.cron.aws_scheduler_schedule.this"]["target_1"]
    assert target["ecs_parameters_1"]["task_definition_arn"] == task["arn"]
    assert json.loads(task["container_definitions"])[0]["command"] == ["tick"]


def ended(**detail: object) -> Any:
    """What ECS says of a task that ended. EventBridge looks into each object of an array, and moto's matcher
    does not: the one container stands for its array.
    """
    known = {"clusterArn": CLUSTER, "lastStatus": "STOPPED", "taskDefinitionArn": "?"}
    return {"source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": known | detail}


def test_a_pass_that_fails_is_told(tmp_path: Path) -> None:
    """People hear of a pass that ended with an error, and of one that never began; of no other task."""
    found = made("ecs-cron", tmp_path)
    family = found["module.task.aws_ecs_task_definition.this"]["arn_without_revision"]
    rule: Any = EventPattern.load(found["module.cron.aws_cloudwatch_event_rule.failed"]["event_pattern"])
    ours = {"taskDefinitionArn": f"{family}:3"}

    def told(**detail: object) -> bool:
        return bool(rule.matches_event(ended(**detail)))

    assert told(**ours, containers={"exitCode": 1}, stopCode="EssentialContainerExited")
    assert told(**ours, containers={"lastStatus": "STOPPED"}, stopCode="TaskFailedToStart")
    assert not told(**ours, containers={"exitCode": 0}, stopCode="EssentialContainerExited")
    assert not told(**ours, containers={"exitCode": 1}, lastStatus="RUNNING")
    assert not told(taskDefinitionArn=f"{family}-2:3", stopCode="TaskFailedToStart")
    assert not told(**ours, stopCode="TaskFailedToStart", clusterArn=f"{CLUSTER}2")


def test_a_function_takes_three_events(tmp_path: Path) -> None:
    """A schedule sends ticks, people may call it, and Secrets Manager of this account alone."""
    found = made("lambda", tmp_path)
    function = found["module.function.aws_lambda_function.this"]
    schedule = found["module.function.aws_scheduler_schedule.this"]["target_1"]
    assert (schedule["arn"], json.loads(schedule["input"])) == (function["arn"], {"rotator": "tick"})
    allowed = found["module.function.aws_lambda_permission.secrets_manager[0]"]
    assert (allowed["principal"], allowed["source_account"]) == ("secretsmanager.amazonaws.com", ACCOUNT)
    rotation = found['aws_secretsmanager_secret_rotation.native["market-maker"]']
    assert (rotation["rotation_lambda_arn"], rotation["rotate_immediately"]) == (function["arn"], False)
    assert function["dead_letter_config_1"]["target_arn"] == schedule["dead_letter_config_1"]["arn"]


def test_a_database_of_yours_is_logged_into_by_the_role(tmp_path: Path) -> None:
    """The ledger's address is one that the worker understands, and its role may log in as that user alone."""
    found = applied(
        "ecs-daemon", tmp_path, ON_ECS, lambda text: text.replace('state"\n', f'state"\n{DATABASE}', 1)
    )
    assert not [address for address in found if "dynamodb" in address]
    worker = json.loads(found["module.task.aws_ecs_task_definition.this"]["container_definitions"])[0]
    url = {one["name"]: one["value"] for one in worker["environment"]}["ROTATOR_LEDGER"]
    assert Login(url).name == "postgresql://db.example.com/rotator"
    assert urlsplit(url).password is None
    (login,) = [one for one in statements(found) if one["Sid"] == "LogIntoLedger"]
    assert login["Resource"] == [f"arn:aws:rds-db:{REGION}:{ACCOUNT}:dbuser:db-ABC/rotator"]
    opened = found["module.task.aws_vpc_security_group_ingress_rule.database[0]"]
    assert (opened["security_group_id"], opened["from_port"]) == ("sg-db", 5432)
