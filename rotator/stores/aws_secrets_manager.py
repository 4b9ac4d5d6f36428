"""AWS Secrets Manager as a store: pending, current and previous versions, promoted by compare-and-swap.

A version is known by its id, which is the token that it was written with. Its labels are never trusted to
say whose it is: any writer may take AWSPENDING (Secrets Manager API, PutSecretValue, VersionStages).
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rotator.capabilities import Finding, Grade
from rotator.errors import Conflict, EffectError, NeedsPerson, NotSent, Refused, Unknown
from rotator.interfaces import Clock, Look, Stored
from rotator.model import Credential, Target
from rotator.stores import aws_settings, secret_text
from rotator.stores.aws_described import CURRENT, PENDING, PREVIOUS, Labels, holder, labels_in, refuse
from rotator.stores.aws_settings import Place, place
from rotator.stores.deadline import Deadline, effect

if TYPE_CHECKING:  # boto3 is imported with the first call: policies are loaded without it
    from rotator.stores.aws_calls import Calls, Value

RIGHTS = frozenset(
    {
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue",
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
        "kms:Decrypt",
        "kms:GenerateDataKey",
    }
)  # on each secret and its key; with ``role_arn`` it is the role that needs them
READING = frozenset(
    {"secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "kms:Decrypt"}
)  # tried by a look and a read
REPLICA_RIGHTS = frozenset({"secretsmanager:GetSecretValue", "kms:Decrypt"})  # in a replica's region
ROLE_RIGHTS = frozenset({"sts:AssumeRole"})  # of the worker itself, on ``role_arn``

_LABEL_ELSEWHERE = "InvalidParameterException"


class AwsSecretsManager:
    """The store ``aws-secrets-manager``. ``clients`` gives a client for a region; left out, boto3's own."""

    Settings = aws_settings.Settings
    RIGHTS = RIGHTS
    CALLS = (5, 2)  # of a rotation up to promotion, and of a revocation, when nothing fails
    NATIVE = "secrets-manager"  # the trigger of secrets that the store rotates by calling us

    def __init__(
        self,
        settings: aws_settings.Settings,
        clock: Clock,
        *,
        clients: Callable[[str], Any] | None = None,
        deadline: Deadline | None = None,
    ) -> None:
        self.settings = settings
        self.deadline = deadline or Deadline(clock)
        self._clock = clock
        self._clients = clients
        self._lock = threading.Lock()
        self._made: Calls | None = None
        self._vouched: tuple[str, Credential | None] = ("", None)

    @staticmethod
    def canonical(settings: Mapping[str, Any], secret: str) -> str:
        """One id for a secret's name and its ARN. Pure; ValueError says how a secret is spelled."""
        return aws_settings.canonical(settings, secret)

    def close(self) -> None:
        """Let go of every connection. May be called twice; a later call connects again."""
        with self._lock:
            if self._made is not None:
                self._made.close()

    def vouch(self, push: str, proof: Credential | None) -> None:
        """Keep what Secrets Manager's own rotation proves its call with, in memory alone: the write under
        this token shows it (``RotationToken``), without which a role of another account may not write.
        """
        self._vouched = (push, proof)

    @effect
    def look(self, target: Target) -> Look:
        """One DescribeSecret. ``replicated`` says that there are replicas, not that they show anything."""
        where = self._place(target.secret)
        description = self._calls().describe(where)
        refuse(description, where, native=target.native)
        labels = labels_in(description)
        return Look(
            current=holder(labels, CURRENT),
            previous=holder(labels, PREVIOUS),
            versions=tuple(labels),
            replicated=bool(description.get("ReplicationStatus")),
        )

    @effect
    def read(self, target: Target, version: str | None = None) -> Stored | None:
        """One GetSecretValue, by version id or by AWSCURRENT; if it is not there, one DescribeSecret more."""
        value = self._calls().value(self._place(target.secret), version)
        return None if value is None else _stored(target, value)

    @effect
    def seed(self, target: Target, push: str) -> str:
        """``{}`` as the first version, which becomes current under whatever label it is written."""
        where = self._place(target.secret)
        current = holder(self._labels(where), CURRENT)
        if current is None:
            self._calls().put_pending(where, push, secret_text.EMPTY)
            current = holder(self._labels(where), CURRENT)
        if current != push:
            raise Conflict("seeded", f"Secret {where.name!r} has another first version than ours.")
        return push

    @effect
    def stage(self, target: Target, credential: Credential, push: str, onto: Stored) -> Stored:
        """One PutSecretValue under the token, one GetSecretValue by the id, and a comparison of the whole."""
        where = self._place(target.secret)
        text = secret_text.written(target, credential, onto.whole.reveal()[""])
        named, proof = self._vouched
        shown = proof.get("rotation_token") if proof is not None and named == push else None
        self._calls().put_pending(where, push, text, shown)
        value = self._read_back(where, push)
        if value is None or not secret_text.same(value.text, text):
            raise Unknown("read-back", f"Version {push} of secret {where.name!r} is not what was written.")
        return _stored(target, value)

    @effect
    def promote(self, target: Target, version: str, expected: str) -> str:
        """One UpdateSecretVersionStage; ``expected`` is sent as it was given, never read again to fit."""
        where = self._place(target.secret)
        self._swap(where, version, expected)
        return version

    @effect
    def shown(self, target: Target, version: str, since: datetime) -> bool:
        """One DescribeSecret for the regions, one GetSecretValue of AWSCURRENT in each.

        A secret that somebody wrote since shows another version everywhere: then the delay decides.
        """
        where = self._place(target.secret)
        waited = self._clock.now() >= since + self.settings.replica_delay
        described = self._calls().describe(where)
        labels = (described.get("VersionIdsToStages") or {}).get(version) or ()
        if CURRENT not in labels:
            return waited
        replicas = described.get("ReplicationStatus") or ()
        return all(self._shows(where, str(replica["Region"]), version, waited=waited) for replica in replicas)

    @effect
    def keep(self, target: Target, version: str, mark: str) -> None:
        """Put ``mark`` on a version: one with a label is not purged. Conflict if another version has it."""
        where = self._place(target.secret)
        holds = holder(self._labels(where), mark)
        if holds is None:
            self._calls().move(where, mark, to=version)
        elif holds != version:
            raise Conflict("mark-in-use", f"Secret {where.name!r}: label {mark} is on another version.")

    @effect
    def discard(self, target: Target, version: str, mark: str | None) -> None:
        """Take AWSPENDING and ``mark`` off a version; AWSCURRENT and AWSPREVIOUS are never touched."""
        where = self._place(target.secret)
        labels = self._labels(where).get(version, frozenset())
        ours = {mark} if mark else set()
        if CURRENT not in labels:
            ours.add(PENDING)
        for label in sorted(labels & ours):
            self._moved(where, label, off=version)

    @effect
    def raw(self, secret: str) -> Credential:
        """The text fields of a secret's current JSON object. NeedsPerson if it has no version yet."""
        where = self._place(secret)
        value = self._calls().value(where)
        if value is None:
            raise NeedsPerson(
                "no-version",
                f"Secret {where.name!r} has no value yet.",
                todo="Give it one: `rotator submit --admin PROVIDER`.",
            )
        return Credential(secret_text.texts(where.name, value.text))

    @effect
    def replace_raw(self, secret: str, fields: Mapping[str, str], push: str) -> None:
        """Write fields into the current object and promote that. May be called twice with one token."""
        where = self._place(secret)
        value = self._calls().value(where)
        text = secret_text.replaced(where.name, value.text if value else secret_text.EMPTY, dict(fields))
        if value is not None and value.version == push and secret_text.same(value.text, text):
            return
        self._calls().put_pending(where, push, text)
        if value is not None:
            self._swap(where, push, value.version)

    def check_rights(self, secrets: Sequence[str]) -> Sequence[Finding]:  # noqa: ARG002  the Protocol's
        """No call: reading tries what reads; the rest would change something, and AWS shows no excess."""
        untried = ", ".join(sorted(RIGHTS - READING))
        text = f"not tried, since it would change something: {untried}; what is more than needed is not shown"
        return [Finding(Grade.OK, "", text)]

    # --- parts ---

    def _calls(self) -> "Calls":
        """The calls, and with them boto3, imported and made once."""
        with self._lock:
            if self._made is None:
                from rotator.stores.aws_calls import Calls  # noqa: PLC0415  see above

                self._made = Calls(self.settings, self.deadline, self._clients)
            return self._made

    def _place(self, secret: str) -> Place:
        return place(self.settings.region, secret)

    def _labels(self, where: Place) -> Labels:
        return labels_in(self._calls().describe(where))

    def _swap(self, where: Place, version: str, expected: str) -> None:
        """Make ``version`` current if ``expected`` is."""
        if not self._moved(where, CURRENT, to=version, off=expected):
            raise Conflict(
                "not-current", f"Secret {where.name!r}: version {expected} is no longer the current one."
            )

    def _moved(self, where: Place, label: str, *, to: str | None = None, off: str) -> bool:
        """Move a label off a version; False, with nothing done, where the label is not on it."""
        try:
            self._calls().move(where, label, to=to, off=off)
        except Refused as raised:
            if raised.kind != _LABEL_ELSEWHERE:
                raise
            return False
        return True

    def _read_back(self, where: Place, push: str) -> "Value | None":
        """The version just written; when it cannot be read, what was written is in doubt, not undone."""
        try:
            return self._calls().value(where, push)
        except (NotSent, Refused) as raised:
            doubt = Unknown(raised.kind, f"Written, but not read back. {raised.message}")
        raise doubt

    def _shows(self, where: Place, region: str, version: str, *, waited: bool) -> bool:
        """Whether a replica's current version is ``version``; where it cannot be read, whether we waited."""
        try:
            value = self._calls().value(Place(region, where.replica_id(region), where.name))
        except (EffectError, NeedsPerson):
            return waited
        return value is not None and value.version == version


def _stored(target: Target, value: "Value") -> Stored:
    """A version as the stories know it; ``whole`` has the one field ``""``, the text as it is stored."""
    fields = secret_text.understood(target, value.text)
    return Stored(value.version, value.created_at, fields, Credential({"": value.text}))
