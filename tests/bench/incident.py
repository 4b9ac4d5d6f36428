"""An incident: every key of a fleet replaced by one command, in a process of its own, and killed once."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rotator import policies
from rotator.ledger import need_not_last, open_ledger
from rotator.providers.buildmarkets import Buildmarkets
from rotator.wiring import SystemClock
from tests.bench.fleet import take_on
from tests.bench.outside import REGION, SCOPES, Outside, Size, admin_secret

THREADS = 16  # of the command
UNLIMITED = 10_000.0  # requests a second
_LOOK = 0.2


@dataclass(frozen=True, slots=True)
class Incident:
    """What one took. ``rate`` in requests a second of each account; seconds; MiB; ``issued`` counts keys."""

    what: str
    secrets: int
    accounts: int
    rate: float
    killed: bool
    covered: int
    issued: int
    provider_calls: int
    wall: float
    bound: float
    memory: float


def measure(secrets: int, accounts: int, latencies: tuple[float, float], *, kill: bool) -> list[Incident]:
    """With the adapter's own rate limits, without any, and, if asked, without any but killed in its middle:
    what the killed process had claimed is free after a minute and a half.
    """
    found = [
        _one("its own rate limits", secrets, accounts, latencies, Buildmarkets.rate, killed=False),
        _one("no rate limits", secrets, accounts, latencies, UNLIMITED, killed=False),
    ]
    if kill:
        what = "no rate limits, killed once"
        found.append(_one(what, secrets, accounts, latencies, UNLIMITED, killed=True))
    return found


def _one(
    what: str, secrets: int, accounts: int, latencies: tuple[float, float], rate: float, *, killed: bool
) -> Incident:
    with Outside(Size(secrets, accounts, *latencies)) as outside, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        furnish(folder, outside, rate)
        began = time.monotonic()
        if killed:
            _killed(folder, outside)
        command = _begun(folder)
        told = json.loads(command.communicate()[0])
        wall = time.monotonic() - began
        calls = outside.calls()
        latency = latencies[0] * sum(calls["provider"].values()) + latencies[1] * sum(calls["store"].values())
        made = sum(calls["provider"].values())
        return Incident(
            what=what,
            secrets=secrets,
            accounts=accounts,
            rate=rate,
            killed=killed,
            covered=told["counts"]["rotated"],
            issued=calls["provider"]["issue"],
            provider_calls=made,
            wall=wall,
            bound=_bound(secrets, latency, made / accounts / rate),
            memory=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        )


def _bound(secrets: int, latency: float, turns: float) -> float:
    """Seconds that limits and latencies alone take: the ones that go first are verified before others begin;
    then the slowest of: one more rotation, all waits shared out over the threads, all calls in their turn.
    """
    alone = Buildmarkets.traits.verification.over.total_seconds() + latency / secrets
    return alone + max(alone, latency / THREADS, turns)


def furnish(
    folder: Path, outside: Outside, rate: float = UNLIMITED, admins: Mapping[int, str] = MappingProxyType({})
) -> None:
    """A policy file, and the ledger as it would be if each key had been adopted.

    ``admins`` are admin secrets by account, where one has not its own.
    """
    need_not_last(folder)
    providers = {
        f"build-{number}": {
            "type": "buildmarkets",
            "base_url": url,
            "admin": {"store": "aws", "secret": admins.get(number, admin_secret(number))},
            "requests_per_second": rate,
        }
        for number, url in enumerate(outside.accounts)
    }
    stores = {"aws": {"type": "aws-secrets-manager", "region": REGION, "endpoint_url": outside.store_url}}
    rotated = [
        {
            "name": f"policy-{one.secret[5:]}",
            "provider": f"build-{one.account}",
            "store": "aws",
            "secret": one.secret,
            "every": "300d",
            "key": {"scopes": list(SCOPES)},
            "tags": {"on": "laptop"},
        }
        for one in outside.held
    ]
    file = folder / "rotator.yaml"
    file.write_text(json.dumps({"version": 1, "stores": stores, "providers": providers, "policies": rotated}))
    file.chmod(0o600)
    ledger = open_ledger(f"sqlite:///{folder / 'ledger.sqlite'}", SystemClock())
    take_on(ledger, policies.load(file), outside)
    ledger.close()


def _begun(folder: Path) -> "subprocess.Popen[str]":
    environment: dict[str, Any] = {
        **os.environ,
        "ROTATOR_LEDGER": f"sqlite:///{folder / 'ledger.sqlite'}",
        "XDG_STATE_HOME": str(folder),
    }
    order = ["run-now", "--all", "--revoke-now", "--yes", "--json", "--reason", "a provider was breached"]
    return subprocess.Popen(
        [sys.executable, "-m", "rotator", "--policies", str(folder / "rotator.yaml"), *order],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _killed(folder: Path, outside: Outside) -> None:
    """Begin, and kill it once half of the new keys are there."""
    command = _begun(folder)
    while outside.calls()["provider"]["issue"] < outside.size.keys // 2:
        assert command.poll() is None, "it ended before it could be killed"
        time.sleep(_LOOK)
    command.kill()
    command.communicate()
