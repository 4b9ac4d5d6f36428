import json
import logging
import secrets
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from rotator.errors import EffectError, NeedsPerson, Unknown
from rotator.model import Credential
from rotator.notices import Channel, Message, Severity
from rotator.telemetry import services
from rotator.telemetry.redaction import HIDDEN, scrub
from rotator.telemetry.services import Service
from tests.unit.cli.records import STORE
from tests.unit.telemetry.ingest import Ingest, ingest

TOLD = Message("rotator critical: orders", "It is blocked <b> & so.\nTo do: see.", Severity.CRITICAL)
PASSWORD, TOKEN = secrets.token_urlsafe(18), secrets.token_urlsafe(24)


@pytest.fixture
def hook() -> Iterator[Ingest]:
    """A service that is posted to."""
    with ingest() as server:
        yield server


def address(port: int, more: str = "") -> str:
    """Its address, with two credentials."""
    return f"json://hook:{PASSWORD}@127.0.0.1:{port}/{TOKEN}{more}"


def service(url: str | None) -> Service:
    """What is behind a channel with this address."""
    return Service(
        Channel("desk", STORE, "url/desk"), lambda: Credential({} if url is None else {"url": url})
    )


@pytest.fixture
def spoken() -> Iterator[list[str]]:
    """Whatever reaches the root logger, every logger at its loudest."""
    said: list[str] = []
    root, handler = logging.getLogger(), logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    loud = [root, *(logging.getLogger(name) for name in ("apprise", "urllib3", "requests"))]
    before = [logger.level for logger in loud]
    for logger in loud:
        logger.setLevel(1)
    root.addHandler(handler)
    yield said
    root.removeHandler(handler)
    for logger, level in zip(loud, before, strict=True):
        logger.setLevel(level)


def test_a_service_gets_title_body_and_loudness(hook: Ingest) -> None:
    """What was written arrives as it is, with the credentials that the address holds."""
    service(address(hook.port)).send(TOLD)
    found = json.loads(hook.raw[0])
    assert (found["title"], found["message"], found["type"]) == (TOLD.title, TOLD.body, "failure")
    assert hook.headers[0]["Authorization"].startswith("Basic ")


@pytest.mark.parametrize("status", [301, 400, 403, 404, 429, 500, 503])
def test_what_is_not_taken_is_told_by_its_number(hook: Ingest, spoken: list[str], status: int) -> None:
    """An answer that is no success is an error of ours, without the address or a word of the answer."""
    hook.status, hook.answer = status, f"no: {PASSWORD}".encode()
    with pytest.raises(Unknown) as raised:
        service(address(hook.port)).send(TOLD)
    assert raised.value.kind == f"http-{status}"
    said = f"The service of desk did not take a message: it answered {status}"
    assert str(raised.value).startswith(said)
    assert ("redirect" in str(raised.value)) is (status == 301)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    assert not [text for text in spoken if PASSWORD in text]


@pytest.mark.parametrize("asked", ["", "?redirect=yes"])
def test_nobody_else_gets_a_message(hook: Ingest, asked: str) -> None:
    """A redirect is a refusal, even where the address allows it."""
    with ingest() as other:
        hook.status, hook.location = 307, f"http://127.0.0.1:{other.port}/"
        with pytest.raises(Unknown, match="http-307"):
            service(address(hook.port, asked)).send(TOLD)
        assert other.raw == []


def test_a_dead_host_is_told(spoken: list[str]) -> None:
    """Nobody listens: an error, and no word of Apprise's in the log."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(Unknown, match="the connection is refused") as raised:
            service(address(free.getsockname()[1])).send(TOLD)
    assert raised.value.kind == "refused"
    assert not [text for text in spoken if PASSWORD in text or TOKEN in text or "JSON" in text]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (None, "has no field url"),
        ("  ", "has no field url"),
        ("nothing://TOKEN/PASSWORD", "does not understand"),
        ("TOKENPASSWORD", "does not understand"),
        ("slack://PASSWORD", "does not understand"),
        ("jsons://hook:PASSWORD@127.0.0.1/TOKEN?verify=no", "says verify=no"),
    ],
)
def test_an_address_of_no_use_needs_a_person(url: str | None, said: str, spoken: list[str]) -> None:
    """It is told what is wrong and where to mend it, never what is there."""
    if url is not None:
        url = url.replace("TOKEN", TOKEN).replace("PASSWORD", PASSWORD)
    with pytest.raises(NeedsPerson, match=said) as raised:
        service(url).send(TOLD)
    assert "rotator doctor --notify --channel desk" in raised.value.todo
    for text in (str(raised.value), repr(raised.value), *spoken):
        assert PASSWORD not in text
        assert TOKEN not in text


def test_what_apprise_raises_stays_there(hook: Ingest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a plugin's own exception the class is told: its text may quote the address."""
    understood = services._understood

    def broken(name: str, at: services._Address) -> object:
        plugin = understood(name, at)

        def notify(**_: object) -> bool:
            raise KeyError(at.url)

        plugin.notify = notify
        return plugin

    monkeypatch.setattr(services, "_understood", broken)
    with pytest.raises(Unknown) as raised:
        service(address(hook.port)).send(TOLD)
    assert raised.value.kind == "KeyError"
    assert raised.value.__context__ is None
    assert PASSWORD not in str(raised.value)


def test_a_service_has_the_documented_time(hook: Ingest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Apprise waits as long as one message may take, not its own four seconds, unless the address says how
    long; what nobody answered in that time may have come.
    """
    plugin = services._understood("desk", services._address_in("desk", Credential({"url": "json://h"})))
    assert services._patient(plugin, services.DEADLINE).request_timeout == (20.0, 20.0)
    hasty = services._address_in("desk", Credential({"url": "json://h?rto=3.5"}))
    assert services._patient(services._understood("desk", hasty), 20.0).request_timeout == (20.0, 3.5)
    hook.go_on.clear()
    with pytest.raises(Unknown, match="it may have come") as raised:
        service(address(hook.port, "?rto=0.2")).send(TOLD)
    assert raised.value.kind == services.LATE
    hook.go_on.set()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("HTTPSConnectionPool(...): Max retries exceeded (Caused by ConnectTimeoutError(...))", "connect"),
        ("HTTPSConnectionPool(host=...): Read timed out. (read timeout=20.0)", "timeout"),
        ("[Errno 111] Connection refused", "refused"),
        ("NameResolutionError(\"Failed to resolve 'chat.example'\")", "unknown-host"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", "tls"),
    ],
)
def test_what_befell_a_connection_is_told_in_words_of_ours(said: str, kind: str) -> None:
    """Nothing of what a library says goes on: it may quote the address."""
    found = services._failure(f"Socket Exception: {said}")
    assert found is not None
    assert found.kind == kind
    assert services._failure(said) is None


def test_a_service_that_hangs_is_left_alone(hook: Ingest, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the deadline nobody waits; with two tries under way no further one begins."""
    monkeypatch.setattr(services, "DEADLINE", 0.2)
    hook.go_on.clear()
    desk = service(address(hook.port, "?rto=60"))
    for said in ("did not answer", "did not answer", "still on their way"):
        with pytest.raises(EffectError, match=said):
            desk.send(TOLD)
    hook.go_on.set()
    hook.wait(lambda: len(hook.raw) == 2)
    for thread in threading.enumerate():
        if thread.name == "notify desk":
            thread.join(5)
    desk.send(TOLD)
    assert len(hook.raw) == 3


def test_an_address_is_scrubbed_as_long_as_it_is_held(hook: Ingest) -> None:
    """Its password and tokens are hidden in whatever leaves; user, host and path's words stay readable."""
    password, token, key = (f"z{secrets.token_urlsafe(20)}" for _ in range(3))
    at = f"json://hook:{password}@127.0.0.1:{hook.port}/desk/{token}?-X-Key={key}&+to=a@b.example"
    desk = Service(Channel("desk", STORE, "s"), lambda: Credential({"url": at}))
    desk.send(TOLD)
    text = scrub(f"at 127.0.0.1 /desk hook {password} and {token}, {key}, a@b.example")
    assert text == f"at 127.0.0.1 /desk hook {HIDDEN} and {HIDDEN}, {HIDDEN}, a@b.example"
    desk.forget()
    assert token in scrub(token)


def test_an_address_is_read_anew_after_it_was_forgotten(hook: Ingest) -> None:
    """A corrected address counts at the next series of messages."""
    made = [service(f"nothing://{TOKEN}"), service(address(hook.port))]
    desk = Service(Channel("desk", STORE, "s"), lambda: made.pop()._read())
    for _ in range(2):
        desk.send(TOLD)
    assert len(made) == 1
    desk.forget()
    with pytest.raises(NeedsPerson):
        desk.kind()


def test_without_apprise_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is not there: a person is told which."""
    services._apprise.cache_clear()
    services._asset.cache_clear()
    monkeypatch.setattr(services, "installed", lambda: False)
    with pytest.raises(NeedsPerson, match="not installed") as raised:
        service(address(9)).send(TOLD)
    assert "rotator[notify]" in raised.value.todo


# --- mail ------------------------------------------------------------------------------------------------


@dataclass
class Mailbox:
    """What a mail server was told."""

    port: int = 0
    lines: list[str] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """A mail server for one message."""
    box = Mailbox()

    def talk() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as stream:
            _say(stream, b"220 here")
            data = False
            for line in stream:
                text = line.decode().rstrip("\r\n")
                box.lines.append(text)
                if data and text != ".":
                    continue
                data = text.upper() == "DATA"
                _say(stream, b"354 go on" if data else b"250 so")
                if text == ".":
                    box.done.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        box.port = listener.getsockname()[1]
        thread = threading.Thread(target=talk)
        thread.start()
        yield box
        thread.join(10)


def _say(stream: object, text: bytes) -> None:
    stream.write(text + b"\r\n")  # type: ignore[attr-defined]
    stream.flush()  # type: ignore[attr-defined]


def test_a_mail_is_one_mail(mailbox: Mailbox) -> None:
    """Title and body arrive as subject and text at whom the address names."""
    url = f"mailto://127.0.0.1:{mailbox.port}?from=rotator@here.example&to=desk@here.example&format=text"
    service(url).send(TOLD)
    assert mailbox.done.wait(10)
    assert any(line.lower().startswith("rcpt to:<desk@here.example>") for line in mailbox.lines)
    assert f"Subject: {TOLD.title}" in mailbox.lines
