"""What AWS Lambda may be called with: a schedule, an order, a step of Secrets Manager's own rotation. Pure.

{"rotator": "tick"}                                       also what a rule of EventBridge sends by itself
{"rotator": "run-now", "names": ["NAME"], "reason": "…", "yes": true}      the options of run-now
{"Step": "createSecret", "SecretId": "arn:…", "ClientRequestToken": "…"}       Secrets Manager's contract
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rotator.errors import RotatorError
from rotator.model import Credential

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
_CLOCKS = ("aws.events", "aws.scheduler")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,64}")  # Secrets Manager API, ClientRequestToken
_SECRET = re.compile(r"[\w/+=.@:-]{1,2048}", re.ASCII)
_POSSIBLE = (
    'Send {"rotator": "tick"}, or {"rotator": "run-now", …} with the options of run-now; a step is sent by '
    "Secrets Manager alone."
)


class WrongEvent(RotatorError):
    """The function was called with something else than it understands; nothing was done."""


@dataclass(frozen=True, slots=True)
class Tick:
    """One pass."""


@dataclass(frozen=True, slots=True)
class RunNow:
    """A person's order; ``given`` are the options of the command, as they were sent."""

    given: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NativeStep:
    """A step of Secrets Manager's own rotation; ``vouched`` is what it proves its call with, if it does."""

    step: str
    secret: str
    token: str
    vouched: Credential | None = None


Asked = Tick | RunNow | NativeStep


def understood(event: object) -> Asked:
    """What is asked for. Raises WrongEvent with everything that is wrong, and no value of the event."""
    if not isinstance(event, Mapping):
        raise WrongEvent(f"The event is not a JSON object. {_POSSIBLE}")
    if "Step" in event:
        return _step(event)
    if event.get("source") in _CLOCKS and "rotator" not in event:
        return Tick()
    given = {name: value for name, value in event.items() if name != "rotator"}
    match event.get("rotator"):
        case "tick" if not given:
            return Tick()
        case "tick":
            raise WrongEvent('A tick has no options: send {"rotator": "tick"} and nothing else.')
        case "run-now":
            return RunNow(given)
    raise WrongEvent(f"The event does not say what to do. {_POSSIBLE}")


def _step(event: Mapping[str, Any]) -> NativeStep:
    """Keys that Secrets Manager may add one day are let be."""
    step, secret, token = (event.get(name) for name in ("Step", "SecretId", "ClientRequestToken"))
    wrong = []
    if step not in STEPS:
        wrong.append(f"Step is none of {', '.join(STEPS)}")
    if not isinstance(secret, str) or not _SECRET.fullmatch(secret):
        wrong.append("SecretId is not the ARN or the name of a secret")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        wrong.append("ClientRequestToken is not a text of 32 to 64 letters, digits and hyphens")
    vouched = event.get("RotationToken")
    if vouched is not None and not (isinstance(vouched, str) and vouched):
        wrong.append("RotationToken is not a text")
    if wrong:
        raise WrongEvent(f"This is not a step of Secrets Manager's rotation: {'; '.join(wrong)}.")
    proof = Credential({"rotation_token": vouched}) if isinstance(vouched, str) else None
    return NativeStep(str(step), str(secret), str(token), proof)
