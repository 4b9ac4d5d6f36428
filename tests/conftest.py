"""Fixtures that several folders of tests share."""

import os
import secrets
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.embedded.server import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL of this process's own, so that a test may restart it: each of xdist's workers has one."""
    with Server() as server:
        server.start()
        yield server


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of an empty PostgreSQL database: on a server of ours, or on ROTATOR_TEST_POSTGRES."""
    import psycopg  # noqa: PLC0415 - most tests need it not

    named = os.environ.get("ROTATOR_TEST_POSTGRES")
    home = named or request.getfixturevalue("server").url()
    name = f"rotator_test_{secrets.token_hex(6)}"
    with psycopg.connect(home, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0".encode())
    yield urlunsplit(urlsplit(home)._replace(path=f"/{name}"))
    with psycopg.connect(home, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
