"""Fixtures that several folders of tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rotator.ledger import need_not_last
from tests.embedded import dynamodb
from tests.embedded.server import Server, a_database


@pytest.fixture(scope="session", autouse=True)
def _need_not_last(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What tests keep need not last: they also run in a container's own layer."""
    need_not_last(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL of this process's own, so that a test may restart it: each of xdist's workers has one."""
    with Server() as server:
        server.start()
        yield server


@pytest.fixture
def audit_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file with the key of the audit trail, for ledgers that have no file for it to be beside."""
    path = tmp_path / "audit-key"
    monkeypatch.setenv("ROTATOR_AUDIT_KEY_FILE", str(path))
    return path


@pytest.fixture
def own_database(server: Server, audit_key: Path) -> Iterator[str]:
    """The address of an empty database on a server that the test may take away."""
    with a_database(server.url()) as url:
        yield url


@pytest.fixture
def database(request: pytest.FixtureRequest, audit_key: Path) -> Iterator[str]:
    """The address of an empty PostgreSQL database: on a server of ours, or on ROTATOR_TEST_POSTGRES."""
    named = os.environ.get("ROTATOR_TEST_POSTGRES")
    with a_database(named or request.getfixturevalue("server").url()) as url:
        yield url


@pytest.fixture(scope="session")
def dynamo() -> Iterator[dynamodb.Server]:
    """A DynamoDB of this process's own: each of xdist's workers has one."""
    with dynamodb.Server() as server:
        yield server


@pytest.fixture
def table(dynamo: dynamodb.Server, audit_key: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of an empty table for a ledger, and credentials by which it is reached."""
    for name, value in dynamodb.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with dynamo.table() as name:
        yield name
