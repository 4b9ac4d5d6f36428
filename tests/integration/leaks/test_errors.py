"""What adapters raise and hand on while the other side repeats the secrets that it was sent."""

import json
import random
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any

import boto3
import pytest
from botocore.config import Config

from rotator import lab
from rotator.errors import RotatorError
from rotator.interfaces import Provider, SecretStore, Stored
from rotator.lab.vault import LocalVault
from rotator.lab.wire import Answer, Listener, Request, Respond
from rotator.model import Credential, ProviderRef, StoreRef, Target
from rotator.providers import adapter, make
from rotator.providers.admin import Admin
from rotator.providers.network import Network, Surroundings
from rotator.stores.aws_secrets_manager import AwsSecretsManager
from rotator.stores.vault_kv2 import VaultKv2
from rotator.testing.clock import ManualClock
from tests.integration.leaks.hostile import FORMS, STATUSES, echoed, poisoned
from tests.integration.leaks.needles import Canary, Hit, Search

SEED = random.randrange(2**32)
HELD = {"api_key": f"held-{secrets.token_urlsafe(24)}", "theirs": f'a "foreign" {secrets.token_urlsafe(24)}'}
FRESH = f"fresh-{secrets.token_urlsafe(24)}"
LENIENT: dict[str, Any] = {"refusals_allowed": None, "disabled_after": None, "throttled_after": None}
PROVIDERS: dict[str, tuple[Callable[..., lab.LocalProvider], str | None, dict[str, Any]]] = {
    "buildmarkets": (lab.Buildmarkets, None, {"scopes": ["accounts:read"]}),
    "b2trader": (lab.B2Trader, None, {"isInfo": True, "isTrade": False, "ipWhiteList": ["127.0.0.1"]}),
    "fattail": (lab.FatTail, None, {"scopes": ["read"], "expires_in_days": 90}),
    "figure-client": (lab.Figure, "client", {}),
    "figure-token": (lab.Figure, "access-token", {}),
    "fintech-key": (lambda **more: lab.FintechStudios(**more, **LENIENT), "access-key", {}),
    "fintech-token": (lambda **more: lab.FintechStudios(**more, **LENIENT), "token", {}),
}
Answers = Callable[[Request], Answer | None]


class Ear:
    """What was raised and handed on, as text; and what of it is no error of ours."""

    def __init__(self) -> None:
        self.heard: dict[str, bytes] = {}
        self.foreign: set[str] = set()
        self.raised = 0
        self._number = count()

    def attempt(self, what: str, act: Callable[[], object]) -> None:
        """Do it, and keep all that it says."""
        where = f"{next(self._number)} {what}"
        try:
            told = repr(act())
        except RotatorError as error:
            self.raised += 1
            graph = list(everything(error))
            told = " ".join(f"{each} {each!r} {each.args!r} {vars(each)!r}" for each in graph)
            self.foreign |= {
                f"{where}: {type(each).__name__}" for each in graph if not isinstance(each, RotatorError)
            }
        self.heard[where] = told.encode()

    def hits(self, values: Iterable[str]) -> list[Hit]:
        """The secrets among it."""
        canaries = [Canary(f"value {number}", value) for number, value in enumerate(sorted(values))]
        return Search(canaries).hits(self.heard)


def everything(error: BaseException, seen: set[int] | None = None) -> Iterator[BaseException]:
    """An exception and every exception that hangs on it."""
    seen = set() if seen is None else seen
    if id(error) in seen:
        return
    seen.add(id(error))
    yield error
    for each in (error.__cause__, error.__context__, *error.args, *vars(error).values()):
        if isinstance(each, BaseException):
            yield from everything(each, seen)


def hostilities(true: Respond) -> Iterator[tuple[str, Answers]]:
    """Every status with some echo, then the true answer with secrets for names and ids."""
    draw = random.Random(SEED)
    forms = [(status, draw.randrange(10 * FORMS)) for status in STATUSES]
    for status, form in [*forms, *((200, form) for form in range(FORMS))]:
        yield f"{status} form {form}", partial(echoed, status=status, form=form)
    yield "poisoned", lambda request: poisoned(request, true(request) or Answer(500))


@contextmanager
def answering(listener: Listener, answers: Answers) -> Iterator[None]:
    """Have a server answer so."""
    true, listener.respond = listener.respond, answers
    try:
        yield
    finally:
        listener.respond = true


# --- providers -------------------------------------------------------------------------------------------


def adapted(server: lab.LocalProvider, kind: str | None, network: Network, clock: ManualClock) -> Provider:
    """A fresh adapter: it remembers no refused login."""
    options: dict[str, Any] = {"requests_per_second": 1000}
    if server.type_name == "fintechstudios":
        options["probe_path"] = "/account"
    found = adapter(server.type_name, kind)
    ref = ProviderRef("here", server.type_name, server.url, options=options, kind=kind)
    fields, in_headers = found.traits.admin_fields, getattr(found, "admin_in_headers", None)
    return make(
        ref, Admin(lambda: Credential(server.admin), fields, "here", clock, in_headers), clock, network, kind
    )


def every_call(provider: Provider, held: Credential, key: dict[str, Any], ear: Ear, what: str) -> None:
    """All that an adapter can be asked."""
    ear.attempt(f"probe {what}", lambda: provider.probe(held))
    if provider.traits.issues:
        ear.attempt(f"issue {what}", lambda: provider.issue("a label", key))
    if provider.traits.lists:
        ear.attempt(f"find {what}", provider.find)
        ear.attempt(f"revoke {what}", lambda: provider.revoke("key-1"))


@pytest.mark.parametrize("name", PROVIDERS)
def test_no_answer_of_a_provider_is_repeated(name: str) -> None:
    """What a provider repeats of what it was sent, as text, id, label or account, nothing of ours repeats."""
    kind_of, kind, key = PROVIDERS[name]
    clock, ear = ManualClock(), Ear()
    with kind_of(clock=clock.now, limits=()) as server:
        listener, network = server._listener, Network(Surroundings(), clock)
        assert listener is not None
        held = server.admin if isinstance(server, lab.LocalLogins) else server.create("before")
        if kind in ("access-token", "token"):
            held = adapted(server, kind, network, clock).issue("", {}).credential.reveal()
        for what, answers in hostilities(listener.respond):
            provider = adapted(server, kind, network, clock)
            with answering(listener, answers):
                every_call(provider, Credential(held), key, ear, what)
        network.close()
        assert ear.hits(server.values()) == [], f"seed {SEED}"
        assert not ear.foreign
        assert ear.raised > 10 or kind in ("client", "access-key")


# --- stores ----------------------------------------------------------------------------------------------


def hostile(store: SecretStore, target: Target, onto: Stored, ear: Ear, what: str) -> None:
    """Every call of a store, with values that nobody may see."""
    push = f"r1-0badcafe-{random.Random(what).randbytes(16).hex()}"
    fresh = Credential({"api_key": FRESH})
    ear.attempt(f"look {what}", lambda: store.look(target))
    ear.attempt(f"read {what}", lambda: store.read(target))
    ear.attempt(f"raw {what}", lambda: store.raw(target.secret))
    ear.attempt(f"stage {what}", lambda: store.stage(target, fresh, push, onto))
    ear.attempt(f"promote {what}", lambda: store.promote(target, push, onto.version))
    ear.attempt(f"keep {what}", lambda: store.keep(target, onto.version, "mark"))
    ear.attempt(f"discard {what}", lambda: store.discard(target, push, None))
    ear.attempt(f"replace {what}", lambda: store.replace_raw(target.secret, fresh.reveal(), push))


def test_no_answer_of_vault_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a Vault, or whatever answers in its place, says of tokens and values is repeated by nothing."""
    clock, ear = ManualClock(), Ear()
    with LocalVault(clock=clock.now) as vault:
        assert vault._listener is not None
        vault.put("app/one", **HELD)
        monkeypatch.setenv("VAULT_TOKEN", vault.root)
        settings = {"url": vault.url, "auth": {"method": "token"}}
        target = Target("one", StoreRef("vault", "vault-kv2"), "app/one", {"api_key": "api_key"})
        for what, answers in hostilities(vault._listener.respond):
            store = VaultKv2(VaultKv2.Settings.model_validate(settings), clock)
            onto = store.read(target)
            assert onto is not None
            with answering(vault._listener, answers):
                hostile(store, target, onto, ear, what)
            store.close()
        assert ear.hits({*vault.values(), *HELD.values(), FRESH}) == [], f"seed {SEED}"
    assert not ear.foreign
    assert ear.raised > 100


def secrets_manager(request: Request) -> Answer:
    """What Secrets Manager answers to each call, for a secret with one version."""
    name = {"Name": "app/one", "ARN": "arn:aws:secretsmanager:eu-west-1:1:secret:app/one-AbCdEf"}
    match request.headers["x-amz-target"].partition(".")[2]:
        case "DescribeSecret":
            return Answer.of(200, {**name, "VersionIdsToStages": {"v1": ["AWSCURRENT"]}})
        case "GetSecretValue":
            return Answer.of(200, {**name, "VersionId": "v1", "SecretString": json.dumps(HELD)})
        case "PutSecretValue":
            return Answer.of(200, {**name, "VersionId": request.json()["ClientRequestToken"]})
    return Answer.of(200, name)


def test_no_answer_of_secrets_manager_is_repeated() -> None:
    """What answers in the place of Secrets Manager may repeat values, as an error's code too: we do not."""
    clock, ear, listener = ManualClock(), Ear(), Listener(secrets_manager, lambda: ManualClock().now())
    secret_key, session = secrets.token_hex(20), secrets.token_hex(40)
    client = boto3.Session("AKIA0000000000000000", secret_key, session).client(
        "secretsmanager",
        region_name="eu-west-1",
        endpoint_url=f"http://127.0.0.1:{listener.server_port}",
        config=Config(retries={"total_max_attempts": 1}, proxies={}, read_timeout=5),
    )
    settings = AwsSecretsManager.Settings(region="eu-west-1")
    store = AwsSecretsManager(settings, clock, clients=lambda _: client)
    target = Target("one", StoreRef("aws", "aws-secrets-manager"), "app/one", {"api_key": "api_key"})
    onto = store.read(target)
    assert onto is not None
    for what, answers in hostilities(secrets_manager):
        with answering(listener, answers):
            hostile(store, target, onto, ear, what)
    client.close()
    listener.end()
    assert ear.hits({secret_key, session, *HELD.values(), FRESH}) == [], f"seed {SEED}"
    assert not ear.foreign
    assert ear.raised > 100
