"""Ends a job's money, or the part that a leaving worker earned: holds resolved, pay accrued, the place given back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from app.jobs.change import Accrual
from app.jobs.holds import PlannedResolution
from app.money.credits import Credits
from app.money.earnings import Earnings
from app.money.keys import accrue_key
from app.users import workload


async def settle(
    database: AsyncDatabase[dict[str, Any]],
    credits_: Credits,
    earnings: Earnings,
    *,
    job_id: str,
    client_id: str,
    worker_id: str | None,
    resolutions: Sequence[PlannedResolution],
    accrual: Accrual | None,
    completed: bool,
    at: datetime,
) -> None:
    """Resolve the holds, accrue the pay, give the worker's place back; a completed job counts in the history.

    Two books, in order, each transaction with its own key. Every step is repeatable, so a crash between two of them
    is mended by calling again.

    Raises:
        app.money.errors.MoneyError: a hold does not exist or is of another amount: a defect, not a race.
    """
    for planned in resolutions:
        await credits_.resolve(
            client_id,
            planned.hold_key,
            post=planned.post,
            release=planned.release,
            hold_again=planned.hold_again,
            key=planned.key,
        )
    if accrual and accrual.usd_cents > 0:
        key = accrue_key(job_id, accrual.number)
        await earnings.accrue(accrual.worker_id, job_id, accrual.usd_cents, key=key)
    if worker_id is None:
        return
    await workload.release_place(database, worker_id, job_id, completed=completed)
    if completed:
        await workload.note_work_together(database, client_id, worker_id, job_id, at)
