import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from rotator import providers
from rotator.errors import NeedsPerson
from rotator.model import ProviderRef
from rotator.providers.network import Network, Surroundings
from rotator.testing.clock import ManualClock

ADDRESS = "https://api.example"


KINDS = {
    "figure": ("client", "access-token"),
    "fintechstudios": ("access-key", "token"),
}  # of those that have more than "key"


def test_every_name_has_an_adapter() -> None:
    """Each name and kind of the table leads to a class that declares what a policy file needs to know."""
    assert {"b2trader", "buildmarkets", "fattail", *KINDS} <= set(providers.names())
    for name in providers.names():
        kinds = KINDS.get(name, ("key",))
        assert providers.adapter(name) is providers.adapter(name, kinds[0])
        assert len({providers.adapter(name, kind) for kind in kinds}) == len(kinds)
        for kind in kinds:
            found = providers.adapter(name, kind)
            assert found.kinds == kinds
            assert found.traits.id_field in found.traits.fields
            assert set(found.traits.secret_fields) <= set(found.traits.fields)
            assert "requests_per_second" in found.Options.model_fields
            settings = found.Settings.model_json_schema().get("properties", {})
            assert found.traits.label_setting in settings or not found.traits.lists


def test_what_a_person_must_do_is_told() -> None:
    """Where no request issues or revokes, the adapter says in words what a person does instead."""
    for name in providers.names():
        for kind in providers.adapter(name).kinds:
            found = providers.adapter(name, kind)
            assert bool(found.traits.todo_issue) is not found.traits.issues
            assert bool(found.traits.todo_revoke) is not found.traits.revokes
            assert hasattr(found, "shape") is not found.traits.issues


def test_unknown_name_is_a_key_error() -> None:
    """Who asks for a provider that there is none of is told so."""
    with pytest.raises(KeyError):
        providers.adapter("no-such-provider")
    with pytest.raises(KeyError):
        providers.adapter("figure", "no-such-kind")


def test_names_of_ours_are_never_overridden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other people's adapters come by entry points, under names that are still free."""
    theirs = [EntryPoint(name, "collections:OrderedDict", providers.GROUP) for name in ("fattail", "theirs")]
    monkeypatch.setattr(providers, "entry_points", lambda group: theirs)
    providers._others.cache_clear()
    try:
        assert providers.adapter("fattail").__name__ == "FatTail"
        assert providers.adapter("theirs").__name__ == "OrderedDict"
        assert providers.adapter("theirs", "any-kind").__name__ == "OrderedDict"
        assert "theirs" in providers.names()
    finally:
        providers._others.cache_clear()


def test_importing_adapters_loads_no_http_library() -> None:
    """Loading policies imports the adapters; httpx comes when something is sent."""
    program = (
        "import sys; from rotator.providers import adapter, names; "
        "[adapter(name, kind) for name in names() for kind in adapter(name).kinds]; "
        "import rotator.providers.http; sys.exit('httpx' in sys.modules or 'httpcore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_no_admin_is_told_with_what_to_add() -> None:
    """A provider without an admin credential can probe, and says what it needs for the rest."""
    clock = ManualClock()
    network = Network(Surroundings(), clock)
    made = providers.make(ProviderRef("here", "fattail", ADDRESS), None, clock, network)
    with pytest.raises(NeedsPerson) as caught:
        made.find()
    assert "admin" in str(caught.value)


def test_unusable_options_need_a_person() -> None:
    """Options that the adapter does not know are told without their values."""
    clock = ManualClock()
    ref = ProviderRef("here", "fattail", ADDRESS, options={"canary": "canary-value"})
    with pytest.raises(NeedsPerson) as caught:
        providers.make(ref, None, clock, Network(Surroundings(), clock))
    assert "canary" not in repr((caught.value, caught.value.__context__))
