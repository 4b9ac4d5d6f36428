from jobs.daily import Reconcile
from rotator.errors import LedgerUnusable
from tests.unit.jobs.test_passes import Heard


def test_a_comparison_that_fails_stops_no_worker_and_is_told_once() -> None:
    """The clock wakes it again; people hear of one content once, and again after it was right."""
    heard, answers = Heard(), iter([False, False, True, False])

    def made() -> int:
        if not next(answers):
            raise LedgerUnusable("the disk is full")
        return 3

    reconcile = Reconcile(made, heard)
    assert [reconcile.wake() for _ in range(4)] == [False, False, True, False]
    assert [event.kind for event in heard.alarms] == ["reconcile-failed", "reconcile-failed"]
