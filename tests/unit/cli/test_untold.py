"""What people are shown while a consumer was not told of a new key."""

from dataclasses import replace
from datetime import timedelta

from rotator.incident.coverage import Asked, Coverage, outcome
from rotator.model import Block, ConsumerRef, News, Phase, Telling, Untold
from rotator.people import status_row
from tests.unit.cli.records import NOW, debt, known, policy, rotation

POLICY = policy(consumers=(ConsumerRef("desk", "webhook"),))
NEWS = News("r", "orders", "build", "aws", "prod/orders", "v1", "key-1", "v0", "key-0", NOW, NOW, "leak")
WAITS = Untold(ConsumerRef("desk", "webhook"), NOW, tries=3, error="desk: the server answered 503.")
BLOCKED = replace(WAITS, block=Block("not-told", "consumer desk was not told.", "mend it", NOW))
ASKED = Asked(NOW - timedelta(minutes=1), dead=True)


def test_an_order_waits_for_who_is_still_to_be_told() -> None:
    """The report of run-now says for whom the old key waits, and asks a person where trying did not help."""
    last = rotation(POLICY, Phase.PROMOTED, ended_at=NOW)
    for one, coverage, words in (
        (WAITS, Coverage.WORKING, "telling desk; until then no old key dies"),
        (BLOCKED, Coverage.WAITING, "consumer desk was not told. To do: mend it"),
    ):
        told = known(POLICY, telling=Telling(NEWS, (one,)), debts=(debt(POLICY),))
        found = outcome(POLICY, told, [last], [debt(POLICY)], asked=ASKED, now=NOW)
        assert (found.state, words in found.why) == (coverage, True)


def test_status_names_who_is_still_to_be_told() -> None:
    """Since when, how often it was tried and what came of it; who must act once people were told."""
    for one, state, acts in ((WAITS, "telling", 0), (BLOCKED, "consumer not told", 1)):
        row = status_row(POLICY, known(POLICY, telling=Telling(NEWS, (one,))), None, "", NOW)
        (shown,) = row.untold
        assert (row.state, len(row.act)) == (state, acts)
        assert (shown.consumer, shown.tries, shown.error) == ("desk", 3, "desk: the server answered 503.")
