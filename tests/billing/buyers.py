"""Clients who subscribe, pay, change their minds and charge back, as Stripe's own SDK sees it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import stripe

from app.gateways.billing import BilledSubscription, Price
from app.gateways.stripe_billing import StripeBilling
from app.ids import new_id
from app.money.credits import CreditBalance, Credits
from app.money.keys import complete_key, hold_key
from app.subscriptions.customers import ensure_customer, link
from app.subscriptions.packs import PACKS, PackName
from app.subscriptions.prices import pack_price, tier_price
from app.subscriptions.settlement import Settlement
from app.subscriptions.tiers import TIERS, TierName
from devstack.stripe_sandbox.control import SandboxControl
from tests.conftest import Database
from tests.stripe import billing as stripe_billing
from tests.stripe.billing import DAY

CARD = {"cardNumber": "4242424242424242", "email": "dara@example.com", "billingName": "Dara"}


@dataclass
class Shop:
    """Everything that a client of one platform account needs."""

    database: Database
    billing: StripeBilling
    sdk: stripe.StripeClient
    control: SandboxControl
    credits: Credits
    settlement: Settlement

    async def price(self, tier: TierName) -> Price:
        return await self.billing.ensure_price(tier_price(TIERS[tier]))

    async def pack(self, name: PackName = PackName.SMALL) -> Price:
        return await self.billing.ensure_price(pack_price(PACKS[name]))

    async def client(self, *, card: str | None = "pm_card_visa", clock: bool = False) -> Buyer:
        """A client whom Stripe knows, with a card; on a test clock that stands at this hour, if asked for."""
        client_id = new_id()
        email = f"{client_id}@example.com"
        await self.database["users"].insert_one({"_id": client_id, "email": email, "role": "client"})
        if not clock:
            customer = await ensure_customer(self.database, self.billing, client_id, email)
            buyer = Buyer(self, client_id, customer, None, int(time.time()))
        else:
            now = int(time.time()) // 3600 * 3600
            clock_id = await stripe_billing.clock(self.sdk, now)
            made = await self.sdk.v1.customers.create_async(
                {"email": email, "metadata": {"client_id": client_id}, "test_clock": clock_id}
            )
            await link(self.database, client_id, made.id)
            buyer = Buyer(self, client_id, made.id, clock_id, now)
        if card:
            await stripe_billing.use_card(self.sdk, buyer.customer_id, card)
        return buyer


@dataclass
class Buyer:
    """One client at Stripe. `now` is the time of the client's own clock, in seconds since 1970."""

    shop: Shop
    id: str
    customer_id: str
    clock_id: str | None
    now: int

    async def subscribe(self, tier: TierName = TierName.STARTER) -> stripe.Subscription:
        """Without a page: as the checkout does it once it is paid."""
        price = await self.shop.price(tier)
        return await stripe_billing.subscribe(
            self.shop.sdk, self.customer_id, price.id, metadata={"client_id": self.id}
        )

    async def subscription(self) -> BilledSubscription:
        return (await self.shop.billing.list_subscriptions(self.customer_id))[-1]

    async def change(self, tier: TierName) -> None:
        """To another tier, as the door does it."""
        now = await self.subscription()
        await self.shop.billing.change_price(
            now,
            await self.shop.price(tier),
            at=datetime.fromtimestamp(self.now, UTC),
            idempotency_key=f"change:{new_id()}",
        )

    async def pay_page(self, price: Price, *, card: dict[str, str] | None = None) -> None:
        """Through the checkout page, as a browser."""
        session = await self.shop.billing.create_checkout(
            self.customer_id,
            self.id,
            price,
            success_url="https://x.example/done",
            cancel_url="https://x.example/back",
            idempotency_key=f"checkout:{new_id()}",
        )
        answer = await self.shop.control.browse(str(session.url), card or CARD)
        assert answer.status_code == 303, answer.text

    async def wait(self, days: float) -> None:
        """Let time pass on the client's clock, with all that it brings."""
        assert self.clock_id is not None
        self.now += int(days * DAY)
        await stripe_billing.advance(self.shop.sdk, self.clock_id, self.now)

    async def settle(self) -> Any:
        return await self.shop.settlement.settle(self.id)

    async def balance(self) -> CreditBalance:
        return await self.shop.credits.balance(self.id)

    async def spend(self, credits_: int, name: str = "j") -> None:
        """As a completed job does."""
        job = f"{name}-{self.id}"
        held = await self.shop.credits.hold(self.id, job, credits_, key=hold_key(job))
        assert held.outcome == "held"
        await self.shop.credits.resolve(
            self.id, hold_key(job), post=credits_, release=0, key=complete_key(job)
        )

    async def payment(self) -> str:
        """The last payment intent that succeeded."""
        paid = [one for one in await self.shop.billing.list_payments(self.customer_id) if one.amount_received]
        return paid[-1].id

    async def document(self) -> dict[str, Any]:
        found = await self.shop.database["subscriptions"].find_one({"userId": self.id})
        assert found is not None
        return found

    async def notices(self) -> list[str]:
        rows = await self.shop.database["outbox"].find({"userId": self.id}).to_list()
        return sorted(str(row["template"]) for row in rows)

    async def books(self) -> tuple[int, int, int, list[tuple[str, int]]]:
        """Available, held, owed, and what each kind of transaction moved."""
        balance = await self.balance()
        rows = await self.shop.database["transactions"].find({"book": f"client:{self.id}"}).to_list()
        return (
            balance.available + balance.expired,
            balance.held,
            balance.debt,
            sorted((str(row["kind"]), int(row["amount"])) for row in rows),
        )
