"""One request from its parsed form to its answer: keys, parameters, execution, and what the key remembers."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from devstack.stripe_sandbox import (
    account_links,
    accounts,
    balance,
    catalog,
    checkout,
    customer_api,
    disputes,
    due,
    errors,
    events,
    expansion,
    invoice_api,
    invoice_items,
    payment_intents,
    payment_methods,
    payouts,
    portal,
    refunds,
    reversals,
    subscription_api,
    test_clocks,
    topups,
    transfers,
    webhook_endpoints,
)
from devstack.stripe_sandbox.call import Call, Endpoint, Options, without_private
from devstack.stripe_sandbox.errors import StripeFault
from devstack.stripe_sandbox.forms import Params, validate
from devstack.stripe_sandbox.store import Object, SavedAnswer, Store, Transaction

ENDPOINTS: list[Endpoint] = [
    *accounts.ENDPOINTS,
    *account_links.ENDPOINTS,
    *balance.ENDPOINTS,
    *topups.ENDPOINTS,
    *transfers.ENDPOINTS,
    *reversals.ENDPOINTS,
    *payouts.ENDPOINTS,
    *customer_api.ENDPOINTS,
    *payment_methods.ENDPOINTS,
    *catalog.ENDPOINTS,
    *payment_intents.ENDPOINTS,
    *refunds.ENDPOINTS,
    *disputes.ENDPOINTS,
    *subscription_api.ENDPOINTS,
    *invoice_api.ENDPOINTS,
    *invoice_items.ENDPOINTS,
    *checkout.ENDPOINTS,
    *portal.ENDPOINTS,
    *test_clocks.ENDPOINTS,
    *events.ENDPOINTS,
    *webhook_endpoints.ENDPOINTS,
]


def platform_of(api_key: str) -> str:
    """The platform account of an API key."""
    return f"acct_{hashlib.sha256(api_key.encode()).hexdigest()[:16]}"


@dataclass(frozen=True)
class Request:
    """What came over the wire, with its key checked."""

    method: str
    path: str
    raw: Params
    api_key: str = field(repr=False)
    request_id: str
    stripe_account: str | None = None
    idempotency_key: str | None = None

    @property
    def platform(self) -> str:
        """Each API key has a platform account of its own, so tests with different keys never meet."""
        return platform_of(self.api_key)

    @property
    def scope(self) -> str:
        return f"{self.platform}/{self.stripe_account or ''}"

    @property
    def fingerprint(self) -> str:
        """What must be the same for an idempotency key to be used again."""
        text = json.dumps([self.method, self.path, self.raw], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Answer:
    """Status and body, and the request whose answer this repeats, if it repeats one."""

    status: int
    body: Object
    original_request: str | None = None


class Engine:
    """Runs requests against the store, one transaction each."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options
        self._routes = [(endpoint, _pattern(endpoint.path)) for endpoint in ENDPOINTS]

    def remembered(self, request: Request) -> Answer | None:
        """The answer that this request's idempotency key already has; a fault when its parameters differ."""
        if request.method != "POST" or request.idempotency_key is None:
            return None
        with self._store.transaction() as tx:
            saved = tx.saved_answer(
                request.scope, request.idempotency_key, max_age_seconds=self._options.idempotency_seconds
            )
        if saved is None:
            return None
        if saved.fingerprint != request.fingerprint:
            raise errors.key_reused(request.idempotency_key)
        return Answer(saved.status, saved.body, saved.request_id)

    def execute(self, request: Request) -> Answer:
        """Executes once, and commits what changed together with what the key shall remember."""
        try:
            with self._store.transaction() as tx:
                answer = self._attempt(tx, request)
                self._remember(tx, request, answer.status, answer.body)
        except StripeFault as fault:
            if fault.saved:
                self.refuse(request, fault)
            return Answer(fault.status, {"error": fault.error})
        return answer

    def _attempt(self, tx: Transaction, request: Request) -> Answer:
        """The answer; a refusal that leaves traces is one too, since they are committed with it."""
        try:
            return Answer(200, self._run(tx, request))
        except StripeFault as fault:
            if not fault.commits:
                raise
            return Answer(fault.status, {"error": without_private(fault.error)})

    def refuse(self, request: Request, fault: StripeFault) -> None:
        """Makes the idempotency key remember a refusal."""
        with self._store.transaction() as tx:
            self._remember(tx, request, fault.status, {"error": fault.error})

    @contextmanager
    def acting(self, owner: str) -> Iterator[Call]:
        """A call of the sandbox's own, for an account, in a transaction of its own; what is due is done first."""
        with self._store.transaction() as tx:
            due.run(tx, self._options)
            yield due.internal_call(tx, self._options, owner)

    def owner_of(self, kind: str, object_id: str) -> str | None:
        """The account that an object belongs to, if there is such an object."""
        with self._store.transaction() as tx:
            return tx.owner_of(object_id, kind)

    def run_due(self) -> None:
        """Carries out what has become due: settled top-ups, paid payouts, renewals of subscriptions."""
        with self._store.transaction() as tx:
            due.run(tx, self._options)

    def advance_clock(self, seconds: float) -> float:
        """Moves the sandbox's time forward and carries out what has become due; returns the new time."""
        with self._store.transaction() as tx:
            tx.advance_clock(seconds)
            due.run(tx, self._options)
            return tx.now

    def onboard(self, account_id: str, **details: str) -> Object | None:
        """Completes an account's onboarding, whichever platform it belongs to; None if there is no such account."""
        with self._store.transaction() as tx:
            platform = tx.owner_of(account_id)
            if platform is None:
                return None
            call = due.internal_call(tx, self._options, platform)
            shown: Object = without_private(accounts.onboard(call, account_id, **details))
            return shown

    def _run(self, tx: Transaction, request: Request) -> Object:
        due.run(tx, self._options)
        platform = request.platform
        if "usd" not in tx.balances(platform):
            tx.move(platform, "usd", available=self._options.starting_balance)
        endpoint, path = self._route(request)
        call = Call(
            tx=tx,
            options=self._options,
            api_key=request.api_key,
            platform=platform,
            account=request.stripe_account or platform,
            path=path,
            params=validate(request.raw, endpoint.params),
            request_id=request.request_id,
            idempotency_key=request.idempotency_key,
        )
        if call.account != platform:
            accounts.find(call, call.account)
        answer = endpoint.handler(call)
        shown: Object = without_private(expansion.expand(call, answer, call.params.get("expand", [])))
        return shown

    def _route(self, request: Request) -> tuple[Endpoint, dict[str, str]]:
        for endpoint, pattern in self._routes:
            if endpoint.method == request.method and (match := pattern.fullmatch(request.path)):
                return endpoint, match.groupdict()
        raise errors.unrecognised_url(request.method, request.path)

    def _remember(self, tx: Transaction, request: Request, status: int, body: Object) -> None:
        if request.method == "POST" and request.idempotency_key is not None:
            answer = SavedAnswer(request.fingerprint, status, body, request.request_id)
            tx.save_answer(request.scope, request.idempotency_key, answer)


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))
