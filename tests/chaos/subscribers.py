"""Clients who subscribe, renew, change, buy packs, do not pay, are paid back and charge back, while processes die.

Each does at Stripe what happens there (a page is paid, a bank declines), and at the door what the API offers. Whatever
was answered with a yes is noted, to be compared with what Stripe has in the end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Literal, TypeVar

import stripe
from pymongo.errors import AutoReconnect

from app.ids import new_id
from app.subscriptions.customers import link
from app.subscriptions.packs import PackName
from app.subscriptions.tiers import TierName
from devstack.stripe_sandbox.control import SandboxControl
from tests.e2e.platform import Database
from tests.support.http import Json, Person, RefusedError, until

CARD = {"cardNumber": "4242424242424242", "email": "dara@example.com", "billingName": "Dara"}
DECLINES, PAYS = "4000000000000341", "4242424242424242"
_HOUR = 3_600
_T = TypeVar("_T")


@dataclass
class Shop:
    """What clients meet: Stripe as an operator sees it and as its test bank is told to behave, and an admin."""

    sdk: stripe.StripeClient
    control: SandboxControl
    database: Database
    admin: Person

    async def pay_page(self, url: str, card: dict[str, str] | None = None) -> None:
        """Fill in a page of Stripe's and send it, twice: people press twice."""
        for _ in range(2):
            answer = await self.control.browse(url, card or CARD)
            assert answer.status_code == 303, answer.text

    async def stand_in(self, person: Person, at: int) -> tuple[str, str]:
        """A customer for the client on a test clock of its own; the clock's id, and the customer's."""
        clock = await self.sdk.v1.test_helpers.test_clocks.create_async({"frozen_time": at})
        metadata = {"client_id": person.id}
        customer = await self.sdk.v1.customers.create_async(
            {"email": person.email, "metadata": metadata, "test_clock": clock.id}
        )
        await patiently(lambda: link(self.database, person.id, customer.id))
        return clock.id, customer.id


async def patiently(write: Callable[[], Awaitable[_T]]) -> _T:
    """What a test itself writes to the store: again, until the store is up."""
    while True:
        try:
            return await write()
        except AutoReconnect:
            await asyncio.sleep(0.2)


@dataclass
class Acts:
    """What one client did, as far as it was answered with a yes."""

    subscribed: int = 0
    months: list[TierName] = field(default_factory=list)  # paid in full
    packs: list[PackName] = field(default_factory=list)
    changes: list[TierName] = field(default_factory=list)  # to which tier
    refunds: dict[str, int] = field(default_factory=dict)  # cents by payment
    disputes: dict[str, str] = field(default_factory=dict)  # outcome by payment
    declined: int = 0  # renewals


@dataclass
class Subscriber:
    """One client with a clock of its own, which runs ahead of ours."""

    shop: Shop
    person: Person
    die: Random
    now: int
    clock_id: str
    customer_id: str
    tier: TierName = TierName.STARTER
    acts: Acts = field(default_factory=Acts)
    doing: str = "nothing"
    patience_seconds: float = 200

    @classmethod
    async def come(cls, shop: Shop, person: Person, die: Random) -> Subscriber:
        """Somebody who has an account, and nothing else."""
        now = int(time.time()) + 2 * _HOUR
        clock_id, customer_id = await shop.stand_in(person, now)
        return cls(shop, person, die, now, clock_id, customer_id)

    async def live(self, acts: int, pause_seconds: float) -> None:
        """Subscribe, do so many things, and now and then leave for good."""
        await self.subscribe(self.die.choice(list(TierName)))
        for _ in range(acts):
            await asyncio.sleep(self.die.uniform(0, pause_seconds))
            (act,) = self.die.choices(list(_ACTS), list(_ACTS.values()))
            self.doing = act.__name__
            await act(self)
        if self.die.random() < 0.3:
            self.doing = "leave"
            await self.leave()
        self.doing = "nothing"

    # -- at the door

    async def subscribe(self, tier: TierName) -> None:
        """Open a page and pay; now and then a second page, after which the first one is closed."""
        self.doing = "subscribe"
        page = await self._ask("", {"tier": tier.value})
        if self.die.random() < 0.3:
            first, page = page, await self._ask("", {"tier": tier.value})
            gone = await self.shop.control.browse(first["url"], CARD)
            assert gone.status_code not in (200, 303), "two open pages, both paid, would be two subscriptions"
        await self.shop.pay_page(page["url"])
        self.tier = tier
        self.acts.subscribed += 1
        self.acts.months.append(tier)
        await until(
            self._has_credits, bool, f"the credits of {self.person.id}", seconds=self.patience_seconds
        )

    async def buy_pack(self) -> None:
        """On a page of Stripe's."""
        pack = self.die.choice(list(PackName))
        page = await self._ask("/top-ups", {"pack": pack.value})
        await self.shop.pay_page(page["url"])
        self.acts.packs.append(pack)

    async def change(self) -> None:
        """To another tier; a smaller one is refused when its credits are gone."""
        tier = self.die.choice([each for each in TierName if each is not self.tier])
        try:
            await self._ask("/me/change", {"tier": tier.value})
        except RefusedError as refused:
            if refused.code != "downgrade-below-held":
                raise
            return
        self.tier = tier
        self.acts.changes.append(tier)

    async def hesitate(self) -> None:
        """Cancel, and stay after all."""
        await self._ask("/me/cancel")
        await self._ask("/me/resume")

    async def leave(self) -> None:
        """Cancel, and let the period end."""
        await self._ask("/me/cancel")
        await self._end_period()

    # -- at Stripe

    async def renew(self) -> None:
        """The period ends, and the card pays the next one."""
        await self._end_period()
        self.acts.months.append(self.tier)

    async def renew_late(self) -> None:
        """The card declines, and the client pays on the invoice's page with another one."""
        (found,) = await self._alive()
        await self.shop.control.change_card(str(found.default_payment_method), DECLINES)
        await self._end_period()
        self.acts.declined += 1
        invoices = (await self._ask("/invoices", method="GET"))["items"]
        await asyncio.sleep(self.die.uniform(0, 3))
        await self.shop.control.change_card(str(found.default_payment_method), PAYS)
        for invoice in invoices:
            if invoice["status"] == "open":  # none, when the client's balance paid it
                answer = await self.shop.control.browse(invoice["url"], CARD)
                assert answer.status_code == 303, answer.text
        self.acts.months.append(self.tier)

    async def be_refunded(self) -> None:
        """An admin gives a part of a payment back, or all of it."""
        payment = await self._payment()
        if payment is None:
            return
        cents = self.die.choice([payment.amount_received, self.die.randint(1, payment.amount_received)])
        wanted = {
            "paymentId": payment.id,
            "reason": "as agreed",
            "amountUsdCents": cents,
            "beyondPolicy": True,
        }
        path = f"/admin/clients/{self.person.id}/refunds"
        await self.shop.admin.insist("POST", path, wanted, key=new_id())
        self.acts.refunds[payment.id] = cents

    async def charge_back(self) -> None:
        """The client's bank takes a payment back, and rules for one side or the other."""
        payment = await self._payment()
        if payment is None:
            return
        dispute_id = await self.shop.control.open_dispute(payment.id)
        self.acts.disputes[payment.id] = "open"
        await asyncio.sleep(self.die.uniform(0, 2))
        if self.die.random() < 0.7:
            outcome: Literal["won", "lost"] = "won" if self.die.random() < 0.5 else "lost"
            await self.shop.control.close_dispute(dispute_id, outcome)
            self.acts.disputes[payment.id] = outcome

    # -- inside

    async def _ask(self, path: str, body: Json | None = None, *, method: str = "POST") -> Json:
        key = new_id() if method == "POST" else None
        return await self.person.insist(method, f"/subscriptions{path}", body, key=key)

    async def _has_credits(self) -> bool:
        """Whether the platform knows of the subscription, and has granted its first month."""
        try:
            mine = await self._ask("/me", method="GET")
        except RefusedError as refused:
            if refused.code != "subscription-not-found":
                raise
            return False
        return bool(mine["status"] == "active" and mine["available"] > 0)

    async def _alive(self) -> list[stripe.Subscription]:
        page = await self.shop.sdk.v1.subscriptions.list_async({"customer": self.customer_id})
        return list(page.data)

    async def _end_period(self) -> None:
        """Two hours past the period's end: a renewal's invoice is a draft for one."""
        (found,) = await self._alive()
        end = found["items"].data[0].current_period_end
        self.now = end + 2 * _HOUR
        await self.shop.control.advance_test_clock(self.clock_id, self.now)

    async def _payment(self) -> stripe.PaymentIntent | None:
        """One of the client's payments of which nothing went back yet."""
        page = await self.shop.sdk.v1.payment_intents.list_async({"customer": self.customer_id, "limit": 100})
        gone = self.acts.refunds.keys() | self.acts.disputes.keys()
        whole = [each for each in page.data if each.amount_received and each.id not in gone]
        return self.die.choice(whole) if whole else None


Act = Callable[[Subscriber], Awaitable[None]]
_ACTS: dict[Act, int] = {  # weights
    Subscriber.renew: 4,
    Subscriber.buy_pack: 3,
    Subscriber.change: 3,
    Subscriber.renew_late: 2,
    Subscriber.be_refunded: 2,
    Subscriber.charge_back: 2,
    Subscriber.hesitate: 1,
}
