"""The adapter with boto3's own clients, over HTTP to a server on this machine, and over moto."""

import json
import logging
import threading
import types
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from rotator.errors import NeedsPerson, NotSent, Refused, Unknown
from rotator.interfaces import Stored
from rotator.model import Credential
from rotator.quiet import hush
from rotator.stores.aws_secrets_manager import AwsSecretsManager
from rotator.testing.clock import ManualClock
from rotator.testing.store_backend import key, push, target

WHERE = target("app/one")
ONTO = Stored("0" * 32, None, Credential({}), Credential({"": "{}"}))
DROP = None

Answer = tuple[int, str] | None


class Server:
    """Answers as it is told, one after another, the last one for ever; None drops the connection."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.got: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.before: Callable[[], None] = lambda: None
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.got.append((dict(self.headers), body))
                server.before()
                answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
                if answer is DROP:
                    self.close_connection = True
                    return
                self.send_response(answer[0])
                self.send_header("Content-Length", str(len(answer[1].encode())))
                self.end_headers()
                self.wfile.write(answer[1].encode())

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def refusal(code: str, status: int = 400) -> Answer:
    """An answer as AWS refuses."""
    return status, json.dumps({"__type": code, "message": "no"})


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Credentials that open nothing, and no file of this machine."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """A clock that botocore's back-off moves, instead of waiting."""
    clock = ManualClock()
    monkeypatch.setattr("botocore.endpoint.time", types.SimpleNamespace(sleep=clock.sleep))
    return clock


@pytest.fixture
def server() -> Iterator[Server]:
    """A local server."""
    server = Server()
    yield server
    server.close()


@pytest.fixture
def store(server: Server, clock: ManualClock) -> Iterator[AwsSecretsManager]:
    """The adapter, with boto3's own client."""
    settings = AwsSecretsManager.Settings(region="eu-west-1", endpoint_url=server.url)
    store = AwsSecretsManager(settings, clock)
    yield store
    store.close()


def test_a_write_is_pending_and_has_our_token(server: Server, store: AwsSecretsManager) -> None:
    """What goes over the wire names AWSPENDING and the token; a success that is HTML is Unknown."""
    server.answers = [(200, "<html>sign in</html>")]
    token = push()
    with pytest.raises(Unknown):
        store.stage(WHERE, key(), token, ONTO)
    headers, body = server.got[0]
    assert body["VersionStages"] == ["AWSPENDING"]
    assert body["ClientRequestToken"] == token
    assert "rotator/" in headers["User-Agent"]


def test_a_current_read_names_its_stage(server: Server, store: AwsSecretsManager) -> None:
    """No read is bare: one without a version asks for AWSCURRENT."""
    server.answers = [(200, json.dumps({"VersionId": "v" * 32, "SecretString": "{}", "CreatedDate": 1.5}))]
    stored = store.read(WHERE)
    assert server.got[0][1] == {"SecretId": "app/one", "VersionStage": "AWSCURRENT"}
    assert stored is not None
    assert stored.created_at is not None
    assert stored.created_at.timestamp() == 1.5


def test_throttling_is_tried_three_times(server: Server, store: AwsSecretsManager) -> None:
    """Throttled three times is refused for now: nothing happened."""
    server.answers = [refusal("ThrottlingException")]
    with pytest.raises(Refused) as raised:
        store.promote(WHERE, "1" * 32, "2" * 32)
    assert not raised.value.permanent
    assert len(server.got) == 3


@pytest.mark.parametrize("first", [refusal("InternalServiceError", 500), DROP, (502, "<html>")])
def test_a_refusal_after_a_doubtful_attempt_is_unknown(
    server: Server, store: AwsSecretsManager, first: Answer
) -> None:
    """Where an earlier attempt may have been done, the last one's refusal is not taken for nothing done."""
    server.answers = [first, refusal("LimitExceededException")]
    with pytest.raises(Unknown):
        store.promote(WHERE, "1" * 32, "2" * 32)
    server.answers = [refusal("ValidationException")]
    with pytest.raises(Refused):
        store.promote(WHERE, "1" * 32, "2" * 32)


def test_no_attempt_begins_too_late(server: Server, store: AwsSecretsManager, clock: ManualClock) -> None:
    """After ten seconds no further attempt is sent, so that the effect ends within 25."""
    server.answers = [refusal("InternalServiceError", 500)]
    server.before = lambda: clock.sleep(11)
    with pytest.raises(Unknown, match="deadline"):
        store.promote(WHERE, "1" * 32, "2" * 32)
    assert len(server.got) == 1


def test_no_server_is_not_sent(server: Server, clock: ManualClock) -> None:
    """Where nobody listens nothing was sent."""
    settings = AwsSecretsManager.Settings(region="eu-west-1", endpoint_url="http://127.0.0.1:1")
    store = AwsSecretsManager(settings, clock)
    with pytest.raises(NotSent):
        store.look(WHERE)
    store.close()


def test_a_dropped_connection_is_unknown(server: Server, store: AwsSecretsManager) -> None:
    """A connection that ends without an answer may have carried the request."""
    server.answers = [DROP]
    with pytest.raises(Unknown):
        store.promote(WHERE, "1" * 32, "2" * 32)


def test_no_credentials_need_a_person(
    server: Server, store: AwsSecretsManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without credentials, or with a profile that does not exist, a person is asked."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(NeedsPerson, match="credentials"):
        store.look(WHERE)
    for more in ({"profile": "nobody"}, {"role_arn": "arn:aws:iam::210987654321:role/rotator"}):
        other = AwsSecretsManager(store.settings.model_copy(update=more), ManualClock())
        with pytest.raises(NeedsPerson, match="credentials"):
            other.look(WHERE)


def test_values_are_not_logged(
    server: Server, store: AwsSecretsManager, caplog: pytest.LogCaptureFixture
) -> None:
    """Also with everything at DEBUG, the libraries print no value."""
    caplog.set_level(logging.DEBUG)
    for name in ("boto3", "botocore", "urllib3"):
        caplog.set_level(logging.DEBUG, name)
    server.answers = [(200, "{}")]
    new = key()
    with pytest.raises(Unknown):
        store.stage(WHERE, new, push(), ONTO)
    assert str(new.get("api_key")) not in caplog.text


def test_louder_levels_stay(caplog: pytest.LogCaptureFixture) -> None:
    """A level above WARNING is left as somebody set it."""
    caplog.set_level(logging.ERROR, "botocore")
    hush()
    assert logging.getLogger("botocore").level == logging.ERROR


def test_clients_are_made_once(server: Server, store: AwsSecretsManager) -> None:
    """Many threads share one client, made once."""
    server.answers = [(200, json.dumps({"ARN": "a", "Name": "app/one"}))]
    store.look(WHERE)
    calls = store._calls()
    client = calls._clients("eu-west-1")
    threads = [threading.Thread(target=store.look, args=(WHERE,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store._calls() is calls
    assert calls._clients("eu-west-1") is client
    assert len(server.got) == 5


def test_a_role_of_another_account(clock: ManualClock) -> None:
    """With role_arn the secrets are those of the role's account."""
    arn = "arn:aws:iam::210987654321:role/rotator"
    with mock_aws():
        mine = AwsSecretsManager(AwsSecretsManager.Settings(region="eu-west-1"), clock)
        assumed = AwsSecretsManager(
            AwsSecretsManager.Settings(region="eu-west-1", role_arn=arn, external_id="outside"), clock
        )
        theirs = boto3.client("sts", region_name="eu-west-1")
        given = theirs.assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        there = boto3.client(
            "secretsmanager",
            region_name="eu-west-1",
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
        )
        there.create_secret(Name="app/one", SecretString="{}")
        assert assumed.look(WHERE).current
        with pytest.raises(NeedsPerson, match="missing"):
            mine.look(WHERE)
        for each in (mine, assumed, theirs, there):
            each.close()
