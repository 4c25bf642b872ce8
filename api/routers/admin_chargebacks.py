"""Disputes that clients' banks have opened at Stripe: which there are, until when each is answered, and how.

They are not the disputes of jobs (`/admin/jobs/{id}/dispute`), which parties open here and admins rule on.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import structlog
from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, StrictBool, StringConstraints
from starlette.responses import Response

from api.billing_desk import BillingActView, ChargebackDeskDep, have_books_follow
from api.dependencies import OpenResourcesDep
from api.idempotency import IdempotencyDep
from api.openapi import AUTHENTICATED, CREATING, WITH_BODY, problems
from api.pagination import InvalidCursorError, Page, PageDep
from api.security import AdminOnly
from api.types import CreditsOut, EntityId, RequestModel, ResponseModel
from app.errors import InvalidFieldError
from app.subscriptions.chargebacks import Answer, Chargeback
from app.subscriptions.evidence import MAX_EVIDENCE

router = APIRouter(prefix="/admin/payments/disputes", tags=["admin"])
_log = structlog.stdlib.get_logger(__name__)

_SCOPE = "payment-disputes"
_ACT = (*AUTHENTICATED, *WITH_BODY, *CREATING, "wrong-role", "not-found", "dispute-closed", "billing-refused")

DisputeId = Annotated[
    str,
    Path(pattern=r"^[a-z]{2}_[A-Za-z0-9]{1,250}$", examples=["du_1QdJ2eA1b2C3d4"], description="At Stripe."),
]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_EVIDENCE)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=1_000)]


class _Fields(BaseModel):
    """The names are Stripe's (https://docs.stripe.com/api/disputes/update)."""

    access_activity_log: Text | None = None
    cancellation_policy_disclosure: Text | None = None
    cancellation_rebuttal: Text | None = None
    customer_email_address: Text | None = None
    customer_name: Text | None = None
    duplicate_charge_explanation: Text | None = None
    product_description: Text | None = None
    refund_policy_disclosure: Text | None = None
    refund_refusal_explanation: Text | None = None
    service_date: Text | None = None
    uncategorized_text: Text | None = None


class Evidence(_Fields, RequestModel):
    """What is said for us, field by field; what is not named stays as it was kept before."""


class EvidenceView(_Fields, ResponseModel):
    """Evidence as it stands at Stripe, or as our records would have it."""


class EvidenceBody(RequestModel):
    """Evidence to keep (`submit: false`) or to send to the bank, which takes it once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "evidence": {
                        "productDescription": "30 credits, delivered at once; 12 jobs were done with them"
                    },
                    "submit": True,
                    "reason": "The client used the credits",
                }
            ]
        }
    )
    evidence: Evidence = Evidence()
    submit: StrictBool
    reason: Reason


class ConcedeBody(RequestModel):
    """Why nothing is said against it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "It was our mistake"}]})
    reason: Reason


class DisputeSummary(ResponseModel):
    """A dispute. `answerBy`: until when evidence is taken; null once it is with the bank, or decided.

    A status that begins with `warning_` is an inquiry: no money has left yet.
    """

    id: str
    status: str
    reason: str
    amount_usd_cents: int
    opened_at: datetime
    answer_by: datetime | None
    submissions: int
    payment_id: str | None
    client_id: EntityId | None
    credits_bought: CreditsOut


class DisputeView(DisputeSummary):
    """The same with the evidence given so far, the evidence that our records offer, and what was done about it."""

    evidence: EvidenceView
    proposed: EvidenceView
    acts: list[BillingActView]


@router.get("", responses=problems(*AUTHENTICATED, "wrong-role", "invalid-request", "invalid-cursor"))
async def list_disputes(principal: AdminOnly, desk: ChargebackDeskDep, page: PageDep) -> Page[DisputeSummary]:
    """Disputes of all clients, newest first."""
    del principal
    position = page.position(_SCOPE)
    if position is not None and not isinstance(position[0], str):
        raise InvalidCursorError
    found, more = await desk.page(limit=page.limit, after=position[1] if position else None)
    last = found[-1].dispute.id if found and more else None
    return Page[DisputeSummary](
        items=[DisputeSummary(**_summary(one)) for one in found],
        next_cursor=page.cursor_after(_SCOPE, last, last) if last else None,
    )


@router.get("/{dispute_id}", responses=problems(*AUTHENTICATED, "wrong-role", "not-found", "invalid-request"))
async def read_dispute(dispute_id: DisputeId, principal: AdminOnly, desk: ChargebackDeskDep) -> DisputeView:
    """One dispute, with the evidence that our records offer to answer it."""
    del principal
    return _view(await desk.read(dispute_id))


@router.post("/{dispute_id}/evidence", response_model=DisputeView, responses=problems(*_ACT))
async def give_evidence(
    *,
    dispute_id: DisputeId,
    body: EvidenceBody,
    principal: AdminOnly,
    desk: ChargebackDeskDep,
    idempotency: IdempotencyDep,
) -> Response:
    """Keep evidence as a draft, or submit it with what was kept before. The bank takes it once and then decides."""
    fields = body.evidence.model_dump(exclude_none=True)
    if not fields and not body.submit:
        raise InvalidFieldError("#/evidence", "says nothing")

    async def work(act_id: str) -> DisputeView:
        answer = Answer(act_id, dispute_id, principal.user_id, body.reason, fields, submit=body.submit)
        found = await desk.answer(answer)
        _log.info("evidence_given", dispute_id=dispute_id, admin_id=principal.user_id, submit=body.submit)
        return _view(found)

    return await idempotency.run(principal.user_id, body, work, status=200)


@router.post("/{dispute_id}/concede", response_model=DisputeView, responses=problems(*_ACT))
async def concede(
    *,
    dispute_id: DisputeId,
    body: ConcedeBody,
    principal: AdminOnly,
    resources: OpenResourcesDep,
    desk: ChargebackDeskDep,
    idempotency: IdempotencyDep,
) -> Response:
    """Let the client have the money. This is for good."""

    async def work(act_id: str) -> DisputeView:
        found = await desk.concede(Answer(act_id, dispute_id, principal.user_id, body.reason))
        _log.info("dispute_conceded", dispute_id=dispute_id, admin_id=principal.user_id)
        if found.client_id is not None:
            await have_books_follow(resources, found.client_id)
        return _view(found)

    return await idempotency.run(principal.user_id, body, work, status=200)


def _summary(found: Chargeback) -> dict[str, object]:
    dispute = found.dispute
    return {
        "id": dispute.id,
        "status": dispute.status,
        "reason": dispute.reason,
        "amount_usd_cents": dispute.amount,
        "opened_at": dispute.created_at,
        "answer_by": dispute.due_at,
        "submissions": dispute.submissions,
        "payment_id": dispute.payment_id,
        "client_id": found.client_id,
        "credits_bought": found.grant.credits if found.grant else 0,
    }


def _view(found: Chargeback) -> DisputeView:
    known = {name: text for name, text in found.dispute.evidence.items() if name in EvidenceView.model_fields}
    return DisputeView(
        **_summary(found),
        evidence=EvidenceView.model_validate(known),
        proposed=EvidenceView.model_validate(found.proposed),
        acts=[BillingActView.of(act) for act in found.acts],
    )
