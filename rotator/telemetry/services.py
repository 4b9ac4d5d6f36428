"""Sending by Apprise, which knows more than a hundred services: chats, pagers, mail, webhooks.

An address is an Apprise URL, and most hold a credential. It is read from its store when something is sent,
and held until nothing more waits; its parts are scrubbed from whatever leaves meanwhile. What Apprise logs
repeats addresses and answers, and is never written: only the number of an HTTP error, or what became of the
connection, is taken from it.
"""

import importlib.util
import logging
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from rotator.errors import NeedsPerson, NotSent, Unknown
from rotator.model import Credential
from rotator.notices import Channel, Message, Severity

DEADLINE = 20.0  # seconds for one message, whatever the service does
INSTALL = "install it: pip install 'rotator[notify]'"
_URL = "url"  # the field of the secret
_UNDER_WAY = 2  # tries past their deadline that may still run; then no further one begins
_LONG, _LETTERED = 16, 8  # characters of a part of an address from which on it may be a credential
LATE = "timeout"  # the kind of a message that went out, and that nobody answered: it may have come
_STATUS = re.compile(r"\berror=([1-5][0-9]{2})\b")
_SOCKET = re.compile(r"Socket Exception")
_BROKEN = (  # what a library says of a connection, the kind of error that it is, and how people are told
    (re.compile(r"connect ?timeout"), "connect", "no connection came about in time"),
    (re.compile(r"timed? ?out"), LATE, "no answer came in time, so that it may have come"),
    (re.compile(r"refused"), "refused", "the connection is refused"),
    (re.compile(r"resol|not known|getaddrinfo"), "unknown-host", "its host is not known"),
    (re.compile(r"ssl|certificate"), "tls", "its certificate or TLS handshake is not acceptable"),
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Address:
    """An Apprise URL. As long as it is held its ``parts`` are scrubbed from whatever leaves; not the whole,
    which begins as many other addresses do.
    """

    url: str
    parts: Credential


class Service:
    """What is behind a channel. ``read`` asks its store for the secret that holds the address."""

    def __init__(self, channel: Channel, read: Callable[[], Credential]) -> None:
        self.name = channel.name
        self._read = read
        self._kept: _Address | None = None
        self._late: list[threading.Thread] = []

    def send(self, message: Message) -> None:
        """Have the service take a message, within DEADLINE. May be called twice: it is then read twice.

        Raises NeedsPerson where the address is missing or wrong or Apprise is not there, and EffectError
        where the store or the service did not do its part.
        """
        address = self._address()
        self._bounded(lambda: _deliver(self.name, address, message, DEADLINE))

    def forget(self) -> None:
        """Hold the address no longer: it is read anew at its next use."""
        self._kept = None

    def kind(self) -> str:
        """The service that the address means, such as Slack; nothing is sent. Raises as :meth:`send`."""
        return str(_understood(self.name, self._address()).service_name)

    def _address(self) -> _Address:
        if self._kept is None:
            self._kept = _address_in(self.name, self._read())
        return self._kept

    def _bounded(self, call: Callable[[], None]) -> None:
        """Call in a thread, waited for until the deadline: Apprise bounds silence alone."""
        self._late = [thread for thread in self._late if thread.is_alive()]
        if len(self._late) >= _UNDER_WAY:
            raise NotSent("busy", f"Earlier messages to {self.name} are still on their way.")
        raised: list[Exception] = []

        def run() -> None:
            try:
                call()
            except Exception as error:  # noqa: BLE001 - the boundary: it is raised where somebody waits
                raised.append(error)

        thread = threading.Thread(target=run, name=f"notify {self.name}", daemon=True)
        thread.start()
        thread.join(DEADLINE)
        if thread.is_alive():
            self._late.append(thread)
            raise Unknown(LATE, f"The service of {self.name} did not answer in {DEADLINE:.0f} seconds.")
        if raised:
            raise raised[0]


def installed() -> bool:
    """Whether the extra ``notify`` is there."""
    return importlib.util.find_spec("apprise") is not None


# --- addresses -------------------------------------------------------------------------------------------


def _address_in(name: str, found: Credential) -> _Address:
    """The address that a secret holds. Raises NeedsPerson where there is none."""
    url = (found.get(_URL) or "").strip()
    if not url:
        said = f"The secret of channel {name} has no field {_URL}."
        raise NeedsPerson("no-address", said, todo=_correct(name))
    parts = {str(number): part for number, part in enumerate(_secret_parts(url))}
    return _Address(url, Credential(parts))


def _secret_parts(url: str) -> Iterator[str]:
    """What may be a credential in an address: a password, and whatever is long enough, wherever it stands.

    Words, host names and mail addresses stay readable: other texts speak of them as well.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # an IPv6 address that is none
        yield url
        return
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    if password:
        yield from {password, unquote(password)}
    host = parts.netloc.rpartition("@")[2]
    query = [value for _, value in parse_qsl(parts.query)]
    hosts = () if "." in host else host.split(":")  # of many services the first part of a token stands there
    for part in (user, *hosts, *parts.path.split("/"), *query, parts.fragment):
        yield from {each for each in (part, unquote(part)) if _may_be_secret(each)}


def _may_be_secret(part: str) -> bool:
    lettered = len(part) >= _LETTERED and any(sign.isdigit() for sign in part)
    return "@" not in part and (lettered or len(part) >= _LONG)


# --- Apprise ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a message was not taken: a kind, and words that follow "did not take a message:"."""

    kind: str
    why: str


_UNTOLD = _Failure("not-taken", "it does not say why")


class _Failures(logging.Handler):
    """Takes what Apprise logs, and keeps what became of a request, for each thread its own."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.of_thread = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the number of an HTTP error, or what befell a connection in words of ours; nothing else."""
        found = _failure(record.getMessage())
        if found is not None:
            self.of_thread.failure = found


def _failure(said: str) -> _Failure | None:
    status = _STATUS.search(said)
    if status:
        redirects = ", a redirect, which is never followed" if status[1].startswith("3") else ""
        return _Failure(f"http-{status[1]}", f"it answered {status[1]}{redirects}")
    if not _SOCKET.match(said):
        return None
    words = said.lower()
    return next((_Failure(kind, why) for known, kind, why in _BROKEN if known.search(words)), None)


_FAILURES = _Failures()


@cache
def _apprise() -> Any:
    """The library, with its log cut off, and without files, plugins or redirects of its own choosing."""
    if not installed():
        raise NeedsPerson("not-installed", "Apprise is not installed, so nobody can be told.", todo=INSTALL)
    import apprise  # noqa: PLC0415 - only where there is a channel

    logger = logging.getLogger("apprise")
    logger.handlers, logger.propagate = [_FAILURES], False
    return apprise


@cache
def _asset() -> Any:
    """How Apprise behaves: it keeps nothing on disk, makes no keys, follows nobody elsewhere."""
    return _apprise().AppriseAsset(
        app_id="rotator",
        app_desc="rotator",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        storage_mode="memory",
        pgp_autogen=False,
        pem_autogen=False,
        secure_logging=True,
        async_mode=False,
        http_redirects=False,
    )


_loading = threading.Lock()  # Apprise finds its plugins at the first use


def _understood(name: str, address: _Address) -> Any:
    """The service that an address means. Raises NeedsPerson for what Apprise cannot use, or not safely."""
    with _loading:
        service = _apprise().Apprise.instantiate(address.url, asset=_asset())
    if service is None:
        said = f"Apprise does not understand the address of channel {name}."
        raise NeedsPerson("address", said, todo=_correct(name))
    if not service.verify_certificate:
        said = f"The address of channel {name} says verify=no, so anybody could read what is sent there."
        raise NeedsPerson("address", said, todo=_correct(name))
    service.redirects = False
    return service


def _correct(name: str) -> str:
    again = f"rotator doctor --notify --channel {name}"
    return f"write an Apprise URL into the field {_URL} of its secret; then: {again}"


def _patient(service: Any, seconds: float) -> Any:
    """The service, with ``seconds`` to answer where its address names no time: Apprise's own is four."""
    for limit in ("socket_connect_timeout", "socket_read_timeout"):
        if getattr(service, limit) == getattr(type(service), limit):
            setattr(service, limit, seconds)
    return service


def _deliver(name: str, address: _Address, message: Message, seconds: float) -> None:
    """Send, in the thread that calls; what Apprise raises never leaves, since it may quote the address."""
    apprise = _apprise()
    logging.getLogger("apprise").setLevel(logging.DEBUG)  # what befell a connection is said there alone
    service = _patient(_understood(name, address), seconds)
    kinds = {
        Severity.INFO: apprise.NotifyType.INFO,
        Severity.WARNING: apprise.NotifyType.WARNING,
        Severity.CRITICAL: apprise.NotifyType.FAILURE,
    }
    _FAILURES.of_thread.failure = _UNTOLD
    try:
        taken = service.notify(
            title=message.title,
            body=message.body,
            notify_type=kinds[message.severity],
            body_format=apprise.NotifyFormat.TEXT,
            overflow=apprise.OverflowMode.SPLIT,
        )
    except Exception as error:  # noqa: BLE001 - the boundary: a hundred plugins raise what they like
        failed = Unknown(type(error).__name__, f"Sending to {name} failed within Apprise.")
    else:
        if taken:
            return
        failure: _Failure = _FAILURES.of_thread.failure
        failed = Unknown(failure.kind, f"The service of {name} did not take a message: {failure.why}.")
    raise failed
