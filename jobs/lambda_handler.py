"""AWS Lambda's entry: ``handler(event, context)``, for the three events of :mod:`jobs.lambda_events`.

Importing this costs nothing: what an event needs is imported when it comes, and kept while the function is
warm. Lambda writes an exception's text to the log and to the caller, so what leaves here is a sentence of
ours and never a library's.
"""

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobs.lambda_events import Asked
    from jobs.lambda_function import Function
    from jobs.lambda_time import Context

_warm: "list[Function]" = []


class Failed(Exception):
    """Why the function did not do what it was asked, in a sentence without a secret."""


def handler(event: object, context: "Context") -> Mapping[str, Any]:
    """What was done, as JSON. Raises Failed: the schedule and Secrets Manager try again then."""
    from rotator.errors import RotatorError  # noqa: PLC0415 - everything is imported when an event comes

    try:
        from jobs.lambda_events import understood  # noqa: PLC0415

        return _answer(understood(event), context)
    except RotatorError as error:
        why = str(error)
    except Exception as error:  # noqa: BLE001 - the boundary: a library's text may hold anything
        why = _sentence(error)
    raise Failed(why)  # outside the handlers above: what was caught is not even its context


def _answer(asked: "Asked", context: "Context") -> Mapping[str, Any]:
    from jobs.lambda_events import NativeStep, RunNow  # noqa: PLC0415

    if isinstance(asked, RunNow):
        return _run_now(asked.given, context)
    if not _warm:
        _warm.append(_begun())
    function = _warm[0]
    return function.step(asked, context) if isinstance(asked, NativeStep) else function.tick(context)


def _begun() -> "Function":
    """The function's first event: read the policies, open the ledger, log as everywhere."""
    from jobs.harden import harden  # noqa: PLC0415
    from jobs.lambda_function import TICK, Function, LedgerUnusable  # noqa: PLC0415
    from rotator import wiring  # noqa: PLC0415
    from rotator.telemetry import logs  # noqa: PLC0415

    harden()
    logs.configure(os.environ.get("ROTATOR_LOG_LEVEL") or "info", json=True, stream=sys.stderr)
    ledger = os.environ.get("ROTATOR_LEDGER")
    if not ledger:
        raise LedgerUnusable("Set ROTATOR_LEDGER: a function has no disk of its own that lasts. [address]")
    world = wiring.wire(ledger)
    try:
        tells = wiring.everybody(world, TICK)
        return Function(os.environ.get("ROTATOR_POLICIES") or "rotator.yaml", world, tells, _anchors())
    except BaseException:
        world.close()
        raise


def _anchors() -> Path:
    """Where anchors are compared with while the function is warm; the log and Sentry keep them for longer."""
    named = os.environ.get("ROTATOR_AUDIT_ANCHOR")
    return Path(named) if named else Path(tempfile.gettempdir()) / "rotator.anchors"


def _run_now(given: Mapping[str, Any], context: "Context") -> Mapping[str, Any]:
    """The command, in a world of its own that it opens and closes."""
    from datetime import timedelta  # noqa: PLC0415

    from jobs.lambda_run_now import run  # noqa: PLC0415
    from jobs.lambda_time import LAST, named  # noqa: PLC0415
    from rotator.interfaces import EFFECT_SECONDS  # noqa: PLC0415

    left = timedelta(milliseconds=context.get_remaining_time_in_millis(), seconds=-EFFECT_SECONDS) - LAST
    return run(given, named(context), left)


def _sentence(error: Exception) -> str:
    """What may be said of an error that is not ours: a command's own message, else its class and place."""
    import click  # noqa: PLC0415

    from rotator.telemetry.logs import where  # noqa: PLC0415

    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, ValueError) and "SENTRY_DSN" in str(error):
        return "SENTRY_DSN is not a DSN: copy it from the project's settings."
    return f"{type(error).__name__} at {where(error)}: this is a fault in rotator. Please report this line."
