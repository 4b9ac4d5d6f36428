"""Local providers: real HTTP on 127.0.0.1 with the documented behaviour, for the demo and the tests."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime
from types import TracebackType
from typing import Self

from rotator.lab.b2trader import B2Trader
from rotator.lab.buildmarkets import Buildmarkets
from rotator.lab.fattail import FatTail
from rotator.lab.faults import (
    Drop,
    Fault,
    Garbage,
    Late,
    Lose,
    Redirect,
    Refuse,
    Slow,
    Widen,
)
from rotator.lab.figure import Figure
from rotator.lab.fintechstudios import FintechStudios
from rotator.lab.keys import Call, Limit, LocalKey, real_time
from rotator.lab.logins import LocalLogins
from rotator.lab.server import LocalProvider

__all__ = [
    "B2Trader",
    "Buildmarkets",
    "Call",
    "Drop",
    "FatTail",
    "Fault",
    "Figure",
    "FintechStudios",
    "Garbage",
    "Lab",
    "Late",
    "Limit",
    "LocalKey",
    "LocalLogins",
    "LocalProvider",
    "Lose",
    "Redirect",
    "Refuse",
    "Slow",
    "Widen",
]


class Lab:
    """All five providers; ``limits`` and ``latency`` as for :class:`LocalProvider`."""

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = real_time,
        limits: Sequence[Limit] | None = None,
        latency: float = 0.0,
    ) -> None:
        self.buildmarkets = Buildmarkets(clock=clock, limits=limits, latency=latency)
        self.b2trader = B2Trader(clock=clock, limits=limits, latency=latency)
        self.fattail = FatTail(clock=clock, limits=limits, latency=latency)
        self.figure = Figure(clock=clock, limits=limits, latency=latency)
        self.fintechstudios = FintechStudios(clock=clock, limits=limits, latency=latency)
        self._running = ExitStack()

    @property
    def managed(self) -> tuple[LocalProvider, ...]:
        """The three where keys are issued and revoked by request."""
        return (self.buildmarkets, self.b2trader, self.fattail)

    @property
    def logins(self) -> tuple[LocalLogins, ...]:
        """The two where people issue credentials and a login mints tokens."""
        return (self.figure, self.fintechstudios)

    @property
    def providers(self) -> tuple[LocalProvider, ...]:
        """All five."""
        return (*self.managed, *self.logins)

    def __enter__(self) -> Self:
        with ExitStack() as started:
            for provider in self.providers:
                started.enter_context(provider)
            self._running = started.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()
