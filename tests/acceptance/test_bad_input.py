import pytest

from tests.acceptance.executable import GOOD, Executable

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"{b}: &{b} [{', '.join(['*' + a] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
SECOND = GOOD[GOOD.index("  - name: orders") :]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD.replace("every: 30d", "evry: 30d"), "rotator.yaml:14"),
        (GOOD.replace("every: 30d", "every: [30]"), "rotator.yaml:14"),
        (GOOD.replace("every: 30d", "every: soon"), "30d"),
        (GOOD.replace("grace: 24h", "grace: 31d"), "grace"),
        (GOOD + "    every: 10d\n", "every"),
        (GOOD + SECOND, "orders"),
        (GOOD.replace("provider: build", "provider: biuld"), "build"),
        ("", "empty"),
        (b"\x00\x01\x02\xff", "binary"),
        (b"version: 1\nname: \xff\xfe\n", "UTF-8"),
        (BOMB, "rotator.yaml"),
        ("[" * 5000, "rotator.yaml"),
        ("version: 1\n  bad indent: [", "rotator.yaml"),
        (GOOD.replace("http://127.0.0.1:1", "file:///etc/passwd"), "https"),
        (GOOD.replace("http://127.0.0.1:1", "https://ann:hunter2@x.example"), "rotator.yaml"),
        (GOOD.replace("http://127.0.0.1:1", "http://x.example"), "https"),
    ],
    ids=[
        "unknown-key",
        "wrong-type",
        "no-duration",
        "grace-too-long",
        "key-twice",
        "policy-twice",
        "unknown-provider",
        "empty",
        "binary",
        "not-utf-8",
        "yaml-bomb",
        "deep-yaml",
        "not-yaml",
        "file-url",
        "credentials-in-url",
        "plain-http",
    ],
)
def test_a_bad_policy_file_is_a_sentence_and_no_effect(
    rotator: Executable, text: str | bytes, says: str
) -> None:
    """What is wrong with a policy file is told with its place and exit code 2; nothing is made or called."""
    rotator.policies(text)
    answer = rotator("tick")
    assert answer.code == 2
    assert says in answer.err
    assert "Traceback" not in answer.all
    assert "hunter2" not in answer.all
    assert answer.out == ""
    assert rotator.left() == {"rotator.yaml"}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("runnow", "run-now"),
        ("status order", "orders"),
        ("history nope", "nope"),
        ("run-now", "--all"),
        ("run-now orders", "--reason"),
        ("run-now orders --reason x", "--yes"),
        ("run-now ordres --reason x --yes", "orders"),
        ("run-now --tag team --reason x --yes", "key=value"),
        ("run-now orders --reason x --yes --grace soon", "30d"),
        ("run-now orders --reason x --yes --grace 1h --revoke-now", "not both"),
        ("run-now orders --reason x --yes --revoke-first --revoke-now", "no grace"),
        ("pause orders --for 0s", "2h"),
        ("daemon --tick 0s", "15s"),
        ("adopt orders", "--key-id"),
        ("adopt orders --key-id 1", "no ledger"),
        ("adopt --suggest", "no ledger"),
        ("adopt --suggest --key-id 1", "not both"),
        ("settle 1 --reason x", "no ledger"),
        ("doctor --provider nobody", "build"),
        ("doctor --store nobody", "aws"),
        ("submit", "NAME"),
        ("submit orders", "run-now"),
        ("submit --admin nobody", "build"),
        ("submit --admin build", "api_key"),
        ("--policies nowhere.yaml status", "nowhere.yaml"),
        ("--ledger mysql://h/d status", "sqlite"),
        ("--ledger postgresql://u:hunter2@h/d status", "password"),
        ("--ledger sqlite:///rotator.yaml status", "rotator.yaml"),
    ],
)
def test_a_bad_command_line_says_what_would_be_right(rotator: Executable, line: str, says: str) -> None:
    """What was typed wrong is told in a sentence, with exit code 2, no traceback, and nothing is made."""
    rotator.policies(GOOD)
    answer = rotator(*line.split())
    assert answer.code == 2
    assert says in answer.err
    assert "Traceback" not in answer.all
    assert "hunter2" not in answer.all
    assert rotator.left() == {"rotator.yaml"}


def test_a_credential_on_standard_input_is_never_repeated(rotator: Executable) -> None:
    """What a person pasted wrongly may be a secret: it is refused without a word of it."""
    rotator.policies(GOOD)
    for stdin in ("hunter2", '{"hunter2": "hunter2"}', '{"api_key": "hunter2 hunter2", "api_secret": "x"}'):
        answer = rotator("submit", "--admin", "build", stdin=stdin)
        assert answer.code == 2
        assert "hunter2" not in answer.all
