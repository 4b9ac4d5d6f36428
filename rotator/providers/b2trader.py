"""B2Trader: at most three signing keys for each user, managed by the user's bearer token.

Facts from the B2Trader platform API reference (Manage API keys) and trading API reference.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from rotator.errors import NeedsPerson, Scope
from rotator.model import Credential, Issued, KeyRecord, Policy, Probe, Traits, Verdict
from rotator.providers.answers import Answer
from rotator.providers.b2trader_signing import clocks_agree, sign, signed_query
from rotator.providers.http import Budget
from rotator.providers.managed import Managed, Pace, Part, json_body, settled
from rotator.providers.network import Call
from rotator.providers.parsing import distinct, in_path, key_id, moment, named, secret, text, texts, unwrapped

_KEYS = "/frontoffice/api/key"
_FLAGS = ("isInfo", "isTrade", "isWithdraw")


def _address(value: str) -> str:
    ipaddress.ip_network(value)
    return value


class B2TraderKey(Part):
    """``key:`` of a policy. An empty ``ipWhiteList`` must be written out: such a key works from anywhere."""

    name: str | None = Field(default=None, min_length=1, max_length=64)
    is_info: bool = Field(alias="isInfo")
    is_trade: bool = Field(alias="isTrade")
    is_withdraw: bool | None = Field(default=None, alias="isWithdraw")
    ip_white_list: list[Annotated[str, AfterValidator(_address)]] = Field(alias="ipWhiteList")

    @model_validator(mode="after")
    def _useful(self) -> Self:
        if not (self.is_info or self.is_trade or self.is_withdraw):
            raise ValueError("a key needs at least one of isInfo, isTrade and isWithdraw")
        return self


class B2TraderOptions(Pace):
    """The provider's section.

    ``delete_path`` is where a delete is tried a second time if the documented path is unknown to the server
    and the key is still listed. ``list_verb: POST`` is for servers that list so; on others a POST without
    a body may make a key.
    """

    delete_path: Literal["/frontoffice/key/{publicKey}"] | None = None
    list_verb: Literal["GET", "POST"] = "GET"


class B2Trader(Managed):
    """``/frontoffice/api/key``.

    Documented: one request a second; three keys, valid until deleted; requests signed with a time that may
    be off by 5 seconds.
    """

    traits: ClassVar[Traits] = Traits(
        version="1",
        fields=("public_key", "private_key"),
        secret_fields=("private_key",),
        id_field="public_key",
        admin_fields=("token",),
        label_setting="name",
        label_max=64,
        key_limit=3,
        exclusive=True,
        rights=("a session of the user whose keys these are",),
    )
    Settings: ClassVar[type[BaseModel]] = B2TraderKey
    Options: ClassVar[type[Pace]] = B2TraderOptions
    proof_fields: ClassVar[tuple[str, ...]] = ("public_key", "private_key")
    rate: ClassVar[float] = 0.5
    clock_tolerance: ClassVar[timedelta | None] = timedelta(seconds=5)

    @classmethod
    def check(cls, policy: Policy) -> str | None:
        """A request is signed with the private key and names the public one: consumers need both."""
        if policy.target.fields.get("public_key", "public_key") is None:
            return "public_key must be written, since a request names it beside its signature"
        return None

    def wanted(self, key: Mapping[str, Any], old: KeyRecord | None) -> Mapping[str, Any]:
        """The policy's flags and addresses; what it leaves out is as with the key in use.

        Not so ``isWithdraw``: the right to move money out must be written.
        """
        asked = {name: settled(name, key, old) for name in ("isInfo", "isTrade", "ipWhiteList")}
        withdraw = key.get("isWithdraw")
        return asked if withdraw is None else {**asked, "isWithdraw": withdraw}

    def excess(self, wanted: Mapping[str, Any], granted: Mapping[str, Any]) -> str | None:
        """Flags or addresses other than asked; a list of addresses that came back empty allows every one."""
        for flag in _FLAGS:
            if flag in granted and granted[flag] != bool(wanted.get(flag, False)):
                return f"{flag} is {str(granted[flag]).lower()}, which was not asked."
        if "ipWhiteList" not in granted or "ipWhiteList" not in wanted:
            return None
        return _address_difference(wanted["ipWhiteList"], granted["ipWhiteList"])

    def identifies(self, record: KeyRecord, credential: Credential) -> bool:
        """The public key is the key's id."""
        return credential.get("public_key") == record.key_id

    def revoke(self, key_id: str) -> None:
        """As always, but a 404 is looked into: the documentation gives two paths for this call."""
        in_path(key_id)
        budget = Budget(self._clock)
        answer = self._manage(lambda admin: self._delete(admin, _KEYS + "/{publicKey}", key_id), budget)
        if answer.gone or answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
            self._look_again(key_id, answer.status, budget)
        elif not self._done(answer):
            raise self._failed(answer, "delete a key", reads=False)

    def _look_again(self, key_id: str, status: int, budget: Budget) -> None:
        if not self._still_listed(key_id, budget):
            return
        other = self._own_options().delete_path
        if other is None:
            raise NeedsPerson(
                "configuration",
                f"{self._ref.name}: the server knows no delete at {_KEYS}/… ({status}), the key is listed.",
                todo='Set delete_path: "/frontoffice/key/{publicKey}" in the provider\'s section.',
                scope=Scope.PROVIDER,
            )
        answer = self._manage(lambda admin: self._delete(admin, other, key_id), budget)
        if answer.gone or answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
            raise self._misplaced(answer.status, "delete keys")
        if not self._done(answer):
            raise self._failed(answer, "delete a key", reads=False)

    def _still_listed(self, key_id: str, budget: Budget) -> bool:
        return any(record.key_id == key_id and record.live for record in self._listed(budget))

    # calls

    def _own_options(self) -> B2TraderOptions:
        options = self._options(self._ref)
        assert isinstance(options, B2TraderOptions)
        return options

    @staticmethod
    def _bearer(admin: Credential) -> dict[str, str]:
        return {"Authorization": f"Bearer {admin.get('token')}"}

    def _list_call(self, admin: Credential, query: str) -> Call:
        verb = self._own_options().list_verb
        return Call(verb, _KEYS, self._bearer(admin), query, reads=verb == "GET")

    def _create_call(self, admin: Credential, label: str, wanted: Mapping[str, Any]) -> Call:
        body = {"name": label, **wanted}
        body["IpWhiteList"] = body.pop("ipWhiteList")  # spelled so in requests only
        headers = {**self._bearer(admin), "Content-Type": "application/json"}
        return Call("POST", _KEYS, headers, body=json_body(body))

    def _delete(self, admin: Credential, path: str, key_id: str) -> Call:
        return Call("DELETE", path.replace("{publicKey}", in_path(key_id)), self._bearer(admin))

    def _revoke_call(self, admin: Credential, key_id: str) -> Call:
        return self._delete(admin, _KEYS + "/{publicKey}", key_id)

    def _probe_call(self, credential: Credential) -> Call:
        query = signed_query(self._clock.now())
        headers = {
            "Key": credential.get("public_key") or "",
            "Sign": sign(credential.get("private_key") or "", query),
        }
        return Call("GET", "/frontoffice/api/balances", headers, query, reads=True)

    # answers

    def _page(self, query: str, budget: Budget) -> object:
        payload = super()._page(query, budget)
        if isinstance(payload, dict) and "privateKey" in payload:
            raise NeedsPerson(
                "configuration",
                f"{self._ref.name}: the list call made a key instead of listing.",
                todo="Set list_verb: GET in the provider's section, and delete the newest key by hand.",
                scope=Scope.PROVIDER,
            )
        return payload

    def _record(self, row: Mapping[str, Any]) -> KeyRecord:
        """Without ``privateKey``, which some servers send in the list."""
        return KeyRecord(
            key_id(row.get("publicKey")),
            text(row.get("name")),
            live=True,
            created_at=moment(row.get("createdAt")),
            granted=_granted(row),
        )

    def _issued(self, payload: object) -> Issued:
        row = unwrapped(payload)
        public, private = key_id(row.get("publicKey")), secret(row, "privateKey")
        distinct(public, private)
        return Issued(public, Credential({"public_key": public, "private_key": private}), _granted(row))

    def _judged(self, answer: Answer, call: Call) -> Probe:
        """LIVE: 200 with the list of balances. DEAD: 401 while both clocks agree."""
        if answer.status == HTTPStatus.OK:
            good = isinstance(answer.shape(), list)
            return Probe(Verdict.LIVE) if good else Probe(Verdict.UNKNOWN, "garbage")
        if answer.status != HTTPStatus.UNAUTHORIZED:
            return Probe(Verdict.UNKNOWN, f"http-{answer.status}")
        if not clocks_agree(call.query, answer.date()):
            return Probe(Verdict.UNKNOWN, "clock")
        return Probe(Verdict.DEAD, "refused (401)")


def _granted(row: Mapping[str, Any]) -> dict[str, Any]:
    flags: dict[str, Any] = {flag: row[flag] for flag in _FLAGS if isinstance(row.get(flag), bool)}
    addresses = texts(row.get("ipWhiteList", row.get("IpWhiteList")))
    return flags if addresses is None else {**flags, "ipWhiteList": addresses}


def _networks(addresses: Sequence[str]) -> set[ipaddress.IPv4Network | ipaddress.IPv6Network] | None:
    try:
        found = [ipaddress.ip_network(address, strict=False) for address in addresses]
    except ValueError:
        return None
    fours = [net for net in found if isinstance(net, ipaddress.IPv4Network)]
    sixes = [net for net in found if isinstance(net, ipaddress.IPv6Network)]
    return {*ipaddress.collapse_addresses(fours), *ipaddress.collapse_addresses(sixes)}


def _address_difference(wanted: Sequence[str], granted: Sequence[str]) -> str | None:
    asked, got = _networks(wanted), _networks(granted)
    if asked == got and got is not None:
        return None
    if not granted:
        return "Its list of addresses is empty, so that it works from anywhere."
    return f"It works from {named(granted)}, which is not what was asked."
