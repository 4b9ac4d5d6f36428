import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.heartbeat import age
from tests.unit.telemetry.ingest import ingest

DEADLINE = 20.0
ROOT = Path(__file__).parents[3]


class Process:
    """A running script; its lines are waited for, never slept for."""

    def __init__(
        self, argument: str, environment: dict[str, str], *, script: str = "script", read_log: bool = True
    ) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-m", f"tests.integration.daemon.{script}", argument],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        self.said: queue.Queue[str] = queue.Queue()
        self.logged: queue.Queue[str] = queue.Queue()
        self._readers = [self._reader(self.popen.stdout, self.said)]
        if read_log:
            self._readers.append(self._reader(self.popen.stderr, self.logged))

    def _reader(self, stream: Any, into: "queue.Queue[str]") -> threading.Thread:
        def read() -> None:
            for line in stream:
                into.put(line.rstrip("\n"))

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread

    def hears(self, text: str) -> None:
        """Wait for a line on standard output."""
        with suppress(queue.Empty):
            while self.said.get(timeout=DEADLINE) != text:
                pass
            return
        pytest.fail(f"{text!r} was not said; the log: {[*self.logged.queue]}")

    def logs(self, text: str) -> dict[str, Any]:
        """Wait for an event in the log."""
        while True:
            found: dict[str, Any] = json.loads(self.logged.get(timeout=DEADLINE))
            if text in found["event"]:
                return found

    def go_on(self) -> None:
        """Let an effect end."""
        assert self.popen.stdin is not None
        self.popen.stdin.write("\n")
        self.popen.stdin.flush()

    def ends(self) -> int:
        """Wait for the end; the exit code. What was said last can be heard afterwards."""
        code = self.popen.wait(DEADLINE)
        for reader in self._readers:
            reader.join(DEADLINE)
        return code

    def close(self) -> None:
        """Leave nothing behind."""
        self.popen.kill()
        self.popen.wait(DEADLINE)
        for reader in self._readers:
            reader.join(DEADLINE)
        for stream in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            assert stream is not None
            stream.close()


Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts scripts, and ends them."""
    begun: list[Process] = []

    def begin(*, dsn: str = "", read_log: bool = True, **settings: Any) -> Process:
        clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        environment = {**clean, "SENTRY_DSN": dsn}
        settings.setdefault("heartbeat", str(tmp_path / "state" / "heartbeat"))
        begun.append(Process(json.dumps(settings), environment, read_log=read_log))
        return begun[-1]

    yield begin
    for process in begun:
        process.close()


@pytest.fixture
def heartbeat(tmp_path: Path) -> Path:
    """Where the scripts beat."""
    return tmp_path / "state" / "heartbeat"


def test_an_idle_daemon_ends_at_once_with_code_0(start: Start, heartbeat: Path) -> None:
    """The first tick is at once and not a tick later; SIGTERM between two ends the process; it has beaten."""
    process = start()
    process.hears("pass 1")
    process.hears("tell")
    process.popen.send_signal(signal.SIGTERM)
    process.hears("stop")
    process.hears("tell")
    process.hears("returned 0")
    assert process.ends() == 0
    since = age(heartbeat)
    assert since is not None
    assert since < timedelta(seconds=DEADLINE)
    assert heartbeat.stat().st_mode & 0o777 == 0o600


def test_sigterm_before_the_scheduler_runs_ends_with_code_0(start: Start) -> None:
    """A signal that comes before the first tick is not lost, and no pass is begun."""
    process = start(early=True)
    assert process.ends() == 0
    assert [*process.said.queue] == ["stop", "tell", "returned 0"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_effect_in_flight_ends_before_the_process_does(start: Start, number: int) -> None:
    """SIGTERM during an effect, twice and a dozen times more, lets it end; the code is 0."""
    process = start(does="effect")
    process.hears("effect begun")
    process.popen.send_signal(number)
    process.hears("stop")
    for _ in range(12):
        process.popen.send_signal(number)
    process.go_on()
    process.hears("effect over")
    process.hears("returned 0")
    assert process.ends() == 0


def test_sigterm_during_a_tick_lets_the_tick_end(start: Start) -> None:
    """A tick that is being made when SIGTERM comes is finished, and there is no other."""
    process = start(does="slow", tick=0.05)
    process.hears("pass 1")
    process.popen.send_signal(signal.SIGTERM)
    process.hears("stop")
    process.popen.send_signal(signal.SIGTERM)
    process.go_on()
    assert process.ends() == 0
    assert [*process.said.queue] == ["tell", "tell", "returned 0"]


def test_an_effect_that_does_not_end_costs_the_exit_code(start: Start) -> None:
    """What hangs beyond the patience is named in the log, and the process ends with code 1."""
    process = start(does="effect", patience=0.2)
    process.hears("effect begun")
    process.popen.send_signal(signal.SIGTERM)
    assert process.ends() == 1
    assert "Still running: orders" in process.logs("work did not end")["event"]


def test_a_tick_that_does_not_end_costs_the_exit_code(start: Start) -> None:
    """A tick that hangs when SIGTERM comes cannot keep the process alive beyond the patience."""
    process = start(does="hang", patience=0.2)
    process.hears("pass 1")
    process.popen.send_signal(signal.SIGTERM)
    assert process.ends() == 1
    assert process.logs("the pass did not end")["level"] == "critical"


def test_a_stalled_tick_ends_the_process(start: Start) -> None:
    """When no tick ends for too long, the watchdog says so and ends the process with code 1."""
    process = start(does="hang", tick=0.05, stalled=0.3)
    assert process.ends() == 1
    assert process.logs("no tick began or ended")["level"] == "critical"


def test_a_log_that_nobody_reads_does_not_stop_the_watchdog(start: Start) -> None:
    """Even where writing the last words blocks, the process ends."""
    process = start(does="hang", tick=0.05, stalled=0.1, deaf=True, read_log=False)
    assert process.ends() == 1


def test_a_tick_that_is_due_while_one_runs_is_left_out(start: Start) -> None:
    """There are never two ticks at a time; the log says what was left out, and the next one comes."""
    process = start(does="slow", tick=0.05)
    process.hears("pass 1")
    process.logs("left out")
    process.go_on()
    process.hears("pass 2")


def test_an_unreachable_ledger_ends_nothing(start: Start, heartbeat: Path) -> None:
    """A pass that fails is told once, the heart goes on beating, and the next tick tries again."""
    process = start(does="fail", tick=0.05)
    process.hears("pass 3")
    assert "Start the database" in process.logs("A pass could not be made")["event"]
    process.popen.send_signal(signal.SIGTERM)
    assert process.ends() == 0
    assert not [line for line in process.logged.queue if "A pass could not be made" in line]
    assert heartbeat.exists()


def test_sentry_hears_of_ticks_and_of_a_failing_pass(start: Start) -> None:
    """Ticks are one check-in a minute, a failing pass is one alarm."""
    with ingest() as server:
        process = start(does="fail", tick=0.05, dsn=server.dsn)
        process.hears("pass 3")
        process.popen.send_signal(signal.SIGTERM)
        assert process.ends() == 0
        (checkin,) = server.items("check_in")
        (alarm,) = server.items("event")
    assert checkin["status"] == "error"
    assert alarm["fingerprint"] == ["pass", "-", "LedgerUnusable"]


def test_a_single_tick_waits_for_what_it_began(start: Start) -> None:
    """One pass, then the end of its effects, then alarms: code 0."""
    process = start(single=True, does="effect")
    process.hears("effect begun")
    process.go_on()
    assert process.ends() == 0
    assert [*process.said.queue] == ["effect over", "tell", "returned 0"]


def test_a_single_tick_that_is_cut_short_says_so(start: Start) -> None:
    """SIGTERM during a single pass lets its effect end; not all that was asked for is done: code 1."""
    process = start(single=True, does="effect")
    process.hears("effect begun")
    process.popen.send_signal(signal.SIGTERM)
    process.hears("stop")
    process.go_on()
    assert process.ends() == 1
    assert "effect over" in [*process.said.queue]


def test_a_single_tick_that_hangs_is_given_up_after_sigterm(start: Start) -> None:
    """What does not end within the patience after SIGTERM is left behind, with code 1."""
    process = start(single=True, does="effect", patience=0.2)
    process.hears("effect begun")
    began = time.monotonic()
    process.popen.send_signal(signal.SIGTERM)
    assert process.ends() == 1
    assert time.monotonic() - began < DEADLINE
    assert "Still running: orders" in process.logs("work did not end")["event"]


def test_the_real_worker_ends_between_two_effects(tmp_path: Path) -> None:
    """SIGTERM while a key is being issued: its value is stored, nothing more is done, and the end is soon."""
    process = Process(str(tmp_path), dict(os.environ), script="rotating")
    try:
        process.hears("effect begun")
        process.popen.send_signal(signal.SIGTERM)
        process.logs("asked to stop")
        process.popen.send_signal(signal.SIGTERM)
        process.go_on()
        assert process.ends() == 0
        assert [*process.said.queue] == ["effect over", "stage", "phase staged key key-2", "returned 0"]
    finally:
        process.close()
