"""Brings a client's books and subscription to what Stripe says now, however it was heard of, and however often.

Nothing is taken from an event but that something may have changed: everything is read from Stripe again, and each
step is keyed by Stripe's own id of the payment, the refund or the dispute. So order, repeats and lost events make no
difference to where the books end.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, assert_never

from app.documents import utcnow
from app.gateways.billing import PACK, REFUNDED, BillingGateway, ChargeDispute, Invoice, Payment, Refund
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
from app.subscriptions.picture import GRANTS, Picture, WayBack, billing_state, look
from app.subscriptions.store import refresh_credits_cache


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
        picture = await look(self._database, self._gateway, client_id, customer_id)
        shown = await self._database["subscriptions"].find_one({"userId": client_id}) or {}
        begins = (
            picture.subscription is not None and shown.get("stripeSubscriptionId") != picture.subscription.id
        )
        if not begins:
            await self._project(picture, shown)
        for happened in picture.history():
            match happened:
                case Invoice():
                    await self._settle_invoice(picture, happened)
                case Payment():
                    await self._settle_pack(picture, happened)
                case WayBack():
                    await self._settle_way_back(picture, happened)
                case _:
                    assert_never(happened)
        if begins:  # whoever is let in finds the credits there
            await self._project(picture, shown)
        balance = await refresh_credits_cache(self._credits, client_id)
        await self._tell_faults(picture)
        return billing_state(picture, customer_id, debt=balance.debt)

    # -- the projection

    async def _project(self, picture: Picture, before: dict[str, Any]) -> None:
        """Write what the client subscribes to. A first payment that is still to be made changes nothing.

        What is new against `before` is told first: whoever dies between the two tells it again, under the same key.
        """
        now = picture.subscription
        if now is None or now.status not in ALIVE | {"canceled"}:
            return
        tier = picture.prices[now.price_id].tier
        if tier is None:
            picture.faults[now.id] = "a subscription to something that is no tier"
            return
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
        same = before.get("stripeSubscriptionId") == now.id
        if fields["cancelAtPeriodEnd"] and not (same and before.get("cancelAtPeriodEnd")):
            key = f"subscription-ending:{now.id}:{int(now.period_end.timestamp())}"
            await self._tell(picture.client_id, "subscription.ending", key, deadline=now.period_end)
        if now.status == "canceled" and not (same and before.get("status") == "canceled"):
            await self._tell(picture.client_id, "subscription.ended", f"subscription-ended:{now.id}")
        await self._database["subscriptions"].update_one(
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

    # -- what was paid

    async def _settle_invoice(self, picture: Picture, invoice: Invoice) -> None:
        try:
            due = entitlement(invoice, picture.prices)
        except UnexpectedInvoiceError as error:
            picture.faults[invoice.id] = str(error)
            return
        if due is None or due.credits == 0 or invoice.id in picture.recorded:
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
        await self._grant(
            picture, grant, source=f"subscription:{due.tier}:{due.period_start.date().isoformat()}"
        )

    async def _settle_pack(self, picture: Picture, payment: Payment) -> None:
        name = payment.metadata.get(PACK)
        if name is None or payment.status != "succeeded" or payment.id in picture.recorded:
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
        await self._grant(picture, grant, source=f"top-up:{pack.name}")

    async def _grant(self, picture: Picture, grant: PaidGrant, *, source: str) -> None:
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
        await self._record(picture, grant)

    async def _subscription_id(self, grant: PaidGrant) -> str | None:
        """The `_id` in `subscriptions` of what was paid for; a pack belongs to none. It never changes for a client."""
        if grant.subscription_id is None:
            return None
        found = await self._database["subscriptions"].find_one({"userId": grant.client_id}, {"_id": 1})
        return str(found["_id"]) if found else _subscription_id_of(grant.client_id)

    async def _record(self, picture: Picture, grant: PaidGrant) -> None:
        fields = grant.model_dump(by_alias=True, exclude={"id"})
        await self._database[GRANTS].update_one({"_id": grant.id}, {"$setOnInsert": fields}, upsert=True)
        picture.recorded[grant.id] = grant

    async def _take_back_for_change(self, picture: Picture, invoice: Invoice, due: Entitlement) -> None:
        """A change to a smaller tier: what the rest of the period had been given goes, the newest grant first.

        What a dispute had taken before is not there to go. It is on record once all is taken, so until then what is
        given back when the dispute is won goes too.
        """
        left = -due.credits
        for key, source in self._given_for(picture, invoice, due):
            if not left or await self._journal.find(source) is None:
                continue
            outcome = await self._credits.claw_back(
                picture.client_id, source, left, key=key, reason="changed to a smaller tier"
            )
            left -= outcome.amount
        if left:
            return
        await self._record(
            picture,
            PaidGrant(
                id=invoice.id,
                client_id=picture.client_id,
                grant_key=clawback_key(invoice.id),
                paid_cents=0,
                credits=due.credits,
                subscription_id=invoice.subscription_id,
                period_end=due.period_end,
            ),
        )

    def _given_for(self, picture: Picture, invoice: Invoice, due: Entitlement) -> list[tuple[str, str]]:
        """What was granted for the rest of a period: the key to take it back with, and that of the grant."""
        grants = [
            grant
            for earlier in reversed(picture.invoices)
            if (grant := picture.recorded.get(earlier.id)) is not None
            and grant.credits > 0
            and earlier.created_at <= invoice.created_at
            and (grant.subscription_id, grant.period_end) == (invoice.subscription_id, due.period_end)
        ]
        payments = {grant.payment_id for grant in grants if grant.payment_id}
        causes = [back.cause.id for back in picture.ways_back if back.charge.payment_id in payments]
        return [
            *((clawback_key(f"{invoice.id}:{grant.id}"), grant.grant_key) for grant in grants),
            *((clawback_key(f"{invoice.id}:{cause}"), reinstated_key(cause)) for cause in causes),
        ]

    # -- its way back

    async def _settle_way_back(self, picture: Picture, back: WayBack) -> None:
        """On record once it is settled as it stands, so that only what has changed is looked at again."""
        grant, cause = picture.paid_by(back.charge.payment_id), back.cause
        if grant is None or grant.settled_causes.get(cause.id) == cause.status:
            return
        grants = self._database[GRANTS]
        if not grant.taken_back:
            await grants.update_one({"_id": grant.id}, {"$set": {"takenBack": True}})
            grant.taken_back = True
        if await self._settle_cause(grant, back):
            await grants.update_one({"_id": grant.id}, {"$set": {f"settledCauses.{cause.id}": cause.status}})

    async def _settle_cause(self, grant: PaidGrant, back: WayBack) -> bool:
        """Whether it is settled until its status changes."""
        match back.cause:
            case Refund(id=refund_id, status=status):
                if status in REFUNDED:
                    return await self._take_back(grant, back, reason="refunded", refund_id=refund_id)
                await self._reinstate(grant, back, reason="the refund failed")
            case ChargeDispute(status=status):
                await self._tell_admins(back.cause)
                if status in ("won", "prevented"):
                    await self._reinstate(grant, back, reason="the dispute was won")
                elif not status.startswith("warning_"):  # an inquiry takes no money
                    return await self._take_back(grant, back, reason="charged back")
        return True

    async def _take_back(
        self, grant: PaidGrant, back: WayBack, *, reason: str, refund_id: str | None = None
    ) -> bool:
        """Take the credits that the money bought: of the grant, then of what was given back of it since.

        Whether all of them are taken. If not, more may be there when an earlier cause comes to nothing.
        """
        left = part_of(grant.credits, back.cause.amount, grant.paid_cents)
        returned: int | None = back.cause.amount
        taken = debt = 0
        for key, source in _sources(grant, back):
            if returned is None and (not left or await self._journal.find(source) is None):
                continue
            outcome = await self._credits.claw_back(
                grant.client_id,
                source,
                left,
                key=key,
                reason=reason,
                returned_cents=returned,
                stripe_refund_id=refund_id,
            )
            returned = None
            left -= outcome.amount
            taken, debt = taken + outcome.amount, outcome.debt
        if taken:
            await self._tell(
                grant.client_id,
                "subscription.credits_taken_back",
                f"credits-taken-back:{back.cause.id}",
                taken_credits=taken,
                debt_credits=debt,
            )
        return not left

    async def _reinstate(self, grant: PaidGrant, back: WayBack, *, reason: str) -> None:
        """Give back what was taken for a cause that came to nothing; if nothing was taken, there is nothing."""
        rows = [await self._journal.find(key) for key, _ in _sources(grant, back)]
        taken = sum(row.amount for row in rows if row is not None)
        if not taken:
            return
        await self._credits.grant(
            grant.client_id,
            taken,
            key=reinstated_key(back.cause.id),
            source=f"reinstated:{grant.id}",
            expires_at=grant.expires_at,
            paid_cents=back.cause.amount,
            reason=reason,
        )

    # -- telling

    async def _tell(self, client_id: str | None, kind: NoticeType, key: str, **context: Any) -> None:
        known = {name: value for name, value in context.items() if value not in (None, 0)}
        await enqueue(
            self._database, [OutboxEntry.of(Notice(type=kind, user_id=client_id, context=known), key=key)]
        )

    async def _tell_admins(self, dispute: ChargeDispute) -> None:
        """Once, and while the bank takes an answer."""
        if dispute.due_at is not None:
            await self._tell(
                None,
                "billing.disputed",
                f"payment-disputed:{dispute.id}",
                amount_usd_cents=dispute.amount,
                reason=dispute.reason.replace("_", " "),
                deadline=dispute.due_at,
            )

    async def _tell_faults(self, picture: Picture) -> None:
        """The admins, once for each thing that does not fit."""
        for stripe_id, reason in picture.faults.items():
            await self._tell(None, "billing.fault", f"billing-fault:{stripe_id}", reason=reason)


def _subscription_id_of(client_id: str) -> str:
    return id_from(f"subscription:{client_id}")


def _status(word: str) -> SubscriptionStatus:
    if word in ENDED:
        return SubscriptionStatus.CANCELED
    return SubscriptionStatus.PAST_DUE if word in OWING | {"paused"} else SubscriptionStatus.ACTIVE


def _sources(grant: PaidGrant, back: WayBack) -> list[tuple[str, str]]:
    """Where credits can be taken from for a refund or a dispute: the key to take with, and that of what was granted.

    What an earlier one took and gave back again is a grant of its own.
    """
    cause = back.cause.id
    again = [(clawback_key(f"{cause}:{earlier}"), reinstated_key(earlier)) for earlier in back.earlier]
    return [(clawback_key(cause), grant.grant_key), *again]


def grace_fields(since: datetime, until: datetime) -> dict[str, datetime]:
    """What the subscription says of a missing payment."""
    return {"pastDueSince": since, "graceUntil": until}
