"""What the nights' comparisons of ledger, Stripe and jobs found, and the repairs that an admin has applied."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import structlog
from fastapi import APIRouter, Path
from temporalio.service import RPCError

from api.dependencies import DatabaseDep, OpenResourcesDep
from api.openapi import AUTHENTICATED, problems
from api.pagination import Page, PageDep, fetch_page
from api.security import AdminOnly
from api.types import EntityId, PathId, ResponseModel
from app.errors import OutcomeUnknownError
from app.money.earnings import Earnings
from app.reconciliation.models import COLLECTION, Difference, Reconciliation
from app.reconciliation.repairs import Repairs
from app.reconciliation.store import get_report
from workflows.billing import hand_to_client
from workflows.contracts import PayoutInput
from workflows.nudges import payout_starter

router = APIRouter(prefix="/admin/reconciliations", tags=["admin"])
_log = structlog.stdlib.get_logger(__name__)

_SCOPE = "reconciliations"


class DifferenceView(ResponseModel):
    """One thing that disagrees, what would mend it, and who had that done. `by_hand` is only noted as done."""

    number: int
    kind: str
    detail: str
    repair: str
    proposal: str
    job_id: str | None
    worker_id: str | None
    client_id: str | None
    applied_by: EntityId | None
    applied_at: datetime | None


class ReportSummary(ResponseModel):
    """One night's comparison: what was looked at, and how much disagrees."""

    id: EntityId
    at: datetime
    since: datetime
    transfers: int
    rows: int
    jobs: int
    differences: int
    open: int


class ReportView(ReportSummary):
    """The same with every difference, up to a thousand."""

    items: list[DifferenceView]


@router.get("", responses=problems(*AUTHENTICATED, "wrong-role", "invalid-request", "invalid-cursor"))
async def list_reports(principal: AdminOnly, database: DatabaseDep, page: PageDep) -> Page[ReportSummary]:
    """The reports, newest first."""
    del principal
    found, cursor = await fetch_page(database[COLLECTION], {}, page, scope=_SCOPE, field="at")
    reports = [Reconciliation.model_validate(row) for row in found]
    return Page[ReportSummary](
        items=[ReportSummary(**_summary(report)) for report in reports], next_cursor=cursor
    )


@router.get("/{report_id}", responses=problems(*AUTHENTICATED, "wrong-role", "not-found", "invalid-request"))
async def read_report(report_id: PathId, principal: AdminOnly, database: DatabaseDep) -> ReportView:
    """One report with its differences and their repairs."""
    del principal
    report = await get_report(database, report_id)
    return ReportView(**_summary(report), items=[_view(difference) for difference in report.differences])


@router.post(
    "/{report_id}/repairs/{number}/apply",
    responses=problems(
        *AUTHENTICATED,
        "wrong-role",
        "not-found",
        "invalid-request",
        "repair-refused",
        "ledger-contention",
        "outcome-unknown",
    ),
)
async def apply_repair(
    report_id: PathId,
    number: Annotated[int, Path(ge=1, le=1_000, examples=[1], description="The difference's number.")],
    principal: AdminOnly,
    resources: OpenResourcesDep,
) -> DifferenceView:
    """Apply the proposed repair. Who did it and when is kept; applying it again changes nothing."""
    start = payout_starter(resources.temporal, resources.settings)

    async def try_payout(job_id: str, worker_id: str, payout: int, cents: int) -> None:
        job = await resources.database["jobs"].find_one({"_id": job_id}, {"clientId": 1})
        await start(
            PayoutInput(
                job_id=job_id,
                worker_id=worker_id,
                client_id=job["clientId"] if job else "",
                amount_usd_cents=cents,
                number=payout,
            )
        )

    async def settle_billing(client_id: str) -> None:
        await hand_to_client(resources.temporal, resources.settings, client_id, None)

    repairs = Repairs(
        resources.database,
        resources.payments,
        resources.settings,
        resources.credits,
        Earnings(resources.database),
        try_payout,
        settle_billing,
    )
    try:
        difference = await repairs.apply(report_id, number, admin_id=principal.user_id)
    except (RPCError, RuntimeError) as error:  # RuntimeError: not connected since the start
        raise OutcomeUnknownError from error
    _log.info(
        "repair_applied",
        report_id=report_id,
        number=number,
        repair=difference.repair.kind.value,
        admin_id=difference.applied_by,
    )
    return _view(difference)


def _summary(report: Reconciliation) -> dict[str, object]:
    return {
        "id": report.id,
        "at": report.at,
        "since": report.since,
        "transfers": report.transfers,
        "rows": report.rows,
        "jobs": report.jobs,
        "differences": len(report.differences) + report.left_out,
        "open": sum(difference.applied_at is None for difference in report.differences) + report.left_out,
    }


def _view(difference: Difference) -> DifferenceView:
    return DifferenceView(
        number=difference.number,
        kind=difference.kind.value,
        detail=difference.detail,
        repair=difference.repair.kind.value,
        proposal=difference.repair.proposal,
        job_id=difference.job_id,
        worker_id=difference.worker_id,
        client_id=difference.client_id,
        applied_by=difference.applied_by,
        applied_at=difference.applied_at,
    )
