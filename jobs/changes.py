"""Loads policies again when their files changed, and only then."""

from collections.abc import Callable

from rotator.errors import PolicyError


class WhenChanged:
    """A ``reload`` that calls ``load`` when ``look`` answers something else than the last time.

    ``look`` must be cheap: it is called before every pass. While it answers what it answered when ``load``
    raised PolicyError, each call raises that error again; after any other error the next call loads again.
    ``loaded`` says that what is there now is in force already.
    """

    def __init__(
        self, look: Callable[[], object], load: Callable[[], object], *, loaded: bool = True
    ) -> None:
        self._look = look
        self._load = load
        self._seen = look() if loaded else None
        self._error: PolicyError | None = None

    def __call__(self) -> None:
        """Load if needed. Raises PolicyError, and whatever ``load`` raises."""
        now = self._look()
        if now != self._seen:
            self._seen, self._error = None, None
            self._load_as(now)
        elif self._error is not None:
            raise self._error

    def _load_as(self, seen: object) -> None:
        try:
            self._load()
        except PolicyError as error:
            self._seen, self._error = seen, PolicyError(error.problems)
            raise
        self._seen = seen
