"""Every call that the gateway makes, given to Stripe's own stripe-mock too: acceptance and shape compared.

stripe-mock checks requests against Stripe's OpenAPI description and answers with its fixtures; it keeps no state.
stripe-mock 0.203 describes API version 2026-08-26, we speak 2026-10-28; in these calls that makes no difference: it
takes them all. What differs in shape is listed below, and the test fails when a listed difference is none any more.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import pytest_asyncio
import stripe

from app.gateways.stripe import StripeGateway
from devstack.stripe_sandbox.control import SandboxControl
from tests.stripe import calls
from tests.stripe.processes import Service, stripe_mock

pytestmark = pytest.mark.long

# Shown by the sandbox, absent from stripe-mock's example of an account, right by Stripe's reference: an account made
# with `controller`, under a service agreement, with a bank account of its own.
KNOWN_EXTRA = (
    "account.controller.",
    "bank_account.account",
    "bank_account.available_payout_methods",
    "bank_account.default_for_currency",
    "account.tos_acceptance.service_agreement",
)
# Shown by stripe-mock's examples and left out by the sandbox; nothing of ours reads them.
KNOWN_MISSING = (
    "account.business_profile.",
    "account.capabilities.card_payments",  # never asked for under the recipient agreement
    "account.settings.",
    "balance.connect_reserved",  # a platform's only; the example is a platform's, the call here a worker's
)

# The same for billing. All of these are fields of the SDK's classes, left out of stripe-mock's examples because they
# are optional, or belong to a state (a clock that advances, a payment by intent) that its examples are not in.
BILLING_EXTRA = (
    "charge.outcome.risk_level",
    "charge.source",
    "invoice_payment.payment.payment_intent",
    "line_item.pricing.price_details",
    "payment_intent.amount_details.tip",
    "payment_intent.payment_details",
    "payment_intent.source",
    "price.recurring.trial_period_days",
    "product.type",
    "refund.destination_details.card.",
    "subscription.billing_mode.flexible.proration_discounts",
    "subscription.items.total_count",
    "subscription_item.billed_until",
    "subscription_item.plan",
    "test_helpers_test_clock.status_details.advancing",
    "webhook_endpoint.secret",  # shown once, when it is made
)
BILLING_MISSING = (
    "charge.refunds",
)  # since API version 2022-11-15 only when expanded; its examples are older


@dataclass(frozen=True)
class Exchange:
    """One call as it went over the wire."""

    method: str
    path: str
    body: bytes
    headers: dict[str, str]
    status: int
    answer: Any


@pytest_asyncio.fixture(scope="module")
async def mock(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx2.AsyncClient]:
    service = await stripe_mock(tmp_path_factory.mktemp("stripe-mock"))
    await asyncio.to_thread(service.start)
    async with httpx2.AsyncClient(base_url=service.base_url) as http:
        yield http
    await asyncio.to_thread(service.stop)


def record(http: Any) -> list[Exchange]:
    """Every exchange of an SDK's HTTP client from now on."""
    exchanges: list[Exchange] = []

    async def keep(response: httpx2.Response) -> None:
        await response.aread()
        request = response.request
        kept = ("authorization", "content-type", "stripe-account", "stripe-version")
        exchanges.append(
            Exchange(
                request.method,
                request.url.raw_path.decode(),
                request.content,
                {name: request.headers[name] for name in kept if name in request.headers},
                response.status_code,
                response.json(),
            )
        )

    http._client.event_hooks["response"].append(keep)
    return exchanges


async def call_everything(gateway: StripeGateway, control: SandboxControl, api_key: str) -> set[str]:
    """Uses each public method once, on what the one before it made; returns the names used."""
    await control.fund_platform(api_key, 100_000)
    account = await gateway.create_recipient_account("user-1", "w@example.com", idempotency_key="a")
    await control.complete_onboarding(account.id)
    await gateway.retrieve_account(account.id)
    await gateway.create_onboarding_link(
        account.id, refresh_url="https://x.example/", return_url="https://x.example/"
    )
    transfer = await gateway.create_transfer(
        account.id, 5_000, "job-1", idempotency_key="t", metadata={"payout_id": "1"}
    )
    await gateway.retrieve_transfer(transfer.id)
    await gateway.find_transfer("job-1")
    await gateway.find_account("user-1")
    await gateway.reverse_transfer(transfer.id, 500, idempotency_key="r", metadata={"entry": "1"})
    await gateway.reversals_of(transfer.id)
    await gateway.find_reversal(transfer.id, {"entry": "1"})
    payout = await gateway.create_payout(account.id, 4_000, idempotency_key="p", metadata={"batch": "1"})
    await gateway.retrieve_payout(account.id, payout.id)
    await gateway.find_payout(account.id, {"batch": "1"})
    await gateway.available_cents(account.id)
    await gateway.ping()
    source = inspect.getsource(call_everything)
    return {name for name in vars(StripeGateway) if f"gateway.{name}(" in source}


def fields(value: Any, path: str) -> dict[str, str]:
    """Every field of an answer as path -> JSON type.

    The members of lists count as one, and an object of Stripe's is told under its own kind wherever it is.
    """
    if isinstance(value, dict):
        found = {path: "object"}
        kind = value.get("object")
        if isinstance(kind, str) and kind != "list":
            path = kind.replace(".", "_")
            found[path] = "object"
        for key, item in value.items():
            if key not in {"metadata", "payment_method_options"}:  # their keys are the caller's
                found |= fields(item, f"{path}.{key}")
        return found
    if isinstance(value, list):
        found = {path: "array"}
        for item in value:
            found |= fields(item, f"{path}[]")
        return found
    kinds = {bool: "boolean", int: "number", str: "string", type(None): "null"}
    return {path: kinds[type(value)]}


class Differences:
    """How the sandbox's answers differ from stripe-mock's in shape."""

    def __init__(self) -> None:
        self.extra: set[str] = set()
        self.missing: set[str] = set()
        self.other_type: list[str] = []

    def add(self, ours: Any, theirs: Any) -> None:
        kind = f"list:{ours.get('url')}"
        here, there = fields(ours, kind), fields(theirs, kind)
        self.extra |= {path for path in here.keys() - there.keys() if comparable(path, there)}
        self.missing |= {path for path in there.keys() - here.keys() if comparable(path, here)}
        self.other_type += [
            f"{path}: {here[path]} here, {there[path]} there"
            for path in here.keys() & there.keys()
            if here[path] != there[path] and "null" not in {here[path], there[path]}
        ]


def comparable(path: str, other: dict[str, str]) -> bool:
    """Whether the other side shows at all what this field belongs to: an empty list has no members, null no fields."""
    if "." not in path:  # another kind of object, that the other side happens not to show
        return False
    lists = [path[: at + 2] for at in range(len(path)) if path.startswith("[]", at)]
    parents = [path[:at] for at in range(len(path)) if path[at] == "."]
    shown = all(members in other for members in (*lists, *parents[:1]))
    return shown and all(other.get(name) not in {"null", "string"} for name in parents)


def unexpected(paths: set[str], known: tuple[str, ...]) -> set[str]:
    return {path for path in paths if not path.startswith(known)}


def still_there(paths: set[str], known: tuple[str, ...]) -> list[bool]:
    return [any(path.startswith(prefix) for path in paths) for prefix in known]


async def test_stripes_own_validator_takes_every_call_we_make_and_answers_in_the_same_shape(
    mock: httpx2.AsyncClient, gateway: StripeGateway, control: SandboxControl, api_key: str
) -> None:
    exchanges = record(gateway._http)
    used = await call_everything(gateway, control, api_key)
    public = {name for name, member in vars(StripeGateway).items() if inspect.iscoroutinefunction(member)}
    assert public - {"close"} == used, "a method of the gateway is not compared"
    assert len(exchanges) >= len(used)

    differences = Differences()
    for exchange in exchanges:
        theirs = await mock.request(
            exchange.method, exchange.path, content=exchange.body, headers=exchange.headers
        )
        assert (exchange.status, theirs.status_code) == (200, 200), f"{exchange.path}: {theirs.text}"
        differences.add(exchange.answer, theirs.json())
    assert differences.other_type == []
    assert unexpected(differences.extra, KNOWN_EXTRA) == set()
    assert unexpected(differences.missing, KNOWN_MISSING) == set()
    assert all(still_there(differences.extra, KNOWN_EXTRA)), "a listed difference is none any more"
    assert all(still_there(differences.missing, KNOWN_MISSING)), "a listed difference is none any more"


async def test_stripes_own_validator_takes_every_call_of_billing_and_answers_in_the_same_shape(
    mock: httpx2.AsyncClient, sdk: stripe.StripeClient, control: SandboxControl, worker: str
) -> None:
    exchanges = record(sdk._requestor._client)
    await calls.everything(sdk, control, worker)
    differences = Differences()
    for exchange in exchanges:
        theirs = await mock.request(
            exchange.method, exchange.path, content=exchange.body, headers=exchange.headers
        )
        assert (exchange.status, theirs.status_code) == (200, 200), f"{exchange.path}: {theirs.text}"
        differences.add(exchange.answer, theirs.json())
    assert differences.other_type == []
    assert unexpected(differences.extra, BILLING_EXTRA) == set()
    assert unexpected(differences.missing, BILLING_MISSING) == set()
    assert all(still_there(differences.extra, BILLING_EXTRA)), "a listed difference is none any more"
    assert all(still_there(differences.missing, BILLING_MISSING)), "a listed difference is none any more"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/transfers", "amount=1&destination=acct_1"),
        ("/v1/transfers", "currency=usd&amount=1"),
        ("/v1/transfers", "amount=1&currency=usd&destination=acct_1&colour=red"),
        ("/v1/transfers", "amount=one&currency=usd&destination=acct_1"),
        ("/v1/transfers", "amount=1&currency=usd&destination=acct_1&metadata=text"),
        ("/v1/transfers", "amount=1&currency=usd&destination=acct_1&source_type=gold"),
        ("/v1/payouts", "currency=usd"),
        ("/v1/payouts", "amount=1&currency=usd&method=pigeon"),
        ("/v1/accounts", "controller[losses][payments]=nobody"),
        ("/v1/accounts", "type=friend"),
        ("/v1/account_links", "account=acct_1"),
        ("/v1/account_links", "account=acct_1&type=chat"),
        ("/v1/customers", "colour=red"),
        ("/v1/checkout/sessions", "mode=gift&success_url=https://x.example"),
        ("/v1/prices", "unit_amount=100"),
        ("/v1/prices", "currency=usd&unit_amount=1.5"),
        ("/v1/subscriptions", "customer=cus_1&items[0][price]=price_1&payment_behavior=hope"),
        ("/v1/refunds", "charge=ch_1&reason=whim"),
        ("/v1/payment_intents", "currency=usd"),
        ("/v1/test_helpers/test_clocks", "name=none"),
        ("/v1/webhook_endpoints", "url=https://x.example"),
    ],
)
async def test_what_stripes_validator_refuses_the_sandbox_refuses(
    mock: httpx2.AsyncClient, stripe_sandbox: Service, api_key: str, path: str, body: str
) -> None:
    headers = {
        "Authorization": f"Bearer {api_key}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    theirs = await mock.post(path, content=body, headers=headers)
    async with httpx2.AsyncClient(base_url=stripe_sandbox.base_url) as sandbox:
        ours = await sandbox.post(path, content=body, headers=headers)
    assert (ours.status_code, theirs.status_code) == (400, 400), (ours.text, theirs.text)
    assert ours.json()["error"]["type"] == theirs.json()["error"]["type"]
