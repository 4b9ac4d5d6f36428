"""What consumers are sent: names, ids and times of a new key, never a value."""

import json
from datetime import UTC, datetime
from typing import Any

from rotator.model import News
from rotator.telemetry.redaction import scrub

TYPE = "key.promoted"


def body(news: News) -> bytes:
    """The whole message, as JSON: the same bytes however often it is sent."""
    message = {"type": TYPE, "timestamp": moment(news.promoted_at), "data": data(news)}
    return json.dumps(message, separators=(",", ":")).encode()


def data(news: News) -> dict[str, Any]:
    """Its members. The reason is what a person typed, and may be anything: what is secret is taken out."""
    return {
        "id": news.id,
        "policy": news.policy,
        "provider": news.provider,
        "store": news.store,
        "secret": news.secret,
        "version": news.version,
        "key_id": news.key_id,
        "previous_version": news.previous,
        "previous_key_id": news.replaced,
        "promoted_at": moment(news.promoted_at),
        "previous_lives_until": moment(news.not_before) if news.not_before else None,
        "reason": scrub(news.reason),
    }


def moment(at: datetime) -> str:
    """A time in UTC, ISO 8601, to the second."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
