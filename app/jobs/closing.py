"""Notes on a job whose own process has ended, by the workflows that outlive it: ratings, disputes, the archive.

They run side by side, so none of them counts the timeline: each note has a key of its own and is given the next number
by the one guarded write that adds it, along the lifecycle table.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field
from pymongo.asynchronous.database import AsyncDatabase

from app.camel import CamelModel
from app.documents import utcnow
from app.jobs.change import TimelineEntry
from app.jobs.projection import JobNotFoundError
from app.lifecycle import Action, Actor, Phase, State, Status, cell_for


class Note(CamelModel):
    """Who did what, when and why, and what it did to money; where it leads is the table's to say."""

    at: datetime
    actor: Actor
    actor_id: str | None = None
    action: Action
    reason: str | None = None
    credits: int | None = None  # hundredths of a credit
    usd_cents: int | None = None
    details: dict[str, Any] = Field(default_factory=dict)
    correlation_id: str | None = None


async def append_note(
    database: AsyncDatabase[dict[str, Any]],
    job_id: str,
    key: str,
    note: Note,
    fields: dict[str, Any] | None = None,
) -> int:
    """Move the job along the note's cell, add it to the timeline under its key, and set the fields. Repeatable.

    Returns:
        The job's sequence number, with this note in it.

    Raises:
        JobNotFoundError: there is no such job.
        ActNotAllowedError: the table has no such cell where the job is now.
    """
    jobs = database["jobs"]
    while True:
        stored = await jobs.find_one({"_id": job_id}, {"seq": 1, "status": 1, "phase": 1, "noteKeys": 1})
        if stored is None:
            raise JobNotFoundError(job_id)
        if key in stored.get("noteKeys", []):
            return int(stored["seq"])
        state = State(Status(stored["status"]), Phase(stored["phase"]))
        to, seq = cell_for(state, note.action, note.actor).to, stored["seq"]
        entry = TimelineEntry(**note.model_dump(), seq=seq + 1, status=to.status, phase=to.phase)
        update = {
            "$set": {
                **(fields or {}),
                "seq": seq + 1,
                "status": to.status.value,
                "phase": to.phase.value,
                "updatedAt": utcnow(),
            },
            "$push": {
                "timeline": entry.model_dump(by_alias=True, exclude_none=True),
                "noteKeys": key,
            },
        }
        if (await jobs.update_one({"_id": job_id, "seq": seq}, update)).matched_count:
            return int(seq) + 1
