"""Money that goes back to clients: what was taken, refunds, and disputes with their evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import stripe

from app.gateways.billing import ANSWERABLE, Charge, ChargeDispute, Refund
from app.gateways.stripe_client import StripeConnection, every, id_of, instant, metadata_of, translated

_PAGE = 100


class StripeMoneyBack(StripeConnection):
    """The part of `BillingGateway` that is about charges."""

    async def list_charges(self, customer_id: str) -> list[Charge]:
        """All of a customer's charges that succeeded, oldest first."""
        params: Any = {"customer": customer_id, "limit": _PAGE}
        found = [one async for one in every(self._stripe.v1.charges.list_async(params)) if one.paid]
        return [_charge(one) for one in reversed(found)]

    async def list_refunds(self, charge_id: str) -> list[Refund]:
        """A charge's refunds, oldest first."""
        params: Any = {"charge": charge_id, "limit": _PAGE}
        found = [one async for one in every(self._stripe.v1.refunds.list_async(params))]
        return [_refund(one) for one in reversed(found)]

    async def create_refund(
        self, payment_id: str, cents: int, *, metadata: Mapping[str, str], idempotency_key: str
    ) -> Refund:
        """Give so many cents of a payment back to its card."""
        params: Any = {
            "payment_intent": payment_id,
            "amount": cents,
            "reason": "requested_by_customer",
            "metadata": dict(metadata),
        }
        options: stripe.RequestOptions = {"idempotency_key": idempotency_key}
        return _refund(await translated(self._stripe.v1.refunds.create_async(params, options)))

    async def list_disputes(self, charge_id: str) -> list[ChargeDispute]:
        """A charge's disputes, oldest first."""
        params: Any = {"charge": charge_id, "limit": _PAGE}
        found = [one async for one in every(self._stripe.v1.disputes.list_async(params))]
        return [_dispute(one) for one in reversed(found)]

    async def disputes_page(
        self, *, limit: int, after: str | None = None
    ) -> tuple[list[ChargeDispute], bool]:
        """Disputes of all clients, newest first, below `after` if it is given; and whether there are more."""
        params: Any = {"limit": limit, **({"starting_after": after} if after else {})}
        found = await translated(self._stripe.v1.disputes.list_async(params))
        return [_dispute(one) for one in found.data], found.has_more

    async def retrieve_dispute(self, dispute_id: str) -> ChargeDispute:
        return _dispute(await translated(self._stripe.v1.disputes.retrieve_async(dispute_id)))

    async def answer_dispute(
        self, dispute_id: str, evidence: Mapping[str, str], *, submit: bool, idempotency_key: str
    ) -> ChargeDispute:
        """Put evidence beside what was given before; once submitted, the bank reads it, and no more is taken."""
        params: Any = {"evidence": dict(evidence), "submit": submit}
        options: stripe.RequestOptions = {"idempotency_key": idempotency_key}
        return _dispute(await translated(self._stripe.v1.disputes.update_async(dispute_id, params, options)))

    async def concede_dispute(self, dispute_id: str, *, idempotency_key: str) -> ChargeDispute:
        """Admit that it is lost."""
        options: stripe.RequestOptions = {"idempotency_key": idempotency_key}
        return _dispute(await translated(self._stripe.v1.disputes.close_async(dispute_id, {}, options)))


def _charge(charge: stripe.Charge) -> Charge:
    return Charge(
        id=charge.id,
        payment_id=id_of(charge.payment_intent),
        amount=charge.amount,
        amount_refunded=charge.amount_refunded,
        disputed=charge.disputed,
        currency=charge.currency,
        created_at=instant(charge.created),
        receipt_url=charge.receipt_url,
    )


def _refund(refund: stripe.Refund) -> Refund:
    return Refund(
        id=refund.id,
        amount=refund.amount,
        status=refund.status or "pending",
        created_at=instant(refund.created),
        metadata=metadata_of(refund.metadata),
    )


def _dispute(dispute: stripe.Dispute) -> ChargeDispute:
    details = dispute.evidence_details
    given = dispute.evidence.to_dict().items()
    return ChargeDispute(
        id=dispute.id,
        amount=dispute.amount,
        status=dispute.status,
        reason=dispute.reason,
        charge_id=id_of(dispute.charge) or "",
        payment_id=id_of(dispute.payment_intent),
        created_at=instant(dispute.created),
        due_at=instant(details.due_by) if details.due_by and dispute.status in ANSWERABLE else None,
        submissions=details.submission_count,
        evidence={name: text for name, text in given if isinstance(text, str) and text},
    )
