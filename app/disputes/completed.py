"""Disputes over completed jobs, as stored: noted on the job under keys, and settled in the ledger. All repeatable."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from app.disputes.rulings import Earned, RulingPlan, Spent, plan_ruling
from app.jobs.change import Dispute, DisputeStatus
from app.jobs.closing import Note, append_note
from app.jobs.models import Job
from app.jobs.payouts import HoldReason, PayoutStatus, payout_of
from app.jobs.projection import JobNotFoundError
from app.lifecycle import Action, Actor
from app.money.credits import Credits
from app.money.earnings import Earnings
from app.money.keys import refund_key
from app.notifications.notices import Notice, OutboxEntry
from app.notifications.outbox import enqueue
from app.subscriptions.store import refresh_credits_cache

Database = AsyncDatabase[dict[str, Any]]

REFUND_LASTS = timedelta(days=365)  # credits whose lot has expired meanwhile can be spent again for so long


async def find_job(database: Database, job_id: str) -> Job:
    """The stored job.

    Raises:
        JobNotFoundError: there is no such job.
    """
    found = await database["jobs"].find_one({"_id": job_id})
    if found is None:
        raise JobNotFoundError(job_id)
    job: Job = Job.model_validate(found)
    return job


async def open_dispute(
    database: Database,
    job_id: str,
    *,
    opened_by: Actor,
    opened_by_id: str,
    reason: str,
    at: datetime,
    evidence_until: datetime,
    correlation_id: str | None = None,
) -> tuple[Dispute, int]:
    """Open the job's next dispute and tell both sides and the admins; the dispute and the job's sequence number.

    Raises:
        JobNotFoundError: there is no such job.
        ActNotAllowedError: the job is not completed, archived already, or disputed already.
    """
    job = await find_job(database, job_id)
    last = job.dispute
    if (
        last
        and last.status is DisputeStatus.OPEN
        and (last.opened_by_id, last.opened_at) == (opened_by_id, at)
    ):
        dispute = last  # a repeat
    else:
        dispute = Dispute(
            number=last.number + 1 if last else 1,
            opened_by=opened_by,
            opened_by_id=opened_by_id,
            reason=reason,
            opened_at=at,
            evidence_until=evidence_until,
        )
    note = Note(
        at=at,
        actor=opened_by,
        actor_id=opened_by_id,
        action=Action.OPEN_DISPUTE,
        reason=reason,
        correlation_id=correlation_id,
    )
    notices = [
        Notice(
            type="job.dispute_opened",
            user_id=user_id,
            job_id=job_id,
            context={"evidence_until": evidence_until},
        )
        for user_id in (job.client_id, job.worker_id, None)
    ]
    seq = await note_dispute(
        database,
        job_id,
        f"{dispute.number}:open",
        note,
        dispute,
        deadline=evidence_until,
        notices=notices,
    )
    return dispute, seq


async def note_dispute(
    database: Database,
    job_id: str,
    act: str,
    note: Note,
    dispute: Dispute,
    *,
    deadline: datetime | None = None,
    admin_reason: str | None = None,
    notices: Sequence[Notice] = (),
    fields: dict[str, Any] | None = None,
) -> int:
    """Note an act on the job, with the dispute as it is then, and tell of it; the job's sequence number.

    `admin_reason` says what the admins are needed for; without one, only what a payout needs of them stays.

    Raises:
        JobNotFoundError: there is no such job.
        ActNotAllowedError: the act is not possible where the job is.
    """
    key = f"dispute:{act}"
    if admin_reason is None:
        admin_reason = await _payout_needs(database, job_id)
    seq = await append_note(
        database,
        job_id,
        key,
        note,
        {
            "dispute": dispute.model_dump(by_alias=True),
            "deadline": deadline,
            "needsAdmin": admin_reason is not None,
            "needsAdminReason": admin_reason,
            **(fields or {}),
        },
    )
    entries = [
        OutboxEntry.of(
            notice,
            key=f"{job_id}:{key}:{notice.user_id or 'admins'}",
            created_at=note.at,
            correlation_id=note.correlation_id,
        )
        for notice in notices
    ]
    await enqueue(database, entries)
    return seq


async def _payout_needs(database: Database, job_id: str) -> str | None:
    """What an admin must do for a payout of the job, as the payout itself would say."""
    job = await database["jobs"].find_one({"_id": job_id}, {"payout": 1, "furtherPayouts": 1, "accruals": 1})
    for accrual in (job or {}).get("accruals", []):
        payout = payout_of(job or {}, accrual["number"])
        if payout.get("status") in (PayoutStatus.HELD, PayoutStatus.UNRECORDED) and payout.get("reason"):
            reason = HoldReason(payout["reason"])
            if reason.needs_admin:
                return reason.for_admins
    return None


async def plan(
    database: Database, credits_: Credits, earnings: Earnings, job_id: str, *, share_basis_points: int
) -> RulingPlan:
    """What a ruling takes back of what is left of the present worker's part in the job.

    Raises:
        JobNotFoundError: there is no such job.
    """
    return plan_ruling(*await divisible(database, credits_, earnings, job_id), share_basis_points)


async def divisible(
    database: Database, credits_: Credits, earnings: Earnings, job_id: str
) -> tuple[list[Spent], list[Earned]]:
    """What is left of what was spent for the job's present worker, and of what that worker earned.

    Raises:
        JobNotFoundError: there is no such job.
    """
    parts = (await find_job(database, job_id)).parts
    spent = [Spent(key=key, credits=await credits_.refundable(key)) for key in parts.present_keys]
    earned = [
        Earned(number=item.number, usd_cents=await earnings.reversible(job_id, number=item.number))
        for item in parts.present_accruals
    ]
    return spent, earned


async def settle_ruling(
    database: Database,
    credits_: Credits,
    job_id: str,
    planned: RulingPlan,
    *,
    note: Note,
    dispute: Dispute,
    notices: Sequence[Notice] = (),
) -> int:
    """Give the client back what the ruling says, then note it on the job; the job's sequence number. Repeatable.

    The worker's pay is not moved here: that is for whoever knows whether it was sent.

    Raises:
        JobNotFoundError: there is no such job.
        ActNotAllowedError: the act is not possible where the job is.
        app.money.errors.MoneyError: the book does not know what was spent: a defect, not a race.
    """
    job = await find_job(database, job_id)
    for number, refund in enumerate(planned.refunds, start=1):
        await credits_.refund(
            job.client_id,
            refund.key,
            refund.credits,
            key=refund_key(job_id, f"ruling:{dispute.number}:{number}"),
            reason=note.reason or "ruling",
            expires_at=note.at + REFUND_LASTS,
        )
    if planned.refunds:
        await refresh_credits_cache(credits_, job.client_id)
    lost = {item.number: item.usd_cents for item in planned.take_backs}
    accruals = [
        item.model_copy(update={"usd_cents": item.usd_cents - lost.get(item.number, 0)})
        for item in job.accruals
    ]
    return await note_dispute(
        database,
        job_id,
        f"{dispute.number}:rule",
        note,
        dispute,
        notices=notices,
        fields={
            "spentCredits": job.spent_credits - planned.credits_back,
            "earnedUsdCents": job.earned_usd_cents - planned.pay_lost,
            "accruals": [item.model_dump(by_alias=True) for item in accruals],
        },
    )
