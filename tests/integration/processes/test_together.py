"""Processes beside each other, and beside people who look away."""

import json
import os
import signal
import threading
from contextlib import closing
from pathlib import Path

from rotator.lab.faults import matches
from rotator.lab.wire import Answer, Request, Respond
from tests.integration.processes.scene import EFFECTS, PATIENCE, Scene, ended

CROWD = 6  # passes at once; more cost the test's machine a second of work each and show nothing new


class Gate:
    """Lets no new key be verified until it is opened: the provider cannot tell meanwhile."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.open = threading.Event()

    def __call__(self, request: Request, respond: Respond) -> Answer | None:
        """Answer; a probe with 503 while the gate is closed."""
        if self.open.is_set() or not matches(EFFECTS["probe"], request):
            return respond(request)
        self.asked.set()
        return Answer.of(503)


def run_now(reason: str) -> str:
    """The command line of a person."""
    return f"run-now orders --reason {reason} --yes --wait 40s --json"


def until(scene: Scene, reason: str) -> None:
    """Wait for an order of this reason, or for the rotation that took it up at once."""
    for _ in range(600):
        with closing(scene.ledger()) as ledger:
            given = [order.reason for orders in ledger.all_orders().values() for order in orders.values()]
            if reason in given or any(reason in event.text for event in ledger.events(limit=500)):
                return
        threading.Event().wait(0.05)
    raise AssertionError("no such order was given")


def issued(scene: Scene) -> int:
    """How many keys were made by request."""
    return len(scene.provider.keys("api"))


def test_two_run_now_at_once_are_one_rotation(tmp_path: Path) -> None:
    """Two people in one incident: one new key, and both are told truthfully that it is in use."""
    gate = Gate()
    with Scene(tmp_path) as scene:
        scene.hook = gate
        first = scene.start(run_now("first"))
        assert gate.asked.wait(PATIENCE)
        second = scene.start(run_now("second"))
        until(scene, "second")
        gate.open.set()
        told = [ended(first), ended(second)]
        assert [each.code for each in told] == [0, 0]
        (key,) = {json.loads(each.out)["policies"][0]["key_id"] for each in told}
        assert scene.vault.fields(scene.names[0])["key_id"] == key
        assert issued(scene) == 1
        scene.healed()


def test_run_now_beside_a_daemon_is_one_rotation(tmp_path: Path) -> None:
    """A person orders what the daemon has begun: one new key, and the person sees it come into use."""
    gate = Gate()
    with Scene(tmp_path) as scene:
        scene.hook = gate
        daemon = scene.start("daemon --tick 1s")
        assert gate.asked.wait(PATIENCE)
        person = scene.start(run_now("leak"))
        until(scene, "leak")
        gate.open.set()
        told = ended(person)
        assert (told.code, issued(scene)) == (0, 1)
        daemon.send_signal(signal.SIGTERM)
        assert ended(daemon).code == 0
        scene.healed()


def test_passes_that_overlap_share_the_work(tmp_path: Path) -> None:
    """A crowd of passes at once, as cron makes it when one is slow: each secret is rotated exactly once."""
    with Scene(tmp_path, policies=3) as scene:
        crowd = [scene.start("tick") for _ in range(CROWD)]
        told = [ended(each) for each in crowd]
        assert {each.code for each in told} == {0}
        assert issued(scene) == len(scene.names)
        scene.settled()


def test_a_pass_whose_log_nobody_reads_does_its_work(tmp_path: Path) -> None:
    """Standard output and standard error are pipes that nobody holds any more: it rotates all the same."""
    with Scene(tmp_path) as scene:
        reader, writer = os.pipe()
        os.close(reader)
        process = scene.start("tick", stdout=writer, stderr=writer)
        os.close(writer)
        assert ended(process).code == 0
        scene.settled()


def test_a_report_that_nobody_reads_is_no_fault(tmp_path: Path) -> None:
    """`rotator status | head -0`: no traceback and no report of a fault in rotator."""
    with Scene(tmp_path) as scene:
        reader, writer = os.pipe()
        os.close(reader)
        process = scene.start("status --json", stdout=writer)
        os.close(writer)
        told = ended(process)
        assert "Traceback" not in told.err
        assert "fault in rotator" not in told.err
        assert "Exception ignored" not in told.err
