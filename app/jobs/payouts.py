"""Where a worker's pay for a job is: on its way, held, or sent. Targeted, repeatable writes on the job.

The first payout of a job is its `payout`; where several workers earned by it, the rest are its `furtherPayouts`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from app.jobs.parts import FIELDS, Parts
from app.lifecycle import COMPLETION_DISPUTED, Phase, State, Status
from app.notifications.notices import Notice, OutboxEntry
from app.notifications.outbox import enqueue

Database = AsyncDatabase[dict[str, Any]]


class PayoutStatus(StrEnum):
    """`unrecorded`: sent, but the worker's book refuses the entry, which an admin must look at."""

    SENDING = "sending"
    HELD = "held"
    UNRECORDED = "unrecorded"
    SENT = "sent"
    NOT_DUE = "not_due"


SETTLED = frozenset({PayoutStatus.SENT, PayoutStatus.NOT_DUE})


class HoldReason(StrEnum):
    """Why a payout cannot be sent now."""

    NO_ACCOUNT = "no_account"
    ACCOUNT_CANNOT_RECEIVE = "account_cannot_receive"
    PLATFORM_BALANCE = "platform_balance"
    REFUSED = "refused"
    TRANSFER_DIFFERS = "transfer_differs"
    BOOK_REFUSES = "book_refuses"
    DISPUTED = "disputed"
    NOTHING_LEFT = "nothing_left"  # a debt or a ruling took all of it: it is not held, it is not due

    @property
    def is_the_workers(self) -> bool:
        """Whether the worker can mend it, by finishing the payout account."""
        return self in (HoldReason.NO_ACCOUNT, HoldReason.ACCOUNT_CANNOT_RECEIVE)

    @property
    def needs_admin(self) -> bool:
        """Whether an admin must look at it; a dispute asks for the admins by itself."""
        return not self.is_the_workers and self not in (HoldReason.DISPUTED, HoldReason.NOTHING_LEFT)

    @property
    def for_admins(self) -> str:
        """Why the job needs an admin, in the words of its own field."""
        return f"payout: {self.value}"


async def worker_account(database: Database, worker_id: str) -> str | None:
    """The worker's connected account, if there is one."""
    worker = await database["users"].find_one({"_id": worker_id}, {"workerProfile.stripeAccountId": 1})
    account = ((worker or {}).get("workerProfile") or {}).get("stripeAccountId")
    return str(account) if account else None


async def is_disputed(database: Database, job_id: str, number: int | None) -> bool:
    """Whether a dispute over the completed job is open, so that this payout of it may not be sent.

    What a worker earned who left before is not part of the dispute.
    """
    job = await database["jobs"].find_one({"_id": job_id}, {"status": 1, "phase": 1, **FIELDS})
    if job is None or State(Status(job["status"]), Phase(job["phase"])) != COMPLETION_DISPUTED:
        return False
    return number not in {item.number for item in Parts.model_validate(job).standing_accruals}


def payout_field(number: int) -> str:
    """Where the job keeps its `number`-th payout."""
    return "payout" if number == 1 else f"furtherPayouts.{number}"


def payout_of(job: dict[str, Any], number: int) -> dict[str, Any]:
    """A job's `number`-th payout as stored; empty when nothing is known of it yet."""
    if number == 1:
        return job.get("payout") or {}
    return (job.get("furtherPayouts") or {}).get(str(number)) or {}


async def record_payout(
    database: Database,
    *,
    job_id: str,
    worker_id: str,
    amount_usd_cents: int,
    status: PayoutStatus,
    at: datetime,
    stripe_transfer_id: str | None = None,
    reason: HoldReason | None = None,
    number: int = 1,
    was_held: bool = True,
    correlation_id: str | None = None,
) -> None:
    """Write the payout's state on the job, then the notices of it. Repeatable; a settled payout is never unsettled.

    The worker hears of a hold that the worker can mend, and of the money; the admins of all other holds, but for a
    dispute, of which both have heard. What else the job needs an admin for stays.
    A payout that was never held has asked for nobody.
    """
    field = payout_field(number)
    fields: dict[str, Any] = {
        field: {
            "status": status.value,
            "stripeTransferId": stripe_transfer_id,
            "reason": reason.value if reason else None,
            "at": at,
        },
        "updatedAt": at,
    }
    if reason and reason.needs_admin:
        fields |= {"needsAdmin": True, "needsAdminReason": reason.for_admins}
    jobs = database["jobs"]
    if status in SETTLED:
        await jobs.update_one({"_id": job_id}, {"$set": fields})
    else:  # a write that was delayed until after the money went must not say again that it is held
        unsettled = {"_id": job_id, f"{field}.status": {"$nin": sorted(status.value for status in SETTLED)}}
        await jobs.update_one(unsettled, {"$set": fields})
    if was_held and (reason is None or not reason.needs_admin):
        ours = {"_id": job_id, "needsAdminReason": {"$in": [each.for_admins for each in HoldReason]}}
        await jobs.update_one(ours, {"$set": {"needsAdmin": False, "needsAdminReason": None}})
    notice = _notice(job_id, worker_id, amount_usd_cents, status, reason)
    if notice:
        name = f"payout-{job_id}" if number == 1 else f"payout-{job_id}-{number}"
        key = f"{name}:{status.value}" + (f":{reason.value}" if reason else "")
        entry = OutboxEntry.of(notice, key=key, created_at=at, correlation_id=correlation_id)
        await enqueue(database, [entry])


def _notice(
    job_id: str, worker_id: str, amount_usd_cents: int, status: PayoutStatus, reason: HoldReason | None
) -> Notice | None:
    """One for each kind of news, however often it is tried again."""
    context = {"amount_usd_cents": amount_usd_cents}
    if status is PayoutStatus.SENT:
        return Notice(type="payout.sent", user_id=worker_id, job_id=job_id, context=context)
    if reason is HoldReason.NOTHING_LEFT:
        return Notice(type="payout.not_due", user_id=worker_id, job_id=job_id)
    if reason in (None, HoldReason.DISPUTED):
        return None
    to = worker_id if reason and reason.is_the_workers else None  # None: every admin
    return Notice(type="payout.held", user_id=to, job_id=job_id, context=context)
