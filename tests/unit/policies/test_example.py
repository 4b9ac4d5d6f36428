from pathlib import Path

from rotator import providers, stores
from rotator.policies import json_schema, load
from tests.unit.policies.fakes import write

EXAMPLE = """\
version: 1
stores:
  aws: {type: aws-secrets-manager, region: eu-west-1}
providers:
  build:
    type: buildmarkets
    base_url: https://dev-tapp-api.example.com
    admin: {store: aws, secret: rotator/buildmarkets-admin}
  b2:
    type: b2trader
    base_url: https://api.exchange.example/trading
    admin: {store: aws, secret: rotator/b2trader-session}
  fat:
    type: fattail
    base_url: https://app.fattailmarkets.example
    admin: {store: aws, secret: rotator/fattail-session}
defaults:
  every: 30d
  grace: 24h
policies:
  - name: market-maker
    provider: build
    store: aws
    secret: prod/market-maker/buildmarkets
    cron: "0 9 * * tue"
    timezone: Europe/London
    windows:
      - {days: [tue, wed, thu], from: "09:00", to: "16:00"}
    jitter: 2h
    key: {label: market-maker, scopes: [accounts:read, trading:write]}
    tags: {team: desk-a, tier: prod}
    owner: desk-a@example.com
    fields: {api_key: BM_KEY, api_secret: BM_SECRET, key_id: null}
  - name: exchange-trading
    provider: b2
    store: aws
    secret: prod/exchange/trading
    key: {name: trading, isInfo: true, isTrade: true, ipWhiteList: ["203.0.113.7"]}
  - name: prediction-bot
    provider: fat
    store: aws
    secret: prod/bot/fattail
    key: {name: prediction-bot, scopes: [read, trade], expires_in_days: 90}
"""


def test_real_adapters(tmp_path: Path) -> None:
    """A file of all that can be rotated today is right, and every setting arrives as it was written."""
    book = load(write(tmp_path, EXAMPLE))
    assert set(book.by_name) == {"market-maker", "exchange-trading", "prediction-bot"}
    assert book.by_name["exchange-trading"].key == {
        "name": "trading",
        "isInfo": True,
        "isTrade": True,
        "ipWhiteList": ["203.0.113.7"],
    }
    assert len(book.by_secret) == 3


def test_schema_of_real_adapters() -> None:
    """The schema knows every type that there is."""
    definitions = json_schema()["$defs"]
    for section, names in (("ProviderSection", providers.names()), ("StoreSection", stores.names())):
        assert [each["properties"]["type"]["const"] for each in definitions[section]["oneOf"]] == list(names)
