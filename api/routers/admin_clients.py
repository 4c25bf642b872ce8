"""What admins do for clients."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import structlog
from fastapi import APIRouter
from pydantic import ConfigDict, Field, StrictInt, StringConstraints
from starlette.responses import Response

from api.dependencies import CreditsDep, UsersDep
from api.idempotency import IdempotencyDep
from api.openapi import AUTHENTICATED, CREATING, WITH_BODY, problems
from api.security import AdminOnly
from api.types import CreditsIn, CreditsOut, EntityId, PathId, RequestModel, ResponseModel
from app.errors import NotFoundError
from app.subscriptions.goodwill import (
    DEFAULT_GOODWILL_DAYS,
    MAX_GOODWILL,
    MAX_GOODWILL_DAYS,
    Goodwill,
    give,
)
from app.users.models import Role

router = APIRouter(prefix="/admin/clients", tags=["admin"])
_log = structlog.stdlib.get_logger(__name__)


class GiveCreditsBody(RequestModel):
    """How many credits, why, and for how long they can be spent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"amount": 2.5, "reason": "The first delivery was two days late", "expiresInDays": 90}
            ]
        }
    )
    amount: Annotated[CreditsIn, Field(gt=0, le=MAX_GOODWILL)]
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=1_000)]
    expires_in_days: Annotated[StrictInt, Field(ge=1, le=MAX_GOODWILL_DAYS)] = DEFAULT_GOODWILL_DAYS


class GivenCreditsView(ResponseModel):
    """Credits as they were given. `debtPaid` of them went to what the client owed; the balances are those after it."""

    transaction_id: str
    client_id: EntityId
    amount: CreditsOut
    reason: str
    given_by: EntityId
    expires_at: datetime
    debt_paid: CreditsOut
    available: CreditsOut
    held: CreditsOut
    debt: CreditsOut


@router.post(
    "/{client_id}/credits",
    status_code=201,
    response_model=GivenCreditsView,
    responses=problems(*AUTHENTICATED, *WITH_BODY, *CREATING, "wrong-role", "not-found", "ledger-contention"),
)
async def give_credits(
    *,
    client_id: PathId,
    body: GiveCreditsBody,
    principal: AdminOnly,
    users: UsersDep,
    credits_: CreditsDep,
    idempotency: IdempotencyDep,
) -> Response:
    """Give a client credits. Who gave them and why is kept in the ledger for ever."""

    async def work(act_id: str) -> GivenCreditsView:
        standing = await users.standing(client_id)
        if standing is None or standing.role is not Role.CLIENT:
            raise NotFoundError("There is no such client.")
        goodwill = Goodwill(
            act_id=act_id,
            client_id=client_id,
            admin_id=principal.user_id,
            amount=body.amount,
            reason=body.reason,
            days=body.expires_in_days,
        )
        outcome = await give(credits_, goodwill)
        _log.info(
            "goodwill_credits_given",
            client_id=client_id,
            admin_id=principal.user_id,
            transaction_id=outcome.transaction_id,
        )
        return GivenCreditsView(
            transaction_id=outcome.transaction_id,
            client_id=client_id,
            amount=outcome.amount,
            reason=body.reason,
            given_by=principal.user_id,
            expires_at=goodwill.expires_at,
            debt_paid=outcome.debt_paid,
            available=outcome.available,
            held=outcome.held,
            debt=outcome.debt,
        )

    return await idempotency.run(principal.user_id, body, work)
