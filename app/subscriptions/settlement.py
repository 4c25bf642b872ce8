"""Brings a client's books and subscription to what Stripe says now, however it was heard of, and however often.

Nothing is taken from an event but that something may have changed: everything is read from Stripe again, and each
step is keyed by Stripe's own id of the payment, the refund or the dispute. So order, repeats and lost events make no
difference to where the books end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.documents import utcnow
from app.gateways.billing import (
    PACK,
    BilledSubscription,
    BillingGateway,
    Charge,
    ChargeDispute,
    Invoice,
    Payment,
    Price,
    Refund,
)
from app.ids import id_from
from app.money.credits import Credits
from app.money.journal import Journal
from app.money.keys import clawback_key, invoice_grant_key, reinstated_key, top_up_key
from app.notifications.notices import Notice, NoticeType, OutboxEntry
from app.notifications.outbox import enqueue
from app.subscriptions.billing_state import ALIVE, ENDED, OWING, BillingState
from app.subscriptions.customers import Database, find_customer
from app.subscriptions.entitlements import (
    CURRENCY,
    Entitlement,
    UnexpectedInvoiceError,
    entitlement,
    part_of,
)
from app.subscriptions.models import PaidGrant, SubscriptionStatus
from app.subscriptions.packs import PACKS, PackName
from app.subscriptions.store import refresh_credits_cache

_BACK = frozenset({"pending", "requires_action", "succeeded"})  # refunds whose money is gone, or going


@dataclass
class _Picture:
    """All that Stripe has of one client, as it was read."""

    client_id: str
    subscription: BilledSubscription | None
    others: list[BilledSubscription]
    invoices: list[Invoice]
    payments: list[Payment]
    charges: list[Charge]
    prices: dict[str, Price]
    faults: dict[str, str] = field(default_factory=dict)  # Stripe's id → what is wrong


class Settlement:
    """Reads Stripe, writes the ledger and the collection `subscriptions`. One at a time for each client."""

    def __init__(self, database: Database, gateway: BillingGateway, credits_: Credits) -> None:
        self._database, self._gateway, self._credits = database, gateway, credits_
        self._journal = Journal(database)

    async def settle(self, client_id: str) -> BillingState:
        """Settle everything that Stripe knows of the client. Repeatable at every step.

        Raises:
            app.gateways.payments.PaymentError: Stripe cannot be reached; repeat.
            app.money.errors.LedgerContention: nothing was written by that step; repeat.
        """
        customer_id = await find_customer(self._database, client_id)
        if customer_id is None:
            return BillingState(client_id=client_id)
        picture = await self._look(client_id, customer_id)
        await self._project(picture)
        for invoice in picture.invoices:
            await self._settle_invoice(picture, invoice)
        for payment in picture.payments:
            await self._settle_pack(picture, payment)
        grants = await self._grants(picture)
        for charge in picture.charges:
            grant = grants.get(charge.payment_id or "")
            if grant is not None and (charge.disputed or charge.amount_refunded or grant.taken_back):
                await self._settle_way_back(grant, charge)
        balance = await refresh_credits_cache(self._credits, client_id)
        await self._tell_faults(picture)
        return _state(picture, customer_id, debt=balance.debt)

    # -- reading

    async def _look(self, client_id: str, customer_id: str) -> _Picture:
        gateway = self._gateway
        subscriptions = await gateway.list_subscriptions(customer_id)
        alive = [one for one in subscriptions if one.status in ALIVE]
        current = alive[0] if alive else subscriptions[-1] if subscriptions else None
        invoices = await gateway.list_invoices(customer_id)
        used = {line.price_id for invoice in invoices for line in invoice.lines if line.price_id}
        if current is not None:
            used.add(current.price_id)
        picture = _Picture(
            client_id=client_id,
            subscription=current,
            others=alive[1:],
            invoices=invoices,
            payments=await gateway.list_payments(customer_id),
            charges=await gateway.list_charges(customer_id),
            prices={price_id: await gateway.retrieve_price(price_id) for price_id in sorted(used)},
        )
        for other in picture.others:
            picture.faults[other.id] = "a second subscription of the same client"
        return picture

    async def _grants(self, picture: _Picture) -> dict[str, PaidGrant]:
        """What was granted, by the payment intent that paid for it."""
        bought = [invoice.id for invoice in picture.invoices if invoice.status == "paid"]
        bought += [payment.id for payment in picture.payments if PACK in payment.metadata]
        found = [await self._recorded(paid_id) for paid_id in bought]
        return {grant.payment_id: grant for grant in found if grant is not None and grant.payment_id}

    async def _recorded(self, paid_id: str) -> PaidGrant | None:
        found = await self._database["paid_grants"].find_one({"_id": paid_id})
        return None if found is None else PaidGrant.model_validate(found)

    # -- the projection

    async def _project(self, picture: _Picture) -> None:
        """Write what the client subscribes to. A first payment that is still to be made changes nothing."""
        now = picture.subscription
        if now is None or now.status not in ALIVE | {"canceled"}:
            return
        tier = picture.prices[now.price_id].tier
        if tier is None:
            picture.faults[now.id] = "a subscription to something that is no tier"
            return
        subscriptions = self._database["subscriptions"]
        before = await subscriptions.find_one({"userId": picture.client_id}) or {}
        fields: dict[str, Any] = {
            "tier": tier,
            "stripeSubscriptionId": now.id,
            "status": _status(now.status).value,
            "currentPeriodStart": now.period_start,
            "currentPeriodEnd": now.period_end,
            "cancelAtPeriodEnd": now.cancel_at_period_end and now.status in ALIVE,
            "endedAt": now.ended_at,
        }
        if now.status not in OWING:
            fields |= {"pastDueSince": None, "graceUntil": None}
        await subscriptions.update_one(
            {"userId": picture.client_id},
            {
                "$set": fields,
                "$setOnInsert": {
                    "_id": _subscription_id_of(picture.client_id),
                    "credits": {"available": 0, "held": 0},
                    "createdAt": utcnow(),
                },
            },
            upsert=True,
        )
        same = before.get("stripeSubscriptionId") == now.id
        if fields["cancelAtPeriodEnd"] and not (same and before.get("cancelAtPeriodEnd")):
            key = f"subscription-ending:{now.id}:{int(now.period_end.timestamp())}"
            await self._tell(picture.client_id, "subscription.ending", key, deadline=now.period_end)
        if now.status == "canceled" and not (same and before.get("status") == "canceled"):
            await self._tell(picture.client_id, "subscription.ended", f"subscription-ended:{now.id}")

    # -- what was paid

    async def _settle_invoice(self, picture: _Picture, invoice: Invoice) -> None:
        try:
            due = entitlement(invoice, picture.prices)
        except UnexpectedInvoiceError as error:
            picture.faults[invoice.id] = str(error)
            return
        if due is None or due.credits == 0 or await self._recorded(invoice.id):
            return
        if due.credits < 0:
            await self._take_back_for_change(picture, invoice, due)
            return
        payment_id = await self._gateway.invoice_payment_id(invoice.id)
        grant = PaidGrant(
            id=invoice.id,
            client_id=picture.client_id,
            grant_key=invoice_grant_key(invoice.id),
            payment_id=payment_id,
            paid_cents=invoice.amount_paid,
            credits=due.credits,
            expires_at=due.expires_at,
            subscription_id=invoice.subscription_id,
            period_end=due.period_end,
        )
        await self._grant(grant, source=f"subscription:{due.tier}:{due.period_start.date().isoformat()}")

    async def _settle_pack(self, picture: _Picture, payment: Payment) -> None:
        name = payment.metadata.get(PACK)
        if name is None or payment.status != "succeeded" or await self._recorded(payment.id):
            return
        pack = PACKS.get(PackName(name)) if name in set(PackName) else None
        if pack is None or (payment.amount_received, payment.currency) != (pack.price_cents, CURRENCY):
            picture.faults[payment.id] = f"{payment.amount_received} {payment.currency} for the pack {name}"
            return
        grant = PaidGrant(
            id=payment.id,
            client_id=picture.client_id,
            grant_key=top_up_key(payment.id),
            payment_id=payment.id,
            paid_cents=payment.amount_received,
            credits=pack.credits,
            expires_at=pack.expires_at(payment.created_at),
        )
        await self._grant(grant, source=f"top-up:{pack.name}")

    async def _grant(self, grant: PaidGrant, *, source: str) -> None:
        """Into the ledger, then on record: whoever dies between the two writes the same row again."""
        await self._credits.grant(
            grant.client_id,
            grant.credits,
            key=grant.grant_key,
            source=source,
            expires_at=grant.expires_at,
            subscription_id=await self._subscription_id(grant),
            stripe_payment_intent_id=grant.payment_id,
            paid_cents=grant.paid_cents or None,
        )
        await self._tell(
            grant.client_id,
            "subscription.credits_granted",
            f"credits-granted:{grant.id}",
            granted_credits=grant.credits,
            expires_at=grant.expires_at,
        )
        await self._record(grant)

    async def _subscription_id(self, grant: PaidGrant) -> str | None:
        """The `_id` in `subscriptions` of what was paid for; a pack belongs to none. It never changes for a client."""
        if grant.subscription_id is None:
            return None
        found = await self._database["subscriptions"].find_one({"userId": grant.client_id}, {"_id": 1})
        return str(found["_id"]) if found else _subscription_id_of(grant.client_id)

    async def _record(self, grant: PaidGrant) -> None:
        fields = grant.model_dump(by_alias=True, exclude={"id"})
        await self._database["paid_grants"].update_one(
            {"_id": grant.id}, {"$setOnInsert": fields}, upsert=True
        )

    async def _take_back_for_change(self, picture: _Picture, invoice: Invoice, due: Entitlement) -> None:
        """A change to a smaller tier: what the rest of the period had been given goes, the newest grant first."""
        left = -due.credits
        for earlier in reversed(picture.invoices):
            grant = await self._recorded(earlier.id)
            if grant is None or grant.credits <= 0 or earlier.created_at > invoice.created_at or not left:
                continue
            if grant.subscription_id != invoice.subscription_id or grant.period_end != due.period_end:
                continue
            outcome = await self._credits.claw_back(
                picture.client_id,
                grant.grant_key,
                left,
                key=clawback_key(f"{invoice.id}:{grant.id}"),
                reason="changed to a smaller tier",
            )
            left -= outcome.amount
        await self._record(
            PaidGrant(
                id=invoice.id,
                client_id=picture.client_id,
                grant_key=clawback_key(invoice.id),
                paid_cents=0,
                credits=due.credits,
                subscription_id=invoice.subscription_id,
                period_end=due.period_end,
            )
        )

    # -- its way back

    async def _settle_way_back(self, grant: PaidGrant, charge: Charge) -> None:
        if not grant.taken_back:
            await self._database["paid_grants"].update_one({"_id": grant.id}, {"$set": {"takenBack": True}})
        for refund in await self._gateway.list_refunds(charge.id):
            await self._settle_refund(grant, refund)
        for dispute in await self._gateway.list_disputes(charge.id):
            await self._settle_dispute(grant, dispute)

    async def _settle_refund(self, grant: PaidGrant, refund: Refund) -> None:
        if refund.status in _BACK:
            await self._take_back(grant, refund.id, refund.amount, reason="refunded", refund_id=refund.id)
        else:
            await self._reinstate(grant, refund.id, refund.amount, reason="the refund failed")

    async def _settle_dispute(self, grant: PaidGrant, dispute: ChargeDispute) -> None:
        if dispute.due_at is not None:
            await self._tell(
                None,
                "billing.disputed",
                f"payment-disputed:{dispute.id}",
                amount_usd_cents=dispute.amount,
                reason=dispute.reason.replace("_", " "),
                deadline=dispute.due_at,
            )
        if dispute.status.startswith("warning_"):
            return  # an inquiry takes no money
        if dispute.status in ("won", "prevented"):
            await self._reinstate(grant, dispute.id, dispute.amount, reason="the dispute was won")
        else:
            await self._take_back(grant, dispute.id, dispute.amount, reason="charged back")

    async def _take_back(
        self, grant: PaidGrant, cause_id: str, cents: int, *, reason: str, refund_id: str | None = None
    ) -> None:
        if await self._journal.find(clawback_key(cause_id)) is not None:
            return
        outcome = await self._credits.claw_back(
            grant.client_id,
            grant.grant_key,
            part_of(grant.credits, cents, grant.paid_cents),
            key=clawback_key(cause_id),
            reason=reason,
            returned_cents=cents,
            stripe_refund_id=refund_id,
        )
        if outcome.amount:
            await self._tell(
                grant.client_id,
                "subscription.credits_taken_back",
                f"credits-taken-back:{cause_id}",
                taken_credits=outcome.amount,
                debt_credits=outcome.debt,
            )

    async def _reinstate(self, grant: PaidGrant, cause_id: str, cents: int, *, reason: str) -> None:
        """Give back what was taken for a cause that came to nothing; if nothing was taken, there is nothing."""
        taken = await self._journal.find(clawback_key(cause_id))
        if taken is None:
            return
        await self._credits.grant(
            grant.client_id,
            taken.amount,
            key=reinstated_key(cause_id),
            source=f"reinstated:{grant.id}",
            expires_at=grant.expires_at,
            paid_cents=cents,
            reason=reason,
        )

    # -- telling

    async def _tell(self, client_id: str | None, kind: NoticeType, key: str, **context: Any) -> None:
        known = {name: value for name, value in context.items() if value not in (None, 0)}
        await enqueue(
            self._database, [OutboxEntry.of(Notice(type=kind, user_id=client_id, context=known), key=key)]
        )

    async def _tell_faults(self, picture: _Picture) -> None:
        """The admins, once for each thing that does not fit."""
        for stripe_id, reason in picture.faults.items():
            await self._tell(None, "billing.fault", f"billing-fault:{stripe_id}", reason=reason)


def _subscription_id_of(client_id: str) -> str:
    return id_from(f"subscription:{client_id}")


def _status(word: str) -> SubscriptionStatus:
    if word in ENDED:
        return SubscriptionStatus.CANCELED
    return SubscriptionStatus.PAST_DUE if word in OWING | {"paused"} else SubscriptionStatus.ACTIVE


def _state(picture: _Picture, customer_id: str, *, debt: int) -> BillingState:
    now = picture.subscription
    state = BillingState(
        client_id=picture.client_id,
        customer_id=customer_id,
        debt=debt,
        faults=[f"{stripe_id}: {reason}" for stripe_id, reason in picture.faults.items()],
    )
    if now is None:
        return state
    owed = [
        invoice
        for invoice in picture.invoices
        if invoice.subscription_id == now.id and invoice.status == "open" and invoice.attempted
    ]
    return state.model_copy(
        update={
            "subscription_id": now.id,
            "status": now.status,
            "tier": picture.prices[now.price_id].tier,
            "period_end": now.period_end,
            "cancel_at_period_end": now.cancel_at_period_end,
            "owed_invoice_id": owed[0].id if owed else None,
            "owed_cents": sum(invoice.amount_due for invoice in owed),
        }
    )


def grace_fields(since: datetime, until: datetime) -> dict[str, datetime]:
    """What the subscription says of a missing payment."""
    return {"pastDueSince": since, "graceUntil": until}
