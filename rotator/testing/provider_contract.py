"""What every provider's adapter promises, as tests to inherit.

Derive from :class:`ProviderContract`, give it a fixture ``subject`` that yields a :class:`Subject`, and
pytest does the rest. The subject owns a server that behaves as the provider documents; nothing here talks
to a real provider.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from rotator.errors import EffectError, NeedsPerson, Refused, Scope, Unknown
from rotator.model import Credential, Verdict, label_for, token_for, token_in
from rotator.testing.provider_subject import HOLD_SECONDS, Mishap, Step, Subject, raised

HOSTILE_IDS = ("../x", "..", "a/b", "a b", "%2e%2e", "x\n", "", "?a=b", "#", "\u2024\u2024", "x" * 300)
GARBAGE = (
    Mishap.HTML,
    Mishap.EMPTY,
    Mishap.TRUNCATED,
    Mishap.HUGE,
    Mishap.WRONG_JSON,
    Mishap.WRONG_TYPES,
)


class ProviderContract:
    """The promises of :class:`rotator.interfaces.Provider`, each a test."""

    drawn = 0

    def label(self, subject: Subject) -> str:
        """A label as a rotation makes it, as long as it may be."""
        self.drawn += 1
        token = token_for("0123abcd", f"{self.drawn:032x}")
        return label_for("policy " * 40, token, subject.provider.traits.label_max)

    def issue(self, subject: Subject, label: str | None = None) -> Any:
        """A key with the settings of the subject's policy."""
        wanted = subject.provider.wanted(subject.key, None)
        return subject.provider.issue(label or self.label(subject), wanted)

    # issue and find

    def test_issued_key_is_found_under_its_whole_label(self, subject: Subject) -> None:
        """A new key is listed once, live, and its label comes back whole, however long it is."""
        label = self.label(subject)
        issued = self.issue(subject, label)
        (record,) = [found for found in subject.provider.find() if token_in(found.label) == token_in(label)]
        assert (record.key_id, record.label, record.live) == (issued.key_id, label, True)

    def test_credential_has_the_declared_fields(self, subject: Subject) -> None:
        """A credential has exactly the fields that the traits name, with the key's id in its field."""
        traits = subject.provider.traits
        issued = self.issue(subject)
        assert issued.credential.names == traits.fields
        assert issued.credential.get(traits.id_field) == issued.key_id

    def test_what_was_asked_is_what_is_granted(self, subject: Subject) -> None:
        """Nothing exceeds what was asked when the provider does as it is told: not in any of its answers."""
        wanted = subject.provider.wanted(subject.key, None)
        issued = self.issue(subject)
        assert all(subject.provider.excess(wanted, granted) is None for granted in told(subject, issued))

    def test_each_issue_makes_another_key(self, subject: Subject) -> None:
        """Two calls make two keys: nothing is kept back or told twice."""
        assert self.issue(subject).key_id != self.issue(subject).key_id

    # probe

    def test_probe_tells_a_good_key_from_a_corrupted_one(self, subject: Subject) -> None:
        """A key that works is LIVE, and DEAD with one character changed: the probe looks at the secret."""
        provider = subject.provider
        credential = self.issue(subject).credential
        assert provider.probe(credential).verdict is Verdict.LIVE
        if provider.traits.control:
            for name in provider.traits.secret_fields:
                assert provider.probe(credential.corrupted([name])).verdict is Verdict.DEAD

    @pytest.mark.parametrize("mishap", [*GARBAGE, Mishap.DOWN, Mishap.BUSY, Mishap.DROP, Mishap.ELSEWHERE])
    def test_probe_calls_nothing_dead_but_a_plain_refusal(self, subject: Subject, mishap: Mishap) -> None:
        """Whatever is neither the promised answer nor the documented refusal is UNKNOWN."""
        credential = self.issue(subject).credential
        subject.next(Step.PROBE, mishap)
        assert subject.provider.probe(credential).verdict is Verdict.UNKNOWN
        assert subject.elsewhere() == 0

    def test_probe_sends_no_malformed_credential(self, subject: Subject) -> None:
        """A credential that is incomplete or unfit for a header is UNKNOWN, and is not sent."""
        fields = self.issue(subject).credential.reveal()
        before = subject.requests()
        for name in subject.provider.traits.secret_fields:
            for value in ("", fields[name] + "\n", f" {fields[name]}", fields[name] + "\u00e9"):
                assert subject.provider.probe(Credential({**fields, name: value})).verdict is Verdict.UNKNOWN
        assert subject.requests() == before

    # revoke

    def test_revoked_key_is_dead_and_others_live(self, subject: Subject) -> None:
        """Revoking ends exactly one key: it is DEAD and no longer listed as live, every other key stays."""
        provider = subject.provider
        foreign = subject.add_foreign("somebody else's")
        kept, gone = self.issue(subject), self.issue(subject)
        provider.revoke(gone.key_id)
        assert provider.probe(gone.credential).verdict is Verdict.DEAD
        assert provider.probe(kept.credential).verdict is Verdict.LIVE
        listed = {record.key_id for record in provider.find() if record.live}
        assert gone.key_id not in listed
        assert {foreign, kept.key_id} <= listed
        assert {foreign, kept.key_id} <= set(subject.live())

    def test_revoke_may_be_called_twice(self, subject: Subject) -> None:
        """Revoking a key that is gone, or that never was, is no error."""
        issued = self.issue(subject)
        subject.provider.revoke(issued.key_id)
        subject.provider.revoke(issued.key_id)
        subject.provider.revoke("00000000-0000-4000-8000-000000000000")

    @pytest.mark.parametrize("mishap", [Mishap.LOSE, Mishap.DOWN, Mishap.DROP, Mishap.ELSEWHERE])
    def test_revoke_in_doubt_is_unknown(self, subject: Subject, mishap: Mishap) -> None:
        """An answer that was lost, a 5xx or a redirect leave the outcome unknown."""
        issued = self.issue(subject)
        subject.next(Step.REVOKE, mishap)
        raised(subject, Unknown, lambda: subject.provider.revoke(issued.key_id))
        assert subject.elsewhere() == 0
        subject.provider.revoke(issued.key_id)
        assert issued.key_id not in subject.live()

    @pytest.mark.parametrize("key_id", HOSTILE_IDS)
    def test_hostile_ids_never_enter_a_path(self, subject: Subject, key_id: str) -> None:
        """An id that could lead to another address is refused for good, before anything is sent."""
        before = subject.requests()
        assert raised(subject, Refused, lambda: subject.provider.revoke(key_id)).permanent
        assert subject.requests() == before

    # what goes wrong with issue and find

    @pytest.mark.parametrize("mishap", [Mishap.LOSE, Mishap.MISSING_SECRET, *GARBAGE])
    def test_lost_key_can_be_found_by_its_label(self, subject: Subject, mishap: Mishap) -> None:
        """Where the answer is lost or is not what was promised, the key that may exist carries its label."""
        label = self.label(subject)
        subject.next(Step.ISSUE, mishap)
        raised(subject, Unknown, lambda: self.issue(subject, label))
        (stray,) = [record for record in subject.provider.find() if record.label == label]
        subject.provider.revoke(stray.key_id)
        assert stray.key_id not in subject.live()

    @pytest.mark.parametrize("mishap", [Mishap.DROP, Mishap.DOWN, Mishap.ELSEWHERE])
    def test_issue_is_never_sent_twice(self, subject: Subject, mishap: Mishap) -> None:
        """After a request to make a key went wrong it is not repeated: the outcome is unknown."""
        subject.provider.find()
        before = subject.requests()
        subject.next(Step.ISSUE, mishap)
        raised(subject, Unknown, lambda: self.issue(subject))
        assert (subject.requests() - before, subject.elsewhere(), subject.live()) == (1, 0, {})

    @pytest.mark.parametrize("mishap", GARBAGE)
    def test_list_that_is_no_list_is_unknown(self, subject: Subject, mishap: Mishap) -> None:
        """An answer that is not a whole list proves nothing gone."""
        self.issue(subject)
        subject.next(Step.LIST, mishap)
        raised(subject, Unknown, subject.provider.find)

    def test_list_is_read_again_after_a_passing_fault(self, subject: Subject) -> None:
        """Reading is harmless: one 5xx or one lost answer is not the caller's trouble."""
        issued = self.issue(subject)
        for mishap in (Mishap.DOWN, Mishap.DROP):
            subject.next(Step.LIST, mishap)
            assert issued.key_id in {record.key_id for record in subject.provider.find()}
        subject.next(Step.LIST, Mishap.DOWN, times=9)
        raised(subject, Unknown, subject.provider.find)

    def test_redirected_list_is_refused(self, subject: Subject) -> None:
        """A redirect is never followed: no credential goes to another server."""
        subject.next(Step.LIST, Mishap.ELSEWHERE)
        raised(subject, Refused, subject.provider.find)
        assert subject.elsewhere() == 0

    @pytest.mark.parametrize("step", [Step.LIST, Step.ISSUE, Step.REVOKE])
    def test_retry_after_is_honoured(self, subject: Subject, step: Step) -> None:
        """A server that asks to wait is left alone until then, and the caller is told when that is."""
        issued = self.issue(subject)
        subject.provider.find()
        subject.next(step, Mishap.BUSY)
        error = raised(subject, Refused, self._act(subject, step, issued.key_id))
        until = timedelta(seconds=HOLD_SECONDS)
        assert error.retry_at is not None
        assert abs(error.retry_at - subject.clock.now() - until) < timedelta(seconds=5)
        before = subject.requests()
        assert raised(subject, EffectError, subject.provider.find).retry_at is not None
        assert subject.requests() == before
        subject.clock.advance(until)
        assert issued.key_id in {record.key_id for record in subject.provider.find()}

    def _act(self, subject: Subject, step: Step, key_id: str) -> Callable[[], object]:
        return {
            Step.LIST: subject.provider.find,
            Step.ISSUE: lambda: self.issue(subject),
            Step.REVOKE: lambda: subject.provider.revoke(key_id),
        }[step]

    # the admin credential, limits, rights

    @pytest.mark.parametrize("step", [Step.LIST, Step.ISSUE, Step.REVOKE])
    def test_refused_admin_needs_a_person_for_the_whole_provider(self, subject: Subject, step: Step) -> None:
        """A refused admin credential is one block for its provider, and a fresh one ends it at once."""
        issued = self.issue(subject)
        act = self._act(subject, step, issued.key_id)
        subject.renew_admin()
        error = raised(subject, NeedsPerson, act)
        assert (error.scope, error.kind) == (Scope.PROVIDER, "admin-refused")
        assert "rotator submit --admin" in error.todo
        subject.submit_admin()
        act()

    def test_fresh_admin_is_picked_up_without_a_failure(self, subject: Subject) -> None:
        """A credential that a person submitted within the minute is used before anything is given up."""
        self.issue(subject)
        subject.renew_admin()
        subject.submit_admin()
        self.issue(subject)

    def test_key_limit_is_told_and_nothing_deleted(self, subject: Subject) -> None:
        """At the limit no key is made and none is removed, whether the list was fresh or stale."""
        limit = subject.provider.traits.key_limit
        if limit is None:
            return
        subject.provider.find()
        for number in range(limit):
            subject.add_foreign(f"foreign {number}")
        for _ in range(2):
            assert raised(subject, Refused, lambda: self.issue(subject)).kind == "key-limit"
            subject.clock.advance(timedelta(hours=1))
        assert len(subject.live()) == limit

    @pytest.mark.parametrize("mishap", [Mishap.WIDER, Mishap.QUIETLY_WIDER])
    def test_wider_grant_is_seen(self, subject: Subject, mishap: Mishap) -> None:
        """A key that may do more than was asked is noticed: in the answer, the list or the probe."""
        subject.next(Step.ISSUE, mishap)
        issued = self.issue(subject)
        wanted = subject.provider.wanted(subject.key, None)
        assert any(subject.provider.excess(wanted, granted) for granted in told(subject, issued))

    def test_settings_left_open_are_those_of_the_key_in_use(self, subject: Subject) -> None:
        """What the list tells of a key is enough to ask for another one like it."""
        issued = self.issue(subject)
        (record,) = [found for found in subject.provider.find() if found.key_id == issued.key_id]
        wanted = subject.provider.wanted({}, record)
        again = subject.provider.issue(self.label(subject), wanted)
        assert subject.provider.excess(wanted, again.granted) is None


def told(subject: Subject, issued: Any) -> Sequence[Mapping[str, Any]]:
    """What the provider's answers say that a key may do: when made, in the list, in the probe."""
    listed = [record.granted for record in subject.provider.find() if record.key_id == issued.key_id]
    return [issued.granted, *listed, subject.provider.probe(issued.credential).granted or {}]
