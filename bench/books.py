"""Fills books with real rows, by the journal's own rule and its own hashes, many in one insert.

The journal itself writes one at a time; a book of 100,000 entries would take minutes before anything is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from app.documents import utcnow
from app.jobs.payouts import PayoutStatus
from app.lifecycle import Phase, Status
from app.money.drafts import (
    AccrueEarnings,
    Draft,
    GrantCredits,
    HoldCredits,
    RecordTransfer,
    ResolveHold,
    draft,
)
from app.money.journal import ensure_indexes, ledger_collection
from app.money.keys import accrue_key, complete_key, hold_key, transfer_key
from app.money.models import Transaction
from app.money.rules import next_transaction

Database = AsyncDatabase[dict[str, Any]]
Row = dict[str, Any]

CREDITS = 10**12  # hundredths: enough for any number of holds
_PRICE, _PAY = 500, 2_500
_BATCH = 1_000
_AGE = timedelta(days=2)  # older than what a comparison leaves for the next night
JOBS_TOGETHER = 100  # of one client, by one worker, where the entries are spread over books


class BookWriter:
    """The rows of one book, each on top of the last."""

    def __init__(self, at: datetime) -> None:
        """All rows are of this moment."""
        self._at = at
        self._head: Transaction | None = None

    def row(self, act: Draft) -> Row:
        """The book's next row."""
        hold = self._head.hold if self._head and isinstance(act, ResolveHold) else None
        made = next_transaction(self._head, act, at=self._at, hold=hold)
        document = made.to_document()
        self._head = made.model_copy(update={"hash": document["hash"]})
        return document


def client_rows(client_id: str, entries: int, at: datetime, *, first_job: int = 0) -> Iterator[Row]:
    """A grant, then holds and their resolutions in turns; every hold is of the row before its resolution."""
    book = BookWriter(at)
    grant = draft(
        GrantCredits, key=f"bench:{client_id}", client_id=client_id, amount=CREDITS, source="benchmark"
    )
    yield book.row(grant)
    for number in range(entries - 1):
        job_id = job_of(client_id, first_job + number // 2)
        if number % 2 == 0:
            act: Draft = draft(
                HoldCredits, key=hold_key(job_id), client_id=client_id, job_id=job_id, amount=_PRICE
            )
        else:
            act = draft(
                ResolveHold,
                key=complete_key(job_id),
                client_id=client_id,
                hold_key=hold_key(job_id),
                post=_PRICE,
                release=0,
            )
        yield book.row(act)


def worker_rows(worker_id: str, client_id: str, jobs: int, at: datetime) -> Iterator[Row]:
    """What a worker earned by a client's jobs, each sent at once."""
    book = BookWriter(at)
    for number in range(jobs):
        job_id = job_of(client_id, number)
        earned: dict[str, Any] = {"worker_id": worker_id, "job_id": job_id, "amount": _PAY}
        yield book.row(draft(AccrueEarnings, key=accrue_key(job_id), **earned))
        sent = {"stripe_transfer_id": transfer_of(job_id)}
        yield book.row(draft(RecordTransfer, key=transfer_key(job_id), **earned, **sent))


def job_of(client_id: str, number: int) -> str:
    """The id of a client's job."""
    return f"{client_id}j{number}"


def transfer_of(job_id: str) -> str:
    """The id of its transfer at Stripe."""
    return f"tr_{job_id}"


async def fill_book(database: Database, client_id: str, entries: int) -> None:
    """One client's book of so many entries."""
    await ensure_indexes(database)
    await _insert(database, client_rows(client_id, entries, utcnow()))


async def fill_platform(database: Database, entries: int) -> int:
    """About so many entries over many books, with the completed jobs that made them; how many there are.

    A hundred jobs are one client's book of 201 entries and one worker's of 200.
    """
    await ensure_indexes(database)
    at, written = utcnow() - _AGE, 0
    for number in range(max(1, entries // (4 * JOBS_TOGETHER))):
        client_id, worker_id = f"c{number}", f"w{number}"
        rows = list(client_rows(client_id, 2 * JOBS_TOGETHER + 1, at))
        rows += worker_rows(worker_id, client_id, JOBS_TOGETHER, at)
        await _insert(database, iter(rows))
        await database["jobs"].insert_many(
            [_completed(client_id, worker_id, job, at) for job in range(JOBS_TOGETHER)]
        )
        written += len(rows)
    return written


async def _insert(database: Database, rows: Iterator[Row]) -> None:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            await ledger_collection(database).insert_many(batch)
            batch.clear()
    if batch:
        await ledger_collection(database).insert_many(batch)


def _completed(client_id: str, worker_id: str, number: int, at: datetime) -> Row:
    """What the audit and the comparison read of a job."""
    return {
        "_id": job_of(client_id, number),
        "clientId": client_id,
        "workerId": worker_id,
        "status": Status.COMPLETED.value,
        "phase": Phase.RATING.value,
        "heldCredits": 0,
        "earnedUsdCents": _PAY,
        "accruals": [{"number": 1, "workerId": worker_id, "usdCents": _PAY}],
        "payout": {"status": PayoutStatus.SENT.value, "at": at},
        "updatedAt": at,
        "completedAt": at,
    }
