"""What a client asks for at the door: to subscribe, to change, to leave and to stay, to buy a pack, to see invoices.

Each act goes to Stripe with a key of its own and grants nothing by itself: the books follow when Stripe says it is
paid. What is asked for twice is done once, also after Stripe has forgotten the key: it looks first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from app.errors import DependencyUnavailableError, OutcomeUnknownError
from app.gateways.billing import BilledSubscription, BillingGateway, Charge, CheckoutSession, Invoice, Price
from app.gateways.payments import GatewayUnavailable, InvalidPaymentRequest
from app.ids import made_at
from app.money.credits import Credits
from app.subscriptions.billing_state import ALIVE, OWING
from app.subscriptions.customers import Database, ensure_customer, find_customer
from app.subscriptions.entitlements import entitlement
from app.subscriptions.errors import (
    AlreadySubscribedError,
    DowngradeBelowHeldError,
    PaymentDeclinedError,
    SubscriptionNotFoundError,
    SubscriptionUnpaidError,
)
from app.subscriptions.models import SubscriptionStatus
from app.subscriptions.packs import PACKS, PackName
from app.subscriptions.prices import pack_price, tier_price
from app.subscriptions.store import find_subscription, get_standing_subscription
from app.subscriptions.tiers import TIERS, TierName

_DECLINED = frozenset(
    {
        "card_declined",
        "expired_card",
        "incorrect_cvc",
        "processing_error",
        "authentication_required",
        "subscription_payment_intent_requires_action",
        "invoice_payment_intent_requires_action",
        "resource_missing_payment_method",
    }
)


@dataclass(frozen=True)
class Changed:
    """A subscription after an act, as Stripe answered."""

    tier: TierName
    status: str
    period_end: datetime
    cancel_at_period_end: bool


class SubscriptionDesk:
    """One for each request is cheap. `portal_url` is where Stripe's pages lead back to."""

    def __init__(
        self, database: Database, gateway: BillingGateway, credits_: Credits, *, portal_url: str
    ) -> None:
        self._database, self._gateway, self._credits = database, gateway, credits_
        self._back = f"{portal_url.rstrip('/')}/subscription"

    async def subscribe(self, client_id: str, email: str, tier: TierName, *, act_id: str) -> CheckoutSession:
        """The page on which the client pays a tier's first period. Pages opened before can be paid no more.

        Raises:
            AlreadySubscribedError: there is a subscription; changing it is another act.
            DependencyUnavailableError, OutcomeUnknownError: Stripe does not answer; repeat.
        """
        stored = await find_subscription(client_id)
        if stored is not None and stored.status is not SubscriptionStatus.CANCELED:
            raise AlreadySubscribedError(stored.tier)
        async with _asking():
            customer_id = await ensure_customer(self._database, self._gateway, client_id, email)
            standing = await self._find(customer_id)
            if standing is not None:  # paid a moment ago, and not written down here yet
                raise AlreadySubscribedError(await self._tier_of(standing) or tier)
            price = await self._gateway.ensure_price(tier_price(TIERS[tier]))
            session = await self._checkout(customer_id, client_id, price, f"subscribe:{act_id}")
            await self._close_others(customer_id, session)
        return session

    async def top_up(self, client_id: str, email: str, pack: PackName, *, act_id: str) -> CheckoutSession:
        """The page on which a subscriber pays a pack of credits.

        Raises:
            SubscriptionNotFoundError, SubscriptionEndedError: packs are for subscribers.
            DependencyUnavailableError, OutcomeUnknownError: Stripe does not answer; repeat.
        """
        await get_standing_subscription(client_id)
        async with _asking():
            customer_id = await ensure_customer(self._database, self._gateway, client_id, email)
            price = await self._gateway.ensure_price(pack_price(PACKS[pack]))
            return await self._checkout(customer_id, client_id, price, f"top-up:{act_id}")

    async def change(self, client_id: str, tier: TierName, *, act_id: str) -> Changed:
        """Move to another tier now; the difference for the rest of the period is charged or credited at once.

        Raises:
            SubscriptionNotFoundError: there is none at Stripe.
            SubscriptionUnpaidError: a renewal is not paid.
            DowngradeBelowHeldError: credits that would go are spent or held.
            PaymentDeclinedError: the card did not pay the difference; nothing was changed.
            DependencyUnavailableError, OutcomeUnknownError: Stripe does not answer; repeat.
        """
        async with _asking():
            now = await self._standing(client_id)
            if await self._tier_of(now) == tier:
                return await self._changed(now)
            if now.status in OWING:
                raise SubscriptionUnpaidError
            price = await self._gateway.ensure_price(tier_price(TIERS[tier]))
            at = min(max(made_at(act_id), now.period_start), now.period_end)
            await self._check_credits(client_id, now, price, at)
            key = f"change:{act_id}"
            return await self._changed(
                await self._gateway.change_price(now, price, at=at, idempotency_key=key)
            )

    async def cancel(self, client_id: str, *, act_id: str) -> Changed:
        """End the subscription with its period; until then it can be resumed.

        Raises:
            SubscriptionNotFoundError: there is none at Stripe.
            DependencyUnavailableError, OutcomeUnknownError: Stripe does not answer; repeat.
        """
        return await self._set_end(client_id, act_id, wanted=True)

    async def resume(self, client_id: str, *, act_id: str) -> Changed:
        """Keep a subscription that was to end with its period.

        Raises:
            SubscriptionNotFoundError: there is none at Stripe, or it has ended.
            DependencyUnavailableError, OutcomeUnknownError: Stripe does not answer; repeat.
        """
        return await self._set_end(client_id, act_id, wanted=False)

    async def portal(self, client_id: str) -> str:
        """The address of Stripe's portal for this client: cards, invoices, cancelling.

        Raises:
            SubscriptionNotFoundError: the client has never bought anything.
            DependencyUnavailableError, OutcomeUnknownError: Stripe does not answer; repeat.
        """
        customer_id = await find_customer(self._database, client_id)
        if customer_id is None:
            raise SubscriptionNotFoundError
        async with _asking():
            return await self._gateway.create_portal_link(customer_id, return_url=self._back)

    async def invoices(self, client_id: str) -> list[Invoice]:
        """The client's invoices, newest first, drafts left out.

        Raises:
            DependencyUnavailableError: Stripe does not answer.
        """
        customer_id = await find_customer(self._database, client_id)
        if customer_id is None:
            return []
        async with _asking(reading=True):
            found = await self._gateway.list_invoices(customer_id)
        return [invoice for invoice in reversed(found) if invoice.status != "draft"]

    async def charges(self, client_id: str) -> list[Charge]:
        """What the client has paid, newest first.

        Raises:
            DependencyUnavailableError: Stripe does not answer.
        """
        customer_id = await find_customer(self._database, client_id)
        if customer_id is None:
            return []
        async with _asking(reading=True):
            return (await self._gateway.list_charges(customer_id))[::-1]

    async def _set_end(self, client_id: str, act_id: str, *, wanted: bool) -> Changed:
        async with _asking():
            now = await self._standing(client_id)
            if now.cancel_at_period_end != wanted:
                key = f"{'cancel' if wanted else 'resume'}:{act_id}"
                now = await self._gateway.set_cancel_at_period_end(now.id, wanted=wanted, idempotency_key=key)
            return await self._changed(now)

    async def _check_credits(
        self, client_id: str, now: BilledSubscription, price: Price, at: datetime
    ) -> None:
        preview = await self._gateway.preview_change(now, price, at=at)
        used = {line.price_id for line in preview.lines if line.price_id}
        prices = {price_id: await self._gateway.retrieve_price(price_id) for price_id in sorted(used)}
        due = entitlement(preview, prices, if_paid=True)
        if due is None or due.credits >= 0:
            return
        balance = await self._credits.balance(client_id)
        own = sum(lot.amount for lot in balance.lots if lot.source.startswith("subscription:"))
        if own < -due.credits:
            raise DowngradeBelowHeldError(available=own, required=-due.credits)

    async def _checkout(self, customer_id: str, client_id: str, price: Price, key: str) -> CheckoutSession:
        return await self._gateway.create_checkout(
            customer_id,
            client_id,
            price,
            success_url=f"{self._back}?checkout={{CHECKOUT_SESSION_ID}}",
            cancel_url=self._back,
            idempotency_key=key,
        )

    async def _close_others(self, customer_id: str, session: CheckoutSession) -> None:
        """Two open pages, both paid, would be two subscriptions."""
        for other in await self._gateway.open_checkouts(customer_id, subscribing=True):
            if other.id != session.id:
                try:
                    await self._gateway.expire_checkout(other.id)
                except InvalidPaymentRequest:  # paid or expired meanwhile
                    continue

    async def _find(self, customer_id: str) -> BilledSubscription | None:
        found = await self._gateway.list_subscriptions(customer_id)
        return next((one for one in found if one.status in ALIVE), None)

    async def _standing(self, client_id: str) -> BilledSubscription:
        customer_id = await find_customer(self._database, client_id)
        found = await self._find(customer_id) if customer_id else None
        if found is None:
            raise SubscriptionNotFoundError
        return found

    async def _tier_of(self, subscription: BilledSubscription) -> str | None:
        return (await self._gateway.retrieve_price(subscription.price_id)).tier

    async def _changed(self, now: BilledSubscription) -> Changed:
        return Changed(
            tier=TierName(str(await self._tier_of(now))),
            status=now.status,
            period_end=now.period_end,
            cancel_at_period_end=now.cancel_at_period_end,
        )


@asynccontextmanager
async def _asking(*, reading: bool = False) -> AsyncIterator[None]:
    """Raises the domain's words for what Stripe refuses."""
    try:
        yield
    except GatewayUnavailable as error:
        raise (DependencyUnavailableError("stripe") if reading else OutcomeUnknownError()) from error
    except InvalidPaymentRequest as error:
        if error.code in _DECLINED:
            raise PaymentDeclinedError from error
        raise
