import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from rotator.consumers.ecs import Ecs
from rotator.consumers.eventbridge import EventBridge
from rotator.consumers.outside import Outside
from rotator.errors import NeedsPerson
from rotator.providers.network import Network, Surroundings
from rotator.testing.clock import ManualClock
from rotator.testing.consumer_contract import NEWS

REGION = "eu-west-1"


@pytest.fixture
def outside() -> Iterator[Outside]:
    """Nothing but moto."""
    clock = ManualClock()
    with mock_aws():
        yield Outside("app", clock, Network(Surroundings(), clock))


def client(service: str) -> Any:
    """The library's own."""
    session: Any = boto3.Session("testing", "testing")
    return session.client(service, region_name=REGION)


def test_a_service_is_deployed_anew(outside: Outside) -> None:
    """The ECS of moto knows the call and its arguments; without the service it says so."""
    ecs = client("ecs")
    ecs.create_cluster(clusterName="trading")
    ecs.register_task_definition(
        family="maker", containerDefinitions=[{"name": "maker", "image": "maker", "memory": 1}]
    )
    ecs.create_service(cluster="trading", serviceName="maker", taskDefinition="maker", desiredCount=0)
    settings = {"region": REGION, "cluster": "trading"}
    Ecs(Ecs.Settings(**settings, service="maker"), outside, client=lambda: ecs).tell(NEWS)
    with pytest.raises(NeedsPerson, match="there is none"):
        Ecs(Ecs.Settings(**settings, service="nobody"), outside, client=lambda: ecs).tell(NEWS)
    ecs.close()


def test_a_rule_gets_the_event(outside: Outside) -> None:
    """What is put on the bus comes through a rule that matches its source and type."""
    events, sqs = client("events"), client("sqs")
    queue = sqs.create_queue(QueueName="keys")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.create_event_bus(Name="keys")
    pattern = json.dumps({"source": ["rotator"], "detail-type": ["key.promoted"]})
    events.put_rule(Name="keys", EventBusName="keys", EventPattern=pattern)
    events.put_targets(Rule="keys", EventBusName="keys", Targets=[{"Id": "queue", "Arn": arn}])
    EventBridge(EventBridge.Settings(region=REGION, bus="keys"), outside, client=lambda: events).tell(NEWS)
    (got,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert json.loads(got["Body"])["detail"]["id"] == NEWS.id
    for each in (events, sqs):
        each.close()
