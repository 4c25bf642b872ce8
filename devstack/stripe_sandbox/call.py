"""What every endpoint is given, and how endpoints are declared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from devstack.stripe_sandbox import errors
from devstack.stripe_sandbox.forms import Param, Params
from devstack.stripe_sandbox.store import Object, Page, Transaction

API_VERSION = "2026-10-28.endive"


@dataclass(frozen=True)
class Options:
    """How this sandbox differs from a bare Stripe test account; times are in seconds."""

    public_url: str = "http://127.0.0.1:12111"
    automatic_onboarding: bool = False
    starting_balance: int = 0  # USD cents that a platform owns when its key is first seen
    payout_seconds: float = 0.0  # from a payout's creation to its arrival at the bank
    transfer_seconds: float = 0.0  # until transferred money is available (Stripe: 24 h more for recipients)
    idempotency_seconds: float = 24 * 3600.0  # how long a key is remembered; Stripe promises 24 h, no more


@dataclass(frozen=True)
class Call:
    """One authenticated request inside one transaction.

    `platform` is the account of the API key, `account` the one acted for: the same, or that of the
    `Stripe-Account` header.
    """

    tx: Transaction
    options: Options
    api_key: str = field(repr=False)
    platform: str
    account: str
    path: dict[str, str]
    params: Params
    request_id: str | None = None
    idempotency_key: str | None = None

    @property
    def created(self) -> int:
        return int(self.tx.now)

    def own(self, kind: str, object_id: str, noun: str | None = None) -> Object:
        """An object of the account acted for, or 404."""
        found = self.tx.find(kind, object_id, self.account)
        if found is None:
            raise errors.no_such(noun or kind, object_id)
        return found

    def list_of(self, kind: str, url: str, **filters: str) -> Object:
        """One page of the acting account's objects; `filters` names parameters by the field they compare."""
        given = {name: self.params[param] for name, param in filters.items() if param in self.params}
        page = Page(
            limit=self.params.get("limit", 10),
            starting_after=self.params.get("starting_after"),
            ending_before=self.params.get("ending_before"),
            created=self.params.get("created"),
        )
        data, has_more = self.tx.page(kind, self.account, page, given)
        return {"object": "list", "data": data, "has_more": has_more, "url": url}


Handler = Callable[[Call], Object]


@dataclass(frozen=True)
class Endpoint:
    """A method and path of the API, the parameters it takes and what it does."""

    method: str
    path: str
    handler: Handler
    params: dict[str, Param] = field(default_factory=dict)


def merge_metadata(current: dict[str, str], change: dict[str, str]) -> dict[str, str]:
    """Metadata after an update: named keys are set, those given as empty are unset."""
    return {key: value for key, value in {**current, **change}.items() if value}


def without_private(value: Any) -> Any:
    """An object as it is shown: keys that begin with `_` are the sandbox's own."""
    if isinstance(value, dict):
        return {key: without_private(item) for key, item in value.items() if not key.startswith("_")}
    if isinstance(value, list):
        return [without_private(item) for item in value]
    return value
