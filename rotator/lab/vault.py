"""A Vault on this machine: KV version 2, tokens, logins and policies, over HTTP, as documented."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Any, ClassVar, Self

from rotator.lab.faults import Drop, Fault, Garbage, Late, Lose, Redirect, Refuse, Slow, garbled, matches
from rotator.lab.keys import Call, real_time
from rotator.lab.vault_access import Access, Token
from rotator.lab.vault_kv import Mount, told, wrong
from rotator.lab.wire import Answer, Listener, Request

SEALED = wrong(503, "Vault is sealed")
DENIED = wrong(403, "permission denied")
_VERBS = {"GET": "read", "POST": "update", "PUT": "update", "DELETE": "delete", "LIST": "list"}


class LocalVault:
    """A Vault on 127.0.0.1 that behaves as documented, and misbehaves when it is told to.

    ``kv`` is its one KV v2 mount, ``access`` its tokens and logins; both may be used without a request, with
    the mount's methods as with HTTP. ``sealed`` may be changed at any time. ``root`` is a token that may do
    everything.
    """

    WRITE: ClassVar[str] = "POST /v1/*/data/*"  # patterns for fail_next, METHOD and path
    READ: ClassVar[str] = "GET /v1/*/data/*"
    METADATA: ClassVar[str] = "GET /v1/*/metadata/*"

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = real_time,
        mount: str = "secret",
        namespace: str | None = None,
        latency: float = 0.0,
    ) -> None:
        self.clock = clock
        self.mount = mount
        self.namespace = namespace
        self.latency = latency
        self.sealed = False
        self.kv = Mount(clock)
        self.access = Access(clock)
        self.root = self.access.token()
        self._lock = threading.RLock()
        self._calls: list[Call] = []
        self._faults: list[tuple[str, bytes, Fault]] = []
        self._late: list[Request] = []
        self._stopping = threading.Event()
        self._listener: Listener | None = None

    # --- running ---

    def start(self) -> Self:
        """Listen. May be called once."""
        self._listener = Listener(self._respond, self.clock)
        return self

    def stop(self) -> None:
        """Close everything and wait for it. May be called twice."""
        self._stopping.set()
        if self._listener:
            self._listener.end()
            self._listener = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address for a policy file."""
        assert self._listener, "start() first"
        return f"http://127.0.0.1:{self._listener.server_port}"

    # --- what a test or a person may ask and do ---

    def put(self, path: str, **fields: Any) -> int:
        """Write an object as somebody else does; the number of its version."""
        with self._lock:
            self.kv.write(path, {"data": fields, "options": {"cas": self.number(path)}})
            return self.number(path)

    def number(self, path: str) -> int:
        """The number of a secret's current version; 0 if it never had one."""
        with self._lock:
            return self.kv.secrets[path].current if path in self.kv.secrets else 0

    def fields(self, path: str) -> dict[str, Any]:
        """What a consumer reads now; nothing if there is nothing to read."""
        with self._lock:
            body = json.loads(self.kv.read(path, 0).content)
        return dict((body.get("data") or {}).get("data") or {})

    def paths(self, below: str = "") -> list[str]:
        """Every key, also those without a version."""
        with self._lock:
            return sorted(path for path in self.kv.secrets if path.startswith(below))

    def values(self) -> frozenset[str]:
        """Every text that it holds, in any version, and every token: what no output may show."""
        with self._lock:
            texts = [v.text for s in self.kv.secrets.values() for v in s.versions.values() if v.text]
            held = {value for text in texts for value in json.loads(text).values()}
            return frozenset({v for v in held if isinstance(v, str) and v} | set(self.access.tokens))

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every request served, in order."""
        with self._lock:
            return tuple(self._calls)

    def count(self, pattern: str = "*") -> int:
        """How many requests fit a pattern such as :attr:`WRITE`; a list is a GET."""
        return sum(matches(pattern, Request(c.method, c.path, "", {})) for c in self.calls)

    def fail_next(self, pattern: str, fault: Fault, times: int = 1, *, body: str = "") -> None:
        """Act ``fault`` out for the next ``times`` requests that fit, and hold ``body``."""
        with self._lock:
            self._faults.extend([(pattern, body.encode(), fault)] * times)

    def land(self) -> int:
        """Do now what a :class:`Late` has put off; how many requests that were."""
        with self._lock:
            late, self._late = self._late, []
        for request in late:
            self._do(request)
        return len(late)

    # --- serving a request ---

    def _respond(self, request: Request) -> Answer | None:
        self._stopping.wait(self.latency)
        answer = self._act(request, self._next_fault(request))
        with self._lock:
            self._calls.append(Call(request.method, request.path, answer.status if answer else None))
        return answer

    def _next_fault(self, request: Request) -> Fault | None:
        with self._lock:
            for index, (pattern, body, fault) in enumerate(self._faults):
                if matches(pattern, request) and body in request.body:
                    del self._faults[index]
                    return fault
        return None

    def _act(self, request: Request, fault: Fault | None) -> Answer | None:  # noqa: PLR0911 - one for each fault
        match fault:
            case Drop():
                return None
            case Refuse(status, body, headers):
                return Answer.of(status, body).plus(headers)
            case Redirect(location, status):
                return Answer.of(status, None, Location=location)
            case Late():
                with self._lock:
                    self._late.append(request)
                return None
            case Slow(seconds):
                self._stopping.wait(seconds)
            case Lose():
                self._do(request)
                return None
            case Garbage(kind):
                return garbled(self._do(request), kind, ("data",))
        return self._do(request)

    def _do(self, request: Request) -> Answer:
        """Who asks, whether they may, and what comes of it."""
        with self._lock:
            path = request.path.removeprefix("/v1/")
            if self.sealed:
                return SEALED
            if (request.headers.get("x-vault-namespace") or None) != self.namespace:
                return wrong(404, "namespace not found")
            body = request.json() if request.body else {}
            if not isinstance(body, dict):
                return wrong(400, "error parsing JSON")
            if path.startswith("auth/") and path.endswith("/login"):
                return self.access.login(path.removeprefix("auth/").removesuffix("/login"), body)
            token = self.access.valid(request.headers.get("x-vault-token"))
            if token is None or not token.allows(path, self._capability(request, path)):
                return DENIED
            return self._handle(request, path, body, token)

    def _capability(self, request: Request, path: str) -> str:
        """What a request must be allowed; a write is create or update, as there is a key or not."""
        if request.arguments.get("list") == "true":
            return "list"
        below = path.removeprefix(f"{self.mount}/data/")
        if request.method == "POST" and below != path and below not in self.kv.secrets:
            return "create"
        return _VERBS.get(request.method, "none")

    def _handle(self, request: Request, path: str, body: dict[str, Any], token: Token) -> Answer:
        match request.method, path.removeprefix("auth/token/"):
            case "GET", "lookup-self":
                return self.access.look_up(token)
            case "POST", "renew-self":
                return self.access.renew(token)
            case "POST", "revoke-self":
                return self.access.revoke(token)
        if (request.method, path) == ("POST", "sys/capabilities-self"):
            return told({each: token.capabilities(each) for each in body.get("paths", [])})
        mount, _, rest = path.partition(f"{self.mount}/")
        kind, _, key = rest.partition("/")
        if mount or not kind:
            return wrong(404, f'no handler for route "{path}". route entry not found.')
        return self._of_kv(replace(request, path=key), kind, body)

    def _of_kv(self, request: Request, kind: str, body: dict[str, Any]) -> Answer:  # noqa: PLR0911 - one for each route
        key = request.path
        listing = request.arguments.get("list") == "true"
        match request.method, kind:
            case "GET", "config":
                return told(self.kv.rules.shown())
            case "POST", "config":
                return self.kv.configure(body)
            case "GET", "data":
                return self.kv.read(key, int(request.arguments.get("version") or 0))
            case "POST", "data":
                return self.kv.write(key, body)
            case "DELETE", "data":
                return self.kv.delete(key)
            case "GET", "metadata":
                return self.kv.names(key) if listing else self.kv.describe(key)
            case "POST", "metadata":
                return self.kv.annotate(key, body)
            case "DELETE", "metadata":
                return self.kv.forget(key)
            case "POST", "delete" | "undelete" | "destroy":
                change = {"delete": self.kv.delete, "undelete": self.kv.undelete, "destroy": self.kv.destroy}
                return change[kind](key, [int(each) for each in body.get("versions", [])])
        return wrong(405, "unsupported operation")
