"""Reports, written once, and the mark of who applied which repair."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from app.errors import NotFoundError
from app.notifications.notices import Notice, OutboxEntry
from app.notifications.outbox import enqueue
from app.reconciliation.models import COLLECTION, Difference, Reconciliation

Database = AsyncDatabase[dict[str, Any]]


async def write_report(database: Database, report: Reconciliation, *, discrepancies: int = 0) -> None:
    """Write a report and, when anything disagrees, a notice to the admins. Repeatable: the first of an id stands.

    `discrepancies` are those of the journal's own audit.
    """
    try:
        await database[COLLECTION].insert_one(report.model_dump(by_alias=True))
    except DuplicateKeyError:
        report = await get_report(database, report.id)
    found = len(report.differences) + report.left_out
    if not found and not discrepancies:
        return
    told = Notice(type="ledger.differences", context={"differences": found, "discrepancies": discrepancies})
    entry = OutboxEntry.of(told, key=f"reconciliation-{report.id}", created_at=report.at)
    await enqueue(database, [entry])


async def get_report(database: Database, report_id: str) -> Reconciliation:
    """A report.

    Raises:
        NotFoundError: there is none.
    """
    found = await database[COLLECTION].find_one({"_id": report_id})
    if found is None:
        raise NotFoundError("There is no such report.")
    report: Reconciliation = Reconciliation.model_validate(found)
    return report


async def get_difference(database: Database, report_id: str, number: int) -> Difference:
    """One difference of a report.

    Raises:
        NotFoundError: there is none.
    """
    report = await get_report(database, report_id)
    if not 1 <= number <= len(report.differences):
        raise NotFoundError("There is no such difference in the report.")
    return report.differences[number - 1]


async def mark_applied(
    database: Database, report_id: str, number: int, *, admin_id: str, at: datetime
) -> Difference:
    """Note who applied a repair and when; the first one stands. Repeatable."""
    place = f"differences.{number - 1}"
    await database[COLLECTION].update_one(
        {"_id": report_id, f"{place}.appliedAt": None},
        {"$set": {f"{place}.appliedBy": admin_id, f"{place}.appliedAt": at}},
    )
    return await get_difference(database, report_id, number)
