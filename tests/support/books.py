"""What tests of a job's money look at: time that a worker has tracked, and whether all books agree."""

from __future__ import annotations

from datetime import timedelta

from app.documents import utcnow
from app.ids import new_id
from app.money.verify import audit, compare_with_jobs
from app.timetracking.models import StoppedBy, TimeEntry
from app.timetracking.store import ENTRIES
from tests.support.jobs import JobHarness


async def track(jobs: JobHarness, job_id: str, worker_id: str, hours: float) -> None:
    """Time that a worker has tracked on a job, since no test can wait for it."""
    seconds, now = int(hours * 3600), utcnow()
    entry = TimeEntry(
        id=new_id(),
        job_id=job_id,
        worker_id=worker_id,
        started_at=now - timedelta(seconds=seconds),
        stopped_at=now,
        seconds=seconds,
        stopped_by=StoppedBy.WORKER,
    )
    await jobs.database[ENTRIES].insert_one(entry.model_dump(by_alias=True))


async def check_books(jobs: JobHarness) -> None:
    """`nimmit ledger verify` finds nothing, in the journal or between it and the jobs."""
    found = await audit(jobs.database)
    assert not found.discrepancies
    assert not await compare_with_jobs(jobs.database, found.open_holds)
