"""Disputes over completed jobs in the stores: short, repeatable writes; what is refused is refused for good."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from temporalio import activity
from temporalio.exceptions import ApplicationError

from app.disputes import completed
from app.disputes.rulings import RulingPlan
from app.jobs.errors import JobErrorCode
from app.lifecycle import ActNotAllowedError
from app.money.credits import Credits
from app.money.earnings import Earnings
from workflows.followers import (
    DisputeOpened,
    FollowerActivity,
    NoteDispute,
    OpenCompletedDispute,
    PlanRuling,
    SettleRuling,
)


class DisputeActivities:
    """Thin: each calls `app.disputes.completed`."""

    def __init__(
        self, database: AsyncDatabase[dict[str, Any]], credits_: Credits, earnings: Earnings
    ) -> None:
        """Share one database and one journal among all disputes of the process."""
        self._database, self._credits, self._earnings = database, credits_, earnings

    @activity.defn(name=FollowerActivity.OPEN_DISPUTE)
    async def open_dispute(self, request: OpenCompletedDispute) -> DisputeOpened:
        """Open the job's next dispute.

        Raises:
            ApplicationError: `wrong-state`, for good.
        """
        with _refusing():
            dispute, seq = await completed.open_dispute(
                self._database,
                request.job_id,
                opened_by=request.opened_by,
                opened_by_id=request.opened_by_id,
                reason=request.reason,
                at=request.at,
                evidence_until=request.evidence_until,
                correlation_id=request.correlation_id,
            )
        return DisputeOpened(dispute=dispute, seq=seq)

    @activity.defn(name=FollowerActivity.NOTE_DISPUTE)
    async def note_dispute(self, request: NoteDispute) -> int:
        """Note an act of a dispute on the job; the job's sequence number.

        Raises:
            ApplicationError: `wrong-state`, for good.
        """
        with _refusing():
            return await completed.note_dispute(
                self._database,
                request.job_id,
                request.act,
                request.note,
                request.dispute,
                deadline=request.deadline,
                admin_reason=request.admin_reason,
                notices=request.notices,
            )

    @activity.defn(name=FollowerActivity.PLAN_RULING)
    async def plan_ruling(self, request: PlanRuling) -> RulingPlan:
        """Work out what a ruling takes back; the plan in the history is what is carried out."""
        return await completed.plan(
            self._database,
            self._credits,
            self._earnings,
            request.job_id,
            share_basis_points=request.share_basis_points,
        )

    @activity.defn(name=FollowerActivity.SETTLE_RULING)
    async def settle_ruling(self, request: SettleRuling) -> int:
        """Give the client back what was planned and note the ruling; the job's sequence number.

        Raises:
            ApplicationError: `wrong-state`, for good.
        """
        ruling = request.ruling
        with _refusing():
            return await completed.settle_ruling(
                self._database,
                self._credits,
                ruling.job_id,
                request.plan,
                note=ruling.note,
                dispute=ruling.dispute,
                notices=ruling.notices,
            )


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except ActNotAllowedError as error:
        raise ApplicationError(
            str(error),
            {"status": error.state.status.value, "phase": error.state.phase.value},
            type=JobErrorCode.WRONG_STATE,
            non_retryable=True,
        ) from error
