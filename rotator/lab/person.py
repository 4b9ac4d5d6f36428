"""What a person does in the demo, typed and clicked by the demo itself, as soon as it is asked for."""

from collections.abc import Mapping, Sequence

from rotator.lab.cast import BROUGHT, CAST, LEAKED, part_of
from rotator.lab.scene import Command, Scene
from rotator.lab.screen import Screen, short
from rotator.model import Event

Happened = Mapping[str, Sequence[Event]]  # by policy, oldest first

_REASON = "seen in a public repository"


class Person:
    """Tells whose the old keys are, sees a key leak, and issues and revokes a key at a provider's page."""

    def __init__(self, scene: Scene, screen: Screen) -> None:
        self._scene = scene
        self._screen = screen
        self._adopting: dict[str, Command] = {}
        self._told: set[int] = set()
        self.incident: Command | None = None
        self.bringing: Command | None = None
        self.revoked: str | None = None  # the id of the key that the person revoked when asked

    def act(self, happened: Happened) -> None:
        """Do what has become possible, and show what commands have printed."""
        self._adopt(happened)
        self._leak()
        self._bring(happened)
        self._revoke(happened)
        self._quote()

    @property
    def done(self) -> bool:
        """Whether both commands that rotate have ended."""
        return all(one is not None and one.code is not None for one in (self.incident, self.bringing))

    def _adopt(self, happened: Happened) -> None:
        """Tell whose the keys are that were there before; otherwise they are never revoked."""
        for part in CAST:
            adoptable = part.before == "key" and part.issued_by == "request"
            taken_on = any(event.kind == "taken-on" for event in happened[part.policy])
            if adoptable and taken_on and part.policy not in self._adopting:
                words = ("adopt", part.policy, "--key-id", self._scene.initial_key(part))
                self._adopting[part.policy] = self._type(*words)

    def _leak(self) -> None:
        """The incident, once the key is known to be ours."""
        adopted = self._adopting.get(LEAKED)
        if self.incident is None and adopted and adopted.code == 0:
            self._screen.say(f"The key of {LEAKED} was {_REASON}. It must die now:")
            self.incident = self._type("run-now", LEAKED, "--revoke-now", "--reason", _REASON, "--yes")

    def _bring(self, happened: Happened) -> None:
        """Asked for a new key: make one in the web app, and bring it."""
        if self.bringing is None and _asked(happened, "a-person-must-issue"):
            fields = self._scene.lab.figure.issue_by_hand(f"{BROUGHT} by a person")
            name = short(fields["client_id"])
            self._screen.say(
                f"A person signs in to the local Figure, creates key {name}, and brings it as JSON:"
            )
            self.bringing = self._type("submit", BROUGHT, given=fields)

    def _revoke(self, happened: Happened) -> None:
        """Asked to revoke the old key: do so in the web app. Nobody tells the worker."""
        if self.revoked is None and _asked(happened, "a-person-must-revoke"):
            self.revoked = self._scene.initial_key(part_of(BROUGHT))
            self._screen.say(f"A person revokes key {short(self.revoked)} there. The probe will notice.")
            self._scene.lab.figure.revoke_by_hand(self.revoked)

    def _type(self, *words: str, given: Mapping[str, str] | None = None) -> Command:
        typed = self._scene.command(*words, given=given)
        self._screen.say(f"$ {typed.line}")
        return typed

    def _quote(self) -> None:
        """Show what a command printed, once it has ended."""
        rotating = [command for command in (self.incident, self.bringing) if command is not None]
        for command in [*self._adopting.values(), *rotating]:
            if command.code is not None and command.process.pid not in self._told:
                self._told.add(command.process.pid)
                self._screen.say(f"{command.line.split(' --')[0]}: exit code {command.code}")
                self._screen.quote(command.text())


def _asked(happened: Happened, what: str) -> bool:
    """Whether the worker has asked for this."""
    return any(e.kind == "blocked" and e.data.get("error") == what for e in happened[BROUGHT])
