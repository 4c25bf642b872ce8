"""What it costs whom when a job ends early or loses its worker: the price of every ending, written down beforehand.

Pure arithmetic in integers. Shares are basis points of what is held for the job (credits) and of what its worker
would earn (USD cents), so client and worker stand or fall by the same share.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum
from typing import Protocol

from pydantic import ConfigDict

from app.camel import CamelModel
from app.jobs.change import Delivery
from app.jobs.policy import BASIS, JobPolicy
from app.jobs.pricing import Quote
from app.lifecycle import READY, WORK_IS_DUE, Actor, State

QUARTER_HOUR = 15 * 60  # seconds; tracked time counts in whole quarters, as hours are quoted


class Reason(StrEnum):
    """Why an ending costs what it does."""

    NOT_ASSIGNED = "not_assigned"  # nobody has worked for it
    OVERDUE = "overdue"  # the work is past its due time
    NOT_STARTED = "not_started"
    WORK_DONE = "work_done"
    DELIVERED = "delivered"
    NOT_DELIVERED = "not_delivered"  # a worker leaves before the first delivery
    ADMIN = "admin"
    RULING = "ruling"


class Terms(CamelModel):
    """Who pays and gets what. Credits in hundredths, pay in USD cents."""

    model_config = ConfigDict(frozen=True)

    reason: Reason
    share_basis_points: int
    client_pays: int
    client_gets_back: int
    worker_earns_usd_cents: int

    def version(self, seq: int) -> str:
        """Names these terms at this place of the job, so that consent to other terms can be told apart."""
        text = f"{seq}:{self.model_dump_json()}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Stake(CamelModel):
    """What there is to divide, and what was done for it."""

    model_config = ConfigDict(frozen=True)

    held_credits: int  # hundredths
    pay_usd_cents: int  # of the present worker, if the work were approved
    hours_likely: float
    tracked_seconds: int = 0  # of the present worker
    deliveries: int = 0  # of the present worker
    due_at: datetime | None = None


class Divisible(Protocol):
    """A job, as its process knows it or as it is on record: what of it there is to divide."""

    worker_id: str | None
    held_credits: int
    pay_usd_cents: int
    pricing: Quote | None
    assignments: int
    deliveries: list[Delivery]
    due_at: datetime | None


def stake_of(job: Divisible, tracked_seconds: int) -> Stake:
    """What there is to divide now, and what the present worker did for it.

    The door's preview and the process's decision are made of this one reading, or consent to a preview would be void.
    """
    return Stake(
        held_credits=job.held_credits,
        pay_usd_cents=job.pay_usd_cents if job.worker_id else 0,
        hours_likely=job.pricing.hours_likely if job.pricing else 0,
        tracked_seconds=tracked_seconds,
        deliveries=sum(item.assignment == job.assignments for item in job.deliveries),
        due_at=job.due_at,
    )


def worked_share(tracked_seconds: int, hours_likely: float) -> int:
    """Tracked time against likely hours in basis points, at most the whole; whole quarter hours count."""
    quarters = max(0, tracked_seconds) // QUARTER_HOUR
    likely = Decimal(str(hours_likely)) * 4
    if likely <= 0:
        return 0
    share = (Decimal(quarters) / likely * BASIS).quantize(Decimal(1), rounding=ROUND_DOWN)
    return min(BASIS, int(share))


def cancel_terms(state: State, actor: Actor, stake: Stake, policy: JobPolicy, *, now: datetime) -> Terms:
    """What a cancel costs now.

    A client pays for the work done, and at least the policy's share of the stage; nothing before somebody took the
    job, and nothing once the work is overdue. When an admin cancels, the client pays nothing and the worker is paid
    for the time tracked.
    """
    worked = worked_share(stake.tracked_seconds, stake.hours_likely)
    if stake.pay_usd_cents == 0:
        return _divide(stake, 0, Reason.NOT_ASSIGNED)
    if actor is Actor.ADMIN:
        return _divide(stake, worked, Reason.ADMIN, client_pays=False)
    if state in WORK_IS_DUE and stake.due_at is not None and now >= stake.due_at:
        return _divide(stake, 0, Reason.OVERDUE)
    if state == READY and not stake.deliveries:
        return _divide(stake, policy.cancel_ready_basis_points, Reason.NOT_STARTED)
    if stake.deliveries:
        return _divide(stake, max(policy.cancel_delivered_basis_points, worked), Reason.DELIVERED)
    return _divide(stake, max(policy.cancel_working_basis_points, worked), Reason.WORK_DONE)


def leave_terms(stake: Stake, policy: JobPolicy, *, share_basis_points: int | None = None) -> Terms:
    """What a worker gets who leaves, or is replaced: pro rata, nothing before a first delivery.

    `share_basis_points` is an admin's ruling otherwise. Some of the price always stays for the next worker.
    """
    limit = policy.leave_share_limit_basis_points
    if share_basis_points is not None:
        return _divide(stake, min(share_basis_points, limit), Reason.ADMIN)
    if not stake.deliveries:
        return _divide(stake, 0, Reason.NOT_DELIVERED)
    return _divide(
        stake, min(worked_share(stake.tracked_seconds, stake.hours_likely), limit), Reason.DELIVERED
    )


def ruling_terms(stake: Stake, share_basis_points: int) -> Terms:
    """What a ruling gives the worker; the rest returns to the client.

    It divides what the client and the present worker have between them, which is what is still held. The part of a
    worker who left before was settled by `leave_terms` and stands (`app.jobs.parts`): that worker is no side of the
    dispute, and a ruling over a completed job leaves it alone as well (`app.disputes.rulings`).
    """
    return _divide(stake, share_basis_points, Reason.RULING)


def _divide(stake: Stake, share: int, reason: Reason, *, client_pays: bool = True) -> Terms:
    """Both parts are rounded down: a fraction of a hundredth stays with the client, of a cent with the platform."""
    pays = stake.held_credits * share // BASIS if client_pays else 0
    return Terms(
        reason=reason,
        share_basis_points=share,
        client_pays=pays,
        client_gets_back=stake.held_credits - pays,
        worker_earns_usd_cents=stake.pay_usd_cents * share // BASIS,
    )
