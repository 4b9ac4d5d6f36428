import pytest

from rotator.cli.options import Wrong
from rotator.cli.select import select
from tests.unit.cli.records import policy

A = policy("orders", tags={"team": "a", "tier": "prod"})
B = policy("orders-eu", tags={"team": "b", "tier": "prod"})
C = policy("bot", provider="fat", tags={"team": "a"})
ALL = (A, B, C)


def test_names_tags_and_provider_narrow_each_other() -> None:
    """Names are taken as they come, each once; tags and provider narrow; --all is all."""
    assert select(ALL, ["bot", "orders", "bot"], [], None, everything=False) == (C, A)
    assert select(ALL, [], [("team", "a")], None, everything=False) == (A, C)
    assert select(ALL, [], [("team", "a"), ("tier", "prod")], None, everything=False) == (A,)
    assert select(ALL, [], [("team", "a")], "fat", everything=False) == (C,)
    assert select(ALL, [], [], None, everything=True) == ALL


@pytest.mark.parametrize(
    ("names", "tags", "provider", "everything", "says"),
    [
        ([], [], None, False, "--all"),
        (["order"], [], None, False, "'orders'"),
        (["zzz"], [], None, False, "orders, orders-eu, bot"),
        (["orders"], [], None, True, "not both"),
        ([], [("team", "z")], None, False, "team=z"),
        ([], [], "nope", False, "build, fat"),
    ],
)
def test_a_selection_that_means_nothing_says_what_would(
    names: list[str], tags: list[tuple[str, str]], provider: str | None, everything: bool, says: str
) -> None:
    """Nothing is selected by mistake: near spellings and what there is are told."""
    with pytest.raises(Wrong, match=says):
        select(ALL, names, tags, provider, everything=everything)
