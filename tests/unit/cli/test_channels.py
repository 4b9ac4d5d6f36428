import json
import secrets
from collections.abc import Iterator

import pytest

from rotator.cli import session, work
from rotator.cli.options import Options
from rotator.errors import PolicyError
from tests.unit.cli.conftest import Rig
from tests.unit.telemetry.ingest import Ingest, ingest

PASSWORD = f"z{secrets.token_urlsafe(20)}"
NOTIFY = """
notify:
  channels:
    desk: {secret: {store: aws, secret: url/desk}}
    pager: {secret: {store: aws, secret: url/pager}, template: "{severity}! {text}"}
  routes:
    - {match: {tags: {team: a}}, to: [desk]}
    - {match: {severity: [critical]}, to: [pager]}
  otherwise: [pager]
defaults:"""


@pytest.fixture
def hook() -> Iterator[Ingest]:
    """What is behind both channels."""
    with ingest() as server:
        yield server


@pytest.fixture
def told(rig: Rig, hook: Ingest) -> Rig:
    """The same policies, with two channels."""
    path = rig.folder / "rotator.yaml"
    path.write_text(path.read_text().replace("\ndefaults:", NOTIFY))
    for name in ("desk", "pager"):
        rig.secret(f"url/{name}", {"url": f"json://{name}:{PASSWORD}@127.0.0.1:{hook.port}/{name}"})
    return rig


def said(rig: Rig, *args: str) -> tuple[int, list[tuple[str, str, str]]]:
    """What doctor says of channels; never an address."""
    answer = rig.say("doctor", *args, "--json")
    assert PASSWORD not in answer.out + answer.err
    findings = answer.json()["findings"]
    channels = [one for one in findings if one["subject"].startswith("channel ")]
    return answer.code, [(one["subject"], one["level"], one["text"]) for one in channels]


def messages(hook: Ingest) -> list[str]:
    """What people read."""
    return [json.loads(body)["message"] for body in hook.raw]


def test_doctor_looks_at_channels_and_sends_nothing(told: Rig, hook: Ingest) -> None:
    """An address is read and understood; a ledger is not made for it."""
    _, found = said(told)
    text = "its address is that of JSON; nothing was sent"
    assert found == [("channel desk", "ok", text), ("channel pager", "ok", text)]
    assert hook.raw == []
    assert not (told.folder / "l.db").exists()
    assert said(told, "--provider", "build")[1] == []


def test_a_test_message_is_sent_when_asked_for(told: Rig, hook: Ingest) -> None:
    """To all, or to the one that is named; the exit code is that of the channels asked."""
    assert len(said(told, "--notify")[1]) == 2
    assert len(hook.raw) == 2
    code, found = said(told, "--notify", "--channel", "pager")
    assert (code, [subject for subject, _, _ in found]) == (0, ["channel pager"])
    assert messages(hook)[2].startswith("info! A test by ")
    hook.status = 404
    code, ((_, level, text),) = said(told, "--notify", "--channel", "desk")
    assert (code, level) == (1, "error")
    assert text == "The service of desk did not take a message: it answered 404."


def test_what_cannot_be_asked_is_said(told: Rig, rig: Rig) -> None:
    """A channel that is none, and policies without any."""
    answer = told.say("doctor", "--channel", "paper")
    assert (answer.code, "There is no channel 'paper'. Did you mean 'pager'?" in answer.err) == (2, True)
    path = rig.folder / "rotator.yaml"
    text = path.read_text()
    path.write_text(text[: text.index("notify:")] + text[text.index("defaults:") :])
    assert "name no channel" in rig.say("doctor", "--notify").err


def test_an_address_that_is_wrong_is_an_error(told: Rig) -> None:
    """Read, and not understood: with what to do."""
    told.service.client().put_secret_value(
        SecretId="url/desk",
        SecretString=json.dumps({"url": f"nothing://{PASSWORD}"}),
        ClientRequestToken="wrong".ljust(40, "-"),
    )
    code, found = said(told, "--channel", "desk")
    assert (code, found) == (
        1,
        [("channel desk", "error", "Apprise does not understand the address of channel desk.")],
    )


def test_a_command_tells_channels_of_its_alarms(told: Rig, hook: Ingest) -> None:
    """What fails in a person's own run goes the ways of its policy, before the command ends."""
    told.provider.renew_admin()
    answer = told.say("run-now", "orders", "--reason", "leak", "--yes", "--wait", "3s")
    assert answer.code == 1
    (text,) = messages(hook)
    assert "submit --admin build" in text
    assert "policy orders" in text
    assert PASSWORD not in answer.out + answer.err + text


def test_what_a_channel_did_not_take_is_seen_and_waits(told: Rig, hook: Ingest) -> None:
    """Doctor names the channel; a test that is taken has the next process bring what waits."""
    hook.status = 500
    told.provider.renew_admin()
    told.say("run-now", "orders", "--reason", "leak", "--yes", "--wait", "3s")
    code, found = said(told, "--channel", "desk")
    assert code == 1
    assert found[0][2].endswith("(http-500); 1 wait.")
    hook.status, before = 200, len(hook.raw)
    assert said(told, "--notify", "--channel", "desk")[0] == 0
    told.say("run-now", "quotes", "--reason", "leak", "--yes", "--wait", "1s")
    assert any("policy orders" in text for text in messages(hook)[before + 1 :])
    assert said(told, "--channel", "desk")[0] == 0


def test_a_daemon_takes_over_who_is_told(told: Rig) -> None:
    """A changed file changes the routes with the policies; one that is wrong changes neither."""
    options = Options(str(told.folder / "rotator.yaml"), None, None)
    used: list[object] = []

    class Both:
        def use(self, *given: object) -> None:
            used.append(given)

    work._take_over(options, Both(), Both())  # type: ignore[arg-type]
    book = session.book(options)
    assert used == [(book,), (book.notices, book.policies)]
    (told.folder / "rotator.yaml").write_text("version: 1\npolicies: []\nnotify: {}\n")
    with pytest.raises(PolicyError):
        work._take_over(options, Both(), Both())  # type: ignore[arg-type]
    assert len(used) == 2
