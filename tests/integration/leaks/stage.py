"""Real commands against local providers and stores, of which half repeat secrets in whatever they answer."""

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rotator import lab
from rotator.lab.stores import LocalStores
from rotator.lab.wire import Answer, Request, Respond
from tests.integration.front import Front, hooked
from tests.integration.leaks.hostile import Hostility
from tests.integration.leaks.needles import Canary
from tests.unit.telemetry.ingest import Ingest, ingest

ROOT = Path(__file__).parents[3]
CHATTY = Path(__file__).with_name("chatty")
HOSTILE = b"hostile"  # in the paths of secrets, and so in requests, of what is struck
KEYS: dict[type[lab.LocalProvider], dict[str, Any]] = {
    lab.Buildmarkets: {"scopes": ["accounts:read"]},
    lab.B2Trader: {"isInfo": True, "isTrade": False, "ipWhiteList": ["127.0.0.1"]},
    lab.FatTail: {"scopes": ["read"], "expires_in_days": 90},
}
MANAGED = {"build": lab.Buildmarkets, "b2": lab.B2Trader, "fat": lab.FatTail}
LOGINS = {
    "figure": (lab.Figure, "client", "access-token"),
    "fts": (lab.FintechStudios, "access-key", "token"),
}
TAILS = {"calm": 0.0, "hostile-1": 0.35, "hostile-2": 0.7}  # of providers: how many requests are struck
STRUCK = 0.15  # of the stores' requests for secrets of hostile providers
STORES = ("aws", "vault", "role")
AWS = {"AWS_ACCESS_KEY_ID": ("AKIA", 8), "AWS_SECRET_ACCESS_KEY": ("", 20), "AWS_SESSION_TOKEN": ("", 60)}


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    line: str
    code: int
    out: bytes
    err: bytes


@dataclass
class Stage:
    """A context that holds it all. ``heard`` are the requests as servers saw them, by the server's name."""

    folder: Path
    sentry: Ingest
    seed: int
    tails: Sequence[str] = tuple(TAILS)
    heard: list[tuple[str, Request]] = field(default_factory=list)
    hook: Ingest = field(default_factory=Ingest)  # what is behind the channels of alarms
    desk: Ingest = field(default_factory=Ingest)  # whoever uses the secrets, where it takes what it is told
    servers: dict[str, lab.LocalProvider] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)  # canaries of which the test is the author
    done: list[Done] = field(default_factory=list)
    hostility: list[Hostility] = field(default_factory=list)
    _policies: list[dict[str, Any]] = field(default_factory=list)
    _sections: dict[str, dict[str, Any]] = field(default_factory=dict)  # of consumers
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        with ExitStack() as made:
            self.home.mkdir()
            self.stores = LocalStores(made, self.folder)
            self.vault = self.stores.vault
            hooked(self.vault._listener, self._hook("vault", STRUCK, HOSTILE))
            self.front = made.enter_context(
                Front(self.stores.addresses.aws, self._hook("aws", STRUCK, HOSTILE))
            )
            self._furnish(made)
            self._channels(made)
            self._consumers(made)
            self._write()
            self._stack = made.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def home(self) -> Path:
        """HOME, TMPDIR, the ledger and the working folder of every command."""
        return self.folder / "home"

    @property
    def policies(self) -> Path:
        """The policy file."""
        return self.folder / "rotator.yaml"

    def __post_init__(self) -> None:
        for name, (start, size) in AWS.items():
            self.given[name] = f"{start}{secrets.token_hex(size).upper()}"

    # --- how it is furnished -----------------------------------------------------------------------------

    def _hook(self, name: str, odds: float, meant: bytes = b"") -> Any:
        hostility = Hostility(self.seed + len(self.hostility), odds, meant)
        self.hostility.append(hostility)

        def hook(request: Request, respond: Respond) -> Answer | None:
            self.heard.append((name, request))
            return hostility(request, partial(self._caught, respond))

        return hook

    def _caught(self, respond: Respond, request: Request) -> Answer | None:
        """The true answer; what STS issues is noted."""
        answer = respond(request)
        if answer is not None and b"AssumeRoleResult" in answer.content:
            for name in ("AccessKeyId", "SecretAccessKey", "SessionToken"):
                found = re.search(rf"<{name}>([^<]+)<", answer.content.decode())
                assert found is not None
                self.given[f"{name} of a role, {found[1][-4:]}"] = found[1]
        return answer

    def _furnish(self, made: ExitStack) -> None:
        """Of every type a provider that behaves, and some that do not, each with a policy or two."""
        self._stored = iter(STORES * 20)
        for tail in self.tails:
            odds = TAILS[tail]
            for name, kind in MANAGED.items():
                self._managed(made, f"{name}-{tail}", kind, odds)
            for name, (login, parent, token) in LOGINS.items():
                self._login(made, f"{name}-{tail}", login, (parent, token), odds)

    def _serve(self, made: ExitStack, name: str, kind: Any, odds: float) -> Any:
        server = made.enter_context(kind(limits=()))
        self.servers[name] = server
        hooked(server._listener, self._hook(name, odds))
        return server

    def _managed(self, made: ExitStack, name: str, kind: Any, odds: float) -> None:
        server, store = self._serve(made, name, kind, odds), next(self._stored)
        self._put(store, f"rotator/{name}-admin", server.admin)
        self._put(store, f"prod/{name}", server.create("made by hand"))
        self._policies.append(
            {"name": name, "provider": name, "store": store, "secret": f"prod/{name}", "every": "10s"}
            | {"key": KEYS[kind], "admin": {"store": _plain(store), "secret": f"rotator/{name}-admin"}}
        )

    def _login(self, made: ExitStack, name: str, kind: Any, kinds: tuple[str, str], odds: float) -> None:
        server, store = self._serve(made, name, kind, odds), next(self._stored)
        self._put(store, f"prod/{name}", server.issue_by_hand())
        self._put(store, f"prod/{name}-token", {})
        place = {"store": _plain(store), "secret": f"prod/{name}"}
        self._policies += [
            {"name": name, "provider": name, "kind": kinds[0], **place, "every": "10s"},
            {"name": f"{name}-token", "provider": name, "kind": kinds[1], "from": place}
            | {"store": store, "secret": f"prod/{name}-token", "renew_before": "10s"},
        ]
        server.lifetime = 30.0

    def _put(self, store: str, secret: str, fields: Mapping[str, str]) -> None:
        """A secret, with a field of somebody else in it."""
        theirs = f'a "foreign" pässword\\{secrets.token_urlsafe(18)}/+'
        self.given[f"foreign field of {secret}"] = theirs
        self.stores.put(_plain(store), secret, {**fields, "theirs": theirs} if fields else {})

    def _channels(self, made: ExitStack) -> None:
        """One that works, one whose service repeats what it was sent and refuses it, one that is misspelt."""
        self.hook, deaf = made.enter_context(ingest()), made.enter_context(ingest())
        for name, port in (("desk", self.hook.port), ("deaf", deaf.port), ("lost", 9)):
            password, token = (f"z{secrets.token_urlsafe(24)}" for _ in range(2))
            self.given |= {f"password of channel {name}": password, f"token of channel {name}": token}
            url = f"json://hook:{password}@127.0.0.1:{port}/{token}"
            self.stores.put(
                "aws", f"url/{name}", {"url": url.replace("json:", "jsn:") if name == "lost" else url}
            )
        deaf.status, deaf.answer = 403, " ".join(self.given.values()).encode()

    def _consumers(self, made: ExitStack) -> None:
        """One that takes what it is told, and two that repeat every secret there is and refuse it."""
        self.desk, deaf = made.enter_context(ingest()), made.enter_context(ingest())
        self._sections = {"bus": {"type": "eventbridge", "region": "eu-west-1", "bus": "keys"}}
        self._sections["bus"]["endpoint_url"] = f"http://127.0.0.1:{deaf.port}"
        for name, port in (("takes", self.desk.port), ("repeats", deaf.port)):
            key = self._canary(f"signing key of consumer {name}", secrets.token_urlsafe(30))
            self.stores.put("aws", f"signing/{name}", {"signing_key": key})
            signing = {"store": "aws", "secret": f"signing/{name}"}
            url = f"http://127.0.0.1:{port}/told"
            self._sections[name] = {"type": "webhook", "url": url, "signing": signing}
        for policy in self._policies:
            if "from" not in policy:
                policy |= {"consumers": list(self._sections), "when_not_told": "go-on"}
        deaf.status, deaf.answer = 403, " ".join(self.given.values()).encode()

    # --- the policy file ---------------------------------------------------------------------------------

    def _write(self) -> None:
        role_id, secret_id = (
            secrets.token_hex(8),
            self._canary("secret id of an AppRole", secrets.token_hex(20)),
        )
        self.vault.access.role("approle", {"role_id": role_id, "secret_id": secret_id})
        (self.folder / "secret-id").write_text(secret_id)
        self.stores.token_file.write_text(self.vault.access.token())
        vault = {"type": "vault-kv2", "url": self.vault.url}
        sections = {
            "aws": {"type": "aws-secrets-manager", "region": "eu-west-1", "endpoint_url": self.front.url}
            | {"role_arn": "arn:aws:iam::123456789012:role/rotator"},
            "vault": {**vault, "auth": {"method": "token", "token_file": str(self.stores.token_file)}},
            "role": {**vault, "auth": {"method": "approle", "role_id": role_id}},
        }
        sections["role"]["auth"]["secret_id_file"] = str(self.folder / "secret-id")  # type: ignore[index]
        admins = {one["provider"]: one.pop("admin") for one in self._policies if "admin" in one}
        providers = {
            name: {"type": server.type_name, "base_url": server.url, "requests_per_second": 50}
            | (
                {"admin": admins[name]}
                if name in admins
                else {"probe_path": "/account"}
                if "fts" in name
                else {}
            )
            for name, server in self.servers.items()
        }
        channels = {
            name: {"secret": {"store": "aws", "secret": f"url/{name}"}} for name in ("desk", "deaf", "lost")
        }
        notify = {"channels": channels, "otherwise": list(channels)}
        document = {
            "version": 1,
            "notify": notify,
            "consumers": self._sections,
            "stores": sections,
            "providers": providers,
            "defaults": {"grace": "2s"},
        }
        self.policies.write_text(json.dumps({**document, "policies": self._policies}))
        self.policies.chmod(0o600)

    def _canary(self, name: str, value: str) -> str:
        self.given[name] = value
        return value

    # --- commands ----------------------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        """As an operator sets it, with credentials of AWS; every logger says all that it can."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        return {
            **kept,
            **{name: self.given[name] for name in AWS},
            "AWS_ENDPOINT_URL_STS": self.front.url,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "*",
            "HOME": str(self.home),
            "TMPDIR": str(self.home),
            "XDG_STATE_HOME": str(self.home / "state"),
            "SENTRY_DSN": self.sentry.dsn,
            "ROTATOR_LEDGER": f"sqlite:///{self.home / 'ledger.db'}",
            "ROTATOR_POLICIES": str(self.policies),
            "ROTATOR_LOG_LEVEL": "debug",
            "PYTHONPATH": os.pathsep.join((str(CHATTY), str(ROOT))),
            "CHATTY": str(self.folder / "chatty.txt"),
        }

    def start(self, *words: str, **more: str) -> "subprocess.Popen[bytes]":
        """A command on its way; its output goes to files."""
        out, err = (self.folder / f"output-{words[0]}.{which}" for which in ("out", "err"))
        with out.open("wb") as stdout, err.open("wb") as stderr:
            return subprocess.Popen(
                [sys.executable, "-m", "rotator", *words],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=self.home,
                env={**self.environment(), **more},
            )

    def logged(self, command: str, *texts: bytes) -> bool:
        """Whether one line of a started command's log holds all of these."""
        lines = (self.folder / f"output-{command}.err").read_bytes().splitlines()
        return any(all(text in line for text in texts) for line in lines)

    def run(self, line: str, given: Any = None, **more: str) -> Done:
        """A command, to its end. ``given`` is its input: JSON, or text as it stands."""
        text = given if isinstance(given, str) else json.dumps(given) if given is not None else ""
        done = subprocess.run(
            [sys.executable, "-m", "rotator", *line.split()],
            input=text.encode(),
            capture_output=True,
            cwd=self.home,
            env={**self.environment(), **more},
            timeout=60,
            check=False,
        )
        self.done.append(Done(line, done.returncode, done.stdout, done.stderr))
        return self.done[-1]

    # --- what must not be seen, and where it is looked for -----------------------------------------------

    @property
    def struck(self) -> int:
        """How many requests were not answered as they should be."""
        return sum(each.struck for each in self.hostility)

    def canaries(self) -> Iterator[Canary]:
        """Every secret that there was, whoever made it."""
        yield from (Canary(name, value) for name, value in self.given.items())
        for name in self.servers:
            yield from self.canaries_of(name)
        for number, token in enumerate({*self.vault.access.tokens, *self.vault.access.revoked}):
            yield Canary(f"token {number} of Vault", token)

    def canaries_of(self, server: str) -> Iterator[Canary]:
        """The secrets that a provider has handed out."""
        for number, value in enumerate(sorted(self.servers[server].values())):
            yield Canary(f"value {number} of {server}", value)


def _plain(store: str) -> str:
    """Under which of two names a store was furnished."""
    return "vault" if store == "role" else store
