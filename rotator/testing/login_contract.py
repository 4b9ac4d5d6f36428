"""What adapters promise whose credentials people issue, or whose tokens a login mints, as tests to inherit.

Such a provider neither lists nor revokes, so little of :class:`ProviderContract` can be asked of it; what
can is here, as its traits say. Derive from :class:`PersonContract` or :class:`TokenContract`, and give it a
fixture ``subject`` that yields a :class:`LoginSubject`.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from rotator.errors import EffectError, NeedsPerson, Refused, Scope, Unknown
from rotator.model import Credential, Verdict
from rotator.testing.provider_contract import GARBAGE
from rotator.testing.provider_subject import HOLD_SECONDS, Mishap, Step, Subject, raised

IN_DOUBT = (*GARBAGE, Mishap.MISSING_SECRET, Mishap.LOSE, Mishap.DROP, Mishap.DOWN, Mishap.ELSEWHERE)
UNFIT = ("", "with\nline end", "with\x00nul", "\ttab")


class LoginSubject(Subject):
    """An adapter of one kind; ``Step.ISSUE`` is the token call."""

    @abstractmethod
    def issue_by_hand(self) -> Mapping[str, str]:
        """A credential that a person issued."""

    @abstractmethod
    def revoke_by_hand(self, fields: Mapping[str, str]) -> None:
        """A person revokes it."""

    @abstractmethod
    def token_calls(self) -> int:
        """How many requests for a token the server has seen."""


def never_called(subject: LoginSubject) -> None:
    """What no request can do needs a person, says what to do, and sends nothing."""
    provider, before = subject.provider, subject.requests()
    calls: list[Callable[[], object]] = [provider.find, lambda: provider.revoke("any")]
    if not provider.traits.issues:
        calls.append(lambda: provider.issue("any", {}))
    for call in calls:
        assert raised(subject, NeedsPerson, call).todo
    assert not provider.traits.lists
    assert subject.requests() == before


class PersonContract:
    """Of the kind that a person issues."""

    def test_what_no_request_can_do_needs_a_person(self, subject: LoginSubject) -> None:
        """Neither issue, list nor revoke is a request; what a person does instead is told."""
        never_called(subject)
        assert not subject.provider.traits.issues
        assert not subject.provider.traits.revokes

    def test_one_token_call_tells_good_from_bad(self, subject: LoginSubject) -> None:
        """A pair that works is LIVE by exactly one login; a wrong one DEAD, where that costs no account."""
        provider, credential = subject.provider, Credential(subject.issue_by_hand())
        assert provider.probe(credential).verdict is Verdict.LIVE
        assert subject.token_calls() == 1
        if provider.traits.control:
            for name in provider.traits.secret_fields:
                assert provider.probe(credential.corrupted([name])).verdict is Verdict.DEAD

    @pytest.mark.parametrize("mishap", [*IN_DOUBT, Mishap.BUSY])
    def test_nothing_is_dead_but_a_plain_refusal(self, subject: LoginSubject, mishap: Mishap) -> None:
        """Whatever is neither a token nor the refusal of a login is UNKNOWN, and no login is sent twice."""
        subject.next(Step.ISSUE, mishap)
        assert subject.provider.probe(Credential(subject.issue_by_hand())).verdict is Verdict.UNKNOWN
        assert (subject.token_calls(), subject.elsewhere()) == (1, 0)

    def test_malformed_credential_is_not_sent(self, subject: LoginSubject) -> None:
        """What is incomplete or cannot be right by its form is UNKNOWN, and sent nowhere."""
        fields = subject.issue_by_hand()
        for name in subject.provider.traits.fields:
            for value in UNFIT:
                probe = subject.provider.probe(Credential({**fields, name: value}))
                assert probe.verdict is Verdict.UNKNOWN
        assert subject.requests() == 0

    def test_revoked_by_hand_is_dead(self, subject: LoginSubject) -> None:
        """Where a probe can prove it, the credential that a person revoked is DEAD, and others live."""
        provider = subject.provider
        kept, gone = subject.issue_by_hand(), subject.issue_by_hand()
        subject.revoke_by_hand(gone)
        if provider.traits.provable:
            assert provider.probe(Credential(gone)).verdict is Verdict.DEAD
        else:
            assert provider.probe(Credential(gone)).verdict is not Verdict.DEAD
        assert provider.probe(Credential(kept)).verdict is Verdict.LIVE

    def test_shape_is_checked(self, subject: LoginSubject) -> None:
        """What a person submits is taken in its right shape alone, and is never quoted."""
        provider: Any = subject.provider
        fields = dict(subject.issue_by_hand())
        assert provider.shape(fields) is None
        names = provider.traits.fields
        wrong: list[dict[str, Any]] = [{}, {**fields, "canary-name": "canary"}]
        for name in names:
            wrong += [{**fields, name: value} for value in (*UNFIT, "canary\n", 7, None, ["canary"])]
            wrong.append({other: fields[other] for other in names if other != name})
        for one in wrong:
            said = provider.shape(one)
            assert said.endswith(".")
            assert "canary" not in said
            assert not any(value in said for value in fields.values())


class TokenContract:
    """Of the kind that a login mints."""

    def issue(self, subject: LoginSubject) -> Any:
        """One token."""
        return subject.provider.issue("no label", subject.provider.wanted({}, None))

    def test_what_no_request_can_do_needs_a_person(self, subject: LoginSubject) -> None:
        """Tokens are neither listed nor revoked: they expire."""
        never_called(subject)
        assert subject.provider.traits.expires

    def test_token_has_the_declared_fields_and_its_end(self, subject: LoginSubject) -> None:
        """A token comes with the fields of its secret, a name that is no secret, and when it ends."""
        traits, issued = subject.provider.traits, self.issue(subject)
        assert issued.credential.names == traits.fields
        assert issued.credential.get(traits.id_field) == issued.key_id
        assert issued.key_id not in subject.secrets()
        assert issued.expires_at > subject.clock.now()
        assert int(issued.credential.get("expires_at")) == issued.expires_at.timestamp()
        assert issued.granted == {}

    def test_each_issue_is_one_token_call(self, subject: LoginSubject) -> None:
        """Each call mints one token by one request: nothing is kept back or asked in advance."""
        first, second = self.issue(subject), self.issue(subject)
        assert not first.credential.same(second.credential, subject.provider.traits.secret_fields)
        assert (subject.token_calls(), subject.requests(), len(subject.live())) == (2, 2, 2)

    @pytest.mark.parametrize("mishap", IN_DOUBT)
    def test_token_call_is_never_sent_twice(self, subject: LoginSubject, mishap: Mishap) -> None:
        """Where the answer is lost, or is not what was promised, the outcome is unknown; once is enough."""
        subject.next(Step.ISSUE, mishap)
        raised(subject, Unknown, lambda: self.issue(subject))
        assert (subject.token_calls(), subject.requests(), subject.elsewhere()) == (1, 1, 0)
        assert subject.provider.probe(self.issue(subject).credential).verdict is Verdict.LIVE

    def test_retry_after_is_honoured(self, subject: LoginSubject) -> None:
        """A server that asks to wait is left alone until then, and the caller is told when that is."""
        subject.next(Step.ISSUE, Mishap.BUSY)
        error = raised(subject, Refused, lambda: self.issue(subject))
        until = timedelta(seconds=HOLD_SECONDS)
        assert error.retry_at is not None
        assert abs(error.retry_at - subject.clock.now() - until) < timedelta(seconds=5)
        assert raised(subject, EffectError, lambda: self.issue(subject)).retry_at is not None
        assert subject.requests() == 1
        subject.clock.advance(until)
        self.issue(subject)

    def test_refused_parent_is_sent_once_a_call(self, subject: LoginSubject) -> None:
        """A refused login is a block of its provider, one login for each call; a changed secret ends it."""
        self.issue(subject)
        subject.renew_admin()
        for calls in (1, 2):
            error = raised(subject, NeedsPerson, lambda: self.issue(subject))
            assert (error.scope, error.kind) == (Scope.PROVIDER, "admin-refused")
            assert error.todo
            assert subject.token_calls() == 1 + calls
        subject.submit_admin()
        self.issue(subject)
        assert subject.token_calls() == 1 + 2 + 1

    def test_fresh_parent_is_picked_up_without_a_failure(self, subject: LoginSubject) -> None:
        """A parent that was replaced within the minute is used before anything is given up."""
        self.issue(subject)
        subject.renew_admin()
        subject.submit_admin()
        self.issue(subject)
        assert subject.token_calls() == 1 + 1 + 1

    def test_probe_tells_a_good_token_from_a_corrupted_one(self, subject: LoginSubject) -> None:
        """A token that works is LIVE, and DEAD with one character changed, where a probe is sent at all."""
        provider, credential = subject.provider, self.issue(subject).credential
        assert provider.probe(credential).verdict is Verdict.LIVE
        if provider.traits.control:
            for name in provider.traits.secret_fields:
                assert provider.probe(credential.corrupted([name])).verdict is Verdict.DEAD
        assert subject.token_calls() == 1

    @pytest.mark.parametrize("mishap", [*GARBAGE, Mishap.DOWN, Mishap.BUSY, Mishap.DROP, Mishap.ELSEWHERE])
    def test_probe_calls_nothing_dead_but_a_plain_refusal(
        self, subject: LoginSubject, mishap: Mishap
    ) -> None:
        """Whatever is not the documented refusal is UNKNOWN, or LIVE where any JSON may be the answer."""
        credential = self.issue(subject).credential
        before = subject.requests()
        subject.next(Step.PROBE, mishap)
        probe = subject.provider.probe(credential)
        told = mishap in (Mishap.WRONG_JSON, Mishap.WRONG_TYPES)
        asked = subject.requests() > before
        assert probe.verdict is Verdict.UNKNOWN or (probe.verdict is Verdict.LIVE and (told or not asked))
        assert subject.elsewhere() == 0

    def test_probe_sends_no_malformed_token(self, subject: LoginSubject) -> None:
        """A token that is incomplete or unfit for a header is UNKNOWN, and is not sent."""
        fields = self.issue(subject).credential.reveal()
        before = subject.requests()
        for name in subject.provider.traits.secret_fields:
            for value in ("", fields[name] + "\n", f" {fields[name]}", fields[name] + "\u00e9"):
                assert subject.provider.probe(Credential({**fields, name: value})).verdict is Verdict.UNKNOWN
        assert subject.requests() == before

    def test_token_ends_by_expiry(self, subject: LoginSubject) -> None:
        """Once it has expired a token is DEAD."""
        issued = self.issue(subject)
        subject.clock.advance_to(issued.expires_at + timedelta(seconds=1))
        assert subject.provider.probe(issued.credential).verdict is Verdict.DEAD
