from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path

import pytest

from rotator.model import Window
from rotator.policies import PolicyError, load
from tests.unit.policies.fakes import ADAPTERS, HEAD, POLICY, book, problems, write

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
LINE = HEAD.count("\n") + 2  # of the first policy

FULL = """\
  - name: market-maker
    provider: fan
    store: aws
    secret: prod/key
    cron: "0 9 * * 2"
    timezone: Europe/London
    windows:
      - {days: [thu, tue], from: "09:00", to: "16:00"}
      - {from: "22:00", to: "24:00"}
    jitter: 2h
    grace: 12h
    key: {label: maker, scopes: [read, trade], trade: true}
    kind: token
    tags: {team: desk-a}
    owner: desk-a@example.com
    fields: {api_key: KEY, key_id: null}
"""


def test_every_key(tmp_path: Path) -> None:
    """Each key of a policy arrives as a value, under its own name."""
    found = book(tmp_path, FULL)
    (policy,) = found.policies
    assert (policy.name, policy.kind) == ("market-maker", "token")
    assert policy.provider == replace(found.providers["fan"], kind="token")
    assert (policy.every, policy.cron, policy.timezone) == (None, "0 9 * * 2", "Europe/London")
    assert (policy.jitter, policy.grace) == (2 * HOUR, 12 * HOUR)
    assert policy.windows == (
        Window((1, 3), time(9), time(16)),
        Window(tuple(range(7)), time(22), time(0)),
    )
    assert policy.key == {"label": "maker", "scopes": ["read", "trade"], "trade": True}
    assert (policy.tags, policy.owner) == ({"team": "desk-a"}, "desk-a@example.com")
    assert policy.target.id == "store|here|prod/key"
    assert (policy.target.fields, policy.target.format) == ({"api_key": "KEY", "key_id": None}, "json")
    assert policy.place == f"{tmp_path / 'rotator.yaml'}:{LINE}"
    assert found.by_secret == {"store|here|prod/key": policy}
    assert found.by_name == {"market-maker": policy}


def test_what_is_left_out(tmp_path: Path) -> None:
    """A policy that says little lives in UTC, with a day of grace, and its key settings stay open."""
    (policy,) = book(tmp_path, POLICY).policies
    assert (policy.every, policy.cron, policy.grace, policy.jitter) == (30 * DAY, None, DAY, timedelta(0))
    assert (policy.timezone, policy.windows, policy.kind) == ("UTC", (), "key")
    assert policy.key == {"label": "l"}
    assert policy.provider.base_url == "https://plain.example/v1"


def test_defaults(tmp_path: Path) -> None:
    """What a policy leaves out comes from the defaults; tags are added to."""
    defaults = (
        "defaults:\n  {every: 10d, grace: 1h, jitter: 2h, owner: o, store: aws, provider: one,\n"
        "   tags: {a: x, b: y},\n"
        '   timezone: Asia/Tokyo, windows: [{from: "01:00", to: "02:00"}]}\n'
    )
    (own, none) = book(
        tmp_path,
        "  - {name: p, secret: s, key: {label: l}, grace: 0s, tags: {b: z}, windows: []}\n"
        "  - {name: q, secret: t, key: {label: l}}\n",
        HEAD + defaults,
    ).policies
    assert (own.grace, own.tags, own.windows) == (timedelta(0), {"a": "x", "b": "z"}, ())
    assert (none.every, none.grace, none.jitter, none.owner) == (10 * DAY, HOUR, 2 * HOUR, "o")
    assert (none.timezone, none.windows) == ("Asia/Tokyo", (Window(tuple(range(7)), time(1), time(2)),))


@pytest.mark.parametrize(
    ("default", "own"), [("every: 10d", 'cron: "0 9 * * *"'), ('cron: "0 9 * * *"', "every: 9d")]
)
def test_own_schedule(tmp_path: Path, default: str, own: str) -> None:
    """A policy's own cron takes the place of the default every, and the other way round."""
    (policy,) = book(
        tmp_path,
        f"  - {{name: p, provider: one, store: aws, secret: s, grace: 1h, key: {{label: l}}, {own}}}\n",
        f"{HEAD}defaults: {{{default}, grace: 1h}}\n",
    ).policies
    assert (policy.every is None) == own.startswith("cron")
    assert (policy.cron is None) == own.startswith("every")


def test_plain_text(tmp_path: Path) -> None:
    """A secret of one plain value maps the one field that a consumer needs."""
    (policy,) = book(tmp_path, POLICY.replace("every", "format: text, every")).policies
    assert policy.target.format == "text"
    assert policy.target.fields == {"key_id": None, "api_key": "api_key"}


def test_no_policies(tmp_path: Path) -> None:
    """An explicit empty list is a choice; a file without the section is a mistake."""
    assert load(write(tmp_path, f"{HEAD}policies: []\n"), ADAPTERS).policies == ()
    with pytest.raises(PolicyError, match="policies is missing"):
        load(write(tmp_path, HEAD), ADAPTERS)


def _with(**changes: str) -> str:
    keys = {
        "name": "p",
        "provider": "one",
        "store": "aws",
        "secret": "s",
        "every": "30d",
        "key": "{label: l}",
    }
    return f"  - {{{', '.join(f'{key}: {value}' for key, value in (keys | changes).items() if value)}}}\n"


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (_with(corn='"0 9 * * *"'), "unknown key 'corn'. Did you mean 'cron'?"),
        (_with(name="a b"), "name: 'a b' is not a name. Use up to 100 letters"),
        (_with(name="-x"), "name: '-x' is not a name."),
        (_with(name="5"), 'name: text is expected, not 5. Quote it: "5".'),
        (_with(name=""), "name is missing. Add `name:`."),
        (_with(secret=""), "secret is missing."),
        (_with(secret='""'), "secret: this is empty"),
        (_with(secret='" s"'), "secret: The secret is empty, or begins or ends with a space."),
        (_with(secret='"a*"'), "secret: a secret's name has no star."),
        (_with(store=""), "store is missing. Add `store:`, here or under `defaults`."),
        (_with(store="awz"), "store: there is no store 'awz'. Did you mean 'aws'?"),
        (_with(provider="onne"), "provider: there is no provider 'onne'. Did you mean 'one'?"),
        (_with(every=""), "It says neither every nor cron."),
        (_with(cron='"0 9 * * *"'), "every and cron are both given. Keep one of them."),
        (_with(every="30"), "every: A duration is text, not 30. Write a number with its unit"),
        (_with(every="30days"), "every: This is not a duration. Write days, hours"),
        (_with(every="0s"), "every: This duration is zero."),
        (_with(every="-1d"), "every: This is not a duration."),
        (
            _with(every="12h", grace="24h"),
            "grace 1d is not shorter than every 12h. Write grace shorter than 12h",
        ),
        (_with(grace="30d"), "grace 30d is not shorter than every 30d."),
        (_with(jitter="31d"), "jitter 31d is not shorter than every 30d."),
        (
            _with(every="", grace="24h", cron='"0 */6 * * *"'),
            "grace 1d is not shorter than cron, which may fire 6h apart.",
        ),
        (
            _with(every="", cron='"0 9 * * wat"'),
            "cron: The weekday of this cron expression is not one of sun",
        ),
        (_with(every="", cron='"0 0 31 2 *"'), "cron: This cron expression names a day that does not come."),
        (_with(timezone="Mars/Olympus"), "timezone: 'Mars/Olympus' is not a time zone."),
        (_with(timezone="../../etc/passwd"), "timezone: '../../etc/passwd' is not a time zone."),
        (_with(timezone="Europe"), "timezone: 'Europe' is not a time zone."),
        (
            _with(windows='[{from: "09:00", to: 16:00}]'),
            "YAML readers disagree about what '16:00' is. Quote it",
        ),
        (_with(windows='[{from: "9:00", to: "16:00"}]'), "windows.from: '9:00' is not a time of day."),
        (_with(windows='[{from: "09:00", to: "09:00"}]'), "windows: This window has no length."),
        (_with(windows='[{from: "09:00"}]'), "to is missing in windows."),
        (
            _with(windows='[{days: [wensday], from: "09:00", to: "16:00"}]'),
            "'wensday' is not a day. Days: mon, tue",
        ),
        (_with(windows='[{days: [], from: "09:00", to: "16:00"}]'), "windows.days: this is empty"),
        (_with(windows='{from: "09:00", to: "16:00"}'), "windows: a list is expected, not a mapping."),
        (
            _with(windows='[{from: "09:00", to: "16:00", dais: []}]'),
            "unknown key 'dais'. Did you mean 'days'?",
        ),
        (_with(key=""), "label is missing in key. Add `label:`."),
        (_with(key="5"), "key: a mapping of keys to values is expected, not 5."),
        (_with(key="{label: l, scope: [a]}"), "unknown key 'scope'. Did you mean 'scopes'?"),
        (_with(key="{label: l, scopes: read}"), "key.scopes: a list is expected, not text."),
        (_with(key="{label: l, trade: yes}"), "key.trade: true or false is expected, not the text 'yes'."),
        (_with(key="{label: l, days: 400}"), "key.days: it should be less than or equal to 365."),
        (
            _with(key="{label: 007}"),
            "YAML readers disagree about what '007' is. Quote it if it is text: \"007\".",
        ),
        (_with(provider="fan", key="{label: l, days: 13}"), "key: days and label contradict each other."),
        (_with(kind="client"), "kind: plain has no 'client'. Kinds: key."),
        (_with(tags="{tier: 1}"), 'tags.tier: text is expected, not 1. Quote it: "1".'),
        (_with(tags='{"a=b": c}'), "A tag's name is empty, holds ="),
        (_with(owner='""'), "owner: this is empty"),
        (_with(owner="~"), "owner: nothing is given."),
        (_with(fields="{api_kee: K}"), "fields: unknown field 'api_kee'. Did you mean 'api_key'?"),
        (_with(fields="{api_key: null}"), "fields: api_key must be written"),
        (_with(fields='{api_key: ""}'), "fields: api_key has an empty name."),
        (_with(fields="{api_key: key_id}"), "fields: key_id and api_key are both written to 'key_id'."),
        (_with(format="xml"), "format: this is none of the possible values. Write 'json' or 'text'."),
        (
            _with(format="text", provider="fan"),
            "format: text holds one value, but this credential needs api_key, api_",
        ),
        (_with(format="text", fields="{api_key: K}"), "fields: a secret of one plain value has none."),
        ("  - just text\n", "a mapping of keys to values is expected, not text."),
        ("  - \n", "a mapping of keys to values is expected, not nothing."),
    ],
)
def test_one_mistake(tmp_path: Path, policy: str, said: str) -> None:
    """A mistake in a policy is one problem: its line, what is wrong, and what would be right."""
    (problem,) = problems(tmp_path, policy)
    line, _, rest = problem.partition(": ")
    assert said in rest
    assert int(line) == LINE


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("version: 1", "version: 2", 1, "version: 2 is not known. Write `version: 1`."),
        ("version: 1", 'version: "1"', 1, "version: '1' is not known."),
        ("version: 1", "version: true", 1, "version: true is not known."),
        ("version: 1\n", "", 1, "version is missing."),
        ("version: 1", "version: 1\npolicy: []", 2, "Unknown section 'policy'. Did you mean 'policies'?"),
        ("version: 1", "version: 1\ndefaults: []", 2, "defaults: a mapping of names is expected."),
        ("version: 1", "version: 1\ndefaults: {evry: 1d}", 2, "unknown key 'evry'. Did you mean 'every'?"),
        ("version: 1", "version: 1\ndefaults: {every: 1h}", 2, "grace 1d is not shorter than every 1h."),
        ("version: 1", "version: 1\ndefaults: {name: x}", 2, "unknown key 'name'."),
        (
            "version: 1", 'version: 1\ndefaults: {every: 30d, cron: "0 9 1 * *"}', 2,
            "defaults give both every and cron.",
        ),
        ("type: safe", "type: vault-kv2", 3, "type: unknown type 'vault-kv2'. Types: safe."),
        ("type: plain", "type: figure", 9, "type: unknown type 'figure'. Types: fancy, plain."),
        ("region: here", "regoin: here, region: here", 3, "unknown key 'regoin'. Did you mean 'region'?"),
        ("region: here", "region: 5", 3, 'region: text is expected, not 5. Quote it: "5".'),
        (
            "region: here", "region: here, endpoint_url: http://169.254.169.254", 3,
            "endpoint_url: The URL's host is an address from which machines get their own credentials",
        ),
        ("store: aws, secret: admin", "store: aws", 8, "secret is missing in admin."),
        ("store: aws, secret: admin", "store: awz, secret: admin", 8, "store: there is no store 'awz'."),
        ("store: aws, secret: admin", 'store: aws, secret: "*"', 8, "secret: a secret's name has no star."),
        ("    admin: {store: aws, secret: admin}\n", "", 6, "admin is missing: fancy issues keys by"),
        ("type: plain", "type: plain, admin: {store: aws, secret: a}", 9, "admin: plain has no use for it."),
        ("type: plain", "type: plain, pool: a", 9, "unknown key 'pool'. Known here: admin, base_url, type."),
        ("  one:", "  o ne:", 9, "'o ne' is not a name."),
    ],
)  # fmt: skip
def test_one_mistake_elsewhere(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    """A mistake in another section is told where it stands, and not again by every policy that uses it."""
    assert old in HEAD
    found = [p for p in problems(tmp_path, POLICY, HEAD.replace(old, new)) if "no provider 'one'" not in p]
    assert len(found) == 1
    assert (
        found[0].startswith(f"{line}: -: {said}" if "missing" not in said else f"{line}: ") or "admin" in said
    )
    assert said in found[0]


def test_all_at_once(tmp_path: Path) -> None:
    """No mistake hides another: neither of the same policy, nor of another, nor of another section."""
    found = problems(
        tmp_path,
        _with(name="a", every="1x", timezone="Nowhere", key="{}")
        + _with(name="b", provider="nobody", store="nowhere")
        + _with(name="c", secret="t", grace="9y"),
        HEAD.replace("region: here", "region: here, color: red"),
    )
    for word in ("color", "every", "timezone", "label", "nobody", "nowhere", "grace"):
        assert sum(word in problem for problem in found) == 1, word
    assert len(found) == 7
    assert [problem.split(": ")[1] for problem in found] == ["-", "a", "a", "a", "b", "b", "c"]


def test_two_of_one_name(tmp_path: Path) -> None:
    """A name belongs to one policy, also where one of them is wrong otherwise."""
    (first, second) = problems(tmp_path, _with(every="1x") + _with(secret="t"))
    assert "every" in first
    assert f"name: another policy has it, at {tmp_path / 'rotator.yaml'}:{LINE}." in second


def test_two_of_one_secret(tmp_path: Path) -> None:
    """A secret belongs to one policy, however it is spelled."""
    (problem,) = problems(tmp_path, _with() + _with(name="q", secret='"arn:s"'))
    assert f"secret: policy 'p' at {tmp_path / 'rotator.yaml'}:{LINE} rotates the same secret." in problem


def test_key_limit(tmp_path: Path) -> None:
    """An account with three live keys has room for two policies: a rotation needs a free key."""

    def of(count: int) -> list[str]:
        return problems(
            tmp_path, "".join(_with(name=f"p{n}", secret=f"s{n}", provider="fan") for n in range(count))
        )

    assert of(2) == []
    (problem,) = of(3)
    assert problem.startswith(
        f"{LINE + 2}: p2: provider: 3 policies share one account of fancy, which may have 3"
    )
    assert "Keep at most 2" in problem


def test_old_keys_in_grace_take_room_too(tmp_path: Path) -> None:
    """Two policies leave one of three live keys: old ones may take it, and no more than that."""

    def of(*settings: dict[str, str]) -> list[str]:
        named = (
            {"name": f"p{n}", "secret": f"s{n}", "provider": "fan", **own} for n, own in enumerate(settings)
        )
        return problems(tmp_path, "".join(_with(**own) for own in named))

    half, more = {"every": "20m", "grace": "10m"}, {"every": "20m", "grace": "11m"}
    assert of(half, half) == []
    assert of(more) == []
    (problem,) = of(half, more)
    assert "p1: provider: 2 policies share one account of fancy" in problem
    assert "Shorten the grace, or rotate less often." in problem


def test_credentials_are_not_shown(tmp_path: Path) -> None:
    """A password in a URL, and what stands where no value was expected, are not repeated."""
    for head in (
        HEAD.replace("https://fancy.example", "https://user:hunter2@fancy.example"),
        HEAD.replace("region: here", "region: here, hidden: hunter2"),
        HEAD.replace("store: aws, secret: admin", "store: aws, secret: [hunter2]"),
        HEAD.replace("version: 1", "version: https://user:hunter2@fancy.example"),
    ):
        found = problems(tmp_path, POLICY, head)
        assert found
        assert "hunter2" not in "".join(found)


def test_long_values_are_cut(tmp_path: Path) -> None:
    """A message shows at most sixty characters of what it found."""
    (problem,) = problems(tmp_path, _with(name="x y" * 999))
    assert len(problem) < 400


def test_drills(tmp_path: Path) -> None:
    """None unless it is said, by the policy or the defaults; not more often than once a day."""
    monthly, hourly = (POLICY.replace("every", f"drill: {often}, every") for often in ("30d", "1h"))
    assert book(tmp_path, POLICY).policies[0].drill is None
    assert book(tmp_path, monthly).policies[0].drill == 30 * DAY
    assert book(tmp_path, POLICY, f"{HEAD}defaults: {{drill: 7d}}\n").policies[0].drill == 7 * DAY
    assert "Write 1d or more" in str(problems(tmp_path, hourly))
