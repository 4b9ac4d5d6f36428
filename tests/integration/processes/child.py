"""The real program, a while later than it is, with a verification that takes no five seconds.

The first argument says how many seconds later: the claim of a process that was killed or frozen is over then,
and so is a grace. The rest is the command line.
"""

import sys
from dataclasses import replace
from datetime import datetime, timedelta

from rotator import cli, wiring
from rotator.model import Verification
from rotator.providers.buildmarkets import Buildmarkets

AHEAD = timedelta(seconds=float(sys.argv[1]))


class Later(wiring.SystemClock):
    """The machine's clock, ahead."""

    def now(self) -> datetime:
        """The wall clock, ahead."""
        return super().now() + AHEAD


if __name__ == "__main__":
    wiring.SystemClock = Later  # type: ignore[misc]
    Buildmarkets.traits = replace(Buildmarkets.traits, verification=Verification(over=timedelta(seconds=0.2)))
    cli.main(sys.argv[2:])
