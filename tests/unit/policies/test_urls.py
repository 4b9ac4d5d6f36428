import pytest

from rotator.policies.urls import wrong_url


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com",
        "https://api.example.com:8443/base/path/",
        "https://203.0.113.7",
        "https://10.0.0.8/internal",
        "https://[2001:db8::1]:443",
        "http://127.0.0.1:5000",
        "http://127.8.8.8",
        "http://[::1]:5000",
        "http://localhost:5000/x",
        "HTTPS://API.example.com",
    ],
)
def test_right(url: str) -> None:
    """Https anywhere, http on this machine."""
    assert wrong_url(url) is None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "character"),
        ("api.example.com", "https://"),
        ("file:///etc/passwd", "https://"),
        ("ftp://api.example.com", "https://"),
        ("javascript:alert(1)", "https://"),
        ("http://api.example.com", "not https"),
        ("http://10.0.0.8", "not https"),
        ("http://localhost.example.com", "not https"),
        ("http://127.0.0.1.example.com", "not https"),
        ("https://user:hunter2@api.example.com", "user or a password"),
        ("https://hunter2@api.example.com", "user or a password"),
        ("https://@api.example.com", "user or a password"),
        ("https://api.example.com?key=hunter2", "query"),
        ("https://api.example.com/?", "query"),
        ("https://api.example.com/#hunter2", "query"),
        ("https://api.example.com/\r\nX: y", "character"),
        ("https://api.example.com/a b", "character"),
        ("https://api.example.com\\@evil.example", "character"),
        ("https://exämple.com", "character"),
        ("https://", "host"),
        ("https:///path", "host"),
        ("https://:443", "host"),
        ("https://a..b", "host"),
        ("https://-a.example", "host"),
        ("https://a%2eb", "host"),
        ("https://api.example.com:x", "port"),
        ("https://api.example.com:99999", "port"),
        ("https://api.example.com:0", "Port 0"),
        ("https://[::1", "not a URL"),
        ("https://2130706433", "host"),
        ("http://0x7f.1", "host"),
        ("http://127.1", "host"),
        ("https://169.254.169.254/latest", "own credentials"),
        ("https://[::ffff:169.254.169.254]", "own credentials"),
        ("https://[64:ff9b::a9fe:a9fe]", "own credentials"),
        ("https://[fe80::1]", "own credentials"),
        ("https://[fe80::1%25eth0]", "own credentials"),
        ("https://[fd00:ec2::254]", "own credentials"),
        ("https://100.100.100.200", "own credentials"),
        ("https://metadata.google.internal", "own credentials"),
        ("https://metadata.google.internal.", "own credentials"),
        ("https://0.0.0.0", "own credentials"),
        ("http://[::]", "own credentials"),
        ("https://224.0.0.1", "own credentials"),
    ],
)
def test_wrong(url: str, said: str) -> None:
    """Everything else is refused, in words that do not repeat the URL."""
    found = wrong_url(url)
    assert found is not None
    assert said in " ".join(found)
    assert "hunter2" not in " ".join(found)
