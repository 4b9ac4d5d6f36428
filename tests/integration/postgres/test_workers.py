import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.embedded.server import Server
from tests.integration.postgres.fleet import Fleet


@pytest.fixture
def fleet(database: str, tmp_path: Path) -> Iterator[Fleet]:
    """Secrets that are due, and no worker yet."""
    with Fleet(database, tmp_path) as fleet:
        yield fleet


def test_workers_share_what_is_due(fleet: Fleet) -> None:
    """Three daemons on one ledger rotate every secret, none of them twice, and each daemon does its part."""
    fleet.start(3)
    fleet.until(fleet.done)
    fleet.must_be_whole()
    assert fleet.issued() == len(fleet.names)


def test_a_killed_worker_is_taken_over(fleet: Fleet) -> None:
    """What a worker held that was killed in the middle is finished by another, once its claims are over."""
    fleet.start(1)
    fleet.until(lambda: fleet.issued() > 2)
    fleet.signal(0, signal.SIGKILL)
    fleet.workers[0].wait()
    assert fleet.rotated() < len(fleet.names)
    fleet.start(1)
    fleet.until(fleet.done)
    fleet.must_be_whole()


@pytest.fixture
def small(database: str, tmp_path: Path) -> Iterator[Fleet]:
    """As many secrets as a worker has threads, at a provider that takes its time."""
    with Fleet(database, tmp_path, size=4, latency=0.15) as fleet:
        yield fleet


def test_a_frozen_worker_that_comes_back_changes_nothing(small: Fleet) -> None:
    """A worker that was frozen until others had finished its work writes nothing when it goes on."""
    fleet = small
    fleet.start(1)
    fleet.until(lambda: fleet.issued() == len(fleet.names))  # a create that lands late is another matter
    fleet.signal(0, signal.SIGSTOP)
    assert fleet.rotated() < len(fleet.names)
    fleet.start(1)
    fleet.until(fleet.done)
    before = fleet.written()
    fleet.signal(0, signal.SIGCONT)
    told = (
        "another worker went on with it",
        "was cut off",
    )  # the latter where it was frozen in a transaction
    fleet.until(lambda: any(sentence in fleet.log(0) for sentence in told))
    fleet.signal(0, signal.SIGTERM)
    fleet.workers[0].wait()
    assert fleet.written() == before
    fleet.must_be_whole()


def test_a_restarted_database_costs_time_alone(own_database: str, server: Server, tmp_path: Path) -> None:
    """Killed connections, a restart and a crash of the database amid rotations lose nothing but time."""
    with Fleet(own_database, tmp_path) as fleet:
        fleet.start(2)
        for keys, disturbed in enumerate(("connections", "fast", "connections", "immediate")):
            fleet.until(lambda keys=keys: fleet.issued() > keys * 2)  # type: ignore[misc]
            if disturbed == "connections":
                fleet.cut_off()
            else:
                server.stop(disturbed)
                server.start()
        fleet.until(fleet.done)
        fleet.must_be_whole()
        assert [process.poll() for process in fleet.workers] == [None, None]
