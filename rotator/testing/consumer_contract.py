"""What every consumer's adapter promises, as tests to inherit.

Derive from :class:`ConsumerContract` and give it a fixture ``subject`` that yields a :class:`Subject`. The
subject owns a server that behaves as the real one documents; nothing here talks to a real one.
"""

import traceback
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import pytest

from rotator.errors import EffectError, NeedsPerson, NotSent, Refused, RotatorError, Unknown
from rotator.interfaces import Consumer
from rotator.model import News

AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
NEWS = News(
    id="0123456789abcdef0123456789abcdef",
    policy="market-maker",
    provider="build",
    store="aws",
    secret="prod/market-maker",
    version="r1-0123abcd-0123456789abcdef0123456789abcdef",
    key_id="key-2",
    previous="v1",
    replaced="key-1",
    promoted_at=AT,
    not_before=AT + timedelta(hours=24),
    reason="drill",
)


class Mishap(StrEnum):
    """What the other side does with a message instead of taking it."""

    DOWN = "down"  # 500
    BUSY = "busy"  # it asks to slow down
    DENIED = "denied"  # who speaks may not
    MISSING = "missing"  # there is nobody of that name
    ELSEWHERE = "elsewhere"  # redirected to Subject.elsewhere
    DROP = "drop"  # taken, and the connection ends without an answer


GARBAGE = (b"", b"<html>proxy</html>", b"{}", b"[]", b'{"a": 1, "a": 2}', b"[" * 2000, b"x" * 2 * 1024 * 1024)


class Subject(ABC):
    """An adapter with the other side that it speaks to, and what only a test may ask of that."""

    consumer: Consumer
    reads_answers = True  # whether an answer must be of a form to count

    @abstractmethod
    def taken(self) -> Sequence[str]:
        """What was taken so far, each as a text that is the same for the same news."""

    @abstractmethod
    def mishap(self, mishap: Mishap) -> None:
        """From now on."""

    @abstractmethod
    def answers(self, body: bytes) -> None:
        """From now on: taken, and answered with this."""

    @abstractmethod
    def unplug(self) -> None:
        """Nobody listens any more."""

    @abstractmethod
    def secrets(self) -> Sequence[str]:
        """Every secret with which the adapter speaks."""

    @abstractmethod
    def strayed(self) -> int:
        """How many requests came to where it redirects."""


def shown(error: BaseException) -> str:
    """Everything that a traceback or a log could show of an error."""
    return "".join(traceback.format_exception(error)) + repr(error) + repr(error.__dict__)


class ConsumerContract:
    """The promises of :class:`rotator.interfaces.Consumer`, each a test."""

    def raised(self, subject: Subject) -> RotatorError:
        """What telling raises; whatever it is, it shows no secret and no answer."""
        with pytest.raises(RotatorError) as caught:
            subject.consumer.tell(NEWS)
        told = shown(caught.value)
        assert not any(secret in told for secret in subject.secrets())
        assert "hostile" not in told
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
        return caught.value

    def test_news_is_taken(self, subject: Subject) -> None:
        """Telling returns when the other side took it."""
        subject.consumer.tell(NEWS)
        assert len(subject.taken()) == 1

    def test_told_twice_is_the_same_news(self, subject: Subject) -> None:
        """A second time the other side can see that it is the same."""
        subject.consumer.tell(NEWS)
        subject.consumer.tell(NEWS)
        assert len(set(subject.taken())) == 1

    def test_check_tells_nobody(self, subject: Subject) -> None:
        """Whether all is there can be asked as often as one likes."""
        subject.consumer.check()
        subject.consumer.check()
        assert subject.taken() == []

    def test_a_failing_server_may_have_taken_it(self, subject: Subject) -> None:
        """A 5xx tells nothing: the outcome is unknown."""
        subject.mishap(Mishap.DOWN)
        assert isinstance(self.raised(subject), Unknown)

    def test_an_answer_that_is_lost_may_have_been_taken(self, subject: Subject) -> None:
        """A connection that ends without an answer: the outcome is unknown."""
        subject.mishap(Mishap.DROP)
        assert isinstance(self.raised(subject), Unknown)

    def test_busy_is_refused_for_now(self, subject: Subject) -> None:
        """Who asks to slow down is asked again later."""
        subject.mishap(Mishap.BUSY)
        error = self.raised(subject)
        assert isinstance(error, Refused)
        assert not error.permanent

    @pytest.mark.parametrize("mishap", [Mishap.DENIED, Mishap.MISSING])
    def test_what_a_person_must_mend_is_said(self, subject: Subject, mishap: Mishap) -> None:
        """A right that is missing, or nobody of that name: trying again will not help."""
        subject.mishap(mishap)
        error = self.raised(subject)
        assert isinstance(error, NeedsPerson) or (isinstance(error, Refused) and error.permanent)

    def test_redirects_are_not_followed(self, subject: Subject) -> None:
        """What is sent to one address is sent to no other."""
        subject.mishap(Mishap.ELSEWHERE)
        assert isinstance(self.raised(subject), EffectError)
        assert subject.strayed() == 0

    @pytest.mark.parametrize("body", GARBAGE, ids=range(len(GARBAGE)))
    def test_garbage_is_no_answer(self, subject: Subject, body: bytes) -> None:
        """Where an answer must say what was done, anything else leaves it unknown; whatever its size."""
        subject.answers(body)
        if subject.reads_answers:
            assert isinstance(self.raised(subject), Unknown)
        else:
            subject.consumer.tell(NEWS)

    def test_nobody_there_was_not_told(self, subject: Subject) -> None:
        """Without a connection nothing was sent."""
        subject.unplug()
        assert isinstance(self.raised(subject), NotSent)

    def test_a_first_key_is_news_too(self, subject: Subject) -> None:
        """A secret that held none before: nothing was replaced."""
        subject.consumer.tell(replace(NEWS, previous=None, replaced=None, not_before=None, key_id=None))
        assert len(subject.taken()) == 1
