"""A client's payments as an admin sees them, and refunds: by policy, or beyond it with a reason."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import structlog
from fastapi import APIRouter
from pydantic import ConfigDict, Field, StrictBool, StrictInt, StringConstraints
from starlette.responses import Response

from api.billing_desk import BillingActView, RefundDeskDep, have_books_follow
from api.dependencies import OpenResourcesDep
from api.idempotency import IdempotencyDep
from api.openapi import AUTHENTICATED, CREATING, WITH_BODY, problems
from api.security import AdminOnly
from api.state import Resources
from api.types import CreditsOut, PathId, RequestModel, ResponseModel
from app.errors import NotFoundError
from app.subscriptions.refund_policy import Ground
from app.subscriptions.refunds import ClientPayment, RefundWanted
from app.users.models import Role

router = APIRouter(prefix="/admin/clients", tags=["admin"])
_log = structlog.stdlib.get_logger(__name__)


class RefundedView(ResponseModel):
    """Money that went back. `failed` and `canceled` ones came home again."""

    id: str
    amount_usd_cents: int
    status: str
    at: datetime


class PaymentView(ResponseModel):
    """One payment and what it bought. `refundableUsdCents` is what the policy allows now, on the `ground` given;
    `atMostUsdCents` is what an exception can reach. Credits that are spent by then become the client's debt."""

    payment_id: str
    paid_at: datetime
    amount_usd_cents: int
    refunded_usd_cents: int
    disputed: bool
    credits_bought: CreditsOut
    credits_unused: CreditsOut
    refundable_usd_cents: int
    at_most_usd_cents: int
    ground: Ground
    receipt_url: str | None
    refunds: list[RefundedView]
    acts: list[BillingActView]


class Payments(ResponseModel):
    """A client's payments, newest first."""

    items: list[PaymentView]


class RefundBody(RequestModel):
    """Which payment, and why. Without an amount, all that the policy allows."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"paymentId": "pi_3QdJ2eA1b2C3d4", "reason": "Changed their mind after two days"}]
        }
    )
    payment_id: Annotated[str, StringConstraints(pattern=r"^pi_[A-Za-z0-9]{1,250}$")]
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=1_000)]
    amount_usd_cents: Annotated[StrictInt, Field(ge=1, le=99_999_999)] | None = None
    beyond_policy: StrictBool = False


@router.get("/{client_id}/payments", responses=problems(*AUTHENTICATED, "wrong-role", "not-found"))
async def list_payments(
    client_id: PathId, principal: AdminOnly, resources: OpenResourcesDep, desk: RefundDeskDep
) -> Payments:
    """What the client has paid and bought, what is left of it, and what may go back."""
    del principal
    await _check_client(resources, client_id)
    return Payments(items=[_payment(payment) for payment in await desk.payments(client_id)])


@router.post(
    "/{client_id}/refunds",
    status_code=201,
    response_model=BillingActView,
    responses=problems(
        *AUTHENTICATED,
        *WITH_BODY,
        *CREATING,
        "wrong-role",
        "not-found",
        "refund-beyond-policy",
        "billing-refused",
    ),
)
async def refund(
    *,
    client_id: PathId,
    body: RefundBody,
    principal: AdminOnly,
    resources: OpenResourcesDep,
    desk: RefundDeskDep,
    idempotency: IdempotencyDep,
) -> Response:
    """Give a payment back to its card, in whole or in part. Who did it and why is kept; the credits go with it."""

    async def work(act_id: str) -> BillingActView:
        await _check_client(resources, client_id)
        act = await desk.refund(
            RefundWanted(
                act_id=act_id,
                client_id=client_id,
                payment_id=body.payment_id,
                admin_id=principal.user_id,
                reason=body.reason,
                cents=body.amount_usd_cents,
                beyond_policy=body.beyond_policy,
            )
        )
        _log.info("refunded", client_id=client_id, admin_id=principal.user_id, refund_id=act.stripe_id)
        await have_books_follow(resources, client_id)
        return BillingActView.of(act)

    return await idempotency.run(principal.user_id, body, work)


async def _check_client(resources: Resources, client_id: str) -> None:
    standing = await resources.users.standing(client_id)
    if standing is None or standing.role is not Role.CLIENT:
        raise NotFoundError("There is no such client.")


def _payment(payment: ClientPayment) -> PaymentView:
    charge, grant = payment.charge, payment.grant
    return PaymentView(
        payment_id=charge.payment_id or charge.id,
        paid_at=charge.created_at,
        amount_usd_cents=charge.amount,
        refunded_usd_cents=charge.amount_refunded,
        disputed=charge.disputed,
        credits_bought=grant.credits if grant else 0,
        credits_unused=payment.unused,
        refundable_usd_cents=payment.allowance.cents,
        at_most_usd_cents=payment.allowance.at_most_cents,
        ground=payment.allowance.ground,
        receipt_url=charge.receipt_url,
        refunds=[
            RefundedView(id=one.id, amount_usd_cents=one.amount, status=one.status, at=one.created_at)
            for one in payment.refunds
        ],
        acts=[BillingActView.of(act) for act in payment.acts],
    )
