"""Payouts to workers' banks on demand, besides the weekly ones."""

from __future__ import annotations

import structlog
from fastapi import APIRouter
from pydantic import ConfigDict
from starlette.responses import Response
from temporalio.service import RPCError

from api.dependencies import ResourcesDep
from api.idempotency import IdempotencyDep
from api.openapi import AUTHENTICATED, CREATING, WITH_BODY, problems
from api.security import AdminOnly
from api.types import EntityId, RequestModel, ResponseModel
from app.documents import utcnow
from app.errors import InvalidFieldError, OutcomeUnknownError
from app.users.models import Role
from workflows.contracts import BankPayoutsInput
from workflows.starting import start_bank_payouts

router = APIRouter(prefix="/admin/payouts", tags=["admin"])
_log = structlog.stdlib.get_logger(__name__)


class RunPayoutsBody(RequestModel):
    """Whom to pay out; everybody, without a worker."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"workerId": "6561f0c2a4b7d9e8f0123456"}]})
    worker_id: EntityId | None = None


class PayoutRunView(ResponseModel):
    """The run that was started. Each worker is paid out once in its period; `GET /payments/payouts` shows what came."""

    workflow_id: str
    period: str


@router.post(
    "/run",
    status_code=202,
    response_model=PayoutRunView,
    responses=problems(*AUTHENTICATED, *WITH_BODY, *CREATING, "wrong-role"),
)
async def run_payouts(
    body: RunPayoutsBody, principal: AdminOnly, resources: ResourcesDep, idempotency: IdempotencyDep
) -> Response:
    """Pay balances above the minimum out to the banks now."""
    if body.worker_id is not None:
        standing = await resources.users.standing(body.worker_id)
        if standing is None or standing.role is not Role.WORKER:
            raise InvalidFieldError("#/workerId", "is not a worker")

    async def work(run_id: str) -> PayoutRunView:
        period = f"{utcnow().date().isoformat()}-{run_id}"
        worker_ids = [body.worker_id] if body.worker_id else None
        run = BankPayoutsInput(period=period, worker_ids=worker_ids)
        try:
            workflow_id = await start_bank_payouts(resources.temporal, run, run_id, resources.settings)
        except (RPCError, RuntimeError) as error:  # RuntimeError: not connected since the start
            raise OutcomeUnknownError from error
        _log.info("bank_payouts_started", admin_id=principal.user_id, workflow_id=workflow_id)
        return PayoutRunView(workflow_id=workflow_id, period=period)

    return await idempotency.run(principal.user_id, body, work, status=202)
