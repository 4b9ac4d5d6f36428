from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from rotator.stores.aws_settings import Settings, canonical, place

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"
ROLE = "arn:aws:iam::123456789012:role/rotator"


def test_settings_of_the_manual() -> None:
    """Every setting of the type, and the delay that replicas are given when nothing is said."""
    settings = Settings(region="eu-west-1", role_arn=ROLE, external_id="outside", profile="one")
    assert settings.replica_delay == timedelta(minutes=10)
    given = Settings.model_validate({"region": "eu-west-1", "replica_delay": "1m30s"})
    assert given.replica_delay == timedelta(seconds=90)
    assert Settings.model_json_schema()["properties"]["replica_delay"]["default"] == "10m"
    assert Settings.model_validate_json(given.model_dump_json()) == given


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"region": "Ireland"},
        {"region": "eu-west-1", "regoin": "x"},
        {"region": "eu-west-1", "endpoint_url": "http://example.test"},
        {"region": "eu-west-1", "endpoint_url": "file:///etc/passwd"},
        {"region": "eu-west-1", "endpoint_url": "https://user:word@example.test"},
        {"region": "eu-west-1", "role_arn": "rotator"},
        {"region": "eu-west-1", "external_id": "outside"},
        {"region": "eu-west-1", "profile": ""},
        {"region": "eu-west-1", "replica_delay": "soon"},
        {"region": "eu-west-1", "replica_delay": ""},
        {"region": "eu-west-1", "replica_delay": 600},
    ],
)
def test_wrong_settings(wrong: dict[str, Any]) -> None:
    """A setting that cannot be meant is refused."""
    with pytest.raises(ValidationError):
        Settings.model_validate(wrong)


def test_a_local_server_may_be_plain_http() -> None:
    """Plain http is for this machine alone."""
    assert Settings(region="eu-west-1", endpoint_url="http://127.0.0.1:5000").endpoint_url


@pytest.mark.parametrize("settings", [{}, {"role_arn": ROLE}, {"profile": "one"}])
def test_name_and_arn_are_one_secret(settings: dict[str, Any]) -> None:
    """A name, its ARN and its ARN without the six characters have one id."""
    given = {"region": "eu-west-1", **settings}
    spellings = ["prod/bot", f"{ARN}prod/bot-a1B2c3", f"{ARN}prod/bot"]
    assert len({canonical(given, spelling) for spelling in spellings}) == 1


def test_different_secrets_have_different_ids() -> None:
    """Another name, region, account, role, profile or address is another secret."""
    here = {"region": "eu-west-1"}
    ids = [
        canonical(here, "prod/bot"),
        canonical(here, "prod/bot2"),
        canonical({"region": "us-east-1"}, "prod/bot"),
        canonical({**here, "role_arn": ROLE}, "prod/bot"),
        canonical(
            {**here, "role_arn": ROLE}, f"{ARN.replace('123456789012', '210987654321')}prod/bot-a1B2c3"
        ),
        canonical({**here, "profile": "one"}, "prod/bot"),
        canonical({**here, "endpoint_url": "http://127.0.0.1:5000"}, "prod/bot"),
    ]
    assert len(set(ids)) == len(ids)
    assert canonical({**here, "endpoint_url": "HTTP://127.0.0.1:5000/"}, "prod/bot") == ids[-1]


def test_an_arn_names_its_own_region() -> None:
    """The region of an ARN counts, not the store's."""
    assert canonical({"region": "us-east-1"}, f"{ARN}a-a1B2c3") == canonical({"region": "eu-west-1"}, "a")
    where = place("us-east-1", f"{ARN}a-a1B2c3")
    assert (where.region, where.name, where.account) == ("eu-west-1", "a", "123456789012")
    assert where.replica_id("us-west-2") == f"{ARN.replace('eu-west-1', 'us-west-2')}a-a1B2c3"
    assert place("us-east-1", "a").replica_id("us-west-2") == "a"


@pytest.mark.parametrize(
    ("secret", "remedy"),
    [
        ("", "give its name"),
        ("prod/*", "whole name"),
        ("prod/?", "whole name"),
        ("x" * 513, "512 characters"),
        ("prod bot", "letters, digits"),
        ("prod/böt", "letters, digits"),
        ("arn:aws:s3:::bucket", "arn:aws:secretsmanager:REGION"),
        (f"{ARN}prod/bot-a1B2c3:api_key::", "JSON key"),
        (f"{ARN}", "give its name"),
    ],
)
def test_bad_spellings_say_what_is_right(secret: str, remedy: str) -> None:
    """A spelling that names no secret is refused with what would be right."""
    with pytest.raises(ValueError, match=remedy):
        canonical({"region": "eu-west-1"}, secret)
