from collections.abc import Callable
from datetime import timedelta

import pytest

from jobs.changes import WhenChanged
from jobs.parts import still_running
from jobs.passes import Passes
from rotator.errors import LedgerUnusable, PolicyError, Problem
from rotator.model import Event, Level
from rotator.testing.clock import ManualClock


class Heard:
    """The notifier of tests."""

    def __init__(self) -> None:
        self.alarms: list[Event] = []
        self.checkins: list[str] = []
        self.vouched: list[str] = []

    def tell(self, event: Event) -> None:
        self.alarms.append(event)

    def checkin(self, status: str, duration: timedelta) -> None:
        self.checkins.append(status)

    def vouch(self, anchor: str) -> None:
        self.vouched.append(anchor)

    def flush(self, timeout: timedelta) -> bool:
        return True

    def close(self) -> None:
        """Nothing is held."""


class Worker:
    """Fails where ``fails`` holds an error for the call."""

    trouble = False

    def __init__(self) -> None:
        self.fails: dict[str, Exception] = {}
        self.calls: list[str] = []

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.fails:
            raise self.fails[name]

    def run_pass(self) -> int:
        self._call("pass")
        return 0

    def tell_alarms(self) -> None:
        self._call("tell")

    def stop(self) -> None:
        self._call("stop")

    def drain(self, timeout: timedelta) -> bool:
        return True


def broken(message: str) -> PolicyError:
    """Policies that are wrong in this way."""
    return PolicyError((Problem("rotator.yaml", 3, message, "Write a duration."),))


class Policies:
    """A reload that raises what it is told to."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def __call__(self) -> None:
        if self.error:
            raise self.error


@pytest.fixture
def heard() -> Heard:
    """What people were told."""
    return Heard()


@pytest.fixture
def worker() -> Worker:
    """A worker that does nothing."""
    return Worker()


def passes_of(
    worker: Worker, heard: Heard, reload: Callable[[], None], beat: Callable[[], None] = lambda: None
) -> Passes:
    """The ticks of this worker."""
    return Passes(worker, reload=reload, notifier=heard, clock=ManualClock(), beat=beat)


def test_a_broken_file_alarms_once_for_each_content(worker: Worker, heard: Heard) -> None:
    """A broken content is told once however many ticks see it, another content again, and passes go on."""
    policies = Policies()
    passes = passes_of(worker, heard, policies)
    for error in (None, broken("a"), broken("a"), broken("b"), broken("b"), None, broken("b")):
        policies.error = error
        assert passes.tick()
    assert [alarm.text.splitlines()[0][-30:] for alarm in heard.alarms] == [
        "rotator.yaml:3: a Write a duration."[-30:],
        "rotator.yaml:3: b Write a duration."[-30:],
        "rotator.yaml:3: b Write a duration."[-30:],
    ]
    assert {alarm.level for alarm in heard.alarms} == {Level.ALARM}
    assert {alarm.data["step"] for alarm in heard.alarms} == {"policies"}
    assert worker.calls == ["pass", "tell"] * 7
    assert heard.checkins == ["ok"] * 7


def test_an_unforeseen_error_of_a_reload_stops_no_pass(worker: Worker, heard: Heard) -> None:
    """Whatever goes wrong with files, debts are paid on; of a foreign error only its class is told."""
    policies = Policies()
    policies.error = OSError("/secret/path")
    assert passes_of(worker, heard, policies).tick()
    assert worker.calls == ["pass", "tell"]
    assert heard.alarms[0].text.endswith("OSError")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (LedgerUnusable("The disk is full."), "LedgerUnusable: The disk is full."),
        (KeyError("value-of-somebody"), "KeyError"),
    ],
)
def test_a_failing_pass_is_told_once_and_tried_again(
    worker: Worker, heard: Heard, error: Exception, told: str
) -> None:
    """A pass that fails marks the check-in, alarms once until a pass succeeds, and ends nothing."""
    beats: list[int] = []
    passes = passes_of(worker, heard, lambda: None, lambda: beats.append(1))
    for fails in (True, True, False, True):
        worker.fails = {"pass": error} if fails else {}
        passes.tick()
    assert heard.checkins == ["error", "error", "ok", "error"]
    assert [alarm.text.endswith(told) for alarm in heard.alarms] == [True, True]
    assert len(beats) == 8


def test_alarms_that_cannot_be_told_mark_the_check_in(worker: Worker, heard: Heard) -> None:
    """Telling comes again at the next tick; the outside watch hears that this one was not whole."""
    worker.fails = {"tell": LedgerUnusable("Locked.")}
    passes_of(worker, heard, lambda: None).tick()
    assert heard.checkins == ["error"]


def test_policies_are_loaded_only_when_their_files_changed() -> None:
    """Looking is for every tick, loading for a change; what was loaded at the start is not loaded again."""
    files, loads = {"stamp": 1}, []
    reload = WhenChanged(lambda: files["stamp"], lambda: loads.append(files["stamp"]))
    for stamp in (1, 1, 2, 2, 2, 1):
        files["stamp"] = stamp
        reload()
    assert loads == [2, 1]


def test_broken_files_are_loaded_once_and_stay_broken() -> None:
    """While broken files stay as they are, each call says the same without loading them again."""
    files, loads = {"stamp": 1}, []

    def load() -> None:
        loads.append(files["stamp"])
        if files["stamp"] == 1:
            raise broken("a")

    reload = WhenChanged(lambda: files["stamp"], load, loaded=False)
    for _ in range(3):
        with pytest.raises(PolicyError, match=r"rotator\.yaml:3: a"):
            reload()
    files["stamp"] = 2
    reload()
    assert loads == [1, 2]


def test_files_that_could_not_be_read_are_tried_again() -> None:
    """A passing error of the disk does not keep changed policies out."""
    outcomes: list[Exception | None] = [OSError("busy"), None]
    loads: list[int] = []

    def load() -> None:
        loads.append(1)
        if error := outcomes.pop(0):
            raise error

    reload = WhenChanged(lambda: 1, load, loaded=False)
    with pytest.raises(OSError, match="busy"):
        reload()
    reload()
    reload()
    assert len(loads) == 2


def test_a_worker_that_does_not_say_what_it_does_is_no_obstacle(worker: Worker) -> None:
    """The last words name secrets only where the worker knows them."""
    assert still_running(worker) == "not known"
