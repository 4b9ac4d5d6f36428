"""HashiCorp Vault and OpenBao, KV version 2, as a store: a pending path, then one compare-and-swap.

KV v2 has no staging: what is written is current at once. So a new value first waits at

    <mount>/rotator/pending/<ledger>/<secret's path>/<push>

where only rotator reads. It is read back there, verified, and then written to the secret with check-and-set
on the number that was current when the rotation was planned. A version's id is its number, as text; one that
is pending, or was, is known by its push token too.

What a kill leaves behind, line by line, and who finds it:

=============================  ========================================================================
killed                         what is left
=============================  ========================================================================
before the pending write       nothing
after it                       the pending value: ``stage`` again finds it, ``discard`` removes it
after the write to the secret  the new current version, and the pending value: ``read`` shows both alike
after the forward is written   the same, and ``read`` of the token leads to the promoted version
after the pending destroy      a forward without a value, which is how every promotion ends
amid ``discard``               nothing, or the pending value: ``discard`` again removes it
=============================  ========================================================================

The next ``stage`` for the same secret removes forwards, and pending copies of what is current by then.
"""

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rotator.capabilities import Finding
from rotator.errors import Conflict, EffectError, NeedsPerson, Refused, Unknown
from rotator.interfaces import Clock, Look, Stored
from rotator.model import Credential, Target
from rotator.stores import secret_text, vault_rights, vault_settings, vault_text
from rotator.stores import vault_described as described
from rotator.stores.deadline import Deadline, effect
from rotator.stores.vault_described import Key, Value, held
from rotator.stores.vault_settings import Place, is_push, number, place

if TYPE_CHECKING:  # hvac is imported with the first call: policies are loaded without it
    import requests

    from rotator.stores.vault_calls import Calls
    from rotator.stores.vault_pending import Pending

_LOOKED_FRESH = 600.0  # seconds for which a secret that was looked at is known to be fit for writing


class VaultKv2:
    """The store ``vault-kv2``. ``over`` are the connections to use; left out, new ones."""

    Settings = vault_settings.Settings
    RIGHTS = vault_rights.RIGHTS
    CALLS = (12, 2)  # of a rotation up to promotion, and of a revocation, when nothing fails

    def __init__(
        self,
        settings: vault_settings.Settings,
        clock: Clock,
        *,
        over: "requests.Session | None" = None,
        deadline: Deadline | None = None,
    ) -> None:
        self.settings = settings
        self.deadline = deadline or Deadline(clock)
        self._clock = clock
        self._over = over
        self._lock = threading.Lock()
        self._made: Calls | None = None
        self._looked: dict[str, float] = {}

    @staticmethod
    def canonical(settings: Mapping[str, object], secret: str) -> str:
        """One id for a secret's path, however its slashes are. Pure; ValueError says how a path looks."""
        return vault_settings.canonical(settings, secret)

    def close(self) -> None:
        """Revoke the token that we logged in for, and let go of every connection. May be called twice."""
        with self._lock:
            if self._made is not None:
                self._made.close()

    # --- reading ---

    @effect
    def look(self, target: Target) -> Look:
        """One read of the metadata, and once in ten minutes one of the mount's settings.

        ``versions`` are those that can be read, without what is pending. A secret that ``vault kv metadata
        put`` made has no version yet; with ``create_missing`` so has one that does not exist.
        """
        key = self._fit(self._place(target.secret))
        return Look(
            current=str(key.current) if key.current else None,
            previous=str(key.previous) if key.previous else None,
            versions=tuple(str(each) for each in key.readable),
        )

    @effect
    def read(self, target: Target, version: str | None = None) -> Stored | None:
        """One read, by number, by push token, or of the current version.

        A push that was promoted leads to the version that it became: one read more.
        """
        where = self._place(target.secret)
        if version is None:
            value = self._current(where)
            return None if value is None else vault_text.stored(target, value, str(value.number))
        if is_push(version):
            value = self._pending().value(where, version)
        else:
            at = number(version)
            value = held(self._calls().value(where, at)) if at is not None else None
        return None if value is None else vault_text.stored(target, value, version)

    @effect
    def shown(self, target: Target, version: str, since: datetime) -> bool:  # noqa: ARG002  the Protocol's
        """No call: every reader of one address reads what was written there."""
        return True

    @effect
    def raw(self, secret: str) -> Credential:
        """The text fields of a secret's current object. NeedsPerson if it has no version yet."""
        where = self._place(secret)
        value = self._current(where)
        if value is None:
            raise NeedsPerson(
                "no-version",
                f"Secret {where.name!r} has no value yet.",
                todo="Give it one: `rotator submit --admin PROVIDER`.",
            )
        return Credential(secret_text.texts(where.name, value.text))

    # --- writing ---

    @effect
    def seed(self, target: Target, push: str) -> str:  # noqa: ARG002  a first version needs no token
        """``{}`` with check-and-set on no version at all: version 1, or Conflict."""
        where = self._place(target.secret)
        self._seen(where)
        if self._calls().write(where, secret_text.EMPTY, 0) is None:
            value = held(self._calls().value(where))
            if value is None or value.number != 1 or not vault_text.same(value.text, secret_text.EMPTY):
                raise Conflict("seeded", f"Secret {where.name!r} has another first version than ours.")
        return "1"

    @effect
    def stage(self, target: Target, credential: Credential, push: str, onto: Stored) -> Stored:
        """One write to the pending path, which must not exist; one read of it, and a comparison.

        Killed before the read back, the value waits there: the same call again finds it. At the end, what
        earlier rotations left is swept; a sweep that fails is no failure.
        """
        where = self._place(target.secret)
        _checked(push, where)
        text = vault_text.to_object(target, secret_text.written(target, credential, onto.whole.reveal()[""]))
        self._seen(where)
        staged = vault_text.stored(target, self._pending().put(where, push, text), push)
        self._pending().sweep(where, target, push, onto, credential)
        return staged

    @effect
    def promote(self, target: Target, version: str, expected: str) -> str:
        """One write to the secret with check-and-set on ``expected``, never with another number.

        Then one read back, and the pending value is replaced by a forward to the new version and destroyed.
        Killed before that, or where it fails, the pending value stays, readable for rotator alone, until the
        next stage. Four calls and one read of what is pending.
        """
        where = self._place(target.secret)
        cas, pending = number(expected), self._pending()
        value = pending.waiting(where, _checked(version, where))
        if value is None:
            raise self._nothing_pending(where, version, expected)
        now = self._calls().write(where, value.text, cas) if cas is not None else None
        if now is None:
            raise _not_current(where, expected)
        back = held(pending.read_back(where, now))
        if back is None or not vault_text.same(back.text, value.text):
            raise Unknown("read-back", f"Version {now} of secret {where.name!r} is not what was written.")
        pending.retire(where, version, now)
        return str(now)

    @effect
    def keep(self, target: Target, version: str, mark: str) -> None:  # noqa: ARG002  numbers need no label
        """One read: versions stay by their number. Refused where the next write would remove it."""
        at, where = number(version), self._place(target.secret)
        if at is None:
            return
        key = self._key(where)
        most = described.most_versions(self._calls().rules(where), key)
        if at not in key.readable:
            raise Refused("version-gone", f"Secret {where.name!r}: version {at} is gone.", permanent=True)
        if at <= key.current + 1 - most:
            raise Refused(
                "version-gone",
                f"Secret {where.name!r} keeps {most} versions: the next one removes version {at}. "
                "Raise its max_versions.",
                permanent=True,
            )

    @effect
    def discard(self, target: Target, version: str, mark: str | None) -> None:  # noqa: ARG002  as above
        """A pending version is removed with its path: one call. A number that is not current is destroyed
        where the settings say ``destroy_old``; otherwise max_versions sees to it: no call.
        """
        where, at = self._place(target.secret), number(version)
        if is_push(version):
            self._pending().forget(where, version)
        elif at is not None and self.settings.destroy_old:
            key = self._key(where)
            known = key.versions.get(at)
            if known is not None and not known.destroyed and at != key.current:
                self._calls().destroy(where, at)

    @effect
    def replace_raw(self, secret: str, fields: Mapping[str, str], push: str) -> None:  # noqa: ARG002
        """Write fields into the current object, with check-and-set. What holds them already stays."""
        where = self._place(secret)
        self._seen(where)
        value = self._current(where)
        before = value.text if value is not None else secret_text.EMPTY
        text = secret_text.replaced(where.name, before, dict(fields))
        if value is not None and vault_text.same(before, text):
            return
        if self._calls().write(where, text, value.number if value is not None else 0) is None:
            raise Conflict("not-current", f"Somebody else wrote secret {where.name!r} at the same time.")

    # --- before anything is done ---

    @effect
    def check_rights(self, secrets: Sequence[str]) -> Sequence[Finding]:
        """Our token's rights on these secrets, asked of Vault: missing ones, and more than needed."""
        from rotator.stores.vault_checkup import checked  # noqa: PLC0415  only ``doctor`` asks

        return checked(self._calls(), self.settings, secrets)

    # --- parts ---

    def _calls(self) -> "Calls":
        """The calls, and with them hvac, imported and made once."""
        with self._lock:
            if self._made is None:
                from rotator.stores.vault_calls import Calls  # noqa: PLC0415  see above

                self._made = Calls(self.settings, self._clock, self.deadline, self._over)
            return self._made

    def _pending(self) -> "Pending":
        from rotator.stores.vault_pending import Pending  # noqa: PLC0415  see above

        return Pending(self._calls())

    def _place(self, secret: str) -> Place:
        return place(self.settings.mount, secret)

    def _key(self, where: Place) -> Key:
        """A key's metadata; one that does not exist has no version, or needs a person."""
        key = self._calls().key(where)
        if key is None and not self.settings.create_missing:
            raise described.missing(where)
        return key or Key(0)

    def _fit(self, where: Place) -> Key:
        """The metadata of a secret that may be written."""
        rules, key = self._calls().rules(where), self._key(where)
        described.refuse(rules, key, where)
        self._looked[where.path] = self._clock.monotonic()
        return key

    def _seen(self, where: Place) -> None:
        """Nothing is written for a secret that was not looked at in the last ten minutes."""
        at = self._looked.get(where.path)
        if at is None or self._clock.monotonic() - at > _LOOKED_FRESH:
            self._fit(where)

    def _current(self, where: Place) -> Value | None:
        """The current version; if it is not there, the metadata tells a missing secret from an empty one."""
        found = self._calls().value(where)
        if found is None:
            self._key(where)
            return None
        value = held(found)
        if value is None:
            raise described.deleted(where)
        return value

    def _nothing_pending(self, where: Place, push: str, expected: str) -> EffectError:
        """Why a version cannot be promoted: it was already, or it is not there."""
        if str(self._key(where).current) != expected:
            return _not_current(where, expected)
        why = f"Secret {where.name!r}: nothing is pending under {push}."
        return Refused("version-gone", why, permanent=True)


def _checked(push: str, where: Place) -> str:
    """The token itself, if it is one of ours: it becomes a part of a path."""
    if is_push(push):
        return push
    raise Refused("param-validation", f"Secret {where.name!r}: this is no token of ours.", permanent=True)


def _not_current(where: Place, expected: str) -> Conflict:
    return Conflict("not-current", f"Secret {where.name!r}: version {expected} is no longer the current one.")
