"""``python -m tests.bench``: what rotations, ticks, memory and starts cost, and the four steps beside them.

About twenty minutes on two cores. ``--quick`` tries every part in small, and its figures mean nothing;
``--json`` prints one document instead of tables.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from rotator.ledger import need_not_last
from rotator.model import Verification
from rotator.providers.buildmarkets import Buildmarkets
from tests.bench import fleet, four_steps, idle, incident, starts, tables
from tests.bench.fleet import Run
from tests.bench.outside import Outside, Size


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured. ``each`` and ``many`` are numbers of policies."""

    each: int = 60
    many: int = 300
    per_account: int = 10
    threads: tuple[int, ...] = (16, 64)
    sizes: tuple[int, ...] = idle.SIZES
    times: int = 7
    listed: tuple[int, ...] = (10, 1_000)
    incident: int = 1_000
    wait: float = 5.0


QUICK = Scale(
    each=2, many=4, per_account=2, threads=(4,), sizes=(10,), times=1, listed=(10,), wait=0.2, incident=4
)
PROVIDER, STORE = 0.050, 0.010  # seconds


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="try every part in small")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    asked = parser.parse_args()
    scale = QUICK if asked.quick else Scale()
    os.environ |= {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    with _verified_over(scale.wait):
        if not asked.quick:
            _told("warming up")
            _ours(1, 1, over_http=True, wait=0.2)
        _told("one rotation")
        each = _each(scale)
        _told("many rotations")
        many = _many(scale)
    _told("idle ticks and memory")
    idles = [idle.measure(size) for size in scale.sizes]
    _told("starts")
    begun = [*starts.measure(scale.listed, scale.times), *starts.cold(scale.listed, scale.times)]
    _told("an incident")
    incidents = incident.measure(
        scale.incident, min(10, scale.incident // 2), (PROVIDER, STORE), kill=not asked.quick
    )
    if asked.json:
        document: dict[str, Any] = {"machine": tables.machine(), "quick": asked.quick}
        document |= {"each": {name: asdict(run) for name, run in each.items()}}
        document |= {"many": [{"what": what, **asdict(run)} for what, run, _ in many]}
        document |= {"idle": [asdict(one) for one in idles], "starts": [asdict(one) for one in begun]}
        document |= {"incidents": [asdict(one) for one in incidents]}
        sys.stdout.write(json.dumps(document) + "\n")
        return 0
    sys.stdout.write(f"{tables.machine()}\n\n")
    tables.show(
        [
            tables.calls(*each.values()),
            tables.speed(many),
            tables.idle(idles),
            tables.starts(begun),
            tables.incidents(incidents),
        ]
    )
    return 0


def _each(scale: Scale) -> dict[str, Run]:
    """Without latencies, so that CPU is all there is to see: ours and the baseline, in the tables' order."""
    return {
        "rotator": _ours(scale.each, scale.per_account, over_http=False),
        "rotator-boto3": _ours(scale.each, scale.per_account, over_http=True),
        "four-steps": _theirs(scale.each, scale.per_account, over_http=True),
        "four-steps-client-each": _theirs(scale.each, scale.per_account, over_http=True, client_each=True),
    }


def _many(scale: Scale) -> list[tuple[str, Run, float]]:
    """With latencies: ours by numbers of threads, and the baseline."""
    many, per_account = scale.many, scale.per_account
    rows = [
        (
            "rotator",
            _ours(many, per_account, threads=threads, provider=PROVIDER, store=STORE),
            scale.wait,
        )
        for threads in scale.threads
    ]
    steps = _theirs(many, per_account, threads=scale.threads[0], provider=PROVIDER, store=STORE)
    return [*rows, ("four steps", steps, 0.0)]


def _ours(
    keys: int,
    per_account: int,
    *,
    over_http: bool = False,
    threads: int = 16,
    provider: float = 0.0,
    store: float = 0.0,
    wait: float | None = None,
) -> Run:
    with (
        Outside(_size(keys, per_account, provider, store)) as outside,
        tempfile.TemporaryDirectory() as folder,
        _verified_over(wait),
    ):
        need_not_last(Path(folder))
        return fleet.rotate(outside, Path(folder), over_http=over_http, threads=threads)


def _theirs(
    keys: int,
    per_account: int,
    *,
    over_http: bool = False,
    client_each: bool = False,
    threads: int = 16,
    provider: float = 0.0,
    store: float = 0.0,
) -> Run:
    with Outside(_size(keys, per_account, provider, store)) as outside:
        return four_steps.rotate(outside, over_http=over_http, client_each_time=client_each, threads=threads)


def _size(keys: int, per_account: int, provider: float, store: float) -> Size:
    return Size(keys, max(1, keys // per_account), provider, store)


@contextmanager
def _verified_over(seconds: float | None) -> Iterator[None]:
    """Let new keys be verified over so long a time; five seconds is the product's own."""
    before = Buildmarkets.traits
    if seconds is not None:
        Buildmarkets.traits = replace(before, verification=Verification(over=timedelta(seconds=seconds)))
    try:
        yield
    finally:
        Buildmarkets.traits = before


def _told(what: str) -> None:
    sys.stderr.write(f"measuring: {what}\n")


if __name__ == "__main__":
    sys.exit(main())
