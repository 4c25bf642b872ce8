"""A client's billing: settle it, collect what is missing, and find out whom an event of Stripe concerns."""

from __future__ import annotations

import contextlib
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from temporalio import activity
from temporalio.client import Client

from activities.heartbeat import beating
from app.gateways.billing import BillingGateway
from app.gateways.payments import AccountCannotReceive, InvalidPaymentRequest, PaymentGateway
from app.money.credits import Credits
from app.notifications.notices import Notice, NoticeType, OutboxEntry
from app.notifications.outbox import enqueue
from app.payouts.accounts import handle_account_updated
from app.payouts.bank import BankPayouts
from app.settings import Settings
from app.subscriptions import customers
from app.subscriptions.billing_state import ENDED, OWING, BillingState
from app.subscriptions.settlement import Settlement, grace_fields
from app.webhooks import inbox
from app.webhooks.models import EventFacts
from app.webhooks.types import Concern, concern_of
from workflows.billing import (
    BillingActivity,
    DunningNews,
    RecordDunning,
    RoutedEvent,
    SettleBilling,
    Suspended,
    SuspendSubscription,
    hand_to_client,
)
from workflows.nudges import payout_nudger

_NOTICES: dict[DunningNews, NoticeType] = {
    DunningNews.FAILED: "subscription.payment_failed",
    DunningNews.REMINDER: "subscription.payment_reminder",
}


class BillingActivities:
    """Each may run again: everything is read anew, and everything written has a key from Stripe's own ids."""

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        billing: BillingGateway,
        payments: PaymentGateway,
        credits_: Credits,
        *,
        client: Client,
        settings: Settings,
    ) -> None:
        """Share one gateway among all subscriptions of the process."""
        self._database, self._billing, self._payments = database, billing, payments
        self._settlement = Settlement(database, billing, credits_)
        self._bank = BankPayouts(database, payments, settings)
        self._client, self._settings = client, settings

    @activity.defn(name=BillingActivity.SETTLE_BILLING)
    @beating
    async def settle_billing(self, request: SettleBilling) -> BillingState:
        """Settle all that Stripe knows of the client; then the events that told of it are handled.

        Raises:
            app.gateways.payments.PaymentError: repeat.
            app.money.errors.MoneyError: repeat; an operator sees what the book refuses.
        """
        state = await self._settlement.settle(request.client_id)
        await inbox.mark_handled(self._database, request.event_ids)
        return state

    @activity.defn(name=BillingActivity.RECORD_DUNNING)
    async def record_dunning(self, request: RecordDunning) -> None:
        """Show on the subscription that a payment is missing, and tell the client."""
        await self._database["subscriptions"].update_one(
            {"userId": request.client_id}, {"$set": grace_fields(request.since, request.grace_until)}
        )
        notice = Notice(
            type=_NOTICES[request.news],
            user_id=request.client_id,
            context={"amount_usd_cents": request.owed_cents, "deadline": request.grace_until},
        )
        key = f"payment-{request.news.value}:{request.invoice_id}:{request.number}"
        await enqueue(self._database, [OutboxEntry.of(notice, key=key)])

    @activity.defn(name=BillingActivity.SUSPEND_SUBSCRIPTION)
    @beating
    async def suspend_subscription(self, request: SuspendSubscription) -> Suspended:
        """End it at Stripe, unless it was paid at the last moment. Granted credits stay until they lapse.

        Raises:
            app.gateways.payments.GatewayUnavailable: repeat.
            app.gateways.payments.InvalidPaymentRequest: Stripe refuses to end what is still owed; repeat, more rarely.
        """
        status = await self._status(request)
        if status not in OWING | ENDED:
            return Suspended(suspended=False)
        if status in OWING:
            await self._end(request)
        # Also where it has ended by now: whoever ended it may have died before telling.
        notice = Notice(type="subscription.suspended", user_id=request.client_id)
        key = f"subscription-suspended:{request.subscription_id}"
        await enqueue(self._database, [OutboxEntry.of(notice, key=key)])
        return Suspended(suspended=True)

    async def _end(self, request: SuspendSubscription) -> None:
        try:
            await self._billing.cancel_now(
                request.subscription_id, idempotency_key=f"suspend:{request.subscription_id}"
            )
        except InvalidPaymentRequest as error:
            if await self._status(request) in OWING:
                raise
            activity.logger.info("already ended", extra={"code": error.code})  # Stripe's schedule was quicker

    async def _status(self, request: SuspendSubscription) -> str | None:
        customer_id = await customers.find_customer(self._database, request.client_id)
        found = await self._billing.list_subscriptions(customer_id) if customer_id else []
        return next((one.status for one in found if one.id == request.subscription_id), None)

    @activity.defn(name=BillingActivity.ROUTE_EVENT)
    @beating
    async def route_event(self, facts: EventFacts) -> RoutedEvent:
        """Find whom an event concerns, by asking Stripe, and hand it on.

        Raises:
            app.gateways.payments.GatewayUnavailable: repeat.
            temporalio.service.RPCError: repeat.
        """
        if concern_of(facts.type) is Concern.ACCOUNT:
            told = await self._look_at_account(facts)
            await inbox.mark_handled(self._database, [facts.id])
            return RoutedEvent(payouts=told)
        client_id = await self._client_of(facts)
        if client_id is None:
            await inbox.mark_ignored(self._database, facts.id, "no client of ours")
            return RoutedEvent()
        await hand_to_client(self._client, self._settings, client_id, facts.id)
        return RoutedEvent(client_id=client_id)

    async def _client_of(self, facts: EventFacts) -> str | None:
        customer_id = facts.customer_id
        if customer_id is None and facts.payment_id is not None:
            customer_id = await self._billing.customer_of_payment(facts.payment_id)
        if customer_id is None:
            return None
        known = await customers.client_of(self._database, customer_id)
        if known is not None:
            return known
        claimed = await self._billing.client_of_customer(customer_id)
        if claimed is None or not await self._database["users"].find_one({"_id": claimed}, {"_id": 1}):
            return None
        # Made by us, and the note of it was lost; unless the client has another one, whose word stands.
        stands = await customers.link(self._database, claimed, customer_id)
        return claimed if stands == customer_id else None

    async def _look_at_account(self, facts: EventFacts) -> int:
        """Re-read a worker's account, or a payout from it to the bank; how many held payouts were told to try again."""
        if facts.type.startswith("payout."):
            if facts.account and facts.object_id:
                with contextlib.suppress(InvalidPaymentRequest, AccountCannotReceive):  # none that Stripe has
                    await self._bank.follow(facts.account, facts.object_id)
            return 0
        account_id = facts.account or facts.object_id
        if account_id is None:
            return 0
        update = await handle_account_updated(
            self._database, self._payments, account_id, nudge=payout_nudger(self._client)
        )
        return update.nudged
