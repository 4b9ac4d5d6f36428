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


def test_every_name_has_an_adapter() -> None:
    """Each name of the table leads to a class that declares what a policy file needs to know of it."""
    assert {"b2trader", "buildmarkets", "fattail"} <= set(providers.names())
    for name in providers.names():
        found = providers.adapter(name)
        assert found.traits.id_field in found.traits.fields
        assert set(found.traits.secret_fields) <= set(found.traits.fields)
        assert found.kinds == ("key",)
        assert found.traits.label_setting in found.Settings.model_json_schema()["properties"]
        assert "requests_per_second" in found.Options.model_fields


def test_unknown_name_is_a_key_error() -> None:
    """Who asks for a provider that there is none of is told so."""
    with pytest.raises(KeyError):
        providers.adapter("no-such-provider")


def test_names_of_ours_are_never_overridden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other people's adapters come by entry points, under names that are still free."""
    theirs = [EntryPoint(name, "collections:OrderedDict", providers.GROUP) for name in ("fattail", "theirs")]
    monkeypatch.setattr(providers, "entry_points", lambda group: theirs)
    providers._others.cache_clear()
    try:
        assert providers.adapter("fattail").__name__ == "FatTail"
        assert providers.adapter("theirs").__name__ == "OrderedDict"
        assert "theirs" in providers.names()
    finally:
        providers._others.cache_clear()


def test_importing_adapters_loads_no_http_library() -> None:
    """Loading policies imports the adapters; httpx comes when something is sent."""
    program = (
        "import sys; from rotator import providers; [providers.adapter(n) for n in providers.names()]; "
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
