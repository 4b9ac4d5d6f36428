from pathlib import Path

import pytest

from rotator.notices import Channel, Route, Severity
from rotator.policies import PolicyError, json_schema, load
from tests.unit.policies.fakes import ADAPTERS, HEAD, POLICY, book, problems, write

NOTIFY = """\
notify:
  channels:
    desk: {secret: {store: aws, secret: url/desk}, template: "{policy}: {text}"}
    pager: {secret: {store: aws, secret: url/pager}}
  routes:
    - match: {tags: {team: a}, owner: o, provider: one}
      to: [desk]
    - {match: {severity: [critical]}, to: [desk, pager]}
  otherwise: [desk]
"""
LINE = HEAD.count("\n") + 1  # of the section


def test_every_key(tmp_path: Path) -> None:
    """Channels, routes and what is left over arrive as values; an address is nowhere in them."""
    found = book(tmp_path, POLICY, HEAD + NOTIFY)
    store = found.stores["aws"]
    assert found.notices.channels == {
        "desk": Channel("desk", store, "url/desk", "{policy}: {text}"),
        "pager": Channel("pager", store, "url/pager"),
    }
    assert found.notices.routes == (
        Route(("desk",), {"team": "a"}, "o", "one"),
        Route(("desk", "pager"), severity=(Severity.CRITICAL,)),
    )
    assert found.notices.otherwise == ("desk",)


def test_nobody_need_be_told(tmp_path: Path) -> None:
    """Without the section there is no channel."""
    assert book(tmp_path, POLICY).notices.channels == {}


@pytest.mark.parametrize(
    ("right", "wrong", "line", "said"),
    [
        (
            "secret: {store: aws, secret: url/pager}",
            "url: slack://T/o/ken",
            3,
            "it goes into the secret that `secret` names, as its field `url`. Known here: secret, template.",
        ),
        ("template:", "templat:", 2, "unknown key 'templat'. Did you mean 'template'?"),
        ("{store: aws, secret: url/pager}", "{store: nowhere, secret: s}", 3, "no store 'nowhere'"),
        ("{policy}: {text}", "{policy}: {value}", 2, "{value} is nothing that may be said of an alarm"),
        ("{policy}: {text}", "{policy.name}", 2, "a place in braces is nothing that may be said"),
        ("provider: one", "provider: three", 5, "no provider 'three'"),
        ("[critical]", "[loud]", 7, "'info', 'warning' or 'critical'"),
        ("to: [desk, pager]", "to: [desk, paper]", 7, "no channel 'paper'. Did you mean 'pager'?"),
        ("to: [desk, pager]", "to: [desk]", 3, "nothing leads to 'pager'"),
        ("to: [desk, pager]", "to: []", 7, "this is empty"),
        ("  otherwise: [desk]\n", "", 0, "otherwise is missing"),
        ("otherwise: [desk]", "otherwise: [dusk]", 8, "otherwise: there is no channel 'dusk'"),
        ("    desk:", "    de sk:", 2, "is not a name"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, right: str, wrong: str, line: int, said: str
) -> None:
    """Each mistake is named where it stands, with what would be right."""
    assert right in NOTIFY
    found = problems(tmp_path, POLICY, HEAD + NOTIFY.replace(right, wrong, 1))
    assert any(each.startswith(f"{LINE + line}: ") and said in each for each in found), found


def test_only_the_main_file_says_who_is_told(tmp_path: Path) -> None:
    """Who may add a policy must not turn alarms away."""
    main = write(tmp_path, POLICY)
    (tmp_path / "more.yaml").write_text(NOTIFY + "policies: []\n")
    (tmp_path / "more.yaml").chmod(0o600)
    with pytest.raises(PolicyError, match=r"more.yaml:1: notify may stand in rotator.yaml only"):
        load(main.parent, ADAPTERS)


def test_an_editor_knows_the_section() -> None:
    """The schema has it, with what it needs."""
    schema = json_schema(ADAPTERS)
    assert schema["properties"]["notify"]["required"] == ["channels", "otherwise"]
    assert "template" in schema["$defs"]["notify.ChannelSection"]["properties"]
