from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

from rotator.audit.certificates import Certificate, Death
from rotator.incident.coverage import Coverage, Outcome
from rotator.incident.page import page
from rotator.incident.record import Incident
from rotator.incident.report import Found, Report, report, with_missing
from rotator.model import Debt, DebtPhase, DebtReason, Phase
from tests.unit.cli.records import NOW, debt, policy, rotation

BEGAN = NOW - timedelta(minutes=30)
INCIDENT = Incident("1f0c9a2e", "ann", "laptop <lost> & found", BEGAN, ("aws|orders", "aws|bot"))
ORDERS, BOT = policy(owner="desk-a"), policy("bot")
PROMOTED = rotation(ORDERS, Phase.PROMOTED, began_at=BEGAN, ended_at=BEGAN + timedelta(minutes=1))
DEAD = debt(ORDERS, phase=DebtPhase.DEAD, ended_at=BEGAN + timedelta(minutes=2), since=BEGAN)
OWED = Certificate("aws|orders", "debt1", "orders", "key-0", "was replaced", BEGAN)
PROOF = replace(OWED, died_at=NOW, death=Death.PROVEN, proof="refused")
ROTATED, MISSED = (
    Outcome("orders", Coverage.ROTATED, "dead", "key-1"),
    Outcome("bot", Coverage.FAILED, "<b>no</b>"),
)


def told(*debts: Debt) -> Report:
    """A report of one secret that was rotated, and one that was not."""
    found = [Found(ORDERS, ROTATED, [PROMOTED], debts, [PROOF]), Found(BOT, MISSED)]
    return report(INCIDENT, found, NOW)


def test_a_secret_is_contained_when_its_last_old_key_is_dead() -> None:
    """The time counts from the incident's begin; what died before it is not of it."""
    before = replace(DEAD, id="debt0", ended_at=BEGAN - timedelta(days=1))
    older = replace(DEAD, id="debt2", key_id="key-00", ended_at=BEGAN + timedelta(minutes=9))
    line = told(before, DEAD, older).lines[0]
    assert line.old_keys == ("key-0", "key-00")
    assert line.contained_after == timedelta(minutes=9)
    assert line.certificates == (PROOF,)


def test_a_key_that_lives_contains_nothing() -> None:
    """In its grace a key is dangerous still; a candidate that was given up never was in service."""
    grace = debt(ORDERS, id="debt3")
    given_up = replace(DEAD, reason=DebtReason.ABANDONED)
    line = told(DEAD, grace, given_up).lines[0]
    assert (line.contained_at, line.dies_at) == (None, grace.not_before)
    assert len(line.old_keys) == 2


def test_an_incident_is_covered_when_everything_is() -> None:
    """Its numbers are of the whole."""
    found = told(DEAD)
    assert (found.covered, found.contained, found.longest) == (False, 1, timedelta(minutes=2))
    assert found.counts == {"rotated": 1, "failed": 1}


def test_a_secret_that_nothing_names_any_more_is_not_left_out() -> None:
    """What was asked for and never begun keeps an incident from being covered."""
    whole = report(INCIDENT, [Found(ORDERS, ROTATED, [PROMOTED], [DEAD], [PROOF])], NOW)
    assert whole.covered
    found = with_missing(whole, ["aws|bot"])
    assert not found.covered
    assert found.counts == {"rotated": 1, "not covered": 1}
    assert found.lines[1].secret == "aws|bot"


class Reader(HTMLParser):
    """What a browser would load, and whether every element ends."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")]
        if tag not in ("meta", "br", "line", "circle", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(text: str) -> Reader:
    """A page, which must be whole."""
    reader = Reader()
    reader.feed(text)
    assert not reader.open
    return reader


def test_the_page_stands_alone_and_says_everything() -> None:
    """It loads nothing, and what people wrote is text in it."""
    reader = read(page(told(DEAD)))
    assert reader.loads == []
    assert "@import" not in reader.text
    assert "url(" not in reader.text
    for words in ("laptop <lost> & found", "<b>no</b>", "1 of 2", "desk-a", "after 2m", "refused", "key-1"):
        assert words in reader.text, words
    assert "<b>no</b>" not in page(told(DEAD))


def test_the_page_of_an_incident_in_which_nothing_began() -> None:
    """There is no timeline and no certificate, and the page is whole."""
    nothing = report(INCIDENT, [Found(BOT, MISSED)], NOW)
    assert "<svg" not in page(nothing)
    read(page(nothing))
    read(page(report(INCIDENT, [], NOW)))


def test_the_timeline_shows_what_is_out_and_what_goes_on() -> None:
    """A key that died before there is another one is drawn to the time of the report, and so is an old key
    that lives; a rotation that brought nothing ends where it ended.
    """
    verifying = rotation(BOT, Phase.STAGED, began_at=BEGAN)
    contained = replace(DEAD, policy=BOT, secret=BOT.target.id)
    failed = rotation(BOT, Phase.FAILED, began_at=BEGAN, ended_at=BEGAN + timedelta(minutes=1))
    alive = debt(ORDERS, since=BEGAN)
    found = [
        Found(ORDERS, ROTATED, [PROMOTED], [alive]),
        Found(BOT, MISSED, [verifying], [contained]),
        Found(policy("late"), MISSED, [failed]),
    ]
    whole = report(INCIDENT, found, NOW)
    lives, out, missed = whole.lines
    assert (lives.over, out.over, missed.over) == (False, False, True)
    assert (out.began_at, out.in_use_at, out.contained_at) == (BEGAN, None, contained.ended_at)
    assert missed.missed_at == failed.ended_at
    drawn = page(whole)
    for kind in ("both", "none", "lost"):
        assert f'class="{kind}"' in drawn
    assert f"{NOW:%H:%M:%S}</text>" in drawn


def test_what_many_have_in_common_is_said_once() -> None:
    """The page names a reason with those that it holds back, and each of them further down."""
    many = [policy(f"bot-{number}") for number in range(9)]
    found = [Found(one, replace(MISSED, policy=one.name)) for one in many]
    drawn = page(report(INCIDENT, found, NOW))
    assert "bot-0, bot-1, bot-2, bot-3, bot-4 and 4 more" in drawn
    assert drawn.count("&lt;b&gt;no") == 1
    assert all(one.name in drawn for one in many)
