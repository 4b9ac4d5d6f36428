"""The calls to Vault's KV v2 that rotator makes, each in one form only, with errors sorted.

Writing is ``write`` and nothing else, and always with check-and-set: a second sending of one request cannot
be done twice. Reads are sent again while Vault says "not now"; writes are not: their caller is told.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import requests

from rotator.errors import EffectError, NeedsPerson, RotatorError
from rotator.interfaces import Clock
from rotator.stores import vault_described as described
from rotator.stores import vault_http
from rotator.stores.deadline import Deadline
from rotator.stores.secret_text import members
from rotator.stores.vault_described import Gone, Value
from rotator.stores.vault_errors import (
    CAS_MISMATCH,
    Asked,
    Reply,
    answered,
    broken,
    garbage,
    retried,
)
from rotator.stores.vault_settings import Place, Settings
from rotator.stores.vault_tokens import Tokens

_WAITS = (0.2, 0.5, 1.0)  # seconds before a read is sent again
_LONGEST_WAIT = 3.0  # what an answer may ask for; longer is told to the caller
_RULES_FRESH = 600.0  # seconds for which a mount's settings are not asked for again


class Calls:
    """Calls of one store. ``over`` are the connections; left out, new ones that trust no environment."""

    def __init__(
        self, settings: Settings, clock: Clock, deadline: Deadline, over: requests.Session | None = None
    ) -> None:
        self._clock = clock
        self._deadline = deadline
        self._session = over or vault_http.session()
        door, self._client = (vault_http.client(settings, self._session, clock, deadline) for _ in range(2))
        self._tokens = Tokens(settings.auth, door, self._client, clock)
        self._kv = self._client.secrets.kv.v2
        self._rules: dict[str, tuple[float, described.Rules]] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Give the token back and close every connection. Never raises; a later call connects again."""
        with contextlib.suppress(Exception):  # it expires by itself; whatever was raised may hold it
            self._deadline.run(self._tokens.give_back)
        self._session.close()

    def rules(self, where: Place) -> described.Rules:
        """The mount's settings: asked for once in ten minutes. NeedsPerson if it is no KV v2."""
        with self._lock:
            known = self._rules.get(where.mount)
        if known is not None and self._clock.monotonic() - known[0] < _RULES_FRESH:
            return known[1]
        asked = Asked("read", f"{where.mount}/config", ("read",))
        reply = self._read(asked, lambda: self._kv.read_configuration(where.mount))
        rules = described.rules_in(_data(reply, asked)) if reply.done else None
        if rules is None and (reply.done or _nothing(reply) or reply.status == 405):  # noqa: PLR2004  no such verb
            raise NeedsPerson(
                "not-kv2",
                f"Mount {where.mount!r} is not a KV version 2.",
                todo="Correct mount in the store's settings, or run `vault kv enable-versioning`.",
            )
        if rules is None:
            raise answered(reply, asked)
        with self._lock:
            self._rules[where.mount] = (self._clock.monotonic(), rules)
        return rules

    def key(self, where: Place) -> described.Key | None:
        """A key's metadata, without values; None if there is no such key."""
        asked = Asked("read", f"{where.mount}/metadata/{where.path}", ("read",))
        reply = self._read(asked, lambda: self._kv.read_secret_metadata(where.path, where.mount))
        if _nothing(reply):
            return None
        if not reply.done:
            raise answered(reply, asked)
        key = described.key_in(_data(reply, asked), self._clock.now())
        if key is None:
            raise garbage(asked)
        return key

    def value(self, where: Place, number: int | None = None) -> Value | Gone | None:
        """One version, or the current one; Gone if it is deleted or destroyed, None if there is none."""
        asked = Asked("read", f"{where.mount}/data/{where.path}", ("read",))
        reply = self._read(
            asked,
            lambda: self._kv.read_secret_version(
                where.path, number, where.mount, raise_on_deleted_version=True
            ),
        )
        if _nothing(reply):
            return None
        if reply.done or (reply.status == 404 and reply.body and "data" in reply.body):  # noqa: PLR2004
            return _value(reply, asked, number)
        raise answered(reply, asked)

    def write(self, where: Place, text: str, cas: int) -> int | None:
        """Write a JSON object as the version after ``cas``; its number, or None where cas is not current."""
        asked = Asked("write", f"{where.mount}/data/{where.path}", ("create", "update"))
        reply = self._send(
            asked,
            lambda: self._kv.create_or_update_secret(where.path, vault_http.JsonText(text), cas, where.mount),
        )
        if reply.status == 400 and reply.says(CAS_MISMATCH):  # noqa: PLR2004
            return None
        if not reply.done:
            raise answered(reply, asked)
        number = _data(reply, asked).get("version")
        if number != cas + 1:
            raise garbage(asked)
        return cas + 1

    def destroy(self, where: Place, number: int) -> None:
        """Remove one version's value for ever. May be called twice."""
        asked = Asked("write", f"{where.mount}/destroy/{where.path}", ("update",))
        reply = self._send(asked, lambda: self._kv.destroy_secret_versions(where.path, [number], where.mount))
        _settled(reply, asked)

    def forget(self, where: Place) -> None:
        """Remove a key, all its versions and their values for ever. May be called twice."""
        asked = Asked("delete", f"{where.mount}/metadata/{where.path}", ("delete",))
        reply = self._send(asked, lambda: self._kv.delete_metadata_and_all_versions(where.path, where.mount))
        _settled(reply, asked)

    def names(self, mount: str, folder: str) -> list[str]:
        """The keys of a folder, in order; none if there is no such folder."""
        asked = Asked("list", f"{mount}/metadata/{folder}", ("list",))
        reply = self._read(asked, lambda: self._kv.list_secrets(folder, mount))
        if _nothing(reply):
            return []
        if not reply.done:
            raise answered(reply, asked)
        keys = _data(reply, asked).get("keys")
        return sorted(name for name in keys if isinstance(name, str)) if isinstance(keys, list) else []

    def capabilities(self, paths: Sequence[str]) -> dict[str, frozenset[str]]:
        """What our token may do at each of these paths; changes nothing."""
        asked = Asked("read", "sys/capabilities-self", ("update",))
        reply = self._read(asked, lambda: self._client.sys.get_capabilities(list(paths)))
        if not reply.done:
            raise answered(reply, asked)
        data = _data(reply, asked)
        return {
            path: frozenset(each for each in data.get(path) or () if isinstance(each, str)) for path in paths
        }

    # --- sending ---

    def _read(self, asked: Asked, call: Callable[[], Any]) -> Reply:
        """A request that changes nothing: sent again while it fails in a way that may pass."""
        waits: Iterator[float] = iter(_WAITS)
        while True:
            error: RotatorError
            try:
                reply = self._send(asked, call)
            except EffectError as raised:
                error = raised
            else:
                error = answered(reply, asked)
                if reply.done or not retried(error):
                    return reply
            wait = self._pause(error, next(waits, None)) if retried(error) else None
            if wait is None:
                break
            self._clock.sleep(wait)
        raise error

    def _pause(self, error: RotatorError, wait: float | None) -> float | None:
        """How long to wait before another try; None if this was the last."""
        told = getattr(error, "retry_at", None)
        if wait is None or told is None:
            return wait
        asked_for: timedelta = told - self._clock.now()
        return max(wait, asked_for.total_seconds()) if asked_for.total_seconds() <= _LONGEST_WAIT else None

    def _send(self, asked: Asked, call: Callable[[], Any]) -> Reply:
        """One request; where the token is refused, once more with another."""
        token = self._tokens.ready()
        reply = self._once(asked, call)
        if reply.status == 403 and self._tokens.refused(token):  # noqa: PLR2004  it was not done
            self._tokens.ready()
            reply = self._once(asked, call)
        return reply

    def _once(self, asked: Asked, call: Callable[[], Any]) -> Reply:
        """The boundary at which every exception of the libraries becomes one of ours."""
        error: RotatorError
        try:
            reply = call()
        except RotatorError as raised:
            error = raised
        except Exception as raised:  # noqa: BLE001  whatever it is, it may hold the value
            error = broken(raised, asked)
        else:
            if isinstance(reply, Reply):
                return reply
            error = garbage(asked)
        # Raised outside the handler: the library's exception is not even the context of ours.
        raise error.with_traceback(None)


# --- answers ----------------------------------------------------------------------------------------------


def _nothing(reply: Reply) -> bool:
    """Whether this 404 says that there is nothing: errors are listed, and there are none."""
    return reply.status == 404 and reply.body is not None and reply.body.get("errors") == []  # noqa: PLR2004


def _settled(reply: Reply, asked: Asked) -> None:
    """See that something is gone: Vault says 204, also of what was never there, or 200 with warnings."""
    if _nothing(reply) or reply.status == 204 or (reply.done and reply.body is not None):  # noqa: PLR2004
        return
    raise answered(reply, asked)


def _data(reply: Reply, asked: Asked) -> dict[str, Any]:
    """What an answer holds under ``data``."""
    data = (reply.body or {}).get("data")
    if not isinstance(data, dict):
        raise garbage(asked)
    return data


def _value(reply: Reply, asked: Asked, number: int | None) -> Value | Gone:
    """What a read tells: the version that was asked for, and its object as it stands in the answer."""
    data = _data(reply, asked)
    metadata = data.get("metadata")
    found = metadata.get("version") if isinstance(metadata, dict) else None
    if not isinstance(found, int) or isinstance(found, bool) or (number is not None and found != number):
        raise garbage(asked)
    if not reply.done:
        return Gone(found)
    text = _member(_member(reply.text, "data"), "data")
    if text is None or not isinstance(data.get("data"), dict):
        raise garbage(asked)
    return Value(found, described.instant(data["metadata"].get("created_time")), text)


def _member(text: str | None, name: str) -> str | None:
    """The value of a JSON object's last member of this name, as the text that it is."""
    found = [member for member in members("", text) if member.key == name] if text else []
    return text[found[-1].start : found[-1].end] if text and found else None
