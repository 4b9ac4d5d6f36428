from pathlib import Path

import pytest

from rotator.model import AdminRef, ConsumerRef, WhenNotTold
from rotator.policies import PolicyError, load
from tests.unit.policies.fakes import ADAPTERS, HEAD, book, problems, write

CONSUMERS = """\
consumers:
  desk: {type: bell, url: "https://desk.example/hook", signing: {store: aws, secret: signing}}
  site: {type: door, street: high}
"""
POLICY = "  - {{name: p, provider: one, store: aws, secret: s, every: 30d, key: {{label: l}}, {more}}}\n"


def said(folder: Path, consumers: str, more: str = "consumers: [site]") -> list[str]:
    """What is wrong with such a file."""
    return problems(folder, POLICY.format(more=more), HEAD + consumers)


def test_consumers_of_a_policy(tmp_path: Path) -> None:
    """Each arrives with its settings and where its signing key is, in the order in which it is named."""
    found = book(tmp_path, POLICY.format(more="consumers: [site, desk]"), HEAD + CONSUMERS)
    (policy,) = found.policies
    signing = AdminRef(found.stores["aws"], "signing")
    assert policy.consumers == (
        ConsumerRef("site", "door", {"street": "high"}),
        ConsumerRef("desk", "bell", {"url": "https://desk.example/hook"}, signing),
    )
    assert policy.when_not_told is WhenNotTold.HOLD


def test_defaults_and_a_policys_own(tmp_path: Path) -> None:
    """A policy takes both from the defaults, or says them itself; an empty list is nobody."""
    head = f"{HEAD}{CONSUMERS}defaults: {{consumers: [site], when_not_told: go-on}}\n"
    (policy,) = book(tmp_path, POLICY.format(more="when_not_told: hold"), head).policies
    assert ([ref.name for ref in policy.consumers], policy.when_not_told) == (["site"], "hold")
    (policy,) = book(tmp_path, POLICY.format(more="consumers: []"), head).policies
    assert (policy.consumers, policy.when_not_told) == ((), "go-on")


@pytest.mark.parametrize(
    ("consumers", "more", "words"),
    [
        (CONSUMERS, "consumers: [sight]", "there is no consumer 'sight'. Did you mean 'site'?"),
        (CONSUMERS, "consumers: [site, site]", "one of them is named twice"),
        (CONSUMERS, "when_not_told: never", "none of the possible values"),
        ("consumers: {site: {type: dor, street: x}}\n", "tags: {}", "Did you mean 'door'?"),
        ("consumers: {site: {type: door}}\n", "tags: {}", "street is missing"),
        ('consumers: {d: {type: bell, url: "https://d.example"}}\n', "tags: {}", "signing is missing"),
        (
            "consumers: {s: {type: door, street: x, signing: {store: aws, secret: k}}}\n",
            "tags: {}",
            "door has no use for it",
        ),
        (
            'consumers: {d: {type: bell, url: "http://d.example", signing: {store: aws, secret: k}}}\n',
            "tags: {}",
            "is not https",
        ),
        (
            'consumers: {d: {type: bell, url: "https://d.example/", signing: {store: no, secret: k}}}\n',
            "tags: {}",
            "there is no store 'no'",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, consumers: str, more: str, words: str) -> None:
    """A name that is none, a key that is missing, an address in clear."""
    found = said(tmp_path, consumers, more)
    assert any(words in one for one in found), found
    assert all(int(one.partition(":")[0]) > HEAD.count("\n") for one in found)


def test_a_further_file_says_nothing_of_consumers(tmp_path: Path) -> None:
    """Who may add a policy must not be able to say who is told."""
    folder = tmp_path / "policies"
    folder.mkdir(mode=0o700)
    write(folder, HEAD + CONSUMERS)
    write(folder, CONSUMERS, "more.yaml")
    with pytest.raises(PolicyError, match=r"consumers may stand in rotator\.yaml only"):
        load(folder, ADAPTERS)
