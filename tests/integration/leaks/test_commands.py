"""Every command, with every secret a canary, every fault on and every logger at DEBUG: no secret anywhere."""

import gzip
import json
import random
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rotator.cli.root import COMMANDS
from rotator.lab.wire import Request
from rotator.ledger import open_ledger
from rotator.model import Debt
from rotator.wiring import SystemClock
from tests.integration.leaks.needles import Canary, Hit, Search, files
from tests.integration.leaks.stage import AWS, Stage
from tests.unit.telemetry.ingest import Ingest, ingest

SEED = random.randrange(2**32)
PATIENCE = 60.0  # seconds for a provider that behaves to see a key replaced and dead
LEFT_OUT = ("demo",)  # it makes a world of its own, and its test searches that
_LOCK_UP = ("authorization", "cookie", "x-api-key", "x-api-secret", "x-vault-token", "x-amz-security-token")

Given = tuple[str, Any]  # a command line, and what is fed to it


def test_no_secret_is_anywhere(tmp_path: Path) -> None:
    """Whatever is asked and however it fails, no secret is in outputs, logs, envelopes, the ledger and its
    journals, files, arguments, the environment, or in a request to anybody whom it does not concern.
    """
    with ingest() as sentry, Stage(tmp_path, sentry, SEED) as stage:
        places = worked(stage)
        places |= asked(stage)
        places |= envelopes(sentry) | messages(stage.hook) | news(stage.desk) | told(stage)
        every = list(stage.canaries())
        hits = Search(every).hits(places) + misdirected(stage, every)
        assert not hits, f"seed {SEED}: {hits}"
        assert stage.struck > 40
        assert len(sentry.items("event")) > 5
        assert len(stage.hook.raw) > 2
        assert stage.desk.raw
        assert stage.logged("daemon", b"consumer bus could not be told yet")
        assert stage.logged("daemon", b"consumer repeats was not told")
        assert loud_libraries(stage) >= {"httpcore", "urllib3", "botocore", "sqlalchemy"}
        assert not any(b"this is a fault in rotator" in done.err for done in stage.done)


def test_a_deliberate_leak_is_found(tmp_path: Path) -> None:
    """A process that writes its credentials, encoded, is found out: in its output and in a file it made, also
    one that it removed, and in the arguments of another process that it ran.
    """
    with ingest() as sentry, Stage(tmp_path, sentry, SEED, tails=("calm",)) as stage:
        stage.run("doctor", LEAK="yes")
        hits = Search(stage.canaries()).hits(told(stage) | files(stage.home))
        session = sorted(stage.servers["build-calm"].admin.values())
        names = {canary.name for canary in stage.canaries() if canary.value in session}
        found = {(hit.where, hit.canary, hit.spelling) for hit in hits}
        places = ("left-behind", "output-gone", "output-arguments")
        assert found >= {(place, name, "hex") for place in places for name in names}
        assert {where for where, _, spelling in found if spelling == "base64"} == {"doctor err"}


# --- what is done ----------------------------------------------------------------------------------------


def worked(stage: Stage) -> dict[str, bytes]:
    """The daemon, and people beside it, until a provider that behaves has seen a key replaced and dead."""
    daemon = stage.start("daemon", "--tick", "1s")
    try:
        places = beside(stage, daemon)
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(60) == 0
    finally:
        daemon.kill()
        daemon.wait()
    return places


def beside(stage: Stage, daemon: "subprocess.Popen[bytes]") -> dict[str, bytes]:
    """What is seen of a daemon while it runs."""
    end = time.monotonic() + PATIENCE
    while not all(
        stage.logged("daemon", name, b'"kind": "taken-on"') for name in (b'"build-calm"', b'"figure-calm"')
    ):
        assert time.monotonic() < end
        time.sleep(0.1)
    for line, given in meanwhile(stage):
        stage.run(line, given)
    places = {f"at work: {name}": content for name, content in files(stage.home).items()}
    end = time.monotonic() + PATIENCE
    while all(key.live for key in stage.servers["build-calm"].keys("initial", "api")):
        assert time.monotonic() < end, "a provider that behaves does not see a key die"
        time.sleep(0.1)
    of_process = Path(f"/proc/{daemon.pid}")
    if of_process.exists():
        places["arguments"] = (of_process / "cmdline").read_bytes()
        places["environment"] = environment_of(stage, of_process)
    return places


def environment_of(stage: Stage, of_process: Path) -> bytes:
    """As others of this user see it, if they may: without what an operator put there."""
    try:
        seen = (of_process / "environ").read_bytes()
    except PermissionError:
        return b""  # it is hardened
    for name in AWS:
        seen = seen.replace(stage.given[name].encode(), b"")
    return seen


def meanwhile(stage: Stage) -> Iterator[Given]:
    """What people type while the daemon works."""
    (key,) = stage.servers["build-calm"].keys("initial")
    yield f"adopt build-calm --key-id {key.key_id}", None
    yield "adopt --suggest --yes --json", None
    brought = stage.servers["figure-calm"].issue_by_hand()  # type: ignore[attr-defined]
    yield "submit figure-calm --no-wait", brought
    yield "run-now --leaked --reason drill --yes --wait 1s --json", brought
    yield "run-now --leaked --reason drill --dry-run", stage.servers["b2-calm"].admin
    yield "run-now --leaked --reason drill --yes", json.dumps(wrong(stage))[:-9]
    yield "run-now b2-calm --revoke-first --reason drill --yes --wait 3s", None
    yield "submit fts-hostile-1 --wait 1s --json", stage.servers["fts-hostile-1"].issue_by_hand()  # type: ignore[attr-defined]
    yield "submit --admin fat-hostile-1", stage.servers["fat-hostile-1"].renew_admin()
    yield "submit --admin b2-calm --json", stage.servers["b2-calm"].admin
    yield "submit --admin build-calm", wrong(stage)
    yield "submit figure-calm", json.dumps(wrong(stage))[:-9]
    yield "pause build-hostile-1 --for 1h", None
    yield "resume build-hostile-1 --json", None
    yield "run-now --all --reason drill --yes --wait 3s --json", None


def wrong(stage: Stage) -> dict[str, str]:
    """What a person pasted wrongly."""
    pasted = f"{secrets.token_urlsafe(20)} with blanks"
    stage.given[f"pasted {len(stage.given)}"] = pasted
    return {"api_key": pasted, "api_secret": pasted, "client_secret": pasted}


def asked(stage: Stage) -> dict[str, bytes]:
    """A pass and every report, once the daemon has ended, and what a broken policy file is answered with."""
    ended_early(stage.start("tick"), stage)
    for line, given in settled(stage):
        stage.run(line, given)
    with ThreadPoolExecutor(2) as both:
        list(both.map(lambda each: stage.run(*each), afterwards(stage)))
    return {f"afterwards: {name}": content for name, content in files(stage.home, *broken(stage)).items()}


def ended_early(tick: "subprocess.Popen[bytes]", stage: Stage) -> None:
    """A pass, which in this world of short schedules is never done, ended as a platform ends it."""
    try:
        while tick.poll() is None and not stage.logged("tick", b"a pass"):
            time.sleep(0.1)
        tick.send_signal(signal.SIGTERM)
        assert tick.wait(60) in (0, 1)
    finally:
        tick.kill()
        tick.wait()


def settled(stage: Stage) -> Iterator[Given]:
    """Debts that a person declares."""
    ledger = open_ledger(f"sqlite:///{stage.home / 'ledger.db'}", SystemClock())
    debts: list[Debt] = list(ledger.debts())
    ledger.close()
    for form, debt in zip(("", " --json"), debts, strict=False):
        yield f"settle {debt.id} --reason drill{form}", None


def afterwards(stage: Stage) -> Iterator[Given]:
    """Every other command for people and for machines; one that is new here is tried as it is."""
    yield from (
        (f"{name}{form}", None)
        for name in ("plan", "status", "doctor", "doctor --notify", "validate")
        for form in ("", " --json")
    )
    yield "history build-calm --json", None
    yield "history fat-hostile-1", None
    yield "history fts-hostile-2-token --json", None
    yield "health --json", None
    yield "schema", None
    yield from (
        (f"--policies {path} validate{form}", None)
        for path, form in zip(broken(stage), (" --json", "", "", ""), strict=True)
    )
    used = {done.line.split()[0] for done in stage.done} | {"plan", "status", "doctor", "validate", "history"}
    new = set(COMMANDS) - used - {"daemon", "tick", "settle", "health", "schema", *LEFT_OUT}
    yield from ((f"{name}{form}", None) for name in sorted(new) for form in ("", " --json"))


def broken(stage: Stage) -> tuple[Path, ...]:
    """Policy files into which somebody pasted secrets, and files that are no policy files."""
    made = tuple(stage.folder / f"broken-{number}.yaml" for number in range(4))
    if not made[0].exists():
        pasted = stage.given["pasted into a policy file"] = f"Zq{secrets.token_urlsafe(24)}"
        document = json.loads(stage.policies.read_text())
        document["stores"]["vault"]["auth"]["token"] = pasted
        document["stores"]["aws"]["secret_access_key"] = pasted
        document["stores"]["role"]["url"] = f"https://rotator:{pasted}@vault.example"
        document["providers"]["fat-calm"]["admin"]["session"] = pasted
        document["providers"]["b2-calm"]["base_url"] = f"https://b2.example/?token={pasted}"
        document["policies"][0]["key"]["api_secret"] = pasted
        document["policies"][1]["password"] = {"value": [pasted]}
        for path, text in zip(
            made,
            (
                json.dumps(document),
                f'version: 1\nproviders:\n  one:\n    type: fattail\n    session: "{pasted}\n  other: [',
                f"export AWS_SECRET_ACCESS_KEY={pasted}\nVAULT_TOKEN={pasted}\n",
                json.dumps({"api_key": pasted, "api_secret": pasted}),
            ),
            strict=True,
        ):
            path.write_text(text)
            path.chmod(0o600)
    return made


# --- where it is looked for ------------------------------------------------------------------------------


def told(stage: Stage) -> dict[str, bytes]:
    """All that commands wrote on standard output and standard error, and what they had removed or run."""
    found = {path.name: path.read_bytes() for path in stage.folder.glob("output-*")}
    for done in stage.done:
        found[f"{done.line} out"], found[f"{done.line} err"] = done.out, done.err
    return found


def envelopes(sentry: Ingest) -> dict[str, bytes]:
    """What Sentry was sent: bodies, unpacked, and headers."""
    found = {}
    for number, (body, headers) in enumerate(zip(sentry.raw, sentry.headers, strict=True)):
        packed = headers.get("Content-Encoding") == "gzip"
        found[f"envelope {number}"] = gzip.decompress(body) if packed else body
        found[f"headers of envelope {number}"] = json.dumps(headers).encode()
    return found


def messages(hook: Ingest) -> dict[str, bytes]:
    """What a channel of alarms was sent; its own credentials are in the header that is for them."""
    return {f"message {number}": body for number, body in enumerate(hook.raw)}


def news(desk: Ingest) -> dict[str, bytes]:
    """What a consumer was told, whole: the key that signs it is in none of it."""
    whole = zip(desk.raw, desk.headers, strict=True)
    return {f"news {number}": body + json.dumps(head).encode() for number, (body, head) in enumerate(whole)}


def misdirected(stage: Stage, every: list[Canary]) -> list[Hit]:
    """Secrets in requests: anybody's where servers log (paths, queries, names of programs, labels), and
    everywhere those of others.
    """
    public = {f"{name} {number}": _public(request) for number, (name, request) in enumerate(stage.heard)}
    hits = Search(every).hits(public)
    for server in stage.servers:
        own = {canary.value for canary in stage.canaries_of(server)}
        whole = {
            f"{server} {n}": _whole(request)
            for n, (name, request) in enumerate(stage.heard)
            if name == server
        }
        hits += Search(canary for canary in every if canary.value not in own).hits(whole)
    return hits


def _public(request: Request) -> bytes:
    headers = {name: value for name, value in request.headers.items() if name not in _LOCK_UP}
    body: Mapping[str, Any] = request.json() if isinstance(request.json(), dict) else {}
    return json.dumps([request.path, request.query, headers, body.get("label"), body.get("name")]).encode()


def _whole(request: Request) -> bytes:
    return json.dumps([request.path, request.query, dict(request.headers)]).encode() + request.body


def loud_libraries(stage: Stage) -> set[str]:
    """The libraries whose loggers really spoke below WARNING."""
    return {name.partition(".")[0] for name in (stage.folder / "chatty.txt").read_text().split()}
