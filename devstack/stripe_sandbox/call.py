"""What every endpoint is given, and how endpoints are declared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

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
    charge_seconds: float = 0.0  # until a charge's money is available (Stripe: two days)
    payout_seconds: float = 0.0  # from a payout's creation to its arrival at the bank
    transfer_seconds: float = 0.0  # until transferred money is available (Stripe: 24 h more for recipients)
    idempotency_seconds: float = 24 * 3600.0  # how long a key is remembered; Stripe promises 24 h, no more
    dunning_days: tuple[float, ...] = (3, 5, 7)  # from one failed attempt at an invoice to the next
    dunning_end: Literal["cancel", "past_due", "unpaid"] = (
        "cancel"  # what becomes of a subscription after them
    )
    webhook_url: str | None = None  # an endpoint that every platform has, beside those it makes itself
    webhook_secret: str = ""
    connect_webhook_url: str | None = None  # the same for the events of connected accounts
    connect_webhook_secret: str = ""
    webhook_retry_seconds: float = (
        5.0  # until the first repeat of a failed delivery; each wait is twice the last
    )


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
    time: float | None = None  # when this happens, if not now: what is due happens when it was due
    clock: str | None = None  # the test clock that `time` is read from

    @property
    def now(self) -> float:
        """The time this happens at, in seconds since 1970: the sandbox's, or the test clock's."""
        return self.tx.now if self.time is None else self.time

    @property
    def created(self) -> int:
        return int(self.now)

    def on_clock(self, clock_id: str | None) -> Call:
        """The same call in the time of a test clock, or unchanged without one."""
        if clock_id is None or clock_id == self.clock:
            return self
        clock = self.tx.find("test_helpers.test_clock", clock_id)
        if clock is None:
            return self
        return replace(self, time=float(clock["frozen_time"]), clock=clock_id)

    def schedule(self, action: str, owner: str, object_id: str, *, at: float) -> None:
        """Makes an action due at a time of this call's clock."""
        self.tx.schedule(action, owner, object_id, at=at, clock=self.clock or "")

    def named(self, kind: str, object_id: str, param: str, noun: str | None = None) -> Object:
        """An object that a parameter names, or 400."""
        found = self.tx.find(kind, object_id, self.account)
        if found is None or found.get("deleted"):
            raise errors.no_such(noun or kind, object_id, param=param, status=400)
        return found

    def own(self, kind: str, object_id: str, noun: str | None = None) -> Object:
        """An object of the account acted for, or 404."""
        found = self.tx.find(kind, object_id, self.account)
        if found is None:
            raise errors.no_such(noun or kind, object_id)
        return found

    def list_of(
        self, kind: str, url: str, *same: str, only: dict[str, Any] | None = None, since: int | None = None
    ) -> Object:
        """One page of the acting account's objects.

        `same` names the parameters that filter by the field of their own name, `only` what else must be
        equal; nothing made before `since` is shown.
        """
        given = {name: self.params[name] for name in same if name in self.params} | (only or {})
        page = Page(
            limit=self.params.get("limit", 10),
            starting_after=self.params.get("starting_after"),
            ending_before=self.params.get("ending_before"),
            created=self.params.get("created"),
            since=since,
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
