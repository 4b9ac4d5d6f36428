"""What is outside the worker, in a process of its own, so that its CPU is not counted as the worker's.

Local providers of several accounts, with the latency that was asked for, and a Secrets Manager over HTTP for
boto3. Started as ``python -m tests.bench.outside SETTINGS``: one line of JSON tells what there is; each line
on standard input is answered with the calls counted so far; the end of standard input ends it.
"""

import json
import re
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from botocore.exceptions import ClientError

from rotator.lab import Buildmarkets
from rotator.lab.keys import real_time
from rotator.lab.wire import Answer, Listener, Request
from rotator.testing.fake_secrets_manager import FakeSecretsManager

REGION = "eu-west-1"
SCOPES = ("accounts:read",)
KINDS = ("issue", "list", "probe", "revoke")


@dataclass(frozen=True, slots=True)
class Size:
    """How many keys at how many accounts, and what a call costs in seconds."""

    keys: int
    accounts: int
    provider_latency: float
    store_latency: float


@dataclass(frozen=True, slots=True)
class Held:
    """A secret as it is before the run."""

    secret: str
    account: int
    version: str
    fields: dict[str, str]


class Clock:
    """The machine's clock; the worker's own would bring all of its imports along."""

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        return real_time()

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class Outside:
    """The process, started and ended; ``accounts`` are base URLs, ``admins`` their admin credentials."""

    def __init__(self, size: Size) -> None:
        self.size = size

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.outside", json.dumps(asdict(self.size))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        told = self._line()
        self.accounts: list[str] = told["accounts"]
        self.admins: list[dict[str, str]] = told["admins"]
        self.store_url: str = told["store"]
        self.held = [Held(**held) for held in told["held"]]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def calls(self) -> dict[str, dict[str, int]]:
        """Calls since the start: ``provider`` by kind, ``store`` by method (those that came over HTTP)."""
        assert self._process.stdin is not None, "it is a pipe"
        self._process.stdin.write("calls\n")
        self._process.stdin.flush()
        told: dict[str, dict[str, int]] = self._line()
        return told

    def furnish(self, service: FakeSecretsManager) -> None:
        """Put into a Secrets Manager of this process what the one over HTTP holds."""
        furnish(service, self.held, self.admins)

    def _line(self) -> Any:
        assert self._process.stdout is not None, "it is a pipe"
        return json.loads(self._process.stdout.readline())


def furnish(service: FakeSecretsManager, held: list[Held], admins: list[dict[str, str]]) -> None:
    """The secrets that are rotated, and one with the admin credential of each account."""
    client = service.client()
    for one in held:
        text = json.dumps(one.fields)
        client.create_secret(Name=one.secret, SecretString=text, ClientRequestToken=one.version)
    for account, admin in enumerate(admins):
        client.create_secret(Name=admin_secret(account), SecretString=json.dumps(admin))
    service.calls.clear()


def admin_secret(account: int) -> str:
    """Where the admin credential of an account is."""
    return f"rotator/admin-{account}"


def serve(service: FakeSecretsManager) -> Listener:
    """A Secrets Manager over HTTP, in the protocol JSON 1.1 that boto3 speaks."""

    def respond(request: Request) -> Answer:
        operation = request.headers["x-amz-target"].partition(".")[2]
        method = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
        try:
            answer = service.call(service.region, method, request.json())
        except ClientError as error:
            told = error.response["Error"]
            return _answer(400, {"__type": told["Code"], "message": told["Message"]})
        return _answer(200, answer)

    return Listener(respond, real_time)


def _answer(status: int, value: dict[str, Any]) -> Answer:
    text = json.dumps(value, default=datetime.timestamp)
    return Answer(status, text.encode(), {"Content-Type": "application/x-amz-json-1.1"})


def _held(size: Size, providers: list[Buildmarkets]) -> list[Held]:
    return [
        Held(
            secret=f"prod/{number:04d}",
            account=number % size.accounts,
            version=f"{number:032d}",
            fields=providers[number % size.accounts].create(f"before {number}", scopes=list(SCOPES)),
        )
        for number in range(size.keys)
    ]


def main() -> None:
    """Serve until standard input ends."""
    size = Size(**json.loads(sys.argv[1]))
    service = FakeSecretsManager(Clock(), region=REGION, latency=size.store_latency)
    with ExitStack() as running:
        providers = [
            running.enter_context(Buildmarkets(limits=(), latency=size.provider_latency))
            for _ in range(size.accounts)
        ]
        listener = serve(service)
        running.callback(listener.end)
        held = _held(size, providers)
        admins = [provider.admin for provider in providers]
        latency, service._latency = service._latency, 0.0
        furnish(service, held, admins)
        service._latency = latency
        _say(
            {
                "accounts": [provider.url for provider in providers],
                "admins": admins,
                "store": f"http://127.0.0.1:{listener.server_port}",
                "held": [asdict(one) for one in held],
            }
        )
        asked = (Buildmarkets.ISSUE, Buildmarkets.LIST, Buildmarkets.PROBE, Buildmarkets.REVOKE)
        patterns = dict(zip(KINDS, asked, strict=True))
        for _ in sys.stdin:
            counts = {kind: sum(p.count(pattern) for p in providers) for kind, pattern in patterns.items()}
            _say({"provider": counts, "store": dict(service.calls)})


def _say(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
