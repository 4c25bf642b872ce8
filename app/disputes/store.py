"""Keeps what both sides of a dispute say, while the evidence is open."""

from __future__ import annotations

from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from app.disputes.errors import EvidenceClosedError
from app.disputes.models import Evidence
from app.documents import utcnow
from app.errors import InvalidFieldError
from app.jobs.change import DisputeStatus
from app.jobs.models import Job
from app.lifecycle import Actor

Database = AsyncDatabase[dict[str, Any]]

MAX_STATEMENTS = 50  # of one dispute


async def add_evidence(
    database: Database,
    job: Job,
    *,
    evidence_id: str,
    by: Actor,
    author_id: str,
    text: str,
    file_ids: list[str],
) -> Evidence:
    """Keep one statement; a repeat with the same id finds the one that is there.

    Raises:
        EvidenceClosedError: no dispute is open, its evidence is closed, or there is too much of it.
        InvalidFieldError: a file is not one of the job's.
    """
    dispute, now = job.dispute, utcnow()
    if dispute is None or dispute.status is not DisputeStatus.OPEN or now >= dispute.evidence_until:
        raise EvidenceClosedError("There is no dispute about this job that takes evidence now.")
    known = {file.file_id for file in job.files}
    if unknown := [file_id for file_id in file_ids if file_id not in known]:
        raise InvalidFieldError("#/fileIds", f"{unknown[0]} is not a file of this job")
    if len(await evidence_of(database, job.id, dispute.number)) >= MAX_STATEMENTS:
        raise EvidenceClosedError(f"A dispute takes at most {MAX_STATEMENTS} statements.")
    evidence = Evidence(
        id=evidence_id,
        job_id=job.id,
        dispute_number=dispute.number,
        by=by,
        author_id=author_id,
        at=now,
        text=text,
        file_ids=file_ids,
    )
    try:
        await database["dispute_evidence"].insert_one(evidence.model_dump(by_alias=True))
    except DuplicateKeyError:
        found = await database["dispute_evidence"].find_one({"_id": evidence_id})
        evidence = Evidence.model_validate(found)
    return evidence


async def evidence_of(database: Database, job_id: str, number: int) -> list[Evidence]:
    """What was said in a dispute of a job, in order."""
    query = {"jobId": job_id, "disputeNumber": number}
    found = await database["dispute_evidence"].find(query).sort("at", 1).limit(MAX_STATEMENTS).to_list()
    return [Evidence.model_validate(item) for item in found]
