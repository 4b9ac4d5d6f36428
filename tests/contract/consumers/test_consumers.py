import base64
import hashlib
import hmac
import json
import secrets
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rotator import consumers
from rotator.consumers import http as consumer_http
from rotator.consumers import message
from rotator.consumers.outside import Outside
from rotator.errors import NeedsPerson, NotSent, Refused, Unknown
from rotator.interfaces import Consumer
from rotator.model import ConsumerRef, Credential
from rotator.providers.network import Network, Surroundings
from rotator.testing.clock import ManualClock
from rotator.testing.consumer_contract import NEWS, ConsumerContract, Mishap, Subject
from tests.contract.consumers.switchboard import HOSTILE, Answer, Request, Switchboard
from tests.unit.certificates import certified

Read = Callable[[], Credential]
PATH = "/apis/apps/v1/namespaces/trading/deployments/maker"


class Kit:
    """What adapters are made with, and closed at the end."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.network = Network(Surroundings(), self.clock)
        self.key = base64.b64encode(secrets.token_bytes(32)).decode()
        self.token = secrets.token_hex(20)
        self.token_file = folder / "token"
        self.token_file.write_text(f"{self.token}\n")
        self.made: list[Any] = []

    def make(self, kind: str, settings: dict[str, Any], signing: Read | None = None) -> Consumer:
        """The adapter of a type, as a process makes it."""
        outside = Outside("app", self.clock, self.network, signing or self.signing)
        self.made.append(consumers.make(ConsumerRef("app", kind, settings), outside))
        made: Consumer = self.made[-1]
        return made

    def signing(self) -> Credential:
        """The secret that signs, read afresh."""
        return Credential({"signing_key": f"whsec_{self.key}"})

    def close(self) -> None:
        """Let go of connections."""
        for each in self.made:
            getattr(each, "close", lambda: None)()
        self.network.close()


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kit]:
    """Credentials that open nothing, and a clock that botocore's back-off moves."""
    made = Kit(tmp_path)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing-secret-of-nobody",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("botocore.endpoint.time", types.SimpleNamespace(sleep=made.clock.sleep))
    monkeypatch.setattr(consumer_http, "CALL_SECONDS", 2.0)
    yield made
    made.close()


class OverHttp(Subject):
    """An adapter whose other side is a switchboard."""

    refusals: dict[Mishap, Answer]

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.board = Switchboard(lambda request: (200, self.good(request)))

    def good(self, request: Request) -> bytes:
        """What the real one answers."""
        return b""

    def id_of(self, request: Request) -> str:
        """By what the other side sees that news is the same."""
        raise NotImplementedError

    def taken(self) -> Sequence[str]:
        return [self.id_of(request) for request in self.board.requests]

    def mishap(self, mishap: Mishap) -> None:
        common = {Mishap.DOWN: (500, HOSTILE), Mishap.ELSEWHERE: (307, HOSTILE)}
        self.board.drop = mishap is Mishap.DROP
        if not self.board.drop:
            answer = {**common, **self.refusals}[mishap]
            self.board.answer = lambda _: answer

    def answers(self, body: bytes) -> None:
        self.board.answer = lambda _: (200, body)

    def unplug(self) -> None:
        self.board.close()

    def secrets(self) -> Sequence[str]:
        return [self.kit.key, self.kit.token, "testing-secret-of-nobody"]

    def strayed(self) -> int:
        return self.board.strayed


# --- webhook ---------------------------------------------------------------------------------------------


class WebhookSubject(OverHttp):
    reads_answers = False
    refusals = {  # noqa: RUF012
        Mishap.BUSY: (429, HOSTILE),
        Mishap.DENIED: (403, HOSTILE),
        Mishap.MISSING: (410, HOSTILE),
    }

    def __init__(self, kit: Kit) -> None:
        super().__init__(kit)
        self.consumer = kit.make("webhook", {"url": f"{self.board.url}/hooks/rotator"})

    def id_of(self, request: Request) -> str:
        return request.headers["webhook-id"] + request.body.decode()


class TestWebhook(ConsumerContract):
    @pytest.fixture
    def subject(self, kit: Kit) -> Iterator[Subject]:
        """A webhook behind a local server."""
        made = WebhookSubject(kit)
        yield made
        made.board.close()

    def test_it_is_signed_as_its_receiver_verifies_it(self, subject: WebhookSubject) -> None:
        """Id, time and the very body, under HMAC-SHA256, as Standard Webhooks writes them."""
        subject.consumer.tell(NEWS)
        (request,) = subject.board.requests
        assert (request.method, request.path) == ("POST", "/hooks/rotator")
        assert request.headers["webhook-id"] == NEWS.id
        stamp = request.headers["webhook-timestamp"]
        assert int(stamp) == int(subject.kit.clock.now().timestamp())
        signed = f"{NEWS.id}.{stamp}.".encode() + request.body
        expected = hmac.digest(base64.b64decode(subject.kit.key), signed, hashlib.sha256)
        version, _, signature = request.headers["webhook-signature"].partition(",")
        assert (version, base64.b64decode(signature)) == ("v1", expected)

    def test_what_it_says(self, subject: WebhookSubject) -> None:
        """Names, ids and times."""
        subject.consumer.tell(NEWS)
        assert json.loads(subject.board.requests[0].body) == {
            "type": "key.promoted",
            "timestamp": "2026-01-05T09:00:00Z",
            "data": {
                "id": NEWS.id,
                "policy": "market-maker",
                "provider": "build",
                "store": "aws",
                "secret": "prod/market-maker",
                "version": NEWS.version,
                "key_id": "key-2",
                "previous_version": "v1",
                "previous_key_id": "key-1",
                "promoted_at": "2026-01-05T09:00:00Z",
                "previous_lives_until": "2026-01-06T09:00:00Z",
                "reason": "drill",
            },
        }

    @pytest.mark.parametrize("held", ["", "short", "whsec_", "whsec_!!", "whsec_AAAA", None])
    def test_a_weak_key_signs_nothing(self, kit: Kit, subject: WebhookSubject, held: str | None) -> None:
        """A key that could be guessed, or is none, is a person's to mend, and nothing is sent."""
        fields = {} if held is None else {"signing_key": held}
        weak = kit.make("webhook", {"url": subject.board.url}, lambda: Credential(fields))
        with pytest.raises(NeedsPerson, match="at least 24 bytes"):
            weak.check()
        with pytest.raises(NeedsPerson):
            weak.tell(NEWS)
        assert subject.board.requests == []

    def test_the_key_is_read_when_it_is_used(self, kit: Kit, subject: WebhookSubject) -> None:
        """A key that was replaced signs the next message: none is kept."""
        held = [f"plain-text-key-{number}-of-some-length" for number in range(2)]
        fresh = iter(held)
        consumer = kit.make(
            "webhook", {"url": subject.board.url}, lambda: Credential({"signing_key": next(fresh)})
        )
        for key in held:
            consumer.tell(NEWS)
            request = subject.board.requests[-1]
            signed = f"{NEWS.id}.{request.headers['webhook-timestamp']}.".encode() + request.body
            signature = base64.b64encode(hmac.digest(key.encode(), signed, hashlib.sha256)).decode()
            assert request.headers["webhook-signature"] == f"v1,{signature}"

    def test_the_status_alone_says_that_it_was_taken(self, subject: WebhookSubject) -> None:
        """A 2xx whose body breaks off was a 2xx: it is not told again, and the next message goes through."""
        subject.board.cut = True
        subject.consumer.tell(NEWS)
        subject.board.cut = False
        subject.consumer.tell(NEWS)
        assert len(subject.board.requests) == 2

    def test_a_refusal_whose_body_breaks_off_is_one(self, subject: WebhookSubject) -> None:
        """It says that nothing happened, as it does when it comes whole."""
        subject.board.cut = True
        subject.mishap(Mishap.DENIED)
        with pytest.raises(Refused, match="403"):
            subject.consumer.tell(NEWS)

    def test_a_slow_receiver_is_left(self, subject: WebhookSubject, monkeypatch: pytest.MonkeyPatch) -> None:
        """One that does not answer in time may have taken it, and holds nobody up."""
        go_on = threading.Event()
        monkeypatch.setattr(consumer_http, "CALL_SECONDS", 0.2)

        def slow(_: Request) -> Answer:
            go_on.wait(5)
            return 200, b""

        subject.board.answer = slow
        with pytest.raises(Unknown, match="within the time allowed"):
            subject.consumer.tell(NEWS)
        go_on.set()

    def test_a_secret_in_a_reason_is_not_told(self, kit: Kit) -> None:
        """What a person typed may hold a live value: it is taken out of the message."""
        leaked = Credential({"api_secret": secrets.token_hex(20)})
        value = leaked.get("api_secret") or ""
        said = message.body(replace(NEWS, reason=f"found {value} in a log"))
        assert value.encode() not in said
        assert b"found [redacted] in a log" in said


# --- Kubernetes ------------------------------------------------------------------------------------------


class KubernetesSubject(OverHttp):
    refusals = {  # noqa: RUF012
        Mishap.BUSY: (429, HOSTILE),
        Mishap.DENIED: (403, HOSTILE),
        Mishap.MISSING: (404, HOSTILE),
    }

    def __init__(self, kit: Kit) -> None:
        super().__init__(kit)
        where = {"namespace": "trading", "deployment": "maker"}
        access = {"url": self.board.url, "token_file": str(kit.token_file)}
        self.consumer = kit.make("kubernetes", {**where, **access})

    def good(self, request: Request) -> bytes:
        patch = json.loads(request.body)
        return json.dumps({"kind": "Deployment", "metadata": {"name": "maker"}, **patch}).encode()

    def id_of(self, request: Request) -> str:
        return request.body.decode()


class TestKubernetes(ConsumerContract):
    @pytest.fixture
    def subject(self, kit: Kit) -> Iterator[Subject]:
        """A Deployment behind a local server that answers as the API does."""
        made = KubernetesSubject(kit)
        yield made
        made.board.close()

    def test_the_pod_template_is_patched(self, subject: KubernetesSubject) -> None:
        """As kubectl restarts a Deployment: an annotation of its pods, with the time of the promotion."""
        subject.consumer.tell(NEWS)
        (request,) = subject.board.requests
        assert (request.method, request.path, request.query) == ("PATCH", PATH, "fieldManager=rotator")
        assert request.headers["content-type"] == "application/strategic-merge-patch+json"
        assert request.headers["authorization"] == f"Bearer {subject.kit.token}"
        annotations = {"kubectl.kubernetes.io/restartedAt": "2026-01-05T09:00:00Z"}
        template = {"metadata": {"annotations": annotations}}
        assert json.loads(request.body) == {"spec": {"template": template}}

    def test_the_token_is_read_when_it_is_used(self, subject: KubernetesSubject) -> None:
        """The cluster writes a new one now and then; without one a person is asked."""
        subject.kit.token_file.write_text("another")
        subject.consumer.tell(NEWS)
        assert subject.board.requests[-1].headers["authorization"] == "Bearer another"
        subject.kit.token_file.unlink()
        with pytest.raises(NeedsPerson, match="no token"):
            subject.consumer.tell(NEWS)

    def test_a_token_that_is_refused_is_a_persons(self, subject: KubernetesSubject) -> None:
        """401: which service account rotator has."""
        subject.board.answer = lambda _: (401, HOSTILE)
        with pytest.raises(NeedsPerson, match="the token is refused"):
            subject.consumer.tell(NEWS)

    def test_a_paused_deployment_is_not_told(self, subject: KubernetesSubject) -> None:
        """It takes the annotation and restarts nothing: a person is asked to resume it, then it is told."""

        def answer(paused: bool) -> None:
            def patched(request: Request) -> Answer:
                found = json.loads(request.body)
                return 200, json.dumps({"spec": {**found["spec"], "paused": paused}}).encode()

            subject.board.answer = patched

        answer(paused=True)
        with pytest.raises(NeedsPerson, match="kubectl rollout resume deployment/maker --namespace trading"):
            subject.consumer.tell(NEWS)
        answer(paused=False)
        subject.consumer.tell(NEWS)

    def test_outside_of_a_pod_the_address_must_be_given(
        self, kit: Kit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In a pod it is found by itself."""
        where = {"namespace": "trading", "deployment": "maker", "token_file": str(kit.token_file)}
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        consumer = kit.make("kubernetes", where)
        with pytest.raises(NeedsPerson, match="in no pod"):
            consumer.check()
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        consumer.check()

    def test_the_cluster_is_believed_by_its_own_authority_alone(self, kit: Kit, tmp_path: Path) -> None:
        """TLS is verified against ca_file: any other server gets no token."""
        file, context = certified(tmp_path)
        board = Switchboard(lambda request: (200, KubernetesSubject.good(None, request)))  # type: ignore[arg-type]
        board.http.socket = context.wrap_socket(board.http.socket, server_side=True)
        where = {"namespace": "trading", "deployment": "maker", "token_file": str(kit.token_file)}
        url = board.url.replace("http://", "https://")
        try:
            kit.make("kubernetes", {**where, "url": url, "ca_file": str(file)}).tell(NEWS)
            (tmp_path / "other").mkdir()
            other, _ = certified(tmp_path / "other")
            with pytest.raises(NotSent, match="TLS"):
                kit.make("kubernetes", {**where, "url": url, "ca_file": str(other)}).tell(NEWS)
        finally:
            board.close()
        assert len(board.requests) == 1


# --- AWS -------------------------------------------------------------------------------------------------


def aws(code: str) -> Answer:
    """A refusal as AWS writes it."""
    return 400, json.dumps({"__type": code, "message": "hostile"}).encode()


class EcsSubject(OverHttp):
    refusals = {  # noqa: RUF012
        Mishap.BUSY: aws("ThrottlingException"),
        Mishap.DENIED: aws("AccessDeniedException"),
        Mishap.MISSING: aws("ServiceNotFoundException"),
    }

    def __init__(self, kit: Kit) -> None:
        super().__init__(kit)
        where = {"cluster": "trading", "service": "maker"}
        self.consumer = kit.make("ecs", {**where, "region": "eu-west-1", "endpoint_url": self.board.url})

    def good(self, request: Request) -> bytes:
        return b'{"service": {"serviceName": "maker"}}'

    def id_of(self, request: Request) -> str:
        return request.body.decode()


class TestEcs(ConsumerContract):
    @pytest.fixture
    def subject(self, kit: Kit) -> Iterator[Subject]:
        """An ECS service behind a local server, over boto3's own client."""
        made = EcsSubject(kit)
        yield made
        made.board.close()

    def test_a_new_deployment_is_forced(self, subject: EcsSubject) -> None:
        """What runs is started anew, and nothing of it is changed."""
        subject.consumer.tell(NEWS)
        (request,) = subject.board.requests
        assert request.headers["x-amz-target"].endswith(".UpdateService")
        asked = {"cluster": "trading", "service": "maker", "forceNewDeployment": True}
        assert json.loads(request.body) == asked


class EventBridgeSubject(OverHttp):
    refusals = {  # noqa: RUF012
        Mishap.BUSY: aws("ThrottlingException"),
        Mishap.DENIED: aws("AccessDeniedException"),
        Mishap.MISSING: aws("ResourceNotFoundException"),
    }

    def __init__(self, kit: Kit) -> None:
        super().__init__(kit)
        settings = {"bus": "keys", "region": "eu-west-1", "endpoint_url": self.board.url}
        self.consumer = kit.make("eventbridge", settings)

    def good(self, request: Request) -> bytes:
        return b'{"FailedEntryCount": 0, "Entries": [{"EventId": "e-1"}]}'

    def id_of(self, request: Request) -> str:
        (entry,) = json.loads(request.body)["Entries"]
        return str(json.loads(entry["Detail"]))


class TestEventBridge(ConsumerContract):
    @pytest.fixture
    def subject(self, kit: Kit) -> Iterator[Subject]:
        """A bus behind a local server, over boto3's own client."""
        made = EventBridgeSubject(kit)
        yield made
        made.board.close()

    def test_an_event_is_put_on_the_bus(self, subject: EventBridgeSubject) -> None:
        """With a source and a type that rules can match, and the message as its detail."""
        subject.consumer.tell(NEWS)
        (entry,) = json.loads(subject.board.requests[0].body)["Entries"]
        assert (entry["Source"], entry["DetailType"]) == ("rotator", "key.promoted")
        assert entry["EventBusName"] == "keys"
        assert json.loads(entry["Detail"]) == message.data(NEWS)

    def test_an_entry_that_the_bus_refused_is_not_told(self, subject: EventBridgeSubject) -> None:
        """PutEvents answers 200 for an entry that it did not take."""
        subject.answers(b'{"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]}')
        with pytest.raises(Unknown, match="did not take"):
            subject.consumer.tell(NEWS)


# --- what adapters declare -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", consumers.names())
def test_each_type_declares_what_others_ask_of_it(kind: str) -> None:
    """Settings that refuse an unknown key, IAM actions, and whether it signs."""
    adapter = consumers.adapter(kind)
    assert adapter.Settings.model_config["extra"] == "forbid"
    assert {"events:PutEvents", "ecs:UpdateService"} >= adapter.RIGHTS
    assert adapter.SIGNS in (None, "signing_key")


def test_rights_are_those_of_the_calls() -> None:
    """One action each, and none for what is no service of AWS."""
    rights = {kind: consumers.adapter(kind).RIGHTS for kind in consumers.names()}
    assert rights == {
        "ecs": {"ecs:UpdateService"},
        "eventbridge": {"events:PutEvents"},
        "kubernetes": frozenset(),
        "webhook": frozenset(),
    }


def test_without_aws_credentials_a_person_is_asked(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command doctor says so before a rotation finds out."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(NeedsPerson, match="credentials"):
        kit.make("ecs", {"cluster": "c", "service": "s", "region": "eu-west-1"}).check()
