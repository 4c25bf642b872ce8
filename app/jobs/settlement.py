"""Ends a job's money: the client's hold is spent, the worker's pay is earned. Two books, in order, each keyed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from app.money.credits import Credits
from app.money.earnings import Earnings
from app.money.keys import accrue_key, complete_key, hold_key
from app.users import workload


async def settle(
    database: AsyncDatabase[dict[str, Any]],
    credits_: Credits,
    earnings: Earnings,
    *,
    job_id: str,
    client_id: str,
    worker_id: str,
    price: int,
    pay_usd_cents: int,
    at: datetime,
) -> None:
    """Spend the hold (`price`, hundredths of a credit), accrue the pay (USD cents), give the place back.

    Every step is repeatable, so a crash between two of them is mended by calling again.

    Raises:
        app.money.errors.MoneyError: the hold does not exist or is of another amount: a defect, not a race.
    """
    await credits_.resolve(client_id, hold_key(job_id), post=price, release=0, key=complete_key(job_id))
    if pay_usd_cents > 0:
        await earnings.accrue(worker_id, job_id, pay_usd_cents, key=accrue_key(job_id))
    await workload.release_place(database, worker_id, job_id, completed=True)
    await workload.note_work_together(database, client_id, worker_id, job_id, at)
